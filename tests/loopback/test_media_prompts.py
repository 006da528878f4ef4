"""Prompts, tones and digits over real sockets: what the party hears, in which order, and what isn't sent on."""

import asyncio
import itertools
import os
import time
import wave
from dataclasses import replace

import numpy as np
import pytest

from gateway.media.plane import DigitHeard, Forward, Listen, Play, PlayEnded, StopPlay
from gateway.media.prompts.sounds import Catalogue, own_folder
from gateway.rtp.g711 import decode, encode
from gateway.rtp.packet import Rtp
from gateway.rtp.telephone_event import Event
from tests.peers.media_house import AGENT, CALLER, worker_here

SILENT = b"\xd5" * 160
EVENT_TYPE = 101


@pytest.fixture
async def house(tmp_path):
    async with worker_here(tmp_path, (42200, 42299), "127.10.5") as made:
        await made.call()
        yield made


def play(sound="tone-start", mode="instead", to=CALLER, **kind):
    return Play("p1", to, sound, mode, "PCMA", 8, **kind)


def assert_continuous(packets):
    """One SSRC, each number the next, timestamps in step."""
    read = [Rtp.parse(packet) for packet in packets]
    assert len({rtp.ssrc for rtp in read}) == 1
    for before, now in itertools.pairwise(read):
        assert (now.seq - before.seq) & 0xFFFF == 1
        step = (now.timestamp - before.timestamp) & 0xFFFFFFFF
        assert 160 <= step < 1600


async def press(party, to, code, *, ends=3, updates=5):
    """One key press as a phone sends it, faster than a finger could."""
    timestamp = party.timestamp
    for lasted in range(160, 160 * updates + 1, 160):
        party.timestamp = timestamp
        party.say(to, bytes(Event(code, False, 10, lasted)), payload_type=EVENT_TYPE)
    for _ in range(ends):
        party.timestamp = timestamp
        party.say(to, bytes(Event(code, True, 10, 160 * updates)), payload_type=EVENT_TYPE)
    party.timestamp = timestamp + 160 * updates


async def test_a_sound_on_a_disk_that_hangs_stops_no_packet(house):
    own = own_folder(house.data)
    own.mkdir(parents=True)
    os.mkfifo(own / "ours.wav")
    house.gateway.order(play("ours", sha256="0" * 64))
    await house.obeyed()
    await house.talk(SILENT * 10, SILENT * 10)
    await asyncio.gather(house.agent.hears(10), house.caller.hears(10))
    assert house.worker.faults["play"] == 0
    (own / "ours.wav").write_bytes(b"no sound")
    assert not (await house.gateway.report(PlayEnded)).complete
    assert house.worker.faults["play"] == 1


async def test_a_prompt_replaces_the_agent_and_the_numbers_stay_continuous(house):
    frames = Catalogue().frames("tone-start", "PCMA", 20)
    await house.talk(b"", SILENT * 10)
    await house.caller.hears(10)
    house.gateway.order(play())
    await house.obeyed()
    began = time.monotonic()
    talking = asyncio.create_task(house.talk(SILENT * 40, b"\x11" * 160 * 40))
    ended = await house.gateway.report(PlayEnded)
    took = time.monotonic() - began
    await talking
    await asyncio.gather(house.agent.hears(40))
    assert ended.complete
    assert ended.flow == CALLER
    assert (len(frames) - 2) * 0.02 < took < len(frames) * 0.02 + 0.2
    await house.caller.until(lambda: b"\x11" * 160 in house.caller.payloads)
    assert_continuous(house.caller.heard)
    heard = house.caller.payloads
    at = heard.index(frames[0])
    assert heard[at : at + len(frames)] == frames
    assert Rtp.parse(house.caller.heard[at]).marker
    # the caller was heard by the agent all the time
    assert len(house.agent.heard) == 40


async def test_a_sequence_is_heard_as_one_sound_without_a_gap(house):
    catalogue = Catalogue()
    sounds = ("digit-de-7", "pause-200", "digit-de-0")
    await house.talk(b"", SILENT * 5)
    house.gateway.order(play(sounds[0], then=sounds[1:]))
    ended = await house.gateway.report(PlayEnded)
    assert ended.complete
    await house.caller.until(lambda: len(house.caller.payloads) > len(catalogue.sequence(sounds)) // 160)
    heard, whole = b"".join(house.caller.payloads[5:]), encode("PCMA", catalogue.sequence(sounds))
    assert heard.startswith(whole)


async def test_a_proxy_s_sound_is_heard_as_it_lies_in_the_folder(house):
    sound = (np.sin(np.arange(1600) * 0.3) * 8000).astype("<i2")
    (house.data / "sounds").mkdir()
    with wave.open(str(house.data / "sounds" / "busy.wav"), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(sound.tobytes())
    await house.talk(b"", SILENT * 5)
    house.gateway.order(play("sounds/busy", then=("sounds/busy",)))
    assert (await house.gateway.report(PlayEnded)).complete
    await house.caller.until(lambda: len(house.caller.payloads) >= 5 + 20)
    assert b"".join(house.caller.payloads[5:25]) == encode("PCMA", np.concatenate((sound, sound)))


async def test_a_sequence_with_a_sound_that_isn_t_there_is_told_without_saying_which(house, caplog):
    house.gateway.order(play("digit-de-7", then=("digit-de-8", "digit-de-99")))
    assert not (await house.gateway.report(PlayEnded)).complete
    assert "not played" in caplog.text and "digit" not in caplog.text


async def test_a_tone_beneath_is_mixed_into_what_passes(house):
    house.gateway.order(play(mode="beneath", gain_db=-12.0))
    await house.obeyed()
    voice = (np.sin(np.arange(160 * 30) * 0.05) * 3000).astype(np.int16)
    await house.talk(b"", encode("PCMA", voice))
    assert (await house.gateway.report(PlayEnded)).complete
    await house.caller.hears(30)
    heard = decode("PCMA", b"".join(house.caller.payloads[:30])).astype(float)
    tone = Catalogue().samples("tone-start").astype(float) * 10 ** (-12 / 20)
    assert np.abs(heard[: len(tone)] - voice[: len(tone)] - tone).max() < 400
    assert np.abs(heard[len(tone) :] - voice[len(tone) :]).max() < 200
    assert_continuous(house.caller.heard)


async def test_a_tone_beneath_sounds_alone_where_nothing_passes(house):
    house.agent.say(house.ports[AGENT], SILENT)
    await house.caller.hears(1)
    house.gateway.order(play(mode="beneath"))
    assert (await house.gateway.report(PlayEnded)).complete
    frames = Catalogue().frames("tone-start", "PCMA", 20)
    await house.caller.hears(1 + len(frames))
    assert house.caller.payloads[1:] == frames
    # the agent speaks again, timestamps having stood still
    await house.talk(b"", SILENT * 3)
    await house.caller.hears(4 + len(frames))
    assert_continuous(house.caller.heard)


async def test_a_reminder_goes_beneath_what_is_heard_and_never_into_what_is_stored(house):
    said = np.random.default_rng(5).integers(0, 0x50, 160 * 25, np.uint8).tobytes()
    await house.record()
    reminder = replace(play("tone-reminder", "between", gain_db=-12.0), play="r1")
    house.gateway.order(reminder)
    await house.obeyed()
    await house.talk(SILENT, said)
    assert (await house.gateway.report(PlayEnded, play="r1")).complete
    house.stop()
    await house.sealed("agent")
    await house.caller.hears(25)
    assert_continuous(house.caller.heard)
    assert sum(payload not in said for payload in house.caller.payloads) >= 10, "the tone was heard"
    assert said in house.opened("agent")
    # what is being played goes first, and isn't cut
    house.gateway.order(play(), replace(reminder, play="r2"))
    assert not (await house.gateway.report(PlayEnded, play="r2")).complete
    assert (await house.gateway.report(PlayEnded, play="p1")).complete


async def test_a_prompt_to_a_party_that_hears_nothing_is_incomplete(house):
    house.gateway.order(Forward(CALLER, AGENT, None, None), play())
    assert not (await house.gateway.report(PlayEnded)).complete
    assert house.caller.heard == []


async def test_a_prompt_that_is_cut_off_is_incomplete_and_said_once(house):
    house.gateway.order(play("ask-de-2"))
    await house.caller.hears(5)
    house.gateway.order(StopPlay("other", CALLER), StopPlay("p1", CALLER), StopPlay("p1", CALLER))
    ended = await house.gateway.report(PlayEnded)
    assert not ended.complete
    await house.obeyed()
    assert not [report for report in house.gateway.reports if isinstance(report, PlayEnded)]
    count = len(house.caller.heard)
    await house.talk(b"", SILENT * 3)
    assert len(house.caller.heard) <= count + 4


async def test_a_prompt_ends_with_the_gateway(house):
    house.gateway.order(play("ask-de-2"))
    await house.caller.hears(3)
    house.gateway.close()
    await house.connect()
    count = len(house.caller.heard)
    await house.talk(b"", SILENT * 3)
    await house.caller.until(lambda: house.caller.payloads[-1] == SILENT)
    assert len(house.caller.heard) <= count + 5


@pytest.mark.parametrize("order", [play("no-such-sound"), play(to="ffff2233aabbccdd/caller/0"), play(sha256="0" * 64)])
async def test_what_can_t_be_played_ends_incomplete(house, order):
    house.gateway.order(order)
    assert not (await house.gateway.report(PlayEnded)).complete


async def test_a_digit_is_told_once_and_held_back(house):
    house.gateway.order(Listen(CALLER, True, {EVENT_TYPE: 8000}, hold_back=True))
    await house.talk(SILENT * 3, b"")
    await house.obeyed()
    await press(house.caller, house.ports[CALLER], 1)
    await house.talk(SILENT * 3, b"")
    heard = await house.gateway.report(DigitHeard)
    assert (heard.flow, heard.digit, heard.duration_ms, heard.detector) == (CALLER, "1", 100, "rfc4733")
    await house.agent.hears(6)
    await house.obeyed()
    assert not [report for report in house.gateway.reports if isinstance(report, DigitHeard)]
    assert house.agent.payloads == [SILENT] * 6


async def test_a_digit_that_isn_t_held_back_is_sent_on_unchanged(house):
    house.gateway.order(Listen(CALLER, True, {EVENT_TYPE: 8000}))
    await house.obeyed()
    await press(house.caller, house.ports[CALLER], 11)
    assert (await house.gateway.report(DigitHeard)).digit == "#"
    await house.agent.hears(8)
    house.gateway.order(Listen(CALLER, False))
    await house.obeyed()
    await press(house.caller, house.ports[CALLER], 1)
    await house.agent.hears(16)
    await house.obeyed()
    assert not [report for report in house.gateway.reports if isinstance(report, DigitHeard)]


async def test_a_digit_whose_end_is_lost_is_told_all_the_same(house):
    house.gateway.order(Listen(CALLER, True, {EVENT_TYPE: 8000}))
    await house.obeyed()
    await press(house.caller, house.ports[CALLER], 9, ends=0)
    assert (await house.gateway.report(DigitHeard)).digit == "9"


async def test_another_ssrc_can_t_press_for_the_caller(house):
    await house.talk(SILENT * 3, b"")
    house.gateway.order(Listen(CALLER, True, {EVENT_TYPE: 8000}, hold_back=True))
    await house.obeyed()
    house.caller.ssrc = 99
    await press(house.caller, house.ports[CALLER], 1)
    house.caller.ssrc = 0xCA11E700
    await press(house.caller, house.ports[CALLER], 9)
    assert (await house.gateway.report(DigitHeard)).digit == "9"
    await house.obeyed()
    assert not [report for report in house.gateway.reports if isinstance(report, DigitHeard)]


async def test_in_band_digits_are_heard_and_mostly_held_back(house):
    house.gateway.order(Listen(CALLER, True, hold_back=True))
    at = np.arange(160 * 10) / 8000
    tone = ((np.sin(2 * np.pi * 697 * at) + np.sin(2 * np.pi * 1209 * at)) * 8000).astype(np.int16)
    await house.talk(SILENT * 3 + encode("PCMA", tone) + SILENT * 5, b"")
    heard = await house.gateway.report(DigitHeard)
    assert (heard.digit, heard.detector) == ("1", "inband")
    loud = [payload for payload in house.agent.payloads if np.abs(decode("PCMA", payload)).max() > 8000]
    assert len(loud) <= 2


async def test_a_prompt_while_listening_and_the_fast_way_afterwards(house):
    house.gateway.order(Listen(AGENT, True, {EVENT_TYPE: 8000}), play())
    await house.talk(b"", SILENT * 5)
    await house.gateway.report(PlayEnded)
    await press(house.agent, house.ports[AGENT], 5)
    assert (await house.gateway.report(DigitHeard)).digit == "5"
    await house.talk(b"", SILENT * 3)
    await house.caller.until(lambda: house.caller.payloads[-3:] == [SILENT] * 3)
    assert len({Rtp.parse(packet).ssrc for packet in house.caller.heard}) == 1
    sent = [Rtp.parse(packet).seq for packet in house.caller.heard]
    assert all((now - before) & 0xFFFF == 1 for before, now in itertools.pairwise(sent))


async def test_sender_reports_of_a_shaped_direction_are_dropped(house):
    house.gateway.order(play())
    await house.gateway.report(PlayEnded)
    port = house.ports[AGENT]
    for kind in (200, 201):
        house.agent.rtcp.sendto(bytes([0x80, kind, 0, 1]) + bytes(4), (port.host, port.port + 1))
    await house.caller.until(lambda: house.caller.reports)
    assert [report[1] for report in house.caller.reports] == [201]
