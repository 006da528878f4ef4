"""Two next hops, the first too slow: what it says after it was given up, or in the very moment (RFC 3261 §16.7)."""

from __future__ import annotations

import pytest

from gateway.sip.headers import address
from gateway.sip.hop import Side
from gateway.sip.proxy_events import Discarded, ResponseArrived, Unclaimed, Why
from gateway.sip.timers import SipTimers
from tests.peers.virtual_sip import ProxyNode, SlowPhone, UserAgent, VirtualNetwork, method_of

CALLER, FIRST, SECOND, BEHIND = ("198.51.100.1", 5060), ("10.0.0.5", 5060), ("10.0.0.6", 5060), ("10.0.0.7", 5070)
TIMERS = SipTimers.TESTING
URI = "sip:200@198.51.100.20"


class Setup:
    """The first hop is given up, and the second one has the INVITE."""

    def __init__(self, second: tuple[str, int] = SECOND) -> None:
        self.network = VirtualNetwork()
        self.caller = UserAgent(self.network, "caller", CALLER, TIMERS)
        self.first, self.second = SlowPhone(self.network, FIRST), SlowPhone(self.network, second)
        self.behind = SlowPhone(self.network, BEHIND)
        self.proxy = ProxyNode(self.network, {Side.AGENT: [FIRST, second], Side.CALLER: [CALLER]}, TIMERS)
        self.branch = self.caller.request("INVITE", URI, ProxyNode.CALLER)
        self.network.run(TIMERS.elsewhere * 1.1)
        assert self.second.methods() == ["INVITE"] and self.caller.statuses == [100]

    def say(self, phone: SlowPhone, status: int, tag: str = "slow", **more) -> None:
        phone.say(status, tag, **more)
        self.network.run(0.01)

    def tags(self) -> list[str | None]:
        return [address(answer, "to").tag for answer in self.caller.responses if answer.status >= 180]

    def over(self) -> None:
        """Time passes until no timer runs, and nothing is left."""
        self.network.run(TIMERS.c * 20)
        core = self.proxy.core
        assert core.next_timeout() is None
        core.advance(self.network.now)
        assert len(core) == len(core._layer) == len(core._given_up) == 0
        assert not core._contexts._clients and not core._contexts._servers


@pytest.fixture
def setup() -> Setup:
    return Setup()


def test_a_late_2xx_is_the_answer_and_whoever_rings_meanwhile_is_told_to_stop(setup: Setup) -> None:
    setup.say(setup.second, 180, "two")
    setup.say(setup.first, 200, "one")
    assert setup.caller.statuses == [100, 180, 200] and setup.tags() == ["two", "one"]
    assert setup.second.methods() == ["INVITE", "CANCEL"]
    setup.say(setup.second, 200, "two", to="CANCEL")
    setup.say(setup.second, 487, "two")
    assert setup.second.methods() == ["INVITE", "CANCEL", "ACK"]
    setup.caller.in_dialog("ACK", setup.caller.responses[-1], cseq=1)
    setup.network.run(0.01)
    assert [ack.uri for ack in setup.first.of("ACK")] == ["sip:slow@10.0.0.5:5060"]
    assert setup.caller.statuses == [100, 180, 200] and not setup.first.of("BYE")
    setup.over()


def test_who_said_nothing_yet_when_a_late_2xx_came_is_told_to_stop_once_it_rings(setup: Setup) -> None:
    setup.say(setup.first, 200, "one")
    sent = len(setup.second.of("INVITE"))
    setup.network.run(TIMERS.elsewhere)
    assert len(setup.second.of("INVITE")) == sent, "it isn't asked again either"
    assert setup.second.methods() == ["INVITE"]
    for _ in range(2):
        setup.say(setup.second, 180, "two")
    assert len(setup.second.of("CANCEL")) >= 1 and len({r.to_bytes() for r in setup.second.of("CANCEL")}) == 1
    setup.say(setup.second, 200, "two", to="CANCEL")
    setup.say(setup.second, 487, "two")
    assert setup.caller.statuses == [100, 200]
    setup.over()


def test_two_2xx_that_cross_are_both_the_callers_to_end(setup: Setup) -> None:
    setup.say(setup.second, 200, "two")
    setup.say(setup.first, 200, "one")
    assert setup.caller.statuses == [100, 200, 200] and setup.tags() == ["two", "one"]
    assert setup.first.methods() == setup.second.methods() == ["INVITE"], "nobody is cancelled, or ended by us"
    assert not setup.proxy.of(Unclaimed)
    setup.over()


def test_a_late_2xx_that_the_caller_was_told_of_is_never_ended_by_us_however_often_it_comes(setup: Setup) -> None:
    setup.say(setup.first, 200, "one")
    for _ in range(8):
        setup.network.run(TIMERS.timeout / 4)
        setup.say(setup.first, 200, "one")
    assert not setup.first.of("BYE") and not setup.proxy.of(Unclaimed)
    setup.over()


def test_a_refusal_that_the_ingress_still_has_is_overtaken_by_a_late_2xx(setup: Setup) -> None:
    setup.proxy.hold = lambda event: isinstance(event, ResponseArrived)
    setup.say(setup.second, 486, "two")
    setup.say(setup.first, 200, "one")
    refusal, answer = setup.proxy.held
    assert isinstance(refusal, ResponseArrived) and isinstance(answer, ResponseArrived)
    assert setup.proxy.core.overtaken(refusal) and not setup.proxy.core.overtaken(answer)
    assert (refusal.hop and refusal.hop.host, answer.hop and answer.hop.host) == (SECOND[0], FIRST[0])
    assert not setup.proxy.core.waits(refusal.context), "nor does it go to another hop"
    for event in (refusal, answer):
        setup.proxy.go_on(event)
    setup.network.run(0.01)
    assert setup.caller.statuses == [100, 200]
    setup.over()


def test_a_late_2xx_after_the_callers_refusal_is_acknowledged_and_ended(setup: Setup) -> None:
    """Above us the INVITE is over: it would be dropped there, and the phone talk to nobody (RFC 6026 §7.2)."""
    setup.say(setup.second, 486, "two")
    for _ in range(3):
        setup.say(setup.first, 200, "one")
    assert setup.caller.statuses == [100, 486]
    acks, byes = setup.first.of("ACK"), {bye.to_bytes() for bye in setup.first.of("BYE")}
    assert len(acks) == 3 and len(byes) == 1
    invite, bye = setup.first.got[0], setup.first.of("BYE")[0]
    for request in (acks[0], bye):
        assert request.uri == "sip:slow@10.0.0.5:5060" and request.get("to") == f"{invite.get('to')};tag=one"
        assert [request.get(name) for name in ("from", "call-id")] == [invite.get(name) for name in ("from", "call-id")]
        assert request.get("route") is None and len(request.all("via")) == 1
    assert (acks[0].get("cseq"), bye.get("cseq")) == ("1 ACK", "1001 BYE")
    setup.say(setup.first, 200, to="BYE")
    setup.say(setup.first, 200, "other")
    assert len({bye.to_bytes() for bye in setup.first.of("BYE")}) == 2, "a dialog of its own"
    setup.over()


def test_it_is_ended_the_way_that_proxies_behind_recorded(setup: Setup) -> None:
    setup.say(setup.second, 486, "two")
    setup.say(setup.first, 200, "one", recorded=("<sip:10.0.0.9;lr>", f"<sip:{BEHIND[0]}:{BEHIND[1]};lr>"))
    assert setup.behind.methods() == ["ACK", "BYE"]
    for request in setup.behind.got:
        assert request.all("route") == ["<sip:10.0.0.7:5070;lr>", "<sip:10.0.0.9;lr>"]
        assert request.uri == "sip:slow@10.0.0.5:5060"


@pytest.mark.parametrize("contact", [b"X: y", b"Contact: <urn:x>"])
def test_a_2xx_that_names_no_place_leads_nowhere(setup: Setup, contact: bytes) -> None:
    setup.say(setup.second, 486, "two")
    data = bytes(next(data for _, target, data in setup.network.wire if target == FIRST))
    via = data.split(b"\r\n")[1:3]
    answer = b"\r\n".join(
        [b"SIP/2.0 200 OK", *via, b"From: <sip:a@b>;tag=caller-tag", b"To: <sip:a@b>;tag=x", b"Call-ID: call-1",
         b"CSeq: 1 INVITE", contact, b"", b""]
    )  # fmt: skip
    setup.network.send(FIRST, ProxyNode.AGENT, answer)
    setup.network.run(0.01)
    assert [event.why for event in setup.proxy.of(Discarded)] == [Why.MALFORMED]


def test_who_rings_late_after_a_refusal_and_takes_it_up_before_the_cancel_comes_is_ended(setup: Setup) -> None:
    setup.say(setup.second, 486, "two")
    setup.say(setup.first, 180, "one")
    assert setup.first.methods() == ["INVITE", "CANCEL"]
    setup.say(setup.first, 200, "one")
    assert setup.first.methods() == ["INVITE", "CANCEL", "ACK", "BYE"]
    setup.over()


def test_a_caller_that_cancels_gets_a_late_2xx_that_crosses_it(setup: Setup) -> None:
    setup.say(setup.second, 180, "two")
    setup.caller.cancel(setup.branch, ProxyNode.CALLER)
    setup.network.run(0.01)
    setup.say(setup.first, 200, "one")
    assert setup.caller.statuses == [100, 180, 200, 200]
    setup.say(setup.second, 487, "two")
    assert setup.caller.statuses == [100, 180, 200, 200] and setup.second.methods() == ["INVITE", "CANCEL", "ACK"]
    setup.over()


def test_a_caller_that_has_its_487_never_hears_of_a_late_2xx(setup: Setup) -> None:
    setup.say(setup.second, 180, "two")
    setup.caller.cancel(setup.branch, ProxyNode.CALLER)
    setup.network.run(0.01)
    setup.say(setup.second, 487, "two")
    setup.say(setup.first, 200, "one")
    assert setup.caller.statuses == [100, 180, 200, 487]
    assert setup.first.methods() == ["INVITE", "ACK", "BYE"]
    setup.over()


def test_a_phone_that_answers_no_cancel_is_ended_when_it_is_taken_up_after_all() -> None:
    setup = Setup()
    setup.say(setup.second, 180, "two")
    setup.network.run(TIMERS.c + TIMERS.timeout * 1.1)
    assert setup.second.methods() == ["INVITE", "CANCEL"] and setup.caller.statuses == [100, 180, 408]
    assert setup.first.methods() == ["INVITE"], "it began nowhere anew"
    setup.say(setup.second, 200, "two")
    assert setup.second.methods() == ["INVITE", "CANCEL", "ACK", "BYE"]
    setup.over()


def test_a_dialog_that_its_parties_have_is_never_ended_by_us() -> None:
    """A late 2xx to a re-INVITE: a BYE would end the call, and its CSeq make the caller's own one too low."""
    setup = Setup()
    setup.say(setup.second, 200, "two")
    routes = ["<sip:198.51.100.20;lr;fairtap=caller>"]
    setup.caller.request("INVITE", f"sip:slow@{FIRST[0]}:5060", ProxyNode.CALLER, cseq=2, to_tag="two", routes=routes)
    setup.network.run(TIMERS.timeout * 1.2)
    assert setup.caller.statuses[-1] == 408
    seen = len(setup.first.got)
    setup.first.say(200, "")
    setup.network.run(0.01)
    assert setup.first.got[seen:] == [] and not setup.proxy.of(Unclaimed)
    assert setup.proxy.of(Discarded)[-1].why is Why.STRAY_RESPONSE
    setup.over()


def test_a_call_that_may_ring_on_does_so_for_that_many_times_timer_c() -> None:
    network = VirtualNetwork()
    caller, phone = UserAgent(network, "caller", CALLER, TIMERS), SlowPhone(network, FIRST)
    proxy = ProxyNode(network, {Side.AGENT: [FIRST], Side.CALLER: [CALLER]}, TIMERS)
    forward = proxy.core.forward
    proxy.core.forward = lambda *args, **more: forward(*args, **more, rings_on=2)  # type: ignore[method-assign]  # as the ingress would
    caller.request("INVITE", URI, ProxyNode.CALLER)
    network.run(0.01)
    phone.say(180)
    network.run(TIMERS.c * 2.9)
    assert phone.methods() == ["INVITE"]
    network.run(TIMERS.c * 0.2)
    assert phone.methods() == ["INVITE", "CANCEL"]
    assert method_of(network.wire[-1][2]) == "CANCEL"


@pytest.fixture
def twice() -> Setup:
    """A call for help: the one neighbour that there is has it by a second transport, too."""
    return Setup(second=FIRST)


def test_a_neighbour_that_has_the_call_already_and_says_so_is_waited_for_again(twice: Setup) -> None:
    twice.say(twice.second, 482, "two")
    assert twice.caller.statuses == [100]
    assert len(twice.second.of("ACK")) == 1
    twice.say(twice.second, 180, "one", first=True)
    twice.network.run(TIMERS.timeout * 2)
    assert twice.caller.statuses == [100, 180] and not twice.second.of("CANCEL")
    for _ in range(3):
        twice.say(twice.second, 200, "one", first=True)
    assert set(twice.caller.statuses) == {100, 180, 200} and set(twice.tags()) == {"one"}
    assert not twice.second.of("BYE") and not twice.proxy.of(Unclaimed)
    twice.over()


@pytest.mark.parametrize("status", [486, 503, 482])
def test_its_refusal_is_the_callers_then(twice: Setup, status: int) -> None:
    twice.say(twice.second, 482, "two")
    twice.say(twice.second, status, "one", first=True)
    assert twice.caller.statuses == [100, status]
    assert len(twice.second.of("ACK")) == 2
    twice.over()


def test_it_is_cancelled_with_the_call(twice: Setup) -> None:
    twice.say(twice.second, 482, "two")
    twice.say(twice.second, 180, "one", first=True)
    twice.caller.cancel(twice.branch, ProxyNode.CALLER)
    twice.network.run(0.01)
    (cancel,) = twice.second.of("CANCEL")
    assert cancel.all("via") == twice.second.got[0].all("via")[:1]
    twice.say(twice.second, 200, "one", to="CANCEL")
    twice.say(twice.second, 487, "one", first=True)
    assert [status for status in twice.caller.statuses if status >= 180] == [180, 200, 487]
    twice.over()


def test_it_is_given_up_for_good_where_it_says_nothing_more(twice: Setup) -> None:
    twice.say(twice.second, 482, "two")
    twice.network.run(TIMERS.c * 1.1)
    assert twice.caller.statuses == [100, 408]
    twice.over()
