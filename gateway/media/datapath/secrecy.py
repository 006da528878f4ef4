"""The keys of one flow while its worker runs: what the party sends is opened with them, what goes to it is sealed.

Nothing is made of a key before the first packet needs it: most media that passes through is never looked into, only
its reports are, for their figures. Keys that an offer and answer repeat keep their streams' state. A new key is used as
soon as it is known; what its sender still sends under the former one is opened, too, until the first packet under the
new one.
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
        for key in (opens, seals):
            if key is not None:
                _octets(key)
        if opens != self._keys[0]:
            self._former, self._opener = self._opener if opens is not None else None, None
        if seals != self._keys[1]:
            self._sealer = None
        self._keys = opens, seals

    @property
    def missed(self) -> int | None:
        """How many packets in a row could not be opened; None: there is no key for them."""
        if self._keys[0] is None:
            return None
        return self._opener.missed if self._opener is not None else 0

    def open(self, packet: Buffer, passed: int) -> bytes | None:
        """What the party said in an SRTP packet, the latest of `passed` ones; None where it can't be read."""
        opener = self._opening()
        if opener is None:
            return None
        if self._former is not None and (clear := self._former.open(packet, 0)) is not None:
            return clear
        clear = opener.open(packet, passed)
        if clear is not None:
            self._former = None
        return clear

    def seal(self, packet: Buffer) -> bytes | None:
        """An RTP packet as the party expects it; None where there is no key, or the packet can't be sent twice."""
        sealer = self._sealing()
        return sealer.seal(packet) if sealer is not None else None

    def open_rtcp(self, packet: Buffer) -> bytes | None:
        """The RTCP packet in an SRTCP packet of the party's."""
        opener = self._opening()
        return opener.open_rtcp(packet) if opener is not None else None

    def seal_rtcp(self, packet: Buffer) -> bytes | None:
        """An RTCP packet as the party expects it."""
        sealer = self._sealing()
        return sealer.seal_rtcp(packet) if sealer is not None else None

    def _opening(self) -> Opener | None:
        key = self._keys[0]
        if self._opener is None and key is not None:
            self._opener = Opener(key.suite, _octets(key))
        return self._opener

    def _sealing(self) -> Sealer | None:
        key = self._keys[1]
        if self._sealer is None and key is not None:
            self._sealer = Sealer(key.suite, _octets(key))
        return self._sealer


def _octets(key: SrtpKey) -> bytes:
    try:
        octets = base64.b64decode(key.key, validate=True)
    except ValueError:
        octets = b""
    if key.suite not in SUITES or len(octets) != KEY_BYTES:
        raise OrderRefused("a key isn't one")
    return octets
