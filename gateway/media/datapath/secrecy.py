"""The keys of one flow while its worker runs: what the party sends is opened with them, what goes to it is sealed.

Nothing is made of a key before the first packet needs it: most media that passes through is never looked into, only
its reports are, for their figures. Keys that an offer and answer repeat keep their streams' state, and so does a key
that comes back after another one: no counter begins anew (RFC 3711 §3.3.1), nothing is opened twice, and no part of a
key stream is used twice. A new key is used as soon as it is known; what its sender still sends under the former one is
opened, too, until the first packet under the new one.
"""

import base64
from typing import Final

from gateway.media.errors import OrderRefused
from gateway.media.plane import SrtpKey
from gateway.rtp.packet import Buffer
from gateway.rtp.srtp import KEY_BYTES, SUITES, Opener, Sealer, Streams

MAX_OPENED: Final = 8
"""Keys of the party's that are remembered: for one that is older the counters are looked for again."""
MAX_SEALED: Final = 64
"""Keys that something was sealed under. None is ever forgotten."""


class Secrecy:
    """See the module."""

    __slots__ = ("_former", "_keys", "_opener", "_openers", "_sealer", "_sealers", "_streams")

    def __init__(self) -> None:
        self._keys: tuple[SrtpKey | None, SrtpKey | None] = (None, None)
        self._opener: Opener | None = None
        self._former: Opener | None = None
        self._sealer: Sealer | None = None
        self._openers: dict[SrtpKey, Opener] = {}
        """Of all keys that were needed, the latest ones last."""
        self._sealers: dict[SrtpKey, Sealer] = {}
        self._streams: Streams = {}

    def change(self, opens: SrtpKey | None, seals: SrtpKey | None) -> None:
        """Go on with these keys. Raises OrderRefused for what is none."""
        for key in (opens, seals):
            if key is not None:
                _octets(key)
        if opens != self._keys[0]:
            self._former = self._opener if opens is not None else None
            self._opener = self._openers.get(opens) if opens is not None else None
            if self._opener is not None:
                self._opener.came_back()
        if seals != self._keys[1]:
            self._sealer = self._sealers.get(seals) if seals is not None else None
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
            self._opener = self._openers[key] = Opener(key.suite, _octets(key))
            if len(self._openers) > MAX_OPENED:
                del self._openers[next(iter(self._openers))]
        return self._opener

    def _sealing(self) -> Sealer | None:
        key = self._keys[1]
        if self._sealer is None and key is not None and len(self._sealers) < MAX_SEALED:
            self._sealer = self._sealers[key] = Sealer(key.suite, _octets(key), self._streams)
        return self._sealer


def _octets(key: SrtpKey) -> bytes:
    try:
        octets = base64.b64decode(key.key, validate=True)
    except ValueError:
        octets = b""
    if key.suite not in SUITES or len(octets) != KEY_BYTES:
        raise OrderRefused("a key isn't one")
    return octets
