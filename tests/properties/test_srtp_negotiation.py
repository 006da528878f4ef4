"""Whatever is offered, answered and refused: what each party was told and what the worker was told is the same key."""

import base64
import itertools
from dataclasses import dataclass, field

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gateway.call.model import DialogTag, SdpMessage
from gateway.call.negotiation import Negotiation
from gateway.media.plane import Address, CallRef, FlowId, Forward, Secure, Srtp, SrtpKey
from gateway.sdp.session import parse_session
from policy.decision import Side

CALL = CallRef("00112233aabbccdd")
LONG, SHORT, STRANGE = "AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32", "AES_256_CM_HMAC_SHA1_80"
SUITES = st.lists(st.sampled_from([LONG, SHORT, STRANGE]), min_size=1, max_size=3, unique=True)
TAGS = st.sampled_from([DialogTag("one"), DialogTag("two")])


@dataclass
class Party:
    """A phone that speaks SRTP or plain RTP, never both."""

    side: Side
    secure: bool
    suites: list[str]
    sends: dict[DialogTag | None, dict[int, SrtpKey]] = field(default_factory=dict)
    """The keys that it wrote last in a dialog, by tag."""

    def write(self, tag: DialogTag | None, lines: list[tuple[int, str]], serial: int) -> bytes:
        text = ["v=0", f"o=- 1 {serial} IN IP4 192.0.2.1", "s=-", "c=IN IP4 192.0.2.1", "t=0 0"]
        text.append(f"m=audio 4000 RTP/{'SAVP' if self.secure else 'AVP'} 8")
        size = {STRANGE: 46}
        keys = {
            number: SrtpKey(
                suite, base64.b64encode(serial.to_bytes(4, "big") * 20)[: size.get(suite, 30) * 4 // 3].decode()
            )
            for number, suite in lines
        }
        self.sends[tag] = keys
        text += [f"a=crypto:{number} {key.suite} inline:{key.key}" for number, key in keys.items()]
        return "".join(f"{line}\r\n" for line in text).encode()

    def offer(self, tag: DialogTag | None, serial: int) -> bytes:
        lines = list(enumerate(self.suites, start=3)) if self.secure else []
        return self.write(tag, lines, serial)

    def answer(self, tag: DialogTag, heard: bytes, serial: int) -> bytes | None:
        """Its answer to what it was told; None where it refuses that."""
        proto, keys = read(heard)
        if ("SAVP" in proto) != self.secure:
            return None
        if not self.secure:
            return self.write(tag, [], serial)
        taken = next((number for number, key in keys.items() if key.suite in self.suites), None)
        return None if taken is None else self.write(tag, [(taken, keys[taken].suite)], serial)


def read(body: bytes) -> tuple[str, dict[int, SrtpKey]]:
    session = parse_session(body)
    found = {}
    for value in session.attributes(session.media[0], "crypto"):
        number, suite, key = value.split(" ")
        found[int(number)] = SrtpKey(suite, key.removeprefix("inline:"))
    return session.media[0].proto, found


class Calls(RuleBasedStateMachine):
    """One call with up to two branches; the sides' words are set once."""

    @initialize(caller=st.booleans(), agent=st.booleans(), suites=st.tuples(SUITES, SUITES))
    def begin(self, caller: bool, agent: bool, suites: tuple[list[str], list[str]]) -> None:
        hosts = {Side.CALLER: "198.51.100.1", Side.AGENT: "198.51.100.2"}
        self.media = Negotiation(CALL, hosts=hosts)
        self.parties = {
            Side.CALLER: Party(Side.CALLER, caller, suites[0]), Side.AGENT: Party(Side.AGENT, agent, suites[1])
        }  # fmt: skip
        self.serial = itertools.count(1)
        self.orders: dict[FlowId, Forward] = {}
        self.keys: dict[FlowId, Secure] = {}
        self.agreed: dict[DialogTag, dict[Side, tuple[SrtpKey | None, SrtpKey | None]]] = {}
        """What each party sends with and expects, by its own and the other's words."""
        self.offer(Side.CALLER, None)

    def pass_on(self, party: Side, tag: DialogTag | None, role: str, body: bytes) -> bytes:
        other = self.parties[Side.AGENT if party is Side.CALLER else Side.CALLER]
        profile = "RTP/SAVP" if other.secure else "RTP/AVP"
        message = SdpMessage(party, tag, role, body, profile if role == "offer" else None)  # type: ignore[arg-type]  # a role
        for spec in self.media.missing(message):
            self.media.ports[spec.flow] = Address(spec.local_host, 30000 + 2 * len(self.media.ports))
        told, effects = self.media.describe(message)
        self.take(effects)
        return told

    def take(self, effects: list) -> None:
        for effect in effects:
            order = effect.order
            into = self.keys if isinstance(order, Secure) else self.orders
            into[order.flow] = order

    def offer(self, side: Side, tag: DialogTag | None) -> None:
        offerer, other = self.parties[side], self.parties[Side.AGENT if side is Side.CALLER else Side.CALLER]
        self.told = self.pass_on(side, tag, "offer", offerer.offer(tag, next(self.serial)))
        self.offered_by: Side = side
        can_be_told = not offerer.secure or set(offerer.suites) != {STRANGE}
        secure = other.secure if can_be_told else offerer.secure
        assert ("SAVP" in read(self.told)[0]) == secure, "each is offered what it speaks, as far as that can be"

    @rule(tag=TAGS)
    def first_answer(self, tag: DialogTag) -> None:
        """A branch answers the initial offer, maybe as a second response."""
        if self.media.fixed or tag in self.agreed:
            return
        self.take_answer(tag, None)

    def take_answer(self, tag: DialogTag, offered: DialogTag | None) -> None:
        offerer = self.parties[self.offered_by]
        answerer = self.parties[Side.AGENT if self.offered_by is Side.CALLER else Side.CALLER]
        body = answerer.answer(tag, self.told, next(self.serial))
        if body is None:
            if offered is not None:
                self.media.rolled_back(tag)
            return
        back = self.pass_on(answerer.side, tag, "answer", body)
        proto, theirs = read(back)
        assert ("SAVP" in proto) == offerer.secure, "an answer is in the offer's profile"
        assert len(theirs) == offerer.secure
        _, ours = read(self.told)
        mine = next(iter(answerer.sends[tag]), None)
        to_offerer = next(iter(theirs.values()), None)
        chosen = offerer.sends[offered].get(next(iter(theirs), -1))
        assert answerer.secure or chosen is None or chosen.suite != STRANGE, "we choose what we can read"
        self.agreed[tag] = {
            offerer.side: (chosen, to_offerer),
            answerer.side: (answerer.sends[tag].get(mine or -1), ours.get(mine or -1)),
        }

    @precondition(lambda self: self.agreed and not self.media.fixed)
    @rule(data=st.data())
    def pick_up(self, data: st.DataObject) -> None:
        self.take(self.media.fix(data.draw(st.sampled_from(sorted(self.agreed)))))

    @precondition(lambda self: self.media.fixed)
    @rule(side=st.sampled_from(Side), refused=st.booleans())
    def offer_again(self, side: Side, refused: bool) -> None:
        tag = self.media.chosen
        assert tag is not None
        self.offer(side, tag)
        if refused:
            self.media.rolled_back(tag)
        else:
            self.take_answer(tag, tag)

    @precondition(lambda self: self.media.fixed)
    @rule()
    def lose_the_worker(self) -> None:
        """What it sealed with isn't used again; the next offer and answer bring keys."""
        self.media.keys.forget()
        self.agreed.clear()
        self.orders.clear()
        self.keys.clear()

    @invariant()
    def the_worker_knows_what_the_parties_know(self) -> None:
        tag = getattr(self, "media", None) and self.media.chosen
        if not tag or tag not in self.agreed:
            return
        for side, (sends, expects) in self.agreed[tag].items():
            flow = FlowId(f"{CALL}/{side.value}/0")
            other = next(party for party in self.parties.values() if party.side is not side)
            kind = self.orders[flow].srtp
            if not self.parties[side].secure:
                assert kind is Srtp.NONE
                continue
            assert kind is (Srtp.THROUGH if other.secure else Srtp.ENDED)
            strange = sends is None or sends.suite == STRANGE
            known = self.keys[flow].opens, self.keys[flow].seals
            assert known == ((None, None) if strange else (sends, expects))
            assert self.media.encrypted == strange


TestCalls = Calls.TestCase
