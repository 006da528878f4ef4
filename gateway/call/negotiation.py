"""Offer/answer of one call (RFC 3264): who receives where, and the SDP with our ports in place of theirs. Sans-IO.

One caller flow and one agent flow for each m-line, whatever branches a call has: an offer to several phones
carries the same port to all of them, and what one of them answers is kept by its tag until the first 2xx fixes the
branch. A re-offer takes effect with its answer, so a refused one (488, 491, timeout) needs no undoing. What isn't
audio goes by flows that are only relayed (`further_lines`).

SRTP passes through, keys and all, unless the engine was told to end it here: then an offer's profile is another one for
the other party (RFC 4568), its answer is translated back, and each later offer of the dialog likewise.
"""

from dataclasses import dataclass, field, replace
from typing import Final

from gateway.call.audio_line import AudioLine, Lines, audio_lines, line_of
from gateway.call.effects import Effect, PlaneOrder
from gateway.call.errors import NegotiationError, NoOffer
from gateway.call.further_lines import FurtherLines, FurtherMedia, further_lines
from gateway.call.keyring import Cryptos, Keyring, usable
from gateway.call.model import DialogTag, Line, SdpMessage, flow_of, relay_of
from gateway.media.plane import Address, CallRef, FlowId, FlowSpec, Forward, Secure, Srtp, is_relay
from gateway.rtp.payload_types import LAWS, Codec
from gateway.sdp.bundle import unbundled
from gateway.sdp.crypto_attribute import SUITE_80, CryptoAttribute
from gateway.sdp.profile import Profile, crypto_lines, is_secure, is_translatable, with_profiles
from gateway.sdp.rewrite import Anchor, anchor
from gateway.sdp.session import Session, parse_session
from policy.decision import Side

__all__ = ["DialogMedia", "Negotiation"]


MOST_BRANCHES: Final = 64
"""Of one call: a peer may answer an INVITE under as many tags as it likes."""


@dataclass(slots=True)
class DialogMedia:
    """One branch: the offer that waits for an answer, and what holds."""

    offered: tuple[Side, Lines] | None = None
    stable: dict[Side, Lines] = field(default_factory=dict)
    further: FurtherMedia = field(default_factory=FurtherMedia)


@dataclass(slots=True)
class Negotiation:
    """All branches of a call. `ports` is filled by the engine before a message is `described`."""

    call: CallRef
    ports: dict[FlowId, Address] = field(default_factory=dict)
    dialogs: dict[DialogTag, DialogMedia] = field(default_factory=dict)
    initial: tuple[Side, Lines] | None = None
    """The offer of the initial INVITE, shared by all branches."""
    initial_further: tuple[Side, FurtherLines] | None = None
    """The same of what is only relayed."""
    chosen: DialogTag | None = None
    """The branch whose media flows."""
    fixed: bool = False
    """A 2xx chose it."""
    nat_networks: dict[Side, tuple[str, ...]] = field(default_factory=dict)
    plays: tuple[Codec, ...] = LAWS
    """Codecs that the media plane can play sounds in."""
    hosts: dict[Side, str] = field(default_factory=dict)
    """Our media address towards each party."""
    keys: Keyring = field(default_factory=Keyring, repr=False, compare=False)
    unreadable: bool = False
    """A worker could not decrypt what it should have."""

    def missing(self, message: SdpMessage) -> tuple[FlowSpec, ...]:
        """The flows of this description that have no ports yet; raises `SdpError`, `NegotiationError`."""
        session = parse_session(message.body)
        further = [index for index, line in self._further(session, message).items() if line.live]
        return tuple(
            FlowSpec(flow, self.hosts[side])
            for named, indexes in ((flow_of, list(audio_lines(session))), (relay_of, further))
            for index in indexes
            for side in Side
            if (flow := named(self.call, side, index)) not in self.ports
        )

    def describe(self, message: SdpMessage) -> tuple[bytes, list[Effect]]:
        """Take note of one SDP body; returns what goes on to the other party, and orders to the media plane."""
        session = parse_session(message.body)
        lines = audio_lines(session)
        other = _other(message.party)
        places: dict[int, Anchor] = {}
        for index in lines:
            local = self.ports.get(flow_of(self.call, other, index))
            if local is None:
                raise NegotiationError("no ports are reserved for an m-line")
            places[index] = Anchor(local.host, local.port, local.port + 1)
        further = self._further(session, message)
        for index in [index for index, line in further.items() if line.live]:
            local = self.ports.get(relay_of(self.call, other, index))
            if local is None:
                del further[index]
            else:
                places[index] = Anchor(local.host, local.port, local.port + 1)
        cryptos = {media.index: crypto_lines(session, media) for media in session.media if media.index in lines}
        described = self._offer if message.role == "offer" else self._answer
        profiles, effects = described(message, lines, further, cryptos)
        if profiles:
            session = parse_session(with_profiles(session, profiles))
        if message.role == "offer" and sum(session.media[index].port != 0 for index in places) > 1:
            session = unbundled(session)
        return anchor(session, places), effects

    def rolled_back(self, dialog: DialogTag) -> None:
        """The pending offer was refused or never answered: what held before still holds."""
        if dialog in self.dialogs:
            self.dialogs[dialog].offered = self.dialogs[dialog].further.offered = None
        self.keys.rolled_back(dialog)

    def awaits_answer(self, dialog: DialogTag, party: Side) -> bool:
        """Whether the other party's offer in this dialog waits for this one's answer."""
        media = self.dialogs.get(dialog)
        return media is not None and media.offered is not None and media.offered[0] is not party

    def fix(self, dialog: DialogTag) -> list[Effect]:
        """The first 2xx fixed the branch."""
        if self.fixed:
            return []
        self.fixed = True
        changed, self.chosen = self.chosen != dialog, dialog
        return self._forwards() if changed else []

    def line(self) -> Line | None:
        """The audio line to record, or None where there isn't exactly one in a codec that can be stored."""
        media = self.dialogs.get(self.chosen) if self.chosen is not None else None
        if media is None or len(media.stable) != 2:
            return None
        caller, agent = media.stable[Side.CALLER], media.stable[Side.AGENT]
        active = _active(media)
        if len(active) != 1 or not self.fixed or self.encrypted:
            return None
        return line_of(self.call, active[0], caller[active[0]], agent[active[0]], self.plays)

    def active_lines(self) -> int:
        """How many audio m-lines of the chosen branch both parties take."""
        media = self.dialogs.get(self.chosen) if self.chosen is not None else None
        return len(_active(media)) if media is not None else 0

    def spoken(self) -> str | None:
        """The name of the codec that both take first on the first of these m-lines, whether we know it or not."""
        media = self.dialogs.get(self.chosen) if self.chosen is not None else None
        active = _active(media) if media is not None else []
        if media is None or not active:
            return None
        caller, agent = (media.stable[side][active[0]].codecs for side in (Side.CALLER, Side.AGENT))
        names = (name.partition("/")[0] for kind, name in agent.items() if caller.get(kind) == name)
        return next((name for name in names if name not in ("TELEPHONE-EVENT", "CN")), None)

    @property
    def srtp_seen(self) -> bool:
        """Whether some party of the chosen branch speaks SRTP, readable or not."""
        media = self.dialogs.get(self.chosen) if self.chosen is not None else None
        lines = media.stable.items() if media is not None else ()
        return any(self._srtp(media, side, index) is not Srtp.NONE for side, own in lines for index in own if media)

    def mlines(self) -> tuple[int, ...]:
        """Indexes of the audio m-lines that have ports."""
        return tuple(sorted({int(flow.rsplit("/", 1)[1]) for flow in self.ports if not is_relay(flow)}))

    def relayed(self) -> dict[int, str]:
        """What is only relayed on the chosen branch, by index, in the word of its m= line."""
        media = self.dialogs.get(self.chosen) if self.chosen is not None else None
        stable = media.further.stable.values() if media is not None else ()
        return {index: line.kind for lines in stable for index, line in lines.items() if line.live}

    def side_at(self, address: str) -> Side | None:
        """The party that receives its media at this address."""
        media = self.dialogs.get(self.chosen) if self.chosen is not None else None
        for side, lines in media.stable.items() if media is not None else ():
            if any(line.remote is not None and line.remote.host == address for line in lines.values()):
                return side
        return None

    def event_types(self, index: int) -> tuple[int, ...]:
        """Payload types that either party named for key presses on an m-line of the chosen branch."""
        media = self.dialogs.get(self.chosen) if self.chosen is not None else None
        stable = media.stable.values() if media is not None else ()
        return tuple(sorted({kind for lines in stable if index in lines for kind in lines[index].event_clocks}))

    @property
    def secured(self) -> bool:
        """Some party of the chosen branch speaks SRTP, with the other one or with us."""
        media = self.dialogs.get(self.chosen) if self.chosen is not None else None
        stable = media.stable.items() if media is not None else ()
        return media is not None and any(
            self._srtp(media, side, index) is not Srtp.NONE for side, lines in stable for index in lines
        )

    @property
    def encrypted(self) -> bool:
        """Some side of the chosen branch uses SRTP that we can't read."""
        media = self.dialogs.get(self.chosen) if self.chosen is not None else None
        if media is None or self.chosen is None:
            return False
        return self.unreadable or any(
            self._srtp(media, side, index) is not Srtp.NONE and self.keys.of(self.chosen, index, side)[0] is None
            for side, lines in media.stable.items()
            for index in lines
        )

    def _further(self, session: Session, message: SdpMessage) -> FurtherLines:
        """What of a description isn't audio, and is led through us or refused: of an answer, as its offer was."""
        found = further_lines(session, self.hosts[message.party])
        if message.role == "offer":
            return found
        known = self.dialogs.get(message.dialog) if message.dialog is not None else None
        media = known.further if known is not None else FurtherMedia()
        offered = media.answer_to(self.initial_further, message.party)
        return {index: line for index, line in found.items() if index in offered}

    def _offer(
        self, message: SdpMessage, lines: Lines, further: FurtherLines, cryptos: Cryptos
    ) -> tuple[dict[int, Profile], list[Effect]]:
        dialog = message.dialog
        self.keys.offered(dialog, cryptos)
        profiles: dict[int, Profile] = {}
        for index, line in lines.items():
            profile = self._translated(message, index, line, usable(cryptos[index]))
            if profile is not None:
                profiles[index] = profile
        offered = {
            index: replace(line, told_as=profiles[index].proto) if index in profiles else line
            for index, line in lines.items()
        }
        if dialog is None:
            self.initial, self.initial_further = (message.party, offered), (message.party, further)
        else:
            media = self._dialog(dialog)
            media.offered, media.further.offered = (message.party, offered), (message.party, further)
        return profiles, []

    def _translated(
        self, message: SdpMessage, index: int, line: AudioLine, key: CryptoAttribute | None
    ) -> Profile | None:
        """What an offered m-line is told as, where that is another profile. Raises NegotiationError."""
        media = self.dialogs.get(message.dialog) if message.dialog is not None else None
        before = media.stable.get(_other(message.party), {}).get(index) if media is not None else None
        wanted = message.profile
        if before is not None and not message.strict:
            wanted = before.proto if before.told_as else None
        if wanted is None or is_secure(wanted) == is_secure(line.proto):
            return None
        if not is_translatable(wanted) or not is_translatable(line.proto):
            if message.strict:
                raise NegotiationError("no keys in the description")
            return None
        if not is_secure(line.proto):
            ours = self.keys.own(message.dialog, index, _other(message.party), CryptoAttribute(1, SUITE_80))
            return Profile(wanted, (ours.value,))
        if key is None:
            if message.strict:
                raise NegotiationError("no key that can be used")
            return None
        return Profile(wanted)

    def _answer(
        self, message: SdpMessage, lines: Lines, further: FurtherLines, cryptos: Cryptos
    ) -> tuple[dict[int, Profile], list[Effect]]:
        if message.dialog is None:
            raise NoOffer("an answer needs its dialog")
        media, offerer = self._dialog(message.dialog), _other(message.party)
        offered = media.offered or (self.initial if not media.stable else None)
        if offered is not None and offered[0] is offerer:
            answered = {
                index: replace(line, told_as=offered[1][index].proto)
                if index in offered[1] and offered[1][index].told_as
                else line
                for index, line in lines.items()
            }
            media.stable = {offerer: offered[1], message.party: answered}
            media.offered = None
            media.further.answered(self.initial_further, message.party, further)
        elif media.stable.get(message.party) is None:
            raise NoOffer("an answer without an offer")
        again = offered is None or offered[0] is not offerer
        offer_cryptos = self.keys.answered(message.dialog, again=again)
        profiles = self._agreed(message.dialog, media, message.party, offer_cryptos, cryptos)
        if not self.fixed:
            self.chosen = message.dialog
        return profiles, self._forwards() if self.chosen == message.dialog else []

    def _agreed(
        self, dialog: DialogTag, media: DialogMedia, answerer: Side, offered: Cryptos, answered: Cryptos
    ) -> dict[int, Profile]:
        """Take note of the keys that hold now; what the answer is told as."""
        offerer = _other(answerer)
        profiles: dict[int, Profile] = {}
        for index, answer in media.stable[answerer].items():
            offers, answers = offered.get(index, ()), answered.get(index, ())
            if not answer.told_as:
                self.keys.passed_through(dialog, index, offerer, offers, answers)
                continue
            # the offerer's SRTP ends here, or the answerer's
            to_offerer = is_secure(answer.told_as)
            ended, theirs = (offerer, usable(offers)) if to_offerer else (answerer, usable(answers))
            like = theirs if to_offerer and theirs is not None else CryptoAttribute(1, SUITE_80)
            ours = self.keys.own(dialog, index, ended, like)
            self.keys.ended_here(dialog, index, ended, theirs, ours)
            profiles[index] = Profile(answer.told_as, (ours.value,) if to_offerer else ())
        return profiles

    def _dialog(self, tag: DialogTag) -> DialogMedia:
        """Of a branch, maybe a new one: the oldest goes for it, and is known by the initial offer if it comes again."""
        if tag not in self.dialogs and len(self.dialogs) >= MOST_BRANCHES:
            oldest = next(known for known in self.dialogs if known != self.chosen)
            del self.dialogs[oldest]
            self.keys.dropped(oldest)
        return self.dialogs.setdefault(tag, DialogMedia())

    def _forwards(self) -> list[Effect]:
        media = self.dialogs.get(self.chosen) if self.chosen is not None else None
        if media is None:
            return []
        orders: list[Effect] = []
        for side, lines in media.stable.items():
            for index, line in lines.items():
                flow, srtp = flow_of(self.call, side, index), self._srtp(media, side, index)
                if flow not in self.ports:
                    continue
                if srtp is not Srtp.NONE and self.chosen is not None:
                    orders.append(PlaneOrder(Secure(flow, *self.keys.of(self.chosen, index, side))))
                forward = Forward(
                    flow=flow,
                    to=flow_of(self.call, _other(side), index),
                    remote=line.remote,
                    remote_rtcp=line.remote_rtcp,
                    rtcp_mux=line.rtcp_mux and self._muxed(media, index),
                    nat_networks=self.nat_networks.get(side, ()),
                    srtp=srtp,
                )
                orders.append(PlaneOrder(forward))
        relays = media.further.forwards(self.call, self.ports, self.nat_networks)
        return orders + [PlaneOrder(forward) for forward in relays]

    @staticmethod
    def _srtp(media: DialogMedia, side: Side, index: int) -> Srtp:
        return media.stable[side][index].srtp(media.stable.get(_other(side), {}).get(index))

    @staticmethod
    def _muxed(media: DialogMedia, index: int) -> bool:
        return all(index in lines and lines[index].rtcp_mux for lines in media.stable.values())


def _active(media: DialogMedia) -> list[int]:
    """Indexes of the m-lines that both parties take."""
    if len(media.stable) != len(Side):
        return []
    caller, agent = media.stable[Side.CALLER], media.stable[Side.AGENT]
    return [index for index in caller if index in agent and caller[index].remote and agent[index].remote]


def _other(side: Side) -> Side:
    return Side.AGENT if side is Side.CALLER else Side.CALLER
