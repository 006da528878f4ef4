"""Where requests go when there is a choice: failover, Path, what is too large for UDP, and OPTIONS that say so."""

import pytest

from gateway.sip.hop import Hop, Side, Transport
from gateway.sip.timers import SipTimers
from tests.peers.proxy_bench import PBX, PHONE_SIDE, PHONES, TRUNK_SIDE, ProxyBench

SECOND = ("127.15.2.13", 5060)
TIMERS = SipTimers.TESTING
NAMED = ("X-Fairtap-Extension: 200",)


@pytest.fixture
async def two(bench, tmp_path):
    """A gateway with two next hops towards the phones."""
    made = ProxyBench(bench, tmp_path, (f"{PHONES[0]}:5060", f"{SECOND[0]}:5060"))
    yield made
    await made.proxy.close()


@pytest.fixture
async def desks(bench, tmp_path):
    """A gateway whose phones registered through it."""
    made = ProxyBench(bench, tmp_path, ())
    yield made
    await made.proxy.close()


@pytest.mark.parametrize("how", ["503", "unreachable"])
async def test_the_second_next_hop_gets_what_the_first_one_cannot_take(two, bench, how):
    invite = await two.invite(extra=NAMED)
    if how == "503":
        await two.respond(invite, 503)
    else:
        await two.fail("INVITE")
    assert two.statuses() == [100]
    (again,) = two.requests("INVITE", SECOND)
    await two.respond(again, 200, body=b"", source=SECOND)
    assert two.statuses() == [100, 200]
    assert len(bench.engine.calls) == 1


async def test_a_hop_that_answers_nothing_is_given_up_soon_while_there_is_another(two, bench):
    """The second one, behind which there is none, gets all the time that RFC 3261 gives."""
    await two.invite(extra=NAMED)
    await two.silence(TIMERS.elsewhere * 0.9)
    assert not two.requests("INVITE", SECOND)
    await two.silence(TIMERS.elsewhere * 0.2)
    assert two.requests("INVITE", SECOND) and two.statuses() == [100]
    await two.silence(TIMERS.timeout * 0.9)
    assert two.statuses() == [100]
    await two.silence(TIMERS.timeout * 0.2)
    assert two.statuses()[:2] == [100, 408]


async def test_a_hop_that_was_given_up_and_rings_after_all_is_told_to_stop(two, bench):
    invite = await two.invite(extra=NAMED)
    await two.silence(TIMERS.elsewhere * 1.1)
    (again,) = two.requests("INVITE", SECOND)
    for _ in range(2):
        await two.respond(invite, 180)
    (cancel,) = two.requests("CANCEL")
    assert cancel.all("via") == invite.all("via")[:1]
    await two.respond(cancel, 200)
    await two.respond(invite, 487)
    assert len(two.requests("ACK")) == 1
    assert two.statuses() == [100] and not two.requests("CANCEL", SECOND)
    await two.respond(again, 200, body=b"", source=SECOND)
    assert two.statuses() == [100, 200]


async def test_the_next_call_tries_it_last(two, bench):
    await two.invite(extra=NAMED)
    await two.silence(TIMERS.elsewhere * 1.1)
    await two.respond(two.requests("INVITE", SECOND)[-1], 486, source=SECOND)
    tried = len(two.requests("INVITE"))
    await two.request("INVITE", call_id="call-2", extra=NAMED)
    assert two.requests("INVITE", SECOND)[-1].get("call-id") == "call-2"
    assert len(two.requests("INVITE")) == tried


async def test_a_hop_that_says_100_is_waited_for_though_there_is_another(two, bench):
    await two.respond(await two.invite(extra=NAMED), 100)
    await two.silence(TIMERS.timeout * 1.1)
    assert not two.requests("INVITE", SECOND)


async def test_a_refusal_is_the_callers_and_no_reason_to_ask_another(two):
    await two.respond(await two.invite(extra=NAMED), 486)
    assert two.requests("INVITE", SECOND) == []
    assert two.statuses() == [100, 486]


async def test_a_hop_that_is_silent_is_tried_last_and_options_say_when_nobody_answers(two):
    for _ in range(2):
        await two.proxy.probing.round(Side.AGENT)
    await two.request("OPTIONS", cseq=7, to_us=TRUNK_SIDE)
    assert two.statuses()[-1] == 503, "nobody on the other side answers"
    await two.respond(two.requests("OPTIONS", SECOND)[-1], 404, source=SECOND)
    await two.request("OPTIONS", cseq=8, to_us=TRUNK_SIDE)
    assert two.statuses()[-1] == 200
    await two.request("INVITE", call_id="call-2")
    assert len(two.requests("INVITE", SECOND)) == 1 and not two.requests("INVITE"), "whoever answers goes first"
    await two.request("OPTIONS", cseq=9, to_us=PHONE_SIDE, source=PHONES)
    assert two.statuses(PHONES)[-1] == 200, "the PBX was never asked"
    two.proxy.draining = True
    await two.request("OPTIONS", cseq=10, to_us=PHONE_SIDE, source=PHONES)
    assert two.statuses(PHONES)[-1] == 503


async def test_a_phone_that_registered_through_us_is_called_back_through_us_where_it_is(desks):
    """RFC 3327: the registrar's Route is our Path; the phone is behind a NAT, so its Contact leads nowhere."""
    behind = (PHONES[0], 40_123)
    await desks.request("REGISTER", source=behind, extra=("Supported: path, outbound",))
    (register,) = desks.requests("REGISTER", PBX)
    (path,) = register.all("path")
    assert path.startswith("<sip:udp-") and f"@{TRUNK_SIDE[0]}:{TRUNK_SIDE[1]};lr;" in path
    await desks.respond(register, 200, source=PBX)
    await desks.request("INVITE", uri="sip:200@127.15.2.14:5099", extra=(f"Route: {path}", *NAMED))
    (invite,) = desks.requests("INVITE", behind)
    assert invite.get("route") is None and invite.uri == "sip:200@127.15.2.14:5099"
    await desks.fail("INVITE")
    assert len(desks.requests("INVITE", ("127.15.2.14", 5099))) == 1, "its Contact, where the way it came is gone"


async def test_a_path_is_not_forced_on_a_phone_that_does_not_know_it(desks):
    """Registrars refuse a Path that their client didn't offer."""
    for number, supported in enumerate(("outbound", "a,,b")):
        await desks.request("REGISTER", source=PHONES, cseq=number + 1, extra=(f"Supported: {supported}",))
        assert desks.requests("REGISTER", PBX)[-1].get("path") is None


async def test_a_path_leads_to_no_stranger(desks):
    stranger = "<sip:udp-c0000201" + f"{5060:04x}@{TRUNK_SIDE[0]}:5060;lr;fairtap=caller>"
    await desks.request("INVITE", uri="sip:200@192.0.2.1", extra=(f"Route: {stranger}", *NAMED))
    assert desks.statuses() == [100, 403]


async def test_an_invite_too_large_for_udp_goes_by_tcp_and_by_udp_where_there_is_no_tcp(sip):
    """RFC 3261 §18.1.1."""
    await sip.invite(extra=("X-Fairtap-Extension: 200", f"Subject: {'x' * 1000}"))
    assert [hop.transport for hop, _ in sip.sent if hop.side is Side.AGENT] == [Transport.TCP]
    (large,) = sip.requests("INVITE")
    assert large.all("via")[0].startswith("SIP/2.0/TCP") and ";transport=tcp;" in large.all("record-route")[0]
    assert await sip.fail("INVITE") == Hop(Side.AGENT, Transport.TCP, *PHONES)
    assert sip.sent[-1][0].transport is Transport.UDP
    await sip.answer(sip.requests("INVITE")[-1])
    assert sip.statuses() == [100, 200]
    await sip.invite(call_id="call-2", extra=(f"Subject: {'x' * 1000}",))
    assert sip.sent[-1][0].transport is Transport.UDP, "known by now"
