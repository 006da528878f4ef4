"""A side that is kept alone: held in memory for the leak meter, written when cleared, gone when the caller is in it."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import numpy as np
import pyrage  # type: ignore[import-untyped]  # ships no types
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.media.plane import (
    LEAK,
    TOO_SHORT,
    UNVETTED,
    CallRef,
    Discard,
    Discarded,
    End,
    FlowId,
    Record,
    RecordingId,
    RecordSide,
    SegmentFailed,
    SegmentOpened,
    SegmentSealed,
    Stop,
)
from gateway.media.recording.intake import Intake
from gateway.media.recording.recorder import Recorder
from gateway.media.recording.session import Surroundings
from gateway.media.recording.vetting import KEPT, Reference, Vetting
from gateway.rtp.g711 import RATE, encode
from gateway.rtp.packet import build
from gateway.rtp.payload_types import STATIC_LAW
from storage.blobs import Kind, LocalBlobs
from storage.errors import StorageError
from storage.names import SegmentKey
from storage.vault import LocalVault, Secret
from tests.peers.leaky_room import Room, call, demo_voices
from tests.peers.manual_clock import ManualClock

CALL, RECORDING = CallRef("00112233aabbccdd"), RecordingId("0123456789abcdef0123456789abcdef")
CALLER, AGENT = FlowId(f"{CALL}/caller/0"), FlowId(f"{CALL}/agent/0")
VOICES = demo_voices()


class Taps:
    """A datapath as far as a recorder knows it."""

    def __init__(self):
        self.open: dict[str, Any] = {}

    def tap(self, flow, tap):
        self.open[flow] = tap

    def count(self, flow):
        return None


class House:
    """A recorder whose time is the test's."""

    def __init__(self, folder, writer):
        self.clock, self.taps = ManualClock(), Taps()
        self.reports: list[Any] = []
        self.identity = pyrage.x25519.Identity.generate()
        self.blobs, self.vault = LocalBlobs(folder), LocalVault(folder)
        self.folder, self.writer = folder, writer
        around = Surroundings(self.clock, writer, self.blobs, self.vault)
        self.recorder = Recorder(cast(Any, self.taps), around, self.reports.append)
        self.sent = 0

    def record(self, seg=1, vetted_against=CALLER):
        to = (str(self.identity.to_public()),)
        side = RecordSide("agent", AGENT, to, dict(STATIC_LAW), vetted_against)
        self.recorder.record(Record(CALL, RECORDING, seg, (side,), self.clock.now()))

    def talk(self, heard, microphone, kind=8):
        """Both sides' packets, 20 ms each, in the time that they take."""
        law = STATIC_LAW[8]
        for at in range(0, len(microphone), 160):
            self.packet(CALLER, encode(law, heard[at : at + 160]), 0xCA, kind)
            self.packet(AGENT, encode(law, microphone[at : at + 160]), 0xA6)
            self.sent += 1
            self.clock.advance(0.02)

    def packet(self, flow, payload, ssrc, kind=8):
        if self.taps.open.get(flow) is not None:
            self.taps.open[flow](self.clock.now(), memoryview(build(kind, self.sent, self.sent * 160, ssrc, payload)))

    async def settle(self):
        """Until the recorder has done what it can with what it has."""
        for _ in range(3):
            await asyncio.sleep(0.02)
            await asyncio.get_running_loop().run_in_executor(self.writer, lambda: None)
        await asyncio.sleep(0)

    def stop(self, seg=1):
        self.recorder.stop(Stop(CALL, RECORDING, seg, End.NORMAL), self.clock.now())

    def told(self, kind):
        return [report for report in self.reports if isinstance(report, kind)]

    def opened(self):
        key = SegmentKey(RECORDING, 1, "agent")
        sealed = self.vault.read(key, Secret.HEADER) + self.blobs.read(key, Kind.PAYLOAD)
        return pyrage.decrypt(sealed, [self.identity])

    def payloads(self):
        return [path for path in self.folder.rglob("*") if path.is_file() and "payload" in path.name + str(path.parent)]


@pytest.fixture
def house(tmp_path, monkeypatch):
    monkeypatch.setattr("gateway.media.recording.session.DRAIN_S", 0.01)
    with ThreadPoolExecutor(1) as writer:
        yield House(tmp_path, writer)


def room(leak_db, seconds=8, seed=1, scene="conversation"):
    return call(Room(leak_db, scene, seconds=seconds, law="PCMA"), np.random.default_rng(seed), VOICES)


async def test_a_clean_side_is_kept_whole_and_opens(house):
    heard, microphone = room(None)
    house.record()
    house.talk(heard, microphone)
    await house.settle()
    house.stop()
    await house.settle()
    assert [report.frames for report in house.told(SegmentSealed)] == [pytest.approx(8 * RATE, abs=1)]
    assert encode("PCMA", microphone[:-2]) in house.opened()
    assert house.recorder.tapped == frozenset()
    assert all(tap is None for tap in house.taps.open.values())


async def test_only_the_agent_s_side_has_a_file(house):
    house.record()
    assert house.recorder.tapped == {AGENT, CALLER}
    house.talk(*room(None, seconds=2))
    await house.settle()
    house.stop()
    await house.settle()
    assert {report.side for report in house.reports} == {"agent"}
    assert not [path for path in house.folder.rglob("*") if "caller" in path.name]


@pytest.mark.parametrize("level", [-20.0, -30.0])
async def test_a_leak_forgets_the_key_while_the_call_goes_on(house, level):
    heard, microphone = room(level, seconds=12)
    house.record()
    for at in range(0, len(heard), RATE):
        house.talk(heard[at : at + RATE], microphone[at : at + RATE])
        await house.settle()
    [failed] = house.told(SegmentFailed)
    assert failed.reason == LEAK
    assert not house.told(SegmentSealed)
    assert house.recorder.tapped == frozenset()
    assert not house.blobs.of_recording(RECORDING)
    house.stop()
    house.recorder.discard(Discard(CALL, RECORDING))
    assert house.told(Discarded)


async def test_nothing_of_a_leak_from_the_beginning_was_ever_written(house, monkeypatch):
    added = []
    monkeypatch.setattr(
        "gateway.media.recording.segment_file.SegmentFile.add", lambda file, pieces: added.extend(pieces)
    )
    heard, microphone = room(-25.0, seconds=12)
    house.record()
    for at in range(0, len(heard), RATE):
        house.talk(heard[at : at + RATE], microphone[at : at + RATE])
        await house.settle()
    assert house.told(SegmentFailed)
    assert added == []


async def test_a_leak_in_the_last_seconds_is_found_when_the_segment_ends(house):
    house.record()
    house.talk(*room(-20.0, seconds=3, scene="silence"))
    house.stop()
    await house.settle()
    assert [report.reason for report in house.told(SegmentFailed)] == [LEAK]
    assert not house.blobs.of_recording(RECORDING)


async def test_a_segment_that_is_over_before_it_could_be_judged_is_not_kept(house):
    house.record()
    house.talk(*room(None, seconds=4))
    house.stop()
    await house.settle()
    assert [report.reason for report in house.told(SegmentFailed)] == [TOO_SHORT]
    assert not house.blobs.of_recording(RECORDING)


async def test_a_short_segment_in_which_the_caller_says_nothing_is_kept(house):
    _, microphone = room(None, seconds=2)
    house.record()
    house.talk(np.zeros(2 * RATE, np.int16), microphone)
    house.stop()
    await house.settle()
    assert house.told(SegmentSealed)


async def test_audio_waits_for_the_meter_and_then_reaches_the_file(house, monkeypatch):
    monkeypatch.setattr("gateway.media.recording.session.CHUNK_BYTES", 1000)
    written = []
    monkeypatch.setattr(
        "gateway.media.recording.segment_file.SegmentFile.add", lambda file, pieces: written.extend(pieces)
    )
    heard, microphone = room(None, seconds=12)
    house.record()
    for at in range(0, len(heard), RATE):
        house.talk(heard[at : at + RATE], microphone[at : at + RATE])
        await house.settle()
        if at < 6 * RATE:
            assert written == []
    audio = b"".join(written)
    assert 2 * RATE < len(audio) < 6 * RATE
    assert encode("PCMA", microphone).startswith(audio)


async def test_what_the_meter_cannot_read_is_not_kept(house):
    heard, microphone = room(None, seconds=3)
    house.record()
    house.talk(heard, microphone, kind=9)
    await house.settle()
    assert [report.reason for report in house.told(SegmentFailed)] == [UNVETTED]
    assert not house.blobs.of_recording(RECORDING)


async def test_what_the_meter_had_no_room_for_is_not_kept(house, monkeypatch):
    monkeypatch.setattr("gateway.media.recording.intake.MAX_QUEUED", 20)
    heard, microphone = room(None, seconds=1)
    house.record()
    house.talk(heard, microphone)
    house.stop()
    await house.settle()
    assert [report.reason for report in house.told(SegmentFailed)] == [UNVETTED]


async def test_keys_and_comfort_noise_of_the_caller_s_are_no_reason_to_destroy(house):
    house.record()
    house.talk(*room(None, seconds=6))
    house.packet(CALLER, bytes(4), 0xCA, kind=101)
    house.packet(CALLER, bytes(9), 0xCA, kind=13)
    house.stop()
    await house.settle()
    assert house.told(SegmentSealed)


async def test_an_agent_who_sends_nothing_leaves_no_file_however_long_the_caller_talks(house):
    heard, _ = room(None, seconds=10)
    house.record()
    for _ in range(4):
        for at in range(0, len(heard), 160):
            house.packet(CALLER, encode("PCMA", heard[at : at + 160]), 0xCA)
            house.sent += 1
            house.clock.advance(0.02)
        await house.settle()
    house.stop()
    await house.settle()
    assert [report.reason for report in house.told(SegmentFailed)] == ["no_media"]
    assert not house.told(SegmentOpened)


async def test_an_agent_who_is_muted_for_a_minute_comes_back_and_is_kept(house):
    heard, microphone = room(None, seconds=6)
    house.record()
    house.talk(heard[: 3 * RATE], microphone[: 3 * RATE])
    await house.settle()
    house.sent += 3000
    house.clock.advance(60)
    await house.settle()
    house.talk(heard[3 * RATE :], microphone[3 * RATE :])
    house.stop()
    await house.settle()
    assert [report.frames for report in house.told(SegmentSealed)] == [pytest.approx(66 * RATE, abs=1)]
    assert encode("PCMA", microphone[3 * RATE : -2]) in house.opened()


async def test_a_discard_forgets_what_waits(house):
    house.record()
    house.talk(*room(None, seconds=3))
    await house.settle()
    house.recorder.discard(Discard(CALL, RECORDING))
    await house.settle()
    assert house.told(Discarded)
    assert not house.blobs.of_recording(RECORDING)


async def test_a_new_segment_begins_with_a_new_meter(house):
    heard, microphone = room(-20.0, seconds=2, scene="silence")
    house.record()
    house.talk(heard[:RATE], microphone[:RATE])
    house.stop()
    await house.settle()
    house.record(seg=2)
    house.talk(*room(None, seconds=6))
    house.stop(seg=2)
    await house.settle()
    assert [report.seg for report in house.told(SegmentSealed)][-1:] == [2]


async def test_a_flow_that_is_heard_by_the_meter_is_not_recorded_too(house):
    house.record()
    to = (str(house.identity.to_public()),)
    house.recorder.record(
        Record(CALL, RECORDING, 2, (RecordSide("caller", CALLER, to, dict(STATIC_LAW)),), house.clock.now())
    )
    assert [(report.side, report.reason) for report in house.told(SegmentFailed)] == [
        ("caller", "flow is being recorded already")
    ]
    house.recorder.discard(Discard(CALL, RECORDING))


def test_more_than_may_wait_is_refused():
    vetting = Vetting(Reference(0.0, dict(STATIC_LAW)))
    vetting.hold([bytes(29 * RATE)], "PCMA")
    with pytest.raises(StorageError, match="too slow"):
        vetting.hold([bytes(2 * RATE)], "PCMA")


def test_what_is_released_is_what_was_held_in_order():
    vetting = Vetting(Reference(0.0, dict(STATIC_LAW)))
    vetting.hold([b"a" * 100, 50, b"b" * 100], "PCMA")
    assert vetting.release(0) == []
    assert vetting.release(120) == [b"a" * 100, 20]
    assert vetting.release(120) == []
    assert vetting.release(151) == [30, b"b"]
    assert vetting.release_all() == [b"b" * 99]


def test_a_reference_gives_each_sample_its_place_and_forgets():
    reference = Reference(0.0, dict(STATIC_LAW))
    tone = np.full(1600, 1000, np.int16)
    reference.tap(1.0, memoryview(build(8, 1, 0, 7, encode("PCMA", tone))))
    reference.listen(10.0)
    found = reference.read(0, 9 * RATE)
    assert (found[RATE : RATE + 1600] > 900).all()
    assert np.delete(found, range(RATE - 1, RATE + 1601)).max() < 10
    assert reference.read(0, 9 * RATE).max() < 10
    reference.tap(11.0, memoryview(build(8, 2, 1600, 7, encode("PCMA", tone))))
    reference.listen(11.0 + 2 * KEPT / RATE)
    reference.forget_old()
    assert reference.read(10 * RATE, 12 * RATE).max() < 10


packets = st.one_of(
    st.binary(max_size=40),
    st.builds(
        build,
        st.sampled_from([0, 8, 8, 8, 9, 13, 101]),
        st.integers(0, 2**16 - 1),
        st.integers(0, 2**32 - 1),
        st.sampled_from([1, 2]),
        st.sampled_from([b"", b"\x55" * 160, bytes(range(160)), b"\xff" * 4, b"\x00" * 3000]),
    ),
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 30), st.lists(packets, max_size=12), st.lists(packets, max_size=12)), max_size=6)
)
def test_whatever_comes_nothing_fails_and_little_is_held(steps):
    reference, own = Reference(0.0, dict(STATIC_LAW)), Intake(0.0, dict(STATIC_LAW), lambda law, arrival: None)
    vetting, now, held, gone = Vetting(reference), 0.0, 0, 0
    for pause, heard, said in steps:
        now += pause
        for packet in heard:
            reference.tap(now, memoryview(packet))
        for packet in said:
            own.tap(now, memoryview(packet))
        own.drain(now)
        reference.listen(now)
        pieces = own.timeline.take(now) if own.timeline is not None else []
        held += sum(len(piece) if isinstance(piece, bytes) else piece for piece in pieces)
        _, cleared = vetting.judge(vetting.hold(pieces, own.law))
        gone += sum(len(piece) if isinstance(piece, bytes) else piece for piece in vetting.release(cleared))
        reference.forget_old()
        assert gone == min(cleared, held)
        assert sum(len(samples) for _, samples in reference._kept) <= KEPT + 64 * RATE
    vetting.finish([])
    gone += sum(len(piece) if isinstance(piece, bytes) else piece for piece in vetting.release_all())
    assert gone == held
