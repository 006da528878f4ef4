"""The keys of one flow while its worker runs: what the party sends is opened with them, what goes to it is sealed.

Keys that an offer and answer repeat keep their streams' state. A new key is used as soon as it is known; what its
sender still sends under the former one is opened, too, until the first packet under the new one.
"""

import base64

from gateway.media.errors import OrderRefused
from gateway.media.plane import SrtpKey
from gateway.rtp.packet import Buffer
from gateway.rtp.srtp import KEY_BYTES, SUITES, Opener, Sealer


class Secrecy:
    """See the module."""

    __slots__ = ("_former", "_keys", "_opener", "_sealer")

    def __init__(self) -> None:
        self._keys: tuple[SrtpKey | None, SrtpKey | None] = (None, None)
        self._opener: Opener | None = None
        self._former: Opener | None = None
        self._sealer: Sealer | None = None

    def change(self, opens: SrtpKey | None, seals: SrtpKey | None) -> None:
        """Go on with these keys. Raises OrderRefused for what is none."""
        opener, sealer = self._opener, self._sealer
        if opens != self._keys[0]:
            opener = Opener(*_key(opens)) if opens is not None else None
        if seals != self._keys[1]:
            sealer = Sealer(*_key(seals)) if seals is not None else None
        if opener is not self._opener:
            self._former = self._opener if opener is not None else None
        self._opener, self._sealer, self._keys = opener, sealer, (opens, seals)

    @property
    def missed(self) -> int | None:
        """How many packets in a row could not be opened; None: there is no key for them."""
        return None if self._opener is None else self._opener.missed

    def open(self, packet: Buffer, passed: int) -> bytes | None:
        """What the party said in an SRTP packet, the latest of `passed` ones; None where it can't be read."""
        if self._opener is None:
            return None
        if self._former is not None and (clear := self._former.open(packet, 0)) is not None:
            return clear
        clear = self._opener.open(packet, passed)
        if clear is not None:
            self._former = None
        return clear

    def seal(self, packet: Buffer) -> bytes | None:
        """An RTP packet as the party expects it; None where there is no key, or the packet can't be sent twice."""
        return self._sealer.seal(packet) if self._sealer is not None else None

    def open_rtcp(self, packet: Buffer) -> bytes | None:
        """The RTCP packet in an SRTCP packet of the party's."""
        return self._opener.open_rtcp(packet) if self._opener is not None else None

    def seal_rtcp(self, packet: Buffer) -> bytes | None:
        """An RTCP packet as the party expects it."""
        return self._sealer.seal_rtcp(packet) if self._sealer is not None else None


def _key(key: SrtpKey) -> tuple[str, bytes]:
    try:
        octets = base64.b64decode(key.key, validate=True)
    except ValueError:
        octets = b""
    if key.suite not in SUITES or len(octets) != KEY_BYTES:
        raise OrderRefused("a key isn't one")
    return key.suite, octets
