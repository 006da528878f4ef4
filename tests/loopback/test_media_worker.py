"""A worker over its socket: what its gateway orders happens to real packets, and recordings open with pyrage."""

import asyncio
import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest

from gateway.media.plane import (
    CallRef,
    Counted,
    Discard,
    Discarded,
    End,
    FlowId,
    FlowSpec,
    Hello,
    MediaSeen,
    MediaTimeout,
    Query,
    RecordingId,
    Remove,
    Reserve,
    Reserved,
    ReserveFailed,
    SegmentFailed,
    SegmentOpened,
    Settled,
    Withhold,
)
from gateway.media.worker_process import socket_path
from gateway.rtp.g711 import decode
from storage.blobs import Kind
from storage.errors import StorageUnavailable
from storage.names import SegmentKey
from storage.vault import Secret
from tests.peers.gateway_end import GatewayEnd
from tests.peers.media_house import AGENT, CALL, CALLER, HEADER, RECORDING, WorkerProcess, make_config, worker_here
from tests.peers.media_house import MediaHouse as House

PORTS = (42000, 42099)


@pytest.fixture
async def house(tmp_path):
    async with worker_here(tmp_path, PORTS, "127.10.2") as made:
        await made.call()
        yield made


def noise(seed, packets):
    """G.711 bytes that are found again exactly, none of them silence."""
    return np.random.default_rng(seed).integers(0, 0x50, packets * 160, np.uint8).tobytes()


async def test_both_sides_are_recorded_as_sent_in_step_and_open_with_pyrage(house):
    caller, agent = noise(1, 60), noise(2, 60)
    await house.talk(caller[:1600], agent[:1600])
    opened_at = await house.record()
    await house.talk(caller[1600:], agent[1600:])
    house.stop()
    places = {}
    for side, said in (("caller", caller), ("agent", agent)):
        first = await house.gateway.report(SegmentOpened, side=side)
        sealed = await house.sealed(side)
        wav = house.opened(side)
        places[side] = wav.find(said[1600:3200]) - HEADER
        assert places[side] >= 0
        assert said[1600:] in wav
        # what was said before the tap opened is nowhere
        assert said[:160] not in wav
        assert len(wav) == HEADER + sealed.frames
        assert abs(sealed.frames - (sealed.ended_at - opened_at) * 8000) <= 1
        assert sealed.started_at == opened_at <= first.first_frame_at
        assert (sealed.key_commit, sealed.stanzas, sealed.end) == (first.key_commit, 1, End.STOPPED)
        assert (sealed.sha256, sealed.bytes) == house.blobs.digest(SegmentKey(RECORDING, 1, side))
        assert sealed.container == "wav/PCMA"
        assert wav[:4] == b"RIFF"
    assert abs(places["caller"] - places["agent"]) < 160
    assert house.agent.payloads == [caller[at : at + 160] for at in range(0, len(caller), 160)]


async def test_the_other_law_is_stored_in_the_segments_own(house):
    await house.record()
    await house.talk(noise(1, 5), b"")
    house.caller.payload_type = 0
    ulaw = noise(3, 5)
    await house.talk(ulaw, b"")
    house.stop()
    await house.sealed("caller")
    stored = decode("PCMA", house.opened("caller")[HEADER:]).astype(int)
    wanted = decode("PCMU", ulaw).astype(int)
    fits = [at for at in range(len(stored) - len(wanted)) if (abs(stored[at : at + 99] - wanted[:99]) < 1100).all()]
    assert len(fits) == 1


async def test_events_and_comfort_noise_are_never_stored(house):
    await house.record()
    await house.talk(noise(1, 5), b"")
    house.caller.say(house.ports[CALLER], b"\x09\x0a\x03\x20", payload_type=101)
    house.caller.say(house.ports[CALLER], b"\x11" * 40, payload_type=13)
    await house.talk(noise(2, 2), b"")
    house.stop()
    await house.sealed("caller")
    wav = house.opened("caller")
    assert b"\x09\x0a\x03\x20" not in wav
    assert b"\x11" * 20 not in wav


async def test_a_side_without_media_leaves_nothing(house):
    await house.record()
    await house.talk(noise(1, 5), b"")
    house.stop()
    await house.sealed("caller")
    failed = await house.gateway.report(SegmentFailed, side="agent")
    assert failed.reason == "no_media"
    names = sorted(path.name for path in house.data.rglob("*") if path.is_file() and "run" not in path.parts)
    assert names == ["caller-1.header", "caller-1.payload"]


async def test_segments_of_a_recording_follow_each_other_with_keys_of_their_own(house):
    commits = set()
    for seg in (1, 2):
        await house.record(seg)
        await house.talk(noise(seg, 5), noise(seg, 5))
        house.stop(seg, End.PAUSED)
        commits |= {(await house.sealed(side, seg=seg)).key_commit for side in ("agent", "caller")}
        await house.talk(noise(9, 5), noise(9, 5))
    assert len(commits) == 4
    assert noise(9, 1) not in house.opened("caller", 1) + house.opened("caller", 2)
    assert noise(2, 5) in house.opened("caller", 2)


async def test_discard_forgets_the_keys_and_leaves_no_payload(house):
    await house.record()
    await house.talk(noise(1, 5), noise(2, 5))
    await house.gateway.report(SegmentOpened, side="caller")
    await house.gateway.report(SegmentOpened, side="agent")
    house.gateway.order(Discard(CALL, RECORDING), Query(CALL))
    await house.gateway.report(Discarded, recording=RECORDING)
    assert not list(house.data.rglob("*.payload*"))
    before = len(house.agent.heard)
    await house.talk(noise(3, 5), b"")
    await house.agent.hears(before + 5)
    house.gateway.order(Discard(CALL, RECORDING), Query(CALL))
    await house.gateway.report(Discarded, recording=RECORDING)
    assert (await house.gateway.report(Counted)).flows[CALLER].tapped == 5


async def test_a_lost_gateway_interrupts_recording_and_nothing_else(house):
    await house.record()
    await house.talk(noise(1, 10), noise(2, 10))
    await house.gateway.report(SegmentOpened, side="caller")
    house.gateway.close()
    await house.talk(noise(3, 10), noise(4, 10))
    hello = await house.connect()
    assert {state.flow: state.local for state in hello.calls[CALL]} == house.ports
    for side in ("caller", "agent"):
        sealed = await house.sealed(side)
        assert sealed.end is End.INTERRUPTED
    await house.agent.hears(20)
    assert noise(1, 10) in house.opened("caller")
    assert noise(3, 1) not in house.opened("caller")
    # told again until it is settled
    house.gateway.order(Settled(RECORDING, 1, "caller"), Query(CALL))
    await house.gateway.report(Counted)
    house.gateway.close()
    await house.connect()
    await house.sealed("agent")
    house.gateway.order(Query(CALL))
    await house.gateway.report(Counted)
    assert house.gateway.reports == []


async def test_a_second_gateway_replaces_the_first(house):
    await house.record()
    await house.talk(noise(1, 3), b"")
    first = house.gateway
    await house.connect()
    await first.closed()
    assert (await house.sealed("caller")).end is End.INTERRUPTED


@pytest.mark.parametrize(
    "line",
    [b"not json\n", b'{"kind":"explode"}\n', b'{"kind":"query"}\n', b"[" * 300_000 + b"\n", b"\xff\xfe\n", b"\n"],
)
async def test_a_malformed_order_costs_the_connection_only(house, line):
    house.gateway.writer.write(line)
    await house.gateway.closed()
    await house.connect()
    assert house.worker.faults["connection"] == 1
    await house.talk(noise(1, 3), b"")
    await house.agent.hears(3)


async def test_orders_for_what_isn_t_here_are_answered_or_counted(house):
    other, elsewhere = CallRef("ffff2233aabbccdd"), FlowId("ffff2233aabbccdd/caller/0")
    end = house.gateway
    end.order(Remove(other), Query(other), Discard(other, RecordingId("f" * 32)))
    assert (await end.report(Counted, call=other, final=True)).flows == {}
    assert (await end.report(Counted, call=other, final=False)).flows == {}
    await end.report(Discarded)
    await house.record(recipients=("age1nonsense",))
    assert (await end.report(SegmentFailed, side="caller")).reason
    end.order(
        Reserve(CALL, (FlowSpec(elsewhere, "127.10.2.1"),)),
        Reserve(other, (FlowSpec(elsewhere, "192.0.2.77"),)),
    )
    assert (await end.report(ReserveFailed)).reason == "Ran out of ports"
    assert house.worker.faults["reserve"] == 1


async def test_media_is_told_when_it_is_seen_and_counted_at_the_end(house):
    await house.talk(noise(1, 5), noise(2, 3))
    await house.agent.hears(5)
    seen = await house.gateway.report(MediaSeen, flow=CALLER)
    assert (seen.ssrc, seen.payload_type, seen.earlier) == (0xCA11E700, 8, None)
    house.gateway.order(Remove(CALL))
    counted = await house.gateway.report(Counted, final=True)
    assert counted.flows[CALLER].forwarded == 5
    assert counted.flows[AGENT].received == 3
    assert house.worker.journal_written()
    assert not list(house.config.run_dir.glob("*.journal/*"))


async def test_a_flow_that_falls_silent_is_told_once_until_it_speaks_again(tmp_path, monkeypatch):
    monkeypatch.setattr("gateway.media.worker.SILENT_S", 0.2)
    monkeypatch.setattr("gateway.media.worker.LOOK_S", 0.02)
    async with worker_here(tmp_path, PORTS, "127.10.2") as house:
        await house.call()
        for _ in range(2):
            await house.talk(noise(1, 3), b"")
            told = await house.gateway.report(MediaTimeout, flow=CALLER)
            assert 0.2 <= told.silent_s < 1.0
        assert [
            report for report in house.gateway.reports if isinstance(report, MediaTimeout) and report.flow == CALLER
        ] == []


async def test_removing_a_call_seals_what_is_open(house):
    await house.record()
    await house.talk(noise(1, 5), noise(2, 5))
    house.gateway.order(Remove(CALL))
    assert (await house.sealed("caller")).end is End.NORMAL
    assert noise(1, 5) in house.opened("caller")


class _FullDisk:
    """Payloads on a disk that takes so many appends and no more."""

    def __init__(self, blobs, appends):
        self._blobs, self._left = blobs, appends

    def payload(self, recording, side, seg):
        inner, full = self._blobs.payload(recording, side, seg), self

        class Payload:
            def append(self, data):
                full._left -= 1
                if full._left < 0:
                    raise StorageUnavailable("can't write a payload: no space left on device")
                inner.append(data)

            def seal(self):
                return inner.seal()

            def discard(self):
                inner.discard()

        return Payload()


class _Broken:
    """A vault that fails in a way nobody foresaw."""

    def put(self, *_):
        raise ZeroDivisionError("secret of the caller")


@pytest.mark.parametrize("fault", ["none", "disk_at_once", "disk_later", "vault"])
async def test_forwarding_is_equal_with_recording_on_off_or_failing(tmp_path, fault):
    async with worker_here(tmp_path / "off", PORTS, "127.10.3") as house:
        await house.call()
        await house.talk(noise(1, 20), noise(2, 20))
        await asyncio.gather(house.agent.hears(20), house.caller.hears(20))
        unrecorded = house.agent.heard, house.caller.heard
    kinds = {"disk_at_once": 0, "disk_later": 2}
    async with worker_here(tmp_path / "on", PORTS, "127.10.3") as house:
        around = house.worker._recorder._around
        if fault in kinds:
            object.__setattr__(around, "payloads", _FullDisk(house.blobs, kinds[fault]))
        elif fault == "vault":
            object.__setattr__(around, "vault", _Broken())
        await house.call()
        await house.record()
        await house.talk(noise(1, 20), noise(2, 20))
        await asyncio.gather(house.agent.hears(20), house.caller.hears(20))
        house.stop()
        assert (house.agent.heard, house.caller.heard) == unrecorded
        for side in ("caller", "agent"):
            if fault == "none":
                await house.sealed(side)
                continue
            failed = await house.gateway.report(SegmentFailed, side=side)
            assert "secret" not in failed.reason
            assert failed.reason == {"vault": "internal: ZeroDivisionError"}.get(
                fault, "can't write a payload: no space left on device"
            )
        if fault != "none":
            assert not list(house.data.rglob("*.payload"))


async def test_a_full_queue_is_a_counted_gap_and_the_call_hears_everything(house, monkeypatch):
    monkeypatch.setattr("gateway.media.recording.intake.MAX_QUEUED", 5)
    monkeypatch.setattr("gateway.media.recording.session.DRAIN_S", 0.5)
    await house.record()
    await house.talk(noise(1, 40), b"")
    house.stop()
    sealed = await house.sealed("caller")
    assert "overflow" in {gap.why for gap in sealed.gaps}
    await house.agent.hears(40)


async def test_no_audio_reaches_the_disk_in_clear(house):
    await house.record()
    said = noise(1, 10)
    await house.talk(said, said)
    house.stop()
    await house.sealed("caller")
    await house.sealed("agent")
    linear = decode("PCMA", said).astype("<i2").tobytes()
    for path in house.data.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert said[:64] not in data
            assert linear[:64] not in data
    journal = next(house.config.run_dir.glob("*.journal/*")).read_text()
    assert set(json.loads(journal)[0]) == {"flow", "local", "forward", "latched", "withheld"}


# --- in a process of its own ------------------------------------------------------------------------------------------


@pytest.fixture
async def process(tmp_path):
    config = make_config(tmp_path, (42100, 42199))
    made = House(config, "127.10.4")
    made.process = WorkerProcess(config)
    await made.connect()
    await made.call()
    yield made
    made.gateway.close()
    assert made.process.stop() == 0
    assert not socket_path(config, 0).exists()
    made.close()


@pytest.mark.quiet
async def test_a_killed_worker_comes_back_on_the_same_ports_withholds_what_it_withheld_and_doesn_t_record(process):
    await process.record()
    process.gateway.order(Withhold(CALLER, keys="blocked", events=(101,)))
    await process.obeyed()
    await process.talk(noise(1, 10), noise(2, 10))
    await process.gateway.report(SegmentOpened, side="caller")
    await process.agent.hears(10)
    # the latches are journaled a moment after the first packets
    await process.talk(noise(3, 5), noise(4, 5))
    process.process.kill_and_restart()
    killed_at = process.clock.now()
    before = len(process.agent.heard), len(process.caller.heard)
    while len(process.agent.heard) == before[0] or len(process.caller.heard) == before[1]:
        await process.talk(noise(5, 1), noise(6, 1))
        assert process.clock.now() < killed_at + 2.0
    hello = await process.connect()
    assert {state.flow: state.local for state in hello.calls[CALL]} == process.ports
    process.caller.say(process.ports[CALLER], bytes(4), payload_type=101)
    await process.talk(noise(7, 5), noise(8, 5))
    process.gateway.order(Query(CALL))
    counted = await process.gateway.report(Counted)
    assert counted.flows[CALLER].tapped == 0
    await process.agent.until(lambda: process.agent.payloads[-1] == noise(7, 5)[-160:])
    assert 101 not in {packet[1] & 0x7F for packet in process.agent.heard}
    # what was begun stays as whole chunks under `.part`, for the gateway to end
    key = SegmentKey(RECORDING, 1, "caller")
    assert process.blobs.size(key, Kind.PART) == 16
    assert process.vault.read(key, Secret.HEADER).startswith(b"age-encryption.org/v1\n")


async def test_a_stopped_worker_seals_what_is_open(process):
    await process.record()
    await process.talk(noise(1, 12), noise(2, 12))
    await process.gateway.report(SegmentOpened, side="caller")
    await process.gateway.report(SegmentOpened, side="agent")
    assert process.process.stop() == 0
    # the end is cut at the signal, by the clock of the first packet
    assert noise(1, 12)[:-320] in process.opened("caller")
    process.process = WorkerProcess(process.config)
    hello = await process.connect()
    assert CALL in hello.calls


async def test_a_worker_leaves_no_core_and_refuses_a_second_of_its_kind(process):
    pid = process.process.process.pid
    limits = Path(f"/proc/{pid}/limits").read_text().splitlines()
    assert next(line for line in limits if line.startswith("Max core file size")).split()[4:6] == ["0", "0"]
    second = WorkerProcess(process.config)
    assert second.process.wait(10) != 0
    again = await GatewayEnd.connect(socket_path(process.config, 0))
    assert (await again.report(Hello)).pid == pid
    again.close()
    process.gateway = again
    assert os.stat(socket_path(process.config, 0)).st_mode & 0o077 == 0


async def test_a_worker_that_comes_late_to_its_orders_loses_no_word_that_came_after_them(process):
    """It stood still while a call was answered: packets may be looked at before the order, and are still its."""
    process.gateway.order(Remove(CALL))
    await process.gateway.report(Counted, final=True)
    process.gateway.order(Reserve(CALL, (FlowSpec(CALLER, "127.10.4.1"), FlowSpec(AGENT, "127.10.4.2"))))
    process.ports = (await process.gateway.report(Reserved)).ports
    child = process.process.process
    child.send_signal(signal.SIGSTOP)
    try:
        process.forward()
        await process.gateway.writer.drain()
        said = [(process.caller.say(process.ports[CALLER]), process.agent.say(process.ports[AGENT])) for _ in range(5)]
    finally:
        child.send_signal(signal.SIGCONT)
    assert await process.agent.hears(5) == [of_caller for of_caller, _ in said]
    assert await process.caller.hears(5) == [of_agent for _, of_agent in said]
    counted = (await process.obeyed()).flows
    assert [(count.wrong_source, count.send_failed) for count in counted.values()] == [(0, 0), (0, 0)]


async def test_a_gateway_that_reads_nothing_can_t_keep_a_worker_from_stopping(process):
    # more answers than a socket's buffer holds, and nobody who takes them
    for _ in range(200):
        process.gateway.order(*[Query(CALL)] * 50)
    await process.gateway.writer.drain()
    assert await asyncio.to_thread(process.process.stop) == 0
    process.process = WorkerProcess(process.config)
    await process.connect()
