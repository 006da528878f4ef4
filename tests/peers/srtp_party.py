"""A party that speaks SRTP: what it says is sealed with its key, and `clear` is what it could open with the other."""

import base64

from pylibsrtp import Policy, Session

from gateway.media.plane import SrtpKey
from gateway.rtp.packet import Rtp
from tests.peers.rtp_party import RtpParty

SUITE = "AES_CM_128_HMAC_SHA1_80"
PROFILE = Policy.SRTP_PROFILE_AES128_CM_SHA1_80


def make_key(seed: int) -> SrtpKey:
    return SrtpKey(SUITE, base64.b64encode(bytes([seed]) * 30).decode())


def session(key: SrtpKey, streams: int) -> Session:
    return Session(Policy(base64.b64decode(key.key), streams, srtp_profile=PROFILE))


class SrtpParty(RtpParty):
    """`key` is its own, `other` the one that it expects."""

    def __init__(self, host: str, key: SrtpKey, other: SrtpKey, ssrc: int) -> None:
        super().__init__(host, ssrc=ssrc)
        self.seq = 65530
        self.take(key, other)

    def take(self, key: SrtpKey, other: SrtpKey) -> None:
        """Go on with these keys."""
        self.key, self.other = key, other
        self._seals, self._opens = session(key, Policy.SSRC_ANY_OUTBOUND), session(other, Policy.SSRC_ANY_INBOUND)
        self._read_until = 0
        self._clear: list[bytes] = []

    def packet(self, payload: bytes, **kind) -> bytes:
        sealed: bytes = self._seals.protect(super().packet(payload, **kind))
        return sealed

    def seal_rtcp(self, packet: bytes) -> bytes:
        sealed: bytes = self._seals.protect_rtcp(packet)
        return sealed

    def open_rtcp(self, packet: bytes) -> bytes:
        opened: bytes = self._opens.unprotect_rtcp(packet)
        return opened

    @property
    def clear(self) -> list[bytes]:
        """Everything that came, opened; raises where something can't be."""
        self._clear += map(self._opens.unprotect, self.heard[self._read_until :])
        self._read_until = len(self.heard)
        return self._clear

    @property
    def payloads(self) -> list[bytes]:
        return [packet[Rtp.parse(packet).start :] for packet in self.clear]
