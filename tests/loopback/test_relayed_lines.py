"""Video and a fax beside a recorded voice, through a real worker: they cross both ways, and no recording holds them."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.media.plane import (
    FlowId,
    FlowSpec,
    Forward,
    Hello,
    Listen,
    Play,
    PlayEnded,
    Record,
    RecordingId,
    RecordSide,
    Reserve,
    Reserved,
    SegmentFailed,
    Withhold,
)
from gateway.rtp.payload_types import STATIC_LAW
from storage.blobs import Kind
from storage.names import SegmentKey
from tests.loopback.test_media_worker import noise
from tests.peers.media_house import CALL, HEADER, MediaHouse, WorkerProcess, make_config, worker_here
from tests.peers.rtp_party import RtpParty
from tests.peers.running_site import until

PREFIX = "127.10.6"
PORTS = (42600, 42699)
SIDES = ("caller", "agent")
VIDEO, FAX = ({side: FlowId(f"{CALL}/{side}/relay-{index}") for side in SIDES} for index in (1, 2))
OTHER = RecordingId("f" * 32)
LOUD = bytes(range(0x80, 0x100)) * 9
"""A packet of video, or of a fax: nothing in it is in any voice here."""
SILENCE = b"\xd5"
"""Of PCMA; no voice here has it."""
REPORT_LIKE = b"\x00\xc8" + LOUD


class Pair:
    """The two ends of one further m-line."""

    def __init__(self, flows: dict[str, FlowId]) -> None:
        self.flows = flows
        self.ends = {"caller": RtpParty(f"{PREFIX}.11"), "agent": RtpParty(f"{PREFIX}.12")}

    async def lead(self, house: MediaHouse, *, one_port: bool) -> None:
        """Ports of ours on both sides."""
        hosts = {"caller": f"{PREFIX}.1", "agent": f"{PREFIX}.2"}
        house.gateway.order(Reserve(CALL, tuple(FlowSpec(self.flows[side], hosts[side]) for side in SIDES)))
        self.ports = (await house.gateway.report(Reserved)).ports
        for side, other in zip(SIDES, reversed(SIDES), strict=True):
            end = self.ends[side]
            rtcp = None if one_port else end.rtcp_address
            house.gateway.order(Forward(self.flows[side], self.flows[other], end.address, rtcp, one_port))
        await house.obeyed()

    async def cross(self, packet: bytes) -> None:
        """One packet each way; it comes from the gateway's own address."""
        for side, other in zip(SIDES, reversed(SIDES), strict=True):
            here, there, had = self.ends[side], self.ends[other], len(self.ends[other].heard)
            here.send(self.ports[self.flows[side]], packet)
            await there.until(lambda there=there, had=had: len(there.heard) > had)
            ours = self.ports[self.flows[other]]
            assert (there.heard[-1], there.sources[-1]) == (packet, (ours.host, ours.port))

    def close(self) -> None:
        for end in self.ends.values():
            end.close()


@asynccontextmanager
async def led(house: MediaHouse) -> AsyncIterator[tuple[Pair, Pair]]:
    video, fax = Pair(VIDEO), Pair(FAX)
    try:
        await video.lead(house, one_port=False)
        await fax.lead(house, one_port=True)
        yield video, fax
    finally:
        video.close()
        fax.close()


async def test_they_cross_both_ways_while_the_recording_holds_the_voice_alone(tmp_path):
    async with worker_here(tmp_path, PORTS, PREFIX) as house:
        await house.call()
        async with led(house) as (video, fax):
            await house.record()
            voice = noise(1, 30), noise(2, 30)
            talking = asyncio.create_task(house.talk(*voice))
            while not talking.done():
                await video.cross(video.ends["caller"].packet(LOUD, payload_type=96))
                await fax.cross(REPORT_LIKE)
                await asyncio.wait((talking,), timeout=0.02)
            house.stop()
            for side, said in zip(SIDES, voice, strict=True):
                await house.sealed(side)
                assert house.opened(side)[HEADER:].replace(SILENCE, b"") == said
            counted = (await house.obeyed()).flows
            for flow in (*VIDEO.values(), *FAX.values()):
                assert counted[flow].forwarded > 10 and counted[flow].tapped == 0
            assert house.agent.heard and LOUD not in b"".join(house.agent.heard)


async def test_no_order_gets_at_them(tmp_path):
    async with worker_here(tmp_path, PORTS, PREFIX) as house:
        await house.call()
        async with led(house) as (video, fax):
            to = (str(house.identity.to_public()),)
            alone = RecordSide("caller", VIDEO["caller"], to, dict(STATIC_LAW))
            beside = RecordSide("agent", FlowId(f"{CALL}/agent/0"), to, dict(STATIC_LAW), FAX["caller"])
            house.gateway.order(Record(CALL, OTHER, 1, (alone, beside), house.clock.now()))
            for side in ("caller", "agent"):
                assert "only relayed" in (await house.gateway.report(SegmentFailed, side=side)).reason
            house.gateway.order(Play("p", VIDEO["agent"], "tone-start", "instead", "PCMA", 8))
            assert (await house.gateway.report(PlayEnded)).complete is False
            house.gateway.order(Listen(FAX["caller"], True, {101: 8000}), Withhold(VIDEO["caller"], audio="blocked"))
            await house.obeyed()
            assert (house.worker.faults["listen"], house.worker.faults["withhold"]) == (1, 1)
            assert house.worker.faults["internal"] == 0
            await video.cross(LOUD)
            await fax.cross(REPORT_LIKE)
            for side in ("caller", "agent"):
                assert not house.blobs.size(SegmentKey(OTHER, 1, side), Kind.PART)
            assert all(count.tapped == 0 for count in (await house.obeyed()).flows.values())


async def latched(house: MediaHouse) -> bool:
    """Whether the journal knows where the four relays' parties send from; written a moment after their packets."""
    (journal,) = house.config.run_dir.glob("*.journal/*.json")
    flows = json.loads(journal.read_bytes())
    return sum(flow["latched"]["rtp"] is not None for flow in flows) == len(VIDEO) + len(FAX)


async def test_a_killed_worker_relays_them_on_the_same_ports_again(tmp_path):
    house = MediaHouse(make_config(tmp_path, PORTS), PREFIX)
    house.config.run_dir.mkdir(parents=True, exist_ok=True)
    house.process = WorkerProcess(house.config)
    try:
        await house.connect()
        await house.call()
        async with led(house) as (video, fax):
            await video.cross(LOUD)
            await fax.cross(REPORT_LIKE)
            before = {**house.ports, **video.ports, **fax.ports}
            await until(lambda: latched(house), every=0.01)
            house.process.kill_and_restart()
            hello: Hello = await house.connect()
            assert {state.flow: state.local for state in hello.calls[CALL]} == before
            await video.cross(LOUD)
            await fax.cross(REPORT_LIKE)
            side = RecordSide("caller", FAX["caller"], (str(house.identity.to_public()),), dict(STATIC_LAW))
            house.gateway.order(Record(CALL, OTHER, 1, (side,), house.clock.now()))
            assert "only relayed" in (await house.gateway.report(SegmentFailed)).reason
    finally:
        house.gateway.close()
        assert house.process.stop() == 0
        house.close()
