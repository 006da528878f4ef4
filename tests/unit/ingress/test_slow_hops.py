"""Next hops that answer late, ring for ever or say nothing: nobody rings a ghost, and no call begins twice."""

import pytest

from gateway.call.model import SipCallId
from gateway.ingress.sip_transport import CONNECT_TIMEOUT_S
from gateway.media.plane import Forward
from gateway.sip.hop import Side, Transport
from gateway.sip.timers import SipTimers
from tests.peers.engine_bench import sdp
from tests.peers.proxy_bench import PBX, PHONES, ProxyBench

SECOND = ("127.15.2.13", 5060)
TIMERS = SipTimers.TESTING
NAMED = ("X-Fairtap-Extension: 200",)
LARGE = f"Subject: {'x' * 1000}"
FIRST_MEDIA, SECOND_MEDIA = ("127.15.1.12", 5000), ("127.15.1.13", 6000)


@pytest.fixture
async def two(bench, tmp_path):
    """A gateway with two next hops towards the phones."""
    made = ProxyBench(bench, tmp_path, (f"{PHONES[0]}:5060", f"{SECOND[0]}:5060"))
    yield made
    await made.proxy.close()


async def given_up(sip, user="200"):
    """The INVITEs that the first hop left unanswered, and the second one has now."""
    first = await sip.invite(user, extra=NAMED)
    await sip.silence(TIMERS.elsewhere * 1.1)
    (second,) = sip.requests("INVITE", SECOND)
    return first, second


def towards_phones(bench):
    """Where the agent's media goes by now."""
    return [order.remote for order in bench.worker.orders if isinstance(order, Forward) and "/agent/" in order.flow]


def asked(sip, transport):
    """How often the first neighbour has the INVITE by a transport."""
    sent = [(hop, message) for hop, message in sip.sent if (hop.host, hop.port) == PHONES]
    return len([hop for hop, message in sent if message in sip.requests("INVITE") and hop.transport is transport])


# --- late 2xx --------------------------------------------------------------------------------------------------------


async def test_a_late_2xx_moves_nothing_of_the_call_that_runs(two, bench):
    first, second = await given_up(two)
    await two.respond(second, 200, "two", sdp(*SECOND_MEDIA), SECOND, ("Session-Expires: 1800;refresher=uas",))
    await two.request("ACK", to_tag="two", uri="sip:x@127.15.2.13", cseq=1)
    (live,) = bench.engine.calls.values()
    orders, lasts, explained = list(bench.worker.orders), live.lasts_until, dict(live.call._described_at)
    bench.clock.advance(0.05)
    late = ("Session-Expires: 90;refresher=uas", "Supported: record-aware")
    await two.respond(first, 200, "one", sdp(*FIRST_MEDIA), extra=late)
    assert two.statuses() == [100, 200, 200] and two.responses()[-1].get("to").endswith("tag=one")
    assert bench.worker.orders == orders and towards_phones(bench)[-1].host == SECOND_MEDIA[0]
    assert (live.call.answered_dialog, live.lasts_until, live.call.record_aware) == ("two", lasts, set())
    assert live.call._described_at == explained, "a new voice of the agent's would be no more explained than before"
    for method, cseq in (("ACK", 1), ("BYE", 2)):
        await two.request(method, to_tag="one", uri="sip:x@127.15.2.12", cseq=cseq)
    assert [len(two.requests(method)) for method in ("ACK", "BYE")] == [1, 1], "the caller ends it"
    await two.respond(two.requests("BYE")[0], 200)
    assert bench.worker.orders == orders and list(bench.engine.calls.values()) == [live]


async def test_a_late_2xx_before_any_other_is_the_call_with_its_own_media(two, bench):
    first, second = await given_up(two)
    await two.respond(second, 183, "two", sdp(*SECOND_MEDIA), SECOND)
    assert towards_phones(bench)[-1].host == SECOND_MEDIA[0]
    await two.respond(first, 200, "one", sdp(*FIRST_MEDIA))
    assert two.statuses() == [100, 183, 200] and len(two.requests("CANCEL", SECOND)) == 1
    assert towards_phones(bench)[-1].host == FIRST_MEDIA[0]
    await two.respond(second, 487, "two", source=SECOND)
    (live,) = bench.engine.calls.values()
    assert live.call.answered_dialog == "one" and two.statuses() == [100, 183, 200]
    assert not two.proxy.probing.silent(two_hop(two, PHONES)), "it is there"


async def test_a_late_description_without_an_address_means_the_hop_that_it_is_of(two, bench):
    first, _ = await given_up(two)
    await two.respond(first, 200, "one", sdp("desk.example", 5000))
    assert towards_phones(bench)[-1].host == PHONES[0], "not where the INVITE is now"


async def test_a_refusal_that_a_late_2xx_overtakes_ends_no_call(two, bench):
    """Both come in before either is passed on."""
    first, second = await given_up(two)
    settle, two.settle = two.settle, nothing
    await two.respond(second, 486, "two", source=SECOND)
    await two.respond(first, 200, "one", sdp(*FIRST_MEDIA))
    two.settle = settle
    await two.settle()
    assert two.statuses() == [100, 200]
    assert bench.engine.calls[SipCallId("call-1")].call.answered_dialog == "one"


async def test_a_late_2xx_after_a_refusal_is_ended_where_the_phone_is(two, bench):
    first, second = await given_up(two)
    await two.respond(second, 486, "two", source=SECOND)
    for _ in range(2):
        contact = ("Contact: <sip:desk@127.15.2.14:5070>",)
        await two.respond(first, 200, "one", sdp(*FIRST_MEDIA), extra=contact)
    desk = ("127.15.2.14", 5070)
    assert [len(two.requests(method, desk)) for method in ("ACK", "BYE")] == [2, 1]
    assert two.statuses() == [100, 486] and not bench.engine.calls
    assert two.proxy.counters["answered_too_late"] == 1
    await two.respond(two.requests("BYE", desk)[0], 200, source=desk)
    await two.silence(TIMERS.timeout * 3)
    assert len(two.proxy._core) == len(two.proxy._core._layer) == 0 and not two.proxy._passing


async def test_a_stranger_as_contact_is_not_called_the_way_back_is_the_way_there(two):
    first, second = await given_up(two)
    await two.respond(second, 486, "two", source=SECOND)
    await two.respond(first, 200, "one", extra=("Contact: <sip:desk@192.0.2.77:5070>",))
    assert [len(two.requests(method)) for method in ("ACK", "BYE")] == [1, 1]
    assert not two.requests("ACK", ("192.0.2.77", 5070)) and not two.requests("BYE", ("192.0.2.77", 5070))


# --- one neighbour, two transports ----------------------------------------------------------------------------------


async def test_who_took_the_invite_by_tcp_and_is_silent_gets_none_by_udp(sip):
    await sip.invite(extra=(*NAMED, LARGE))
    await sip.silence(TIMERS.timeout * 0.9)
    assert sip.statuses() == [100], "there is nobody else, so it has all the time of the RFC"
    await sip.silence(TIMERS.timeout * 0.2)
    assert (asked(sip, Transport.TCP), asked(sip, Transport.UDP)) == (1, 0)
    assert sip.statuses()[:2] == [100, 408]
    await sip.request("INVITE", call_id="call-2", extra=(*NAMED, LARGE))
    assert (asked(sip, Transport.TCP), asked(sip, Transport.UDP)) == (1, 1), (
        "whatever listens there, the next goes by UDP"
    )


async def test_another_neighbour_is_next_and_not_the_same_one_by_udp(two):
    await two.invite(extra=(*NAMED, LARGE))
    await two.silence(TIMERS.elsewhere * 1.1)
    assert (asked(two, Transport.TCP), asked(two, Transport.UDP)) == (1, 0)
    assert [hop.transport for hop, _ in two.sent if hop.host == SECOND[0]] == [Transport.TCP]
    await two.fail("INVITE")
    assert [hop.transport for hop, _ in two.sent if hop.host == SECOND[0]] == [Transport.TCP, Transport.UDP]


async def test_who_refuses_by_tcp_is_not_asked_again_by_udp(two):
    await two.respond(await two.invite(extra=(*NAMED, LARGE)), 503)
    assert (asked(two, Transport.TCP), asked(two, Transport.UDP)) == (1, 0)
    assert len(two.requests("INVITE", SECOND)) == 1


async def test_a_tcp_that_is_refused_is_udp_with_the_patience_for_another_neighbour(two):
    await two.invite(extra=(*NAMED, LARGE))
    await two.fail("INVITE")
    assert (asked(two, Transport.TCP), asked(two, Transport.UDP)) == (1, 1)
    assert not two.requests("INVITE", SECOND)
    await two.silence(TIMERS.elsewhere * 1.1)
    assert len(two.requests("INVITE", SECOND)) == 1


def test_a_connection_that_cannot_be_had_is_known_before_an_invite_is_given_up():
    """Else its INVITE would go out on a connection that opens late, beside the one that another hop has."""
    assert SipTimers.RFC3261.elsewhere > CONNECT_TIMEOUT_S


# --- timer C --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("provisional", [100, 180])
@pytest.mark.parametrize("answers", [True, False])
async def test_a_hop_that_rings_for_ever_ends_the_call_and_no_other_is_asked(two, bench, provisional, answers):
    invite = await two.invite(extra=NAMED)
    await two.respond(invite, provisional)
    await two.silence(TIMERS.c * 1.1)
    assert len({cancel.to_bytes() for cancel in two.requests("CANCEL")}) == 1
    if answers:
        await two.respond(two.requests("CANCEL")[0], 200)
        await two.respond(invite, 487)
    else:
        await two.silence(TIMERS.timeout * 1.1)
    assert two.statuses()[-1] == 408 and 487 not in two.statuses()
    assert not two.requests("INVITE", SECOND) and not bench.engine.calls
    assert not two.proxy.probing.silent(two_hop(two, PHONES)), "it was there"


# --- silence --------------------------------------------------------------------------------------------------------


async def probed(sip):
    """Both hops answer their OPTIONS."""
    await sip.proxy.probing.round(Side.AGENT)
    for place in (PHONES, SECOND):
        await sip.respond(sip.requests("OPTIONS", place)[-1], 200, source=place)


@pytest.mark.parametrize("method", ["INFO", "MESSAGE", "BYE", "SUBSCRIBE", "REGISTER", "OPTIONS"])
@pytest.mark.parametrize("to_tag", ["", "uas"])
async def test_a_request_that_somebody_behind_leaves_unanswered_is_no_silence_of_the_hop(two, method, to_tag):
    await probed(two)
    await two.request(method, to_tag=to_tag, uri=f"sip:dead@{PHONES[0]}")
    assert two.requests(method)
    await two.silence(TIMERS.timeout * 1.1)
    assert not two.proxy.probing.silent(two_hop(two, PHONES))


async def test_an_invite_without_even_100_is_the_hops_own_silence(two):
    await probed(two)
    await given_up(two)
    assert two.proxy.probing.silent(two_hop(two, PHONES)) and not two.proxy.probing.silent(two_hop(two, SECOND))


async def test_what_cannot_be_sent_is_the_hops_whatever_it_is(two):
    await probed(two)
    await two.request("MESSAGE")
    await two.fail("MESSAGE")
    assert two.proxy.probing.silent(two_hop(two, PHONES))
    assert len(two.requests("MESSAGE", SECOND)) == 1


# --- calls for help --------------------------------------------------------------------------------------------------


async def test_a_call_for_help_rings_on_beyond_timer_c(two):
    """RFC 3261 §16.8 lets a proxy start it anew."""
    await two.respond(await two.invite("112"), 180)
    await two.silence(TIMERS.c * 5)
    assert not two.requests("CANCEL")
    await two.respond(two.requests("INVITE")[0], 200, body=b"")
    assert two.statuses()[-1] == 200


async def test_a_call_for_help_that_nobody_answers_by_tcp_goes_by_udp_and_then_to_another(two):
    await two.invite("112", extra=(LARGE,))
    await two.silence(TIMERS.elsewhere * 1.1)
    assert (asked(two, Transport.TCP), asked(two, Transport.UDP)) == (1, 1)
    await two.silence(TIMERS.elsewhere * 1.1)
    assert len(two.requests("INVITE", SECOND)) == 1


async def test_a_call_for_help_begins_anew_where_whoever_rang_is_gone(two):
    invite = await two.invite("112")
    await two.respond(invite, 100)
    await two.silence(TIMERS.c * 1.1)
    assert two.requests("CANCEL") and not two.requests("INVITE", SECOND)
    await two.silence(TIMERS.timeout * 1.01)
    again, *_ = two.requests("INVITE", SECOND)
    await two.respond(again, 200, body=b"", source=SECOND)
    assert two.statuses() == [100, 200]


async def test_a_late_2xx_of_a_call_for_help_is_the_answer(two):
    first, _ = await given_up(two, "112")
    await two.respond(first, 200, body=b"")
    assert two.statuses() == [100, 200] and not two.requests("BYE")


async def test_no_drain_and_no_dead_hop_refuses_a_call_for_help(two):
    for _ in range(2):
        await two.proxy.probing.round(Side.AGENT)
    two.proxy.draining = True
    await two.request("INVITE", "200", call_id="usual", body=sdp())
    assert two.statuses() == [100, 503]
    first, second = await given_up(two, "112")
    assert first.uri.startswith("sip:112@") and second.uri == first.uri
    await two.respond(second, 200, body=b"", source=SECOND)
    assert two.statuses()[-1] == 200 and two.responses(PBX)[-1].get("call-id") == "call-1"


def two_hop(sip, place):
    """A hop as calls use it."""
    return next(hop for hop, _ in sip.sent if (hop.host, hop.port) == place and hop.transport is Transport.UDP)


async def nothing() -> None:
    """In place of waiting."""
