"""Floods: a source has limits, its running calls and everybody else's don't notice, and a call for help goes first."""

import pytest
from structlog.testing import capture_logs

from gateway.config import LimitsConfig
from gateway.ingress.source_limits import BURST_S, SourceLimits, is_emergency_uri
from gateway.sip.hop import Hop, Side, Transport
from tests.peers.engine_bench import sdp
from tests.peers.manual_clock import ManualClock
from tests.peers.proxy_bench import PBX, PHONES, ProxyBench

PEER, OTHER = (Hop(Side.AGENT, Transport.UDP, host, 5060) for host in ("127.15.2.12", "127.15.2.13"))
HELP = b"INVITE sip:112@carrier.example SIP/2.0\r\n"


@pytest.fixture
async def sip(bench, tmp_path):
    made = ProxyBench(bench, tmp_path, calls_per_s=2, open_requests=100)
    yield made
    await made.proxy.close()


def passed(sip):
    return {invite.get("call-id") for invite in sip.requests("INVITE")}


async def test_new_calls_beyond_the_rate_are_told_to_come_later(sip, bench):
    for number in range(4):
        await sip.request("INVITE", call_id=f"call-{number}")
    await sip.answer(sip.requests("INVITE")[0])
    await sip.request("INVITE", call_id="call-4", body=sdp())
    assert sip.statuses()[-1] == 503
    refusal = sip.sent[-1][1]
    assert refusal.get("retry-after") == "5"
    assert "call-4" not in bench.engine.calls, "nothing is kept of it"
    await sip.request("ACK", call_id="call-0", to_tag="uas")
    await sip.request("BYE", call_id="call-0", to_tag="uas", cseq=2)
    assert len(sip.requests("ACK")) == len(sip.requests("BYE")) == 1, "a running call is nobody's flood"
    await sip.request("INVITE", "999", call_id="call-5")
    assert "call-5" in passed(sip), "a call for help goes first"
    bench.clock.advance(0.6)
    await sip.request("INVITE", call_id="call-6")
    assert "call-6" in passed(sip)


async def test_an_invite_that_comes_again_is_no_new_call(sip):
    for number in range(4):
        await sip.request("INVITE", call_id=f"call-{number}")
    await sip.request("INVITE", call_id="call-0", branch=1)
    assert sip.statuses() == [100] * 5


async def test_open_requests_are_bounded_and_one_source_cannot_take_all(sip):
    for number in range(60):
        await sip.request("SUBSCRIBE", call_id=f"s-{number}", source=PHONES)
    assert sip.statuses(PHONES) == [503] * 10, "half of a hundred"
    await sip.request("INFO", call_id="c", to_tag="x", source=PHONES)
    assert sip.statuses(PHONES) == [503] * 10, "what belongs to a dialog goes before"
    await sip.request("SUBSCRIBE", call_id="other")
    assert len(sip.requests("SUBSCRIBE")) == 1, "another source has its own half"
    for number in range(200):
        await sip.request("INFO", call_id=f"i-{number}", to_tag="x", source=PHONES)
    assert len(sip.proxy._core) <= 102


def test_messages_beyond_the_rate_are_dropped_and_the_log_names_nobody():
    clock = ManualClock()
    limits = SourceLimits(LimitsConfig(messages_per_s=10), clock)
    with capture_logs() as lines:
        taken = sum(limits.takes(b"REGISTER", PEER) for _ in range(1000))
    assert taken == 10 * BURST_S
    assert limits.counters["flood_dropped"] == 980
    assert len(lines) == 1 and lines[0]["side"] == "agent"
    assert PEER.host not in str(lines)
    assert limits.takes(b"REGISTER", OTHER), "its flood is its own"
    assert limits.takes(HELP, PEER)
    clock.advance(0.5)
    assert sum(limits.takes(b"REGISTER", PEER) for _ in range(10)) == 5


def test_even_calls_for_help_have_an_end():
    limits = SourceLimits(LimitsConfig(messages_per_s=10), ManualClock())
    assert sum(limits.takes(HELP, PEER) for _ in range(500)) == 20 + 40


def test_one_ipv6_source_is_a_whole_network():
    limits = SourceLimits(LimitsConfig(messages_per_s=10), ManualClock())
    hosts = [Hop(Side.AGENT, Transport.UDP, f"2001:db8::{number:x}", 5060) for number in range(1, 41)]
    assert sum(limits.takes(b"x", hop) for hop in hosts) == 20


def test_what_is_kept_of_sources_is_bounded():
    limits = SourceLimits(LimitsConfig(), ManualClock())
    for number in range(10_000):
        limits.takes(b"x", Hop(Side.AGENT, Transport.UDP, f"10.0.{number >> 8}.{number & 255}", 5060))
    assert len(limits._buckets) <= 8192


@pytest.mark.parametrize(
    ("uri", "helps"),
    [
        ("sip:112@carrier.example", True),
        ("sips:110;phone-context=x@carrier.example", True),
        ("sip:0112@pbx.example", True),
        ("sip:+49112@carrier.example;user=phone", True),
        ("tel:911", True),
        ("urn:service:sos.police", True),
        ("sip:1120@carrier.example", False),
        ("sip:+4940112@carrier.example", False),
        ("sip:%31%31%32@carrier.example", True),
        ("sip:%2B49112@carrier.example", True),
        ("sip:%ff%31%31%32@carrier.example", False),
        ("sip:carrier.example", False),
        ("urn:isbn:2983792873", False),
        ("sip:[", False),
    ],
)
def test_who_calls_for_help(uri, helps):
    assert is_emergency_uri(uri) is helps


async def test_a_call_for_help_needs_no_ports_no_drain_and_is_nobodys_recording(sip, bench):
    sip.proxy.draining = bench.worker.away = True
    for number, called in enumerate(("sip:112@127.15.2.2", "urn:service:sos")):
        await sip.request("INVITE", uri=called, call_id=f"help-{number}", source=PHONES, body=sdp())
        sent = sip.requests("INVITE", PBX)[-1]
        assert sent.uri == called and sent.body == sdp()
    for live in bench.engine.calls.values():
        assert bench.site.is_protected(live.call.new.outside) in (True, None)


@pytest.mark.parametrize("line", [b"a=x\r\n", b"m=audio 4000 RTP/AVP 8\r\n"])
async def test_a_description_of_thousands_of_lines_costs_its_own_call_the_anchor_and_nothing_else(sip, bench, line):
    await sip.invite(extra=("X-Fairtap-Extension: 200",))
    await sip.answer(sip.requests("INVITE")[-1])
    huge = sdp() + line * (60_000 // len(line))
    await sip.request("INVITE", call_id="call-2", body=huge)
    assert sip.sent[-1][1].body == huge
    assert bench.engine.counters["descriptions_passed_unchanged"] == 1
    await sip.request("BYE", to_tag="uas", cseq=2)
    assert len(sip.requests("BYE")) == 1
