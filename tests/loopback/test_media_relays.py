"""Video and a fax beside a voice that is recorded, through a worker over its socket: they cross, nobody keeps them."""

import asyncio

import numpy as np
import pytest

from gateway.media.plane import (
    Address,
    FlowId,
    FlowSpec,
    Forward,
    Play,
    PlayEnded,
    Record,
    RecordSide,
    Reserve,
    Reserved,
    SegmentFailed,
    SegmentOpened,
)
from gateway.rtp.payload_types import STATIC_LAW
from tests.peers.media_house import CALL, HEADER, RECORDING, WorkerProcess, make_config, worker_here
from tests.peers.media_house import MediaHouse as House
from tests.peers.rtp_party import RtpParty

PICTURE = b"of a video"
FAX = b"\x00\xc8of a fax"
"""What it says in the place of RTP's packet type is RTCP's, were it RTP."""
KINDS = {"video": 1, "fax": 2}


class Further:
    """A video and a fax between the two parties of a house."""

    def __init__(self, house: House) -> None:
        self.house = house
        hosts = (f"{house.prefix}.11", f"{house.prefix}.12")
        self.parties = {kind: (RtpParty(hosts[0]), RtpParty(hosts[1])) for kind in KINDS}
        self.ports: dict[FlowId, Address] = {}

    @staticmethod
    def flows(kind: str) -> tuple[FlowId, FlowId]:
        caller, agent = (FlowId(f"{CALL}/{side}/relay-{KINDS[kind]}") for side in ("caller", "agent"))
        return caller, agent

    async def connect(self) -> None:
        """Ports of ours for both, relayed both ways."""
        gateway, prefix = self.house.gateway, self.house.prefix
        for kind, (caller, agent) in self.parties.items():
            inward, outward = self.flows(kind)
            gateway.order(Reserve(CALL, (FlowSpec(inward, f"{prefix}.1"), FlowSpec(outward, f"{prefix}.2"))))
            self.ports |= (await gateway.report(Reserved)).ports
            for flow, to, party in ((inward, outward, caller), (outward, inward, agent)):
                rtcp = party.rtcp_address if kind == "video" else None
                gateway.order(Forward(flow, to, party.address, rtcp, rtcp_mux=kind == "fax"))
        await self.house.obeyed()

    def say(self, number: int) -> dict[str, bytes]:
        """Each party sends one packet of each kind; what they were."""
        said = {}
        for kind, (caller, agent) in self.parties.items():
            number_of = number.to_bytes(2, "big")
            said[kind] = FAX + number_of if kind == "fax" else caller.packet(PICTURE + number_of)
            caller.send(self.ports[self.flows(kind)[0]], said[kind])
            agent.send(self.ports[self.flows(kind)[1]], said[kind])
        return said

    async def crossed(self, said: list[dict[str, bytes]]) -> None:
        """Everything has come to the other party, whole and in order, from our ports alone."""
        for kind, (caller, agent) in self.parties.items():
            expected = [one[kind] for one in said]
            inward, outward = self.flows(kind)
            for party, flow in ((caller, inward), (agent, outward)):
                assert await party.hears(len(expected)) == expected
                assert set(party.sources) == {(self.ports[flow].host, self.ports[flow].port)}

    def close(self) -> None:
        for party in (party for pair in self.parties.values() for party in pair):
            party.close()


def noise(seed: int, packets: int) -> bytes:
    return np.random.default_rng(seed).integers(0, 0x50, packets * 160, np.uint8).tobytes()


@pytest.fixture
async def house(tmp_path):
    async with worker_here(tmp_path, (42200, 42299), "127.10.5") as made:
        await made.call()
        yield made


@pytest.fixture
async def further(house):
    made = Further(house)
    await made.connect()
    yield made
    made.close()


async def test_a_recording_holds_the_voices_and_nothing_of_the_video_and_the_fax_that_cross_beside_them(house, further):
    opened_at = await house.record()
    said = []
    caller, agent = noise(1, 40), noise(2, 40)
    for at in range(0, len(caller), 1600):
        said.append(further.say(at))
        await house.talk(caller[at : at + 1600], agent[at : at + 1600])
    await further.crossed(said)
    house.stop()
    for side, spoken in (("caller", caller), ("agent", agent)):
        sealed = await house.sealed(side)
        wav = house.opened(side)
        assert spoken in wav and len(wav) == HEADER + sealed.frames
        assert abs(sealed.frames - (sealed.ended_at - opened_at) * 8000) <= 1
        assert PICTURE not in wav and FAX not in wav
    counted = (await house.obeyed()).flows
    for kind in KINDS:
        for flow in further.flows(kind):
            count = counted[flow]
            assert (count.received, count.forwarded, count.tapped) == (len(said), len(said), 0)
            assert (count.wrong_source, count.send_failed, count.lost, count.heard) == (0, 0, 0, None)


async def test_orders_to_record_or_to_play_into_them_are_refused_and_they_go_on(house, further):
    inward, outward = further.flows("video")
    to = (str(house.identity.to_public()),)
    taps = RecordSide("caller", inward, to, dict(STATIC_LAW)), RecordSide("agent", outward, to, dict(STATIC_LAW))
    house.gateway.order(
        Record(CALL, RECORDING, 1, taps, house.clock.now()),
        Play("p", outward, "ask-de-2", "instead", "PCMA", 8),
    )
    for side in ("caller", "agent"):
        assert "only relayed" in (await house.gateway.report(SegmentFailed, side=side)).reason
    assert not (await house.gateway.report(PlayEnded)).complete
    said = [further.say(number) for number in range(5)]
    await further.crossed(said)
    assert house.worker._recorder.tapped == frozenset()


async def test_a_killed_worker_relays_them_on_by_the_same_ports(tmp_path):
    config = make_config(tmp_path, (42300, 42399))
    house = House(config, "127.10.6")
    house.process = WorkerProcess(config)
    await house.connect()
    await house.call()
    further = Further(house)
    await further.connect()
    try:
        await house.record()
        said = [further.say(number) for number in range(3)]
        await house.talk(noise(3, 10), noise(4, 10))
        await house.gateway.report(SegmentOpened, side="caller")
        await further.crossed(said)
        house.process.kill_and_restart()
        hello = await house.connect()
        assert {state.flow: state.local for state in hello.calls[CALL] if "relay" in state.flow} == further.ports
        # orders were carried out by the one before; the sources are known from its journal
        async with asyncio.timeout(5):
            await further.crossed([*said, further.say(9)])
        house.gateway.order(Record(CALL, RECORDING, 2, (_side(house, further),), house.clock.now()))
        assert "only relayed" in (await house.gateway.report(SegmentFailed)).reason
    finally:
        house.gateway.close()
        house.process.stop()
        further.close()
        house.close()


def _side(house: House, further: Further) -> RecordSide:
    to = (str(house.identity.to_public()),)
    return RecordSide("caller", further.flows("fax")[0], to, dict(STATIC_LAW))
