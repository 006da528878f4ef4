"""Descriptions that name a host, or that can't be read: the call goes on, by the address where there is one."""

import asyncio

import pytest

from gateway.call.model import SipCallId
from gateway.media.plane import Address, Forward
from gateway.sdp.host_names import MOST_NAMES, host_names, with_addresses
from gateway.sdp.session import parse_session
from tests.peers.engine_bench import sdp

NAMED = sdp("media.example.com", 5000)
KNOWN = {"media.example.com": ("2001:db8::7", "127.15.1.77", "127.15.1.78")}


@pytest.fixture
def asked(bench):
    """The names that were looked up; the known ones have addresses."""
    names = []

    async def find(name):
        names.append(name)
        return KNOWN.get(name, ())

    bench.engine.describing.find_hosts = find
    return names


def targets(bench):
    """Where each party is sent its audio."""
    orders = [order for order in bench.worker.orders if isinstance(order, Forward)]
    return {order.flow.split("/")[1]: order.remote for order in orders}


async def test_an_answer_that_names_a_host_is_anchored_at_its_address(sip, bench, asked):
    await sip.respond(await sip.invite(), 200, body=NAMED)
    assert targets(bench) == {"caller": Address("127.15.1.11", 4000), "agent": Address("127.15.1.77", 5000)}
    assert b"c=IN IP4 media.example.com" not in sip.responses()[-1].body
    assert asked == ["media.example.com"]


async def test_an_offer_that_names_a_host_is_too(sip, bench, asked):
    await sip.request("INVITE", body=NAMED)
    assert b"c=IN IP4 media.example.com" not in sip.requests("INVITE")[-1].body
    await sip.answer(sip.requests("INVITE")[-1])
    assert targets(bench)["caller"] == Address("127.15.1.77", 5000)


async def test_an_answer_that_names_an_unknown_host_means_the_one_that_sent_it(sip, bench, asked):
    await sip.respond(await sip.invite(), 200, body=sdp("unknown.example.com", 5000))
    assert targets(bench)["agent"] == Address("127.15.2.12", 5000)


async def test_a_call_offered_from_an_unknown_host_passes_by(sip, bench, asked):
    offer = sdp("unknown.example.com")
    await sip.request("INVITE", body=offer)
    assert sip.requests("INVITE")[-1].body == offer
    answer = sdp("127.15.1.12", 5000)
    await sip.respond(sip.requests("INVITE")[-1], 200, body=answer)
    assert sip.responses()[-1].body == answer
    assert targets(bench) == {}


@pytest.mark.parametrize("host", ["0.0.0.0", "nowhere.invalid", "127.15.1.12"])
async def test_nobody_is_asked_where_no_host_is_named(sip, asked, host):
    await sip.respond(await sip.invite(), 200, body=sdp(host, 5000))
    assert asked == []


def test_only_names_of_what_is_relayed_count_and_few_of_them():
    video = b"m=video 5002 RTP/AVP 96\r\nc=IN IP4 video.example.com\r\n"
    refused = b"m=audio 0 RTP/AVP 8\r\nc=IN IP4 refused.example.com\r\n"
    chat = b"m=message 5003 TCP/MSRP *\r\nc=IN IP4 chat.example.com\r\n"
    session = parse_session(NAMED + video + refused + chat)
    assert host_names(session) == ("media.example.com", "video.example.com")
    moved = with_addresses(session, {"media.example.com": "2001:db8::7"})
    assert moved == (NAMED + video + refused + chat).replace(b"c=IN IP4 media.example.com", b"c=IN IP6 2001:db8::7")
    more = b"".join(video.replace(b"video.example", b"%d.example" % n) for n in range(MOST_NAMES))
    assert host_names(parse_session(NAMED + more)) == ("media.example.com",), "the audio doesn't suffer from the rest"
    many = b"".join(b"m=audio 5004 RTP/AVP 8\r\nc=IN IP4 %d.example.com\r\n" % n for n in range(MOST_NAMES))
    assert host_names(parse_session(NAMED + many)) == ()


async def test_a_description_that_can_t_be_read_passes_as_it_came_and_the_call_says_why_it_isnt_recorded(sip, bench):
    packed = ("Content-Encoding: gzip", "X-Fairtap-Extension: 200")
    offer, answer = b"\x1f\x8b offer", b"\x1f\x8b answer"
    await sip.request("INVITE", body=offer, extra=packed)
    assert sip.requests("INVITE")[-1].body == offer
    await sip.respond(sip.requests("INVITE")[-1], 200, body=answer, extra=packed[:1])
    assert sip.responses()[-1].body == answer
    await sip.request("ACK", to_tag="uas")
    (live,) = bench.engine.calls.values()
    assert bench.engine.told_of(live) == ("MEDIA_UNSUPPORTED",)
    assert live.facts.hindrances == ("unanchored",)


@pytest.mark.parametrize("again", [False, True])
async def test_what_answers_a_description_that_can_t_be_read_passes_too(sip, bench, again):
    """With our ports in it, one party would send to where nothing is forwarded."""
    more = {}
    if again:
        await sip.answer(await sip.invite())
        more = {"to_tag": "uas", "cseq": 2}
    orders = len(bench.worker.orders)
    await sip.request("INVITE", body=b"\x1f\x8b offer", extra=("Content-Encoding: gzip",), **more)
    answer = sdp("127.15.1.12", 5000)
    await sip.respond(sip.requests("INVITE")[-1], 200, body=answer)
    assert sip.responses()[-1].body == answer
    assert bench.worker.orders[orders:] == []
    assert bench.engine.counters["descriptions_passed_unchanged"] == 1


async def test_a_late_offer_beside_a_body_that_is_no_description_is_anchored(sip, bench):
    await sip.request("INVITE", body=b"\x01\x02", extra=("Content-Type: application/isup",))
    await sip.respond(sip.requests("INVITE")[-1], 200, body=sdp("127.15.1.12", 5000))
    assert b"127.15.1.12" not in sip.responses()[-1].body.partition(b"c=")[2]


@pytest.mark.parametrize("again", [False, True])
async def test_a_call_that_ends_while_a_name_is_looked_up_takes_no_ports(sip, bench, again):
    asked, known = asyncio.Event(), asyncio.Event()

    async def find(name):
        asked.set()
        await known.wait()
        return KNOWN[name]

    bench.engine.describing.find_hosts = find
    more = {}
    if again:
        await sip.answer(await sip.invite())
        more = {"to_tag": "uas", "cseq": 2}
        bench.worker.reserved.clear()
    offer = NAMED + b"m=audio 5002 RTP/AVP 8\r\n"
    passing = asyncio.create_task(sip.request("INVITE", body=offer, **more))
    await asked.wait()
    bench.engine.hang_up(SipCallId("call-1"))
    orders = len(bench.worker.orders)
    known.set()
    await passing
    assert bench.worker.reserved == set()
    assert bench.worker.orders[orders:] == []
    assert sip.requests("INVITE")[-1].body == offer


async def test_several_names_are_looked_up_at_once(sip, bench):
    asked, together = [], asyncio.Event()

    async def find(name):
        asked.append(name)
        if len(asked) == 2:
            together.set()
        await asyncio.wait_for(together.wait(), 5)
        return KNOWN["media.example.com"]

    bench.engine.describing.find_hosts = find
    line = b"m=audio 5002 RTP/AVP 8\r\nc=IN IP4 other.example.com\r\n"
    await sip.respond(await sip.invite(), 200, body=NAMED + line)
    assert asked == ["media.example.com", "other.example.com"]
    assert sip.statuses()[-1] == 200 and together.is_set()
