"""The inline way in of a running site: what must pass untouched, what must not pass, and calls out of the ordinary."""

import asyncio
import os
import signal
import socket
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import pytest_asyncio

from demo.correlate import find
from demo.line import Line
from demo.tones import tone
from gateway.media.plane import Address
from gateway.sdp.session import parse_session
from tests.peers.rtp_party import RtpParty
from tests.peers.running_site import RunningSite, until
from tests.peers.wire import Wire, describe, heed

pytestmark = pytest.mark.asyncio(loop_scope="module")

PHONE = 90
UNASKED = "elsewhere"
"""A queue of which nothing is recorded, so that no question covers what is said."""
TONES = tone(500, 0.6), tone(900, 0.6)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory):
    async with RunningSite(tmp_path_factory.mktemp("proxy"), desks=1) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def pbx(site):
    async with Wire(site.at.pbx) as wire:
        yield wire


@pytest_asyncio.fixture(loop_scope="module")
async def phone(site):
    async with Wire(site.at.phone(PHONE)) as wire:
        yield wire


@asynccontextmanager
async def lines(*hosts):
    """Voices of wires."""
    async with AsyncExitStack() as stack:
        opened = [await Line.open(host) for host in hosts]
        for line in opened:
            stack.push_async_callback(line.close)
        yield opened


async def talk(one, other):
    """Both hear each other."""
    async with asyncio.timeout(8):
        await asyncio.gather(saying(one, TONES[0], other), saying(other, TONES[1], one))


async def saying(one, sound, other):
    hearing = asyncio.create_task(other.hears(sound, 0.9))
    while not hearing.done():
        one.play(sound)
        await asyncio.wait((hearing,), timeout=0.8)
    await hearing


def recorded(site):
    return sorted((site.data / "recordings").rglob("*"))


def ring(site, pbx, phone, body=b"", headers=()):
    """An INVITE of the PBX's to the phone's wire."""
    named = [*site.headers(site.desks[0], UNASKED), *headers]
    return pbx.ask("INVITE", f"sip:101@{phone.link.host}", site.at.gateway_caller, named, body)


# --- calls out of the ordinary ----------------------------------------------------------------------------------------


async def test_an_offer_may_come_in_the_answer_and_its_answer_in_the_ack(site):
    call = await site.call(site.desks[0], queue=UNASKED, delayed_offer=True)
    assert call.agent.invite.body == b""
    assert call.caller.remote_terms.host == site.at.gateway_caller
    assert call.agent.remote_terms.host == site.at.gateway_agent
    await talk(call.caller.line, call.agent.line)
    await call.hang_up()
    await site.quiet()


async def test_a_call_whose_answer_came_in_the_ack_can_be_recorded(site):
    desk = site.desks[0]
    call = await site.recorded_call(desk, delayed_offer=True)
    said = call.caller.play(TONES[0]), call.agent.play(TONES[1])
    await asyncio.gather(*(playing.done.wait() for playing in said))
    await call.hang_up()
    assert (await site.outcome(desk, call.ref))["outcome"] == "recorded"
    left, right = await site.opened(desk, call.ref)
    assert min(find(TONES[1][:4000], left).strength, find(TONES[0][:4000], right).strength) > 0.9


async def test_early_media_goes_both_ways_and_is_nobody_s_recording(site, pbx, phone):
    before, stored = await site.counters(), recorded(site)
    async with lines(site.at.pbx, site.at.phone(PHONE)) as (his, hers):
        invite = ring(site, pbx, phone, describe(his))
        came = await phone.request("INVITE")
        heed(hers, came[0].body)
        phone.say(came, 183, body=describe(hers))
        assert heed(his, (await pbx.response(183)).body).host == site.at.gateway_caller
        await talk(his, hers)
        assert (await site.status())["calls"] == 1
        phone.say(came, 486)
        await pbx.response(486)
        assert (await phone.request("ACK"))[0].get("call-id") == invite.get("call-id")
    await site.quiet()
    assert (await site.counters())["light_visible"] == before["light_visible"]
    assert recorded(site) == stored


async def test_of_two_early_dialogs_the_answered_one_is_heard(site, pbx, phone):
    async with lines(site.at.pbx, site.at.phone(PHONE), site.at.phone(PHONE)) as (his, first, second):
        invite = ring(site, pbx, phone, describe(his))
        came = await phone.request("INVITE")
        for line, tag in ((first, "one"), (second, "two")):
            heed(line, came[0].body)
            phone.say(came, 183, tag, body=describe(line))
            heed(his, (await pbx.response(183)).body)
        phone.say(came, 200, "two", body=describe(second))
        answer = await pbx.response(200)
        heed(his, answer.body)
        pbx.follow("ACK", invite, answer)
        await phone.request("ACK")
        await talk(his, second)
        pbx.follow("BYE", invite, answer, 2)
        phone.say(await phone.request("BYE"), 200, "")
        await pbx.response(200)
    await site.quiet()


async def test_two_answers_reach_the_caller_and_ending_the_second_leaves_the_first(site, pbx, phone):
    async with lines(site.at.pbx, site.at.phone(PHONE), site.at.phone(PHONE)) as (his, first, second):
        invite = ring(site, pbx, phone, describe(his))
        came = await phone.request("INVITE")
        answers = []
        for line, tag in ((first, "one"), (second, "two")):
            phone.say(came, 200, tag, body=describe(line))
            answers.append(await pbx.response(200))
            pbx.follow("ACK", invite, answers[-1])
            assert (await phone.request("ACK"))[0].get("to").endswith(f"tag={tag}")
        pbx.follow("BYE", invite, answers[1], 2)
        phone.say(await phone.request("BYE"), 200, "")
        await pbx.response(200)
        heed(first, came[0].body)
        heed(his, answers[0].body)
        await talk(his, first)
        pbx.follow("BYE", invite, answers[0], 3)
        phone.say(await phone.request("BYE"), 200, "")
        await pbx.response(200)
    await site.quiet()


class Ends:
    """The two parties of one m-line, at the PBX and at the phone."""

    def __init__(self, site: RunningSite) -> None:
        self.his, self.hers = RtpParty(site.at.pbx), RtpParty(site.at.phone(PHONE))
        self.ours = site.at.gateway_caller, site.at.gateway_agent

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.his.close()
        self.hers.close()

    async def cross(self, to_his_port: int, to_hers_port: int, packet: bytes) -> None:
        """A packet each way: sent to the port that each was told, and heard from the gateway's address."""
        ways = ((self.his, self.hers, self.ours, to_his_port), (self.hers, self.his, self.ours[::-1], to_hers_port))
        for here, there, (facing, other), port in ways:
            had = len(there.heard)
            here.send(Address(facing, port), packet)
            await there.until(lambda there=there, had=had: len(there.heard) > had)
            assert there.heard[-1] == packet and there.sources[-1][0] == other


def told(host: str, *media: str) -> bytes:
    lines = ["v=0", f"o=- 1 1 IN IP4 {host}", "s=-", f"c=IN IP4 {host}", "t=0 0", *media]
    return "".join(f"{line}\r\n" for line in lines).encode()


def ports(body: bytes) -> list[int]:
    return [media.port for media in parse_session(body).media]


async def test_video_goes_by_us_and_a_fax_takes_the_voice_s_place_and_gives_it_back(site, pbx, phone):
    """Neither end is ever told the other's address."""
    with Ends(site) as voice, Ends(site) as video, Ends(site) as fax:
        spoken = "m=audio %d RTP/AVP 8"
        shown = "m=video %d RTP/AVP 96"
        faxed = "m=image %d udptl t38"
        exchanges = [
            ([spoken % voice.his.address.port, shown % video.his.address.port],
             [spoken % voice.hers.address.port, shown % video.hers.address.port], (voice, video)),
            ([faxed % fax.his.address.port, shown % 0], [faxed % fax.hers.address.port, shown % 0], (fax,)),
            ([spoken % voice.his.address.port, shown % 0], [spoken % voice.hers.address.port, shown % 0], (voice,)),
        ]  # fmt: skip
        packets = {voice: voice.his.packet(bytes(160)), video: b"\x80\xe0 a picture", fax: b"\x00\xc8 a page"}
        invite = answer = None
        for number, (offered, answered, flowing) in enumerate(exchanges, start=1):
            body = told(site.at.pbx, *offered)
            if invite is None or answer is None:
                invite = ring(site, pbx, phone, body)
            else:
                pbx.follow("INVITE", invite, answer, number, body)
            came = await phone.request("INVITE")
            phone.say(came, 200, "wire" if number == 1 else "", body=told(site.at.phone(PHONE), *answered))
            said = await pbx.response(200)
            answer = answer or said
            pbx.follow("ACK", invite, answer, number)
            await phone.request("ACK")
            assert site.at.pbx.encode() not in came[0].body.partition(b"s=")[2]
            assert site.at.phone(PHONE).encode() not in said.body.partition(b"s=")[2]
            for index, ends in enumerate(flowing):
                await ends.cross(ports(said.body)[index], ports(came[0].body)[index], packets[ends])
        assert invite is not None and answer is not None
        pbx.follow("BYE", invite, answer, 9)
        phone.say(await phone.request("BYE"), 200, "")
        await pbx.response(200)
    await site.quiet()


async def test_byes_may_cross(site):
    call = await site.call(site.desks[0], queue=UNASKED)
    await asyncio.gather(call.caller.bye(), call.agent.bye())
    await site.quiet()


# --- what passes, and what doesn't ------------------------------------------------------------------------------------


async def test_the_gateway_answers_who_asks_it_itself(site):
    for side, asking in ((site.at.gateway_caller, site.caller), (site.at.gateway_agent, site.desks[0].phone)):
        assert (await asking.ask("OPTIONS", f"sip:{side}:5060")).status == 200


async def test_a_method_that_nobody_knows_passes(site, pbx, phone):
    pbx.ask("JUMP", f"sip:101@{phone.link.host}", site.at.gateway_caller, [("X-High", "yes")], b"v=0\r\n")
    came = await phone.request("JUMP")
    assert (came[0].get("x-high"), came[0].body) == ("yes", b"v=0\r\n")
    phone.say(came, 299)
    assert (await pbx.response(299)).reason == "Said"


async def test_a_challenge_and_its_answer_pass_untouched(site, pbx, phone):
    challenge = 'Digest realm="a, b", nonce="==x", algorithm=MD5, qop="auth,auth-int"'
    answer = 'Digest username="101", realm="a, b", uri="sip:pbx" , response="0"'
    registrar = f"sip:{site.at.pbx}"
    phone.ask("REGISTER", registrar, site.at.gateway_agent)
    pbx.say(await pbx.request("REGISTER"), 401, headers=[("WWW-Authenticate", challenge), ("WWW-Authenticate", "Own")])
    assert (await phone.response(401)).all("www-authenticate") == [challenge, "Own"]
    phone.ask("REGISTER", registrar, site.at.gateway_agent, [("Authorization", answer)])
    came = await pbx.request("REGISTER")
    assert came[0].get("authorization") == answer
    pbx.say(came, 200)
    await phone.response(200)


async def test_what_a_phone_says_about_extension_and_queue_is_removed(site, pbx, phone):
    lies = [("X-Fairtap-Extension", "999"), ("X-Fairtap-Queue", "gold"), ("x-fairtap-call", "mine"), ("X-Other", "1")]
    phone.ask("INVITE", f"sip:4930231250@{site.at.pbx}", site.at.gateway_agent, lies)
    came = await pbx.request("INVITE")
    named = [came[0].get(f"x-fairtap-{name}") for name in ("extension", "queue")]
    assert (named, came[0].get("x-other")) == ([None, None], "1")
    assert came[0].all("x-fairtap-call") == [await site.ref(came[0].get("call-id"))]
    pbx.say(came, 486)
    assert (await phone.response(486)).get("x-fairtap-call") is None
    await site.quiet()


async def test_what_the_pbx_says_to_us_isn_t_told_to_phones(site, pbx, phone):
    ring(site, pbx, phone, headers=[("X-Fairtap-Anything", "secret"), ("P-Asserted-Identity", "<sip:1@2.example>")])
    came = await phone.request("INVITE")
    assert b"fairtap-" not in came[0].to_bytes().lower().replace(b";fairtap=", b"")
    assert came[0].get("p-asserted-identity") == "<sip:1@2.example>"
    phone.say(came, 486)
    await pbx.response(486)
    await site.quiet()


async def test_requests_of_strangers_are_dropped_and_counted(site):
    before = (await site.counters())["no_peer"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.setblocking(False)
        stranger.bind((site.at.trunk, 0))
        asked = f"OPTIONS sip:{site.at.gateway_caller} SIP/2.0\r\nVia: SIP/2.0/UDP {site.at.trunk}\r\n\r\n".encode()
        for side in (site.at.gateway_caller, site.at.gateway_agent):
            stranger.sendto(asked, (side, 5060))

        async def counted() -> bool:
            return (await site.counters())["no_peer"] == before + 2

        await until(counted)
        with pytest.raises(BlockingIOError):
            stranger.recv(1)


# --- without a media worker -------------------------------------------------------------------------------------------


async def test_a_worker_that_does_not_answer_lets_the_call_pass_without_it(site):
    worker = site.processes["media-0"]
    os.kill(worker, signal.SIGSTOP)
    try:
        call = await site.call(site.desks[0], queue=UNASKED)
        assert call.agent.remote_terms.host == site.at.pbx
        assert call.caller.remote_terms.host == site.desks[0].phone.address[0]
        await talk(call.caller.line, call.agent.line)
        await call.hang_up()
    finally:
        os.kill(worker, signal.SIGCONT)
    await site.quiet()
    assert (await site.counters())["descriptions_passed_unchanged"] > 0


async def test_with_no_worker_alive_calls_go_past_us_and_then_through_us_again(site):
    before, worker = (await site.counters())["calls_unanchored"], site.processes["media-0"]
    os.kill(worker, signal.SIGKILL)
    call = await unanchored(site, worker)
    await talk(call.caller.line, call.agent.line)
    await call.hang_up()
    assert (await site.counters())["calls_unanchored"] > before
    await site.restarted("media-0", worker)

    async def connected() -> bool:
        return (await site.status())["workers"] == 1

    await until(connected)
    call = await site.call(site.desks[0], queue=UNASKED)
    assert call.agent.remote_terms.host == site.at.gateway_agent
    await call.hang_up()
    await site.quiet()


async def unanchored(site, worker):
    async def gone() -> bool:
        return (await site.status())["workers"] == 0

    await until(gone)
    call = await site.call(site.desks[0], queue=UNASKED)
    assert call.agent.remote_terms.host == site.at.pbx
    return call
