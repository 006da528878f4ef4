"""Simulated phones call each other over loopback, directly and through the simulated PBX, and hear each other."""

import asyncio
import itertools
from contextlib import AsyncExitStack

import pytest

from demo.correlate import find
from demo.g711 import RATE
from demo.link import Hop
from demo.pbx import Pbx, Placed
from demo.phone import NoAnswer, Phone, Refused, Wish
from demo.speech import speech
from demo.tones import dtmf, tone
from gateway.sip.timers import SipTimers

TIMERS = SipTimers.TESTING
TRUNK, PBX, DESK, OTHER = "127.12.0.1", "127.12.0.2", "127.12.0.3", "127.12.0.4"
NUMBER = "4940555"


@pytest.fixture
async def house():
    """Plugs phones in and unplugs them afterwards."""
    async with AsyncExitStack() as stack:
        yield lambda host, **kind: stack.enter_async_context(Phone((host, 0), timers=TIMERS, **kind))


async def connect(caller, callee, via=None, uri=None, **kind):
    """A call that both ends regard as answered."""
    call = await caller.call(uri or callee.uri, via=via, **kind)
    taken = await asyncio.wait_for(callee.incoming.get(), 5)
    taken.answer()
    await asyncio.wait_for(asyncio.gather(call.answered, taken.answered), 5)
    return call, taken


async def say(call, taken, sound):
    """Let one end speak and wait until the other heard the end of it."""
    call.play(sound)
    await asyncio.wait_for(taken.hears(sound[-RATE:]), 10)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("codec", ["PCMA", "PCMU"])
async def test_two_phones_hear_each_other(house, transport, codec):
    caller = await house(TRUNK, transport=transport, wish=Wish(codecs=(codec,)))
    callee = await house(DESK, transport=transport)
    call, taken = await connect(caller, callee)
    hers, his = speech("agent")[: RATE * 3 // 2], speech("caller")[: RATE * 3 // 2]
    await asyncio.gather(say(call, taken, his), say(taken, call, hers))
    for heard, sent in ((taken.heard, his), (call.heard, hers)):
        assert find(sent, heard).strength > 0.98
    await call.bye()
    await asyncio.wait_for(taken.ended.wait(), 2)
    assert call.line.codec == taken.line.codec == codec
    assert caller.calls == callee.calls == ()


async def test_speech_starts_when_the_timeline_says(house):
    call, taken = await connect(await house(TRUNK), await house(DESK))
    sound = speech("caller")[:RATE]
    playing = call.play(sound)
    end = await asyncio.wait_for(taken.hears(sound), 5)
    await playing.done.wait()
    assert end - 1.0 == pytest.approx(playing.began_at, abs=0.06)


async def test_speech_has_no_drift(house):
    call, taken = await connect(await house(TRUNK), await house(DESK))
    await say(call, taken, tone(440, 3.0))
    arrivals = taken.line.arrivals
    spent = arrivals[-1].at - arrivals[0].at
    assert spent == pytest.approx(0.02 * (len(arrivals) - 1), abs=0.06)
    steps = {(b.sequence - a.sequence) & 0xFFFF for a, b in itertools.pairwise(arrivals)}
    assert steps == {1}
    assert taken.line.gaps(longer_than=1.0) == []


async def test_ringing_is_seen_before_the_answer(house):
    caller, callee = await house(TRUNK), await house(DESK)
    call = await caller.call(callee.uri)
    taken = await asyncio.wait_for(callee.incoming.get(), 5)
    taken.ring()
    await asyncio.wait_for(call.ringing.wait(), 5)
    assert not call.answered.done()
    taken.answer()
    await asyncio.wait_for(call.answered, 5)


@pytest.mark.parametrize("status", [486, 603])
async def test_refusal_reaches_the_caller(house, status):
    caller, callee = await house(TRUNK), await house(DESK)
    call = await caller.call(callee.uri)
    (await asyncio.wait_for(callee.incoming.get(), 5)).refuse(status)
    with pytest.raises(Refused) as caught:
        await asyncio.wait_for(call.answered, 5)
    assert caught.value.status == status
    assert call.ended.is_set()


async def test_cancel_ends_a_ringing_call_on_both_ends(house):
    caller, callee = await house(TRUNK), await house(DESK)
    call = await caller.call(callee.uri)
    taken = await asyncio.wait_for(callee.incoming.get(), 5)
    taken.ring()
    await call.ringing.wait()
    await call.cancel()
    with pytest.raises(Refused, match="487"):
        await asyncio.wait_for(call.answered, 5)
    await asyncio.wait_for(taken.ended.wait(), 5)
    with pytest.raises(Refused, match="487"):
        await taken.answered


async def test_delayed_offer(house):
    call, taken = await connect(await house(TRUNK), await house(DESK), delayed_offer=True)
    assert taken.invite.body == b""
    await asyncio.gather(say(call, taken, tone(500, 1.2)), say(taken, call, tone(900, 1.2)))


@pytest.mark.parametrize("direction", ["sendonly", "inactive"])
async def test_hold_stops_the_other_end_and_resume_lets_it_speak(house, direction):
    call, taken = await connect(await house(TRUNK), await house(DESK))
    await say(taken, call, tone(500, 1.2))
    await call.hold(direction)
    assert taken.renegotiated.is_set()
    assert not taken.line.speaking
    assert call.line.speaking is (direction == "sendonly")
    await asyncio.sleep(0.1)
    before = len(call.line.arrivals)
    await asyncio.sleep(0.2)
    assert len(call.line.arrivals) == before
    await taken.resume()
    assert not taken.line.speaking, "the end that was put on hold can't lift it"
    await call.resume()
    assert taken.line.speaking
    await say(taken, call, tone(700, 1.2))


async def test_refused_hold_leaves_the_call_as_it_was(house):
    call, taken = await connect(await house(TRUNK), await house(DESK))
    taken.phone.forget(taken)
    with pytest.raises(Refused, match="481"):
        await call.hold()
    assert call.direction == "sendrecv"
    assert call.line.speaking


@pytest.mark.parametrize("keys", ["1", "*9", "0123456789*#"])
async def test_digits_are_seen_once_each(house, keys):
    call, taken = await connect(await house(TRUNK), await house(DESK))
    call.press(keys, ms=80)
    await asyncio.wait_for(taken.hears_keys(keys), 10)
    await asyncio.sleep(0.1)
    assert "".join(digit.digit for digit in taken.digits) == keys
    assert {digit.duration_ms for digit in taken.digits} == {80}


async def test_digits_without_telephone_event_are_tones(house):
    caller = await house(TRUNK, wish=Wish(telephone_event=None))
    call, taken = await connect(caller, await house(DESK))
    call.press("5", ms=400)
    await asyncio.wait_for(taken.hears(dtmf("5", 400)[:2400], strength=0.95), 5)
    assert taken.digits == []


class EveryFirst:
    """Loses the first copy of every SIP message."""

    def __init__(self):
        self.lost = set()

    def __call__(self, data):
        before = len(self.lost)
        self.lost.add(data)
        return len(self.lost) > before


async def test_lost_datagrams_are_sent_again(house):
    lost = [EveryFirst(), EveryFirst()]
    caller, callee = await house(TRUNK, lose=lost[0]), await house(DESK, lose=lost[1])
    call, taken = await connect(caller, callee)
    await say(call, taken, tone(600, 1.2))
    await call.hold()
    await taken.bye()
    await asyncio.wait_for(call.ended.wait(), 5)
    methods = {data.split(b" ")[0] for end in lost for data in end.lost}
    assert methods == {b"INVITE", b"ACK", b"BYE", b"SIP/2.0"}


async def test_nobody_there(house):
    caller = await house(TRUNK)
    call = await caller.call("sip:nobody@127.12.0.9:9")
    with pytest.raises(NoAnswer):
        await asyncio.wait_for(call.answered, 5)
    assert call.ended.is_set()


async def test_options_and_unknown_methods(house):
    caller, callee = await house(TRUNK), await house(DESK)
    assert (await caller.ask("OPTIONS", callee.uri)).status == 200
    assert (await caller.ask("SUBSCRIBE", callee.uri)).status == 405


# --- through the PBX ------------------------------------------------------------------------------------------------


@pytest.fixture
async def pbx():
    """A PBX that gives every call to extension 10 in one queue, and says busy to others."""
    places = {NUMBER: Placed("10", "service-strom")}
    async with Pbx((PBX, 0), lambda number, invite: places.get(number)) as element:
        yield element


@pytest.mark.parametrize(("trunk", "desk"), [("udp", "udp"), ("tcp", "tcp"), ("udp", "tcp")])
async def test_call_through_the_pbx(house, pbx, trunk, desk):
    caller, callee = await house(TRUNK, transport=trunk), await house(DESK, user="10", transport=desk)
    await callee.register(pbx.link.uri())
    call, taken = await connect(
        caller,
        callee,
        via=pbx.address,
        uri=f"sip:{NUMBER}@{PBX}",
        headers=[("X-Fairtap-Extension", "99"), ("X-Fairtap-Queue", "forged")],
    )
    assert taken.invite.all("x-fairtap-extension") == ["10"]
    assert taken.invite.all("x-fairtap-queue") == ["service-strom"]
    assert len(taken.invite.all("record-route")) == (1 if trunk == desk else 2)
    assert call.dialog.next_hop() == Hop(trunk, *pbx.address)
    assert taken.dialog.next_hop() == Hop(desk, *pbx.address)
    await asyncio.gather(say(call, taken, tone(500, 1.2)), say(taken, call, tone(900, 1.2)))
    await call.hold()
    await call.resume()
    await taken.bye()
    await asyncio.wait_for(call.ended.wait(), 5)


async def test_cancel_and_refusal_through_the_pbx(house, pbx):
    caller, callee = await house(TRUNK), await house(DESK, user="10")
    await callee.register(pbx.link.uri())
    call = await caller.call(f"sip:{NUMBER}@{PBX}", via=pbx.address)
    taken = await asyncio.wait_for(callee.incoming.get(), 5)
    taken.ring()
    await call.ringing.wait()
    await call.cancel()
    await asyncio.wait_for(taken.ended.wait(), 5)
    again = await caller.call(f"sip:{NUMBER}@{PBX}", via=pbx.address)
    (await asyncio.wait_for(callee.incoming.get(), 5)).refuse()
    with pytest.raises(Refused, match="486"):
        await asyncio.wait_for(again.answered, 5)


async def test_pbx_repeats_lose_no_headers(house, pbx):
    caller, callee = await house(TRUNK, lose=EveryFirst()), await house(DESK, user="10", lose=EveryFirst())
    await callee.register(pbx.link.uri())
    call, taken = await connect(caller, callee, via=pbx.address, uri=f"sip:{NUMBER}@{PBX}")
    assert taken.invite.all("x-fairtap-extension") == ["10"]
    await call.bye()
    await asyncio.wait_for(taken.ended.wait(), 5)


@pytest.mark.parametrize(("number", "status"), [("4940999", 486), (NUMBER, 404)], ids=["nobody free", "no phone"])
async def test_pbx_refuses_what_it_cannot_place(house, pbx, number, status):
    call = await (await house(TRUNK)).call(f"sip:{number}@{PBX}", via=pbx.address)
    with pytest.raises(Refused) as caught:
        await asyncio.wait_for(call.answered, 5)
    assert caught.value.status == status


async def test_phone_calls_out_through_the_pbx(house):
    trunk = await house(TRUNK)
    desk = await house(DESK, user="10")
    async with Pbx((PBX, 0), lambda number, invite: None, gateway=Hop("udp", *desk.address)) as pbx:
        pbx.trunk = Hop("udp", *trunk.address)
        call, taken = await connect(desk, trunk, via=pbx.address, uri="sip:+4940777@198.51.100.1")
        assert taken.invite.uri == f"sip:+4940777@{trunk.address[0]}:{trunk.address[1]}"
        await taken.bye()
        await asyncio.wait_for(call.ended.wait(), 5)
