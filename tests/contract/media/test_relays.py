"""What every datapath does with what is only relayed: whatever it is, it goes on as it came, and nobody gets at it."""

import asyncio
import errno
import socket
import struct

import pytest

from gateway.clock import SystemClock
from gateway.media.datapath.ports import PortPool, share
from gateway.media.datapath.userspace import UserspaceDatapath
from gateway.media.errors import OrderRefused, OutOfPorts
from gateway.media.plane import FlowId, FlowSpec, Forward, Secure, Srtp, SrtpKey, is_relay
from gateway.rtp.packet import build
from tests.contract.media.test_datapath import AGENT_HOST, AGENT_SIDE, CALLER_HOST, CALLER_SIDE, STRANGER_HOST, Observed
from tests.peers.rtp_party import RtpParty

CALL = "00112233aabbccdd"
CALLER, AGENT = FlowId(f"{CALL}/caller/relay-1"), FlowId(f"{CALL}/agent/relay-1")
VOICE = FlowId(f"{CALL}/caller/0"), FlowId(f"{CALL}/agent/0")
REPORT = struct.pack("!BBHIII", 0x81, 201, 7, 0x5EED, 0, 0)
ANYTHING = [
    b"",
    b"\x00",
    REPORT,
    *(bytes([0x80, second]) + bytes(30) for second in range(192, 224)),
    *(bytes([first]) + b"\xc8 of a fax" for first in range(0, 256, 17)),
    b"\x00\x05\x06\x00\x02\x40\xc0",
    build(8, 1, 160, 0x5EED, bytes(160)),
    build(8, 2, 320, 0x0DD5, bytes(160)),
    bytes(range(256)) * 5,
]
"""UDPTL has a sequence number where RTP has its version and RTCP its type: all of these may come."""


class House:
    """A datapath with video or a fax between two parties, and a stranger."""

    def __init__(self, make) -> None:
        self.observed = Observed()
        self.path = make(self.observed)
        specs = [FlowSpec(flow, host) for flow, host in ((CALLER, CALLER_SIDE), (AGENT, AGENT_SIDE))]
        self.ports = self.path.reserve(specs)
        self.caller, self.agent, self.stranger = (RtpParty(at) for at in (CALLER_HOST, AGENT_HOST, STRANGER_HOST))

    def connect(self, **kind) -> None:
        self.forward(CALLER, **kind)
        self.forward(AGENT, **kind)

    def forward(self, flow: FlowId, **kind) -> None:
        party, to = (self.caller, AGENT) if flow == CALLER else (self.agent, CALLER)
        self.path.forward(Forward(flow, to, **{"remote": party.address, "remote_rtcp": party.rtcp_address, **kind}))


def _userspace(observer) -> UserspaceDatapath:
    pool = PortPool(share((41100, 41199), 1, 0), cooldown_s=30.0)
    return UserspaceDatapath(asyncio.get_running_loop(), SystemClock(), pool, observer)


@pytest.fixture(params=["userspace"])
async def house(request):
    made = House({"userspace": _userspace}[request.param])
    yield made
    made.path.close()
    for party in (made.caller, made.agent, made.stranger):
        party.close()


async def test_whatever_it_is_it_goes_on_as_it_came_from_the_ports_that_face_the_party(house):
    house.connect(remote_rtcp=None, rtcp_mux=True)
    for packet in ANYTHING:
        house.caller.send(house.ports[CALLER], packet)
        house.agent.send(house.ports[AGENT], packet)
    assert await house.agent.hears(len(ANYTHING)) == ANYTHING
    assert await house.caller.hears(len(ANYTHING)) == ANYTHING
    assert set(house.agent.sources) == {(AGENT_SIDE, house.ports[AGENT].port)}
    assert set(house.caller.sources) == {(CALLER_SIDE, house.ports[CALLER].port)}
    assert house.agent.reports == house.caller.reports == []
    count = house.path.count(CALLER)
    assert (count.received, count.forwarded, count.rtcp, count.tapped) == (len(ANYTHING), len(ANYTHING), 0, 0)
    assert (count.lost, count.heard) == (0, None), "nothing is read of it, so nothing is told of how it is heard"
    assert house.observed.seen == []


async def test_the_second_port_has_what_the_descriptions_say(house):
    house.connect()
    house.caller.rtcp.sendto(REPORT, (CALLER_SIDE, house.ports[CALLER].port + 1))
    await house.agent.until(lambda: house.agent.reports == [REPORT])
    house.connect(remote_rtcp=None, rtcp_mux=True)
    house.caller.rtcp.sendto(REPORT, (CALLER_SIDE, house.ports[CALLER].port + 1))
    last = house.caller.send(house.ports[CALLER], b"after it")
    await house.agent.until(lambda: last in house.agent.heard)
    assert house.agent.reports == [REPORT], "a fax has no second port"


async def test_only_the_party_is_heard(house):
    house.connect()
    house.stranger.send(house.ports[CALLER], b"stranger")
    mine = house.caller.send(house.ports[CALLER], b"mine")
    assert await house.agent.hears(1) == [mine]
    house.stranger.send(house.ports[CALLER], b"stranger")
    again = house.caller.send(house.ports[CALLER], b"again")
    assert await house.agent.hears(2) == [mine, again]
    assert house.path.count(CALLER).wrong_source == 1
    assert house.observed.latches[CALLER].rtp == house.caller.address


async def test_a_party_that_is_held_gets_nothing_and_goes_on_where_it_was(house):
    house.connect()
    house.caller.send(house.ports[CALLER], b"page 1")
    house.agent.send(house.ports[AGENT], b"page 1")
    await asyncio.gather(house.agent.hears(1), house.caller.hears(1))
    house.forward(AGENT, remote=None, remote_rtcp=None, rtcp_mux=True)
    house.caller.send(house.ports[CALLER], b"nobody's")
    house.agent.send(house.ports[AGENT], b"still heard")
    await house.caller.hears(2)
    house.forward(AGENT)
    house.caller.send(house.ports[CALLER], b"page 2")
    assert await house.agent.hears(2) == [b"page 1", b"page 2"]


async def test_nobody_taps_diverts_or_decrypts_it(house):
    house.connect()
    key = SrtpKey("AES_CM_128_HMAC_SHA1_80", "A" * 40)
    taken: list[bytes] = []

    def divert(packet, arrival, readable):
        taken.append(bytes(packet))
        return True

    for act in (
        lambda: house.path.tap(CALLER, lambda at, packet: taken.append(bytes(packet))),
        lambda: house.path.tap(CALLER, None),
        lambda: house.path.divert(CALLER, divert),
        lambda: house.path.divert(CALLER, None),
        lambda: house.path.secure(Secure(CALLER, key, key)),
        lambda: house.forward(CALLER, srtp=Srtp.ENDED),
    ):
        with pytest.raises(OrderRefused):
            act()
    said = house.caller.send(house.ports[CALLER], REPORT)
    assert await house.agent.hears(1) == [said]
    assert taken == []


async def test_it_never_goes_to_a_flow_of_audio_nor_audio_to_it(house):
    house.path.reserve([FlowSpec(flow, CALLER_SIDE) for flow in VOICE])
    for flow, to in ((CALLER, VOICE[1]), (VOICE[0], AGENT)):
        with pytest.raises(OrderRefused):
            house.path.forward(Forward(flow, to, house.caller.address, None))


async def test_it_is_restored_as_what_it_was(house):
    house.connect()
    house.caller.send(house.ports[CALLER], b"before")
    await house.agent.hears(1)
    latched = dict(house.observed.latches)
    house.path.close()
    house.path = _userspace(house.observed)
    for flow in (CALLER, AGENT):
        house.path.restore(flow, house.ports[flow])
    house.connect()
    for flow, sources in latched.items():
        house.path.relatch(flow, sources)
    house.caller.send(house.ports[CALLER], REPORT)
    assert (await house.agent.hears(2))[1] == REPORT
    with pytest.raises(OrderRefused):
        house.path.tap(CALLER, lambda at, packet: None)
    assert house.path.state(CALLER).remote == house.caller.address


async def test_removed_it_leaves_no_port(house):
    house.connect()
    counts = house.path.remove([CALLER, AGENT])
    assert set(counts) == {CALLER, AGENT}
    assert house.path.reserve([FlowSpec(CALLER, CALLER_SIDE)])[CALLER] != house.ports[CALLER]


@pytest.mark.parametrize(("flow", "only"), [(CALLER, True), (VOICE[0], False), (FlowId("relay-1/caller/0"), False)])
def test_its_name_says_what_it_is(flow, only):
    assert is_relay(flow) is only


async def test_the_last_tenth_of_the_ports_is_for_voices():
    pool = PortPool(share((41200, 41219), 1, 0), cooldown_s=0.0)
    path = UserspaceDatapath(asyncio.get_running_loop(), SystemClock(), pool, Observed())
    videos = [FlowSpec(FlowId(f"{number:016x}/caller/relay-1"), CALLER_SIDE) for number in range(10)]
    assert len(path.reserve(videos[:9])) == 9
    with pytest.raises(OutOfPorts):
        path.reserve(videos[9:])
    assert path.reserve([FlowSpec(VOICE[0], CALLER_SIDE)])
    path.close()


async def test_a_video_that_gets_no_ports_costs_no_voice_its_own():
    pool = PortPool(share((41300, 41303), 1, 0), cooldown_s=30.0)
    path = UserspaceDatapath(asyncio.get_running_loop(), SystemClock(), pool, Observed())
    voices = [FlowSpec(flow, CALLER_SIDE) for flow in VOICE]
    for _ in range(3):
        with pytest.raises(OutOfPorts):
            path.reserve([*voices, FlowSpec(CALLER, CALLER_SIDE)])
    assert len(path.reserve(voices)) == 2
    path.close()


async def test_without_file_descriptors_there_are_no_ports_and_none_is_lost(monkeypatch):
    pool = PortPool(share((41300, 41303), 1, 0), cooldown_s=0.0)
    path = UserspaceDatapath(asyncio.get_running_loop(), SystemClock(), pool, Observed())
    voices = [FlowSpec(flow, CALLER_SIDE) for flow in VOICE]
    made: list[socket.socket] = []
    real = socket.socket

    def scarce(*kind):
        if len(made) >= 3:
            raise OSError(errno.EMFILE, "too many open files")
        made.append(real(*kind))
        return made[-1]

    with monkeypatch.context() as patch, pytest.raises(OutOfPorts):
        patch.setattr("gateway.media.datapath.ports.socket.socket", scarce)
        path.reserve(voices)
    assert all(one.fileno() == -1 for one in made)
    assert len(path.reserve(voices)) == 2
    path.close()
