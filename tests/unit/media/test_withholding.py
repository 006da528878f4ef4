"""What a proxy has us withhold: neither the other party nor a tap gets it; ears and prompts are untouched."""

from collections.abc import Callable

import numpy as np
import pytest

from gateway.media.passage import Passage
from gateway.media.plane import CodeHeard, DigitHeard, FlowId, Listen, Play, Withhold
from gateway.media.prompts.player import LawVoice
from gateway.media.prompts.sounds import Catalogue
from gateway.rtp.g711 import encode
from gateway.rtp.packet import Rtp, build
from gateway.rtp.telephone_event import Event
from tests.peers.manual_clock import ManualClock

CALLER, AGENT = FlowId("00112233aabbccdd/caller/0"), FlowId("00112233aabbccdd/agent/0")
SPOKEN, SILENCE, KEY_TYPE = b"\x11" * 160, b"\xd5" * 160, 101


class Outlet:
    """Keeps what was sent on."""

    last_header = b""
    own_ssrc = False

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.passing = b""

    def send(self, packet) -> bool:
        self.sent.append(bytes(packet))
        return True

    def pass_on(self) -> bool:
        return self.send(self.passing)

    @property
    def payloads(self) -> list[bytes]:
        return [packet[12:] for packet in self.sent]


class Way:
    """A passage from the caller to the agent, and what it told."""

    def __init__(self) -> None:
        self.reports: list[object] = []
        self.passage = Passage(CALLER, AGENT, ManualClock(), self.reports.append)
        self.outlet = self.passage.outlet = Outlet()
        self.seq = self.at = 0

    def say(self, payload: bytes = SPOKEN, kind: int = 8, *, readable: bool = True) -> bool:
        """One packet; whether a tap would get it."""
        self.seq += 1
        self.outlet.passing = build(kind, self.seq, self.seq * 160, 7, payload)
        return self.passage(memoryview(self.outlet.passing), 0.0, readable)

    def press(self, digit: int) -> bool:
        tapped = [self.say(bytes(Event(digit, end, 10, 800)), KEY_TYPE) for end in (False, True)]
        return any(tapped)

    def key(self, digit: int, updates: int = 3, ends: int = 3, then: Callable[[], None] = lambda: None) -> list[bool]:
        """A press as phones send it, under one timestamp; `then` happens after the first packet that ends it."""
        self.at += 800
        tapped = []
        for place in range(updates + ends):
            self.seq += 1
            event = bytes(Event(digit, place >= updates, 10, 160 * min(place + 1, updates + 1)))
            self.outlet.passing = build(KEY_TYPE, self.seq, self.at, 7, event)
            tapped.append(self.passage(memoryview(self.outlet.passing), self.at / 8000))
            if place == updates:
                then()
        return tapped

    @property
    def keys(self) -> list[int]:
        """Digits of the events that were sent on, each once."""
        events = [packet for packet in self.outlet.sent if Rtp.parse(packet).payload_type == KEY_TYPE]
        return list(dict.fromkeys(Event.parse(packet[12:]).code for packet in events))


@pytest.fixture
async def way() -> Way:
    return Way()


def withheld(**what: str) -> Withhold:
    return Withhold(CALLER, events=(KEY_TYPE,), **what)  # type: ignore[arg-type]  # the words are the test's


async def test_blocked_keys_do_not_pass_and_everything_else_does(way):
    way.passage.withhold(withheld(keys="blocked"))
    assert not way.press(1)
    assert way.say()
    assert way.outlet.payloads == [SPOKEN]


async def test_blocked_audio_does_not_pass_nor_reach_a_tap_and_keys_do(way):
    way.passage.withhold(withheld(audio="blocked"))
    assert not way.say()
    way.press(5)
    assert [Rtp.parse(packet).payload_type for packet in way.outlet.sent] == [KEY_TYPE, KEY_TYPE]


async def test_silenced_audio_passes_as_silence_and_is_no_tap_s(way):
    way.passage.withhold(withheld(audio="silenced"))
    assert not way.say()
    assert not way.say(kind=0)
    assert not way.say(kind=9)
    assert way.outlet.payloads == [SILENCE, b"\xff" * 160]
    assert [Rtp.parse(packet).seq for packet in way.outlet.sent] == [1, 2]
    way.passage.withhold(withheld())
    assert way.say()
    assert way.outlet.payloads[-1] == SPOKEN
    assert way.passage.idle


async def test_a_key_that_is_blocked_is_still_the_caller_s_answer(way):
    way.passage.withhold(withheld(keys="blocked", audio="blocked"))
    way.passage.listen(Listen(CALLER, True, {KEY_TYPE: 8000}, hold_back=True))
    way.press(1)
    assert [(heard.digit, heard.detector) for heard in way.reports if isinstance(heard, DigitHeard)] == [
        ("1", "rfc4733")
    ]
    assert way.outlet.sent == []


async def test_a_key_is_heard_and_held_back_under_whichever_number_it_comes(way):
    """Beside Opus a telephone may name telephone-event twice, of 8 and of 48 kHz, and use either."""
    way.passage.listen(Listen(CALLER, True, {KEY_TYPE: 8000, 110: 48_000}, hold_back=True))
    way.say(bytes(Event(1, True, 10, 4800)), 110)
    way.say(bytes(Event(9, True, 10, 800)), KEY_TYPE)
    told = [(heard.digit, heard.duration_ms) for heard in way.reports if isinstance(heard, DigitHeard)]
    assert told == [("1", 100), ("9", 100)]
    assert way.outlet.sent == []


async def test_unblocking_does_not_let_a_key_pass_that_is_held_back_while_a_caller_is_asked(way):
    way.passage.withhold(withheld(keys="blocked"))
    way.passage.listen(Listen(CALLER, True, {KEY_TYPE: 8000}, hold_back=True))
    way.passage.withhold(withheld())
    assert not way.press(1)
    assert way.outlet.sent == []


async def test_what_we_play_is_heard_whatever_is_blocked(way):
    way.passage.withhold(withheld(audio="blocked"))
    sound = Catalogue().samples("tone-start")
    way.passage.play(Play("p", AGENT, "tone-start", "instead", "PCMA", 8), LawVoice("PCMA", sound, 20, 0.0))
    assert len(way.outlet.sent) == 1
    way.passage.close()


async def test_silence_under_the_key_of_another_is_a_stream_of_its_own_and_stays_one(way):
    way.outlet.own_ssrc = True
    way.say()
    way.passage.withhold(withheld(audio="silenced"))
    way.say()
    way.passage.withhold(withheld())
    way.say()
    assert way.outlet.payloads == [SPOKEN, SILENCE, SPOKEN]
    theirs, ours, then = (Rtp.parse(packet) for packet in way.outlet.sent)
    assert theirs.ssrc != ours.ssrc == then.ssrc
    assert (then.seq - ours.seq, then.timestamp - ours.timestamp) == (1, 160)
    assert ours.seq < 0x8000 + 1


async def test_what_can_t_be_read_passes_as_it_came_unless_its_header_says_that_it_is_withheld(way):
    assert way.say(readable=False)
    way.passage.withhold(withheld(keys="blocked"))
    assert way.say(readable=False)
    assert not way.say(kind=KEY_TYPE, readable=False)
    way.passage.withhold(withheld(audio="silenced"))
    assert not way.say(readable=False)
    assert way.outlet.payloads == [SPOKEN, SPOKEN]


STAR = 10


async def test_the_rest_of_an_answer_is_held_back_though_nobody_listens_any_more(way):
    """The first of three end packets is the answer: the two after it mustn't sound in the agent's ear."""
    way.passage.listen(Listen(CALLER, True, {KEY_TYPE: 8000}, hold_back=True))
    assert not any(way.key(9, then=lambda: way.passage.listen(Listen(CALLER, False))))
    assert not way.passage.idle
    assert all(way.key(5)), "the next press is the agent's to hear"
    way.passage.reveal()
    assert way.keys == [5] and way.passage.idle
    assert way.say() and way.outlet.payloads[-1] == SPOKEN


async def test_the_key_that_completes_a_code_is_held_back_and_no_other(way):
    way.passage.listen(Listen(CALLER, True, {KEY_TYPE: 8000}, codes=("*7", "*8")))
    for keys in ((4, 1, STAR), (7,), (7,), (STAR,), (2,), (8,)):
        for digit in keys:
            way.key(digit)
    assert way.keys == [4, 1, STAR, 7, 2, 8]
    heard = [report.code for report in way.reports if isinstance(report, CodeHeard)]
    assert heard == ["*7"]
    sent = [packet for packet in way.outlet.sent if Event.parse(packet[12:]).code == 7]
    assert len(sent) == 6, "of two presses of 7 the second one passed"


async def test_a_code_whose_updates_are_lost_is_held_back_by_its_end(way):
    way.passage.listen(Listen(CALLER, True, {KEY_TYPE: 8000}, codes=("*9",)))
    way.key(STAR)
    way.key(9, updates=0)
    assert way.keys == [STAR] and [type(report) for report in way.reports] == [CodeHeard]


async def test_a_code_in_the_audio_is_mostly_held_back_and_so_in_no_recording(way):
    way.passage.listen(Listen(CALLER, True, codes=("*9",)))
    at = np.arange(1600) / 8000
    pairs = (np.outer((941, 852), at), np.outer((1209, 1477), at))
    both = (np.sin(2 * np.pi * pairs[0]) + np.sin(2 * np.pi * pairs[1])) * 8000
    star, nine = (encode("PCMA", tone.astype(np.int16)) for tone in both)
    tapped = {}
    for name, tone in (("star", star), ("nine", nine), ("voice", SPOKEN * 10)):
        tapped[name] = sum(way.say(tone[place : place + 160]) for place in range(0, 1600, 160))
        for _ in range(4):
            way.say(SILENCE)
    assert tapped["star"] == tapped["voice"] == 10
    assert tapped["nine"] <= 2
    assert [report.code for report in way.reports if isinstance(report, CodeHeard)] == ["*9"]
