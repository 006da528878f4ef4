"""The keys of one call's SRTP, from offer and answer to the order that takes them to the worker (RFC 4568 §5).

They are here because a description names them and the worker's half follows with the answer; in no snapshot, log or
text. Each party encrypts with the key that it wrote itself, under the tag that the answer chose. What we encrypt
ourselves, for a party whose SRTP ends here, is under a key of our own: one for each dialog, and the same for its life,
so that an offer that changes nothing interrupts nothing.
"""

import base64
import secrets
from dataclasses import replace

from gateway.call.model import DialogTag
from gateway.media.plane import SrtpKey
from gateway.sdp.crypto_attribute import KEY_BYTES, CryptoAttribute
from policy.decision import Side

Lines = tuple[CryptoAttribute, ...]
"""What an m-line says, in the order of preference."""
Cryptos = dict[int, Lines]
"""What a description says, by m-line."""


def usable(lines: Lines) -> CryptoAttribute | None:
    """The line that we choose: the first that can be used."""
    return next((crypto for crypto in lines if not crypto.fault), None)


class Keyring:
    """See the module."""

    __slots__ = ("_held", "_offered", "_ours", "_taken_up")

    def __init__(self) -> None:
        self._offered: dict[DialogTag | None, Cryptos] = {}
        self._taken_up: dict[DialogTag, Cryptos] = {}
        """Offers that were answered: a second response may repeat the answer."""
        self._ours: dict[tuple[DialogTag | None, int, Side], CryptoAttribute] = {}
        self._held: dict[tuple[DialogTag, int, Side], tuple[SrtpKey, SrtpKey]] = {}

    def offered(self, dialog: DialogTag | None, cryptos: Cryptos) -> None:
        """An offer's keys; None is the initial one, of all branches."""
        self._offered[dialog] = cryptos

    def answered(self, dialog: DialogTag, *, again: bool) -> Cryptos:
        """The keys of the offer that an answer is to."""
        if not again:
            initial = self._offered.get(None, {})
            self._taken_up[dialog] = self._offered.pop(dialog, initial)
        return self._taken_up.get(dialog, {})

    def own(self, dialog: DialogTag | None, index: int, towards: Side, like: CryptoAttribute) -> CryptoAttribute:
        """Our key for a party, under the tag and suite of `like`."""
        place = (dialog, index, towards)
        known = self._ours.get(place) or self._ours.get((None, index, towards))
        if known is None or known.suite != like.suite:
            known = replace(like, key=secrets.token_bytes(KEY_BYTES), fault="")
        own = self._ours[place] = replace(known, tag=like.tag)
        return own

    def passed_through(self, dialog: DialogTag, index: int, offerer: Side, offer: Lines, answer: Lines) -> None:
        """Both parties' own keys: the answer has one line, with the tag of the line that it accepts."""
        chosen = next(iter(answer), None)
        theirs = next((one for one in offer if chosen is not None and one.tag == chosen.tag), None)
        answerer = _other(offerer)
        if chosen is None or theirs is None or chosen.fault or theirs.fault or chosen.suite != theirs.suite:
            self.lost(dialog, index)
            return
        self._held[dialog, index, offerer] = _key(theirs), _key(chosen)
        self._held[dialog, index, answerer] = _key(chosen), _key(theirs)

    def ended_here(
        self, dialog: DialogTag, index: int, party: Side, theirs: CryptoAttribute | None, ours: CryptoAttribute
    ) -> None:
        """The keys of a party whose SRTP ends here."""
        self.lost(dialog, index)
        if theirs is not None and not theirs.fault and (theirs.tag, theirs.suite) == (ours.tag, ours.suite):
            self._held[dialog, index, party] = _key(theirs), _key(ours)

    def lost(self, dialog: DialogTag, index: int) -> None:
        """Nothing is known any more of what holds."""
        for side in Side:
            self._held.pop((dialog, index, side), None)

    def of(self, dialog: DialogTag, index: int, party: Side) -> tuple[SrtpKey | None, SrtpKey | None]:
        """What a party encrypts with, and what it expects; (None, None) where that isn't known."""
        return self._held.get((dialog, index, party), (None, None))

    def rolled_back(self, dialog: DialogTag) -> None:
        """An offer was refused."""
        self._offered.pop(dialog, None)

    def dropped(self, dialog: DialogTag) -> None:
        """A branch isn't known any more; it gets other keys of ours if it comes again."""
        self._offered.pop(dialog, None)
        self._taken_up.pop(dialog, None)
        self._ours = {place: key for place, key in self._ours.items() if place[0] != dialog}
        self._held = {place: keys for place, keys in self._held.items() if place[0] != dialog}

    def forget(self) -> None:
        """A worker has lost the keys, and with them how far each had been used: ours must never be used again."""
        self._ours.clear()
        self._held.clear()


def _key(crypto: CryptoAttribute) -> SrtpKey:
    return SrtpKey(crypto.suite, base64.b64encode(crypto.key).decode())


def _other(side: Side) -> Side:
    return Side.AGENT if side is Side.CALLER else Side.CALLER
