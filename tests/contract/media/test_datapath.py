"""What every datapath does, whatever it is made of: forward both ways, from the right source only, tap, remove."""

import asyncio
import socket
import struct
from collections.abc import Callable
from functools import partial

import pytest

from gateway.clock import SystemClock
from gateway.media.datapath.base import Latched
from gateway.media.datapath.ports import PortPool, share
from gateway.media.datapath.userspace import UserspaceDatapath
from gateway.media.errors import OrderRefused, OutOfPorts, UnknownFlow
from gateway.media.plane import Address, FlowCount, FlowId, FlowSpec, Forward, Secure, Srtp, SrtpKey
from gateway.rtp.packet import build
from tests.peers.rtp_party import RtpParty
from tests.peers.srtp_party import SrtpParty, make_key

CALLER_SIDE, AGENT_SIDE = "127.10.1.1", "127.10.1.2"
CALLER_HOST, AGENT_HOST, STRANGER_HOST = "127.10.1.11", "127.10.1.12", "127.10.1.13"
CALLER, AGENT = FlowId("00112233aabbccdd/caller/0"), FlowId("00112233aabbccdd/agent/0")


class Observed:
    """What the datapath told."""

    def __init__(self) -> None:
        self.seen: list[tuple[FlowId, int, int, int | None]] = []
        self.latches: dict[FlowId, Latched] = {}
        self.unread: list[FlowId] = []
        self.ordered: list[Callable[[], object]] = []
        """Orders that are here and nobody has read yet."""

    def media_seen(self, flow, at, ssrc, payload_type, earlier):
        self.seen.append((flow, ssrc, payload_type, earlier))

    def latched(self, flow, sources):
        self.latches[flow] = sources

    def unreadable(self, flow):
        self.unread.append(flow)

    def catch_up(self):
        while self.ordered:
            self.ordered.pop(0)()


class House:
    """A datapath with one call between two parties, and a stranger."""

    def __init__(self, make, caller_side: str = CALLER_SIDE, caller: str = CALLER_HOST) -> None:
        self.observed = Observed()
        self.path = make(self.observed)
        self.ports = self.path.reserve([FlowSpec(CALLER, caller_side), FlowSpec(AGENT, AGENT_SIDE)])
        self.caller = RtpParty(caller, ssrc=0xCA11E700)
        self.agent = RtpParty(AGENT_HOST, ssrc=0xA6E87000)
        self.stranger = RtpParty(STRANGER_HOST)

    def connect(self, **kind):
        self.forward(CALLER, **kind)
        self.forward(AGENT, **kind)

    def forward(self, flow, **kind):
        party, to = (self.caller, AGENT) if flow == CALLER else (self.agent, CALLER)
        values = {"remote": party.address, "remote_rtcp": party.rtcp_address, **kind}
        self.path.forward(Forward(flow, to, **values))

    async def latch(self):
        """One packet each way."""
        self.caller.say(self.ports[CALLER])
        self.agent.say(self.ports[AGENT])
        await asyncio.gather(self.agent.hears(1), self.caller.hears(1))

    async def marker(self, sender, flow, listener):
        """Send one packet and wait until it came: whatever was sent before has come, or never will."""
        packet = sender.say(self.ports[flow])
        await listener.until(lambda: packet in listener.heard)
        return packet


@pytest.fixture
def sides():
    return ()


def _userspace(pool):
    return lambda observer: UserspaceDatapath(asyncio.get_running_loop(), SystemClock(), pool, observer)


@pytest.fixture(params=["userspace"])
async def house(request, sides):
    pool = PortPool(share((41000, 41099), 1, 0), cooldown_s=30.0)
    made = House({"userspace": _userspace}[request.param](pool), *sides)
    yield made
    made.path.close()
    for party in (made.caller, made.agent, made.stranger):
        party.close()


async def test_packets_go_both_ways_unchanged_from_the_ports_that_face_the_party(house):
    house.connect()
    said = [house.caller.say(house.ports[CALLER], bytes([n]) * 160) for n in range(20)]
    answered = [house.agent.say(house.ports[AGENT], bytes([n]) * 160) for n in range(20)]
    assert await house.agent.hears(20) == said
    assert await house.caller.hears(20) == answered
    assert set(house.agent.sources) == {(AGENT_SIDE, house.ports[AGENT].port)}
    assert set(house.caller.sources) == {(CALLER_SIDE, house.ports[CALLER].port)}
    counts = house.path.count(CALLER)
    assert (counts.received, counts.forwarded, counts.wrong_source, counts.send_failed) == (20, 20, 0, 0)


async def test_orders_that_are_here_hold_for_packets_that_are_here(house):
    """An answer's order is written before the answer is sent: however late it is read, no word is lost."""
    house.observed.ordered = [partial(house.forward, flow) for flow in (CALLER, AGENT)]
    first = house.caller.say(house.ports[CALLER])
    assert await house.agent.hears(1) == [first]
    house.forward(AGENT, remote=None, remote_rtcp=None)
    house.observed.ordered = [partial(house.forward, AGENT)]
    again = house.caller.say(house.ports[CALLER])
    await house.agent.until(lambda: again in house.agent.heard)
    counts = house.path.count(CALLER), house.path.count(AGENT)
    assert [(count.wrong_source, count.send_failed) for count in counts] == [(0, 0), (0, 0)]


async def test_an_order_that_ends_a_flow_ends_it_before_its_packets_are_read(house):
    house.connect()
    counts: asyncio.Future[dict[FlowId, FlowCount]] = asyncio.get_running_loop().create_future()
    house.observed.ordered = [lambda: counts.set_result(house.path.remove([CALLER, AGENT]))]
    house.caller.say(house.ports[CALLER])
    assert (await counts)[CALLER].received == 0


@pytest.mark.parametrize("sides", [("::1", "::1")])
async def test_one_party_may_speak_ipv6_and_the_other_ipv4(house, sides):
    house.connect()
    await house.latch()
    assert set(house.caller.sources) == {("::1", house.ports[CALLER].port)}
    assert house.observed.latches[CALLER].rtp == house.caller.address
    said = house.caller.say(house.ports[CALLER])
    assert (await house.agent.hears(2))[-1] == said


async def test_ports_are_even_with_the_odd_one_above_free_for_rtcp(house):
    assert all(port.port % 2 == 0 for port in house.ports.values())
    assert house.path.reserve([FlowSpec(CALLER, CALLER_SIDE)]) == {CALLER: house.ports[CALLER]}


async def test_before_the_latch_only_the_named_address_is_taken(house):
    house.connect()
    house.stranger.say(house.ports[CALLER])
    said = await house.marker(house.caller, CALLER, house.agent)
    assert house.agent.heard == [said]
    assert house.path.count(CALLER).wrong_source == 1


async def test_nothing_is_taken_before_a_forward_names_a_source(house):
    house.caller.say(house.ports[CALLER])
    house.forward(AGENT)
    house.forward(CALLER, remote=None, remote_rtcp=None)
    house.caller.say(house.ports[CALLER])
    house.agent.say(house.ports[AGENT])
    await asyncio.sleep(0.05)
    # the caller's address isn't known: nothing is sent there, nothing is taken from there
    assert house.caller.heard == house.agent.heard == []


async def test_after_the_latch_a_third_source_is_dropped(house):
    house.connect()
    await house.latch()
    other_port = RtpParty(CALLER_HOST)
    for _ in range(5):
        house.stranger.say(house.ports[CALLER])
        other_port.say(house.ports[CALLER])
    await house.marker(house.caller, CALLER, house.agent)
    other_port.close()
    assert len(house.agent.heard) == 2
    assert house.path.count(CALLER).received == 2


async def test_what_strangers_queued_before_the_latch_is_not_sent_on(house):
    house.connect()
    # all of these lie in the socket's queue when the first one is read
    house.caller.say(house.ports[CALLER])
    for _ in range(100):
        house.stranger.say(house.ports[CALLER])
    house.caller.say(house.ports[CALLER])
    await house.agent.hears(2)
    await house.marker(house.caller, CALLER, house.agent)
    assert len(house.agent.heard) == 3
    assert house.path.count(CALLER).wrong_source == 100


async def test_nat_latches_onto_the_first_source_and_sends_back_there(house):
    house.forward(AGENT)
    house.forward(CALLER, remote=Address("192.0.2.1", 4000), any_source=True)
    house.caller.say(house.ports[CALLER])
    await house.agent.hears(1)
    house.agent.say(house.ports[AGENT])
    await house.caller.hears(1)
    house.stranger.say(house.ports[CALLER])
    await house.marker(house.caller, CALLER, house.agent)
    assert len(house.agent.heard) == 2


async def test_a_nat_network_admits_its_own_only(house):
    house.forward(AGENT)
    house.forward(CALLER, remote=Address("192.0.2.1", 4000), nat_networks=(f"{CALLER_HOST}/32",))
    house.stranger.say(house.ports[CALLER])
    await house.marker(house.caller, CALLER, house.agent)
    assert len(house.agent.heard) == 1


async def test_rtcp_goes_by_its_own_ports(house):
    house.connect()
    report = b"\x80\xc9\x00\x01" + bytes(4)
    port = house.ports[CALLER]
    house.caller.rtcp.sendto(report, (port.host, port.port + 1))
    await house.agent.until(lambda: house.agent.reports)
    assert house.agent.reports == [report]
    assert house.path.count(CALLER).rtcp == 1
    assert house.path.count(CALLER).received == 0


async def test_rtcp_without_an_address_of_its_own_goes_to_the_port_above(house):
    house.connect()
    house.forward(AGENT, remote=Address(AGENT_HOST, house.agent.rtcp_address.port - 1), remote_rtcp=None)
    port = house.ports[CALLER]
    house.caller.rtcp.sendto(b"\x80\xc9\x00\x01" + bytes(4), (port.host, port.port + 1))
    await house.agent.until(lambda: house.agent.reports)


async def test_muxed_rtcp_comes_and_goes_by_the_rtp_port(house):
    house.forward(CALLER, rtcp_mux=True)
    house.forward(AGENT)
    report = b"\x80\xc9\x00\x01" + bytes(4)
    house.caller.send(house.ports[CALLER], report)
    await house.agent.until(lambda: house.agent.reports)
    assert house.agent.heard == []
    port = house.ports[AGENT]
    house.agent.rtcp.sendto(report, (port.host, port.port + 1))
    assert await house.caller.hears(1) == [report]
    assert house.caller.reports == []


async def test_a_changed_address_latches_anew_and_the_old_source_is_dropped(house):
    house.connect()
    await house.latch()
    moved = RtpParty(CALLER_HOST, ssrc=0xCA11E700)
    house.path.forward(Forward(CALLER, AGENT, moved.address, moved.rtcp_address))
    # the old one still sends for a moment, from the same host
    for _ in range(3):
        house.caller.say(house.ports[CALLER])
    said = moved.say(house.ports[CALLER])
    await house.agent.until(lambda: said in house.agent.heard)
    house.agent.say(house.ports[AGENT])
    await moved.hears(1)
    moved.close()
    assert len(house.agent.heard) == 2
    assert len(house.caller.heard) == 1


async def test_of_two_branches_on_one_host_the_one_named_last_is_latched(house):
    other = RtpParty(AGENT_HOST, ssrc=0x0B5A7C40)
    house.connect()
    house.forward(AGENT, remote=other.address, remote_rtcp=other.rtcp_address)
    house.agent.say(house.ports[AGENT])
    said = await house.marker(other, AGENT, house.caller)
    assert house.caller.heard == [said]
    await house.marker(house.caller, CALLER, other)
    other.close()


async def test_a_branch_that_was_heard_before_it_was_named_stays_latched(house):
    other = RtpParty(AGENT_HOST, ssrc=0x0B5A7C40)
    house.connect()
    heard = [await house.marker(other, AGENT, house.caller)]
    house.forward(AGENT, remote=other.address, remote_rtcp=other.rtcp_address)
    house.agent.say(house.ports[AGENT])
    heard.append(await house.marker(other, AGENT, house.caller))
    assert house.caller.heard == heard
    other.close()


async def test_an_unchanged_forward_keeps_the_latch(house):
    house.connect()
    await house.latch()
    house.connect()
    house.stranger.say(house.ports[CALLER])
    await house.marker(house.caller, CALLER, house.agent)
    assert house.path.count(CALLER).wrong_source == 0
    assert house.observed.latches[CALLER].rtp == house.caller.address


@pytest.mark.parametrize("held", [None, Address(CALLER_HOST, 0)])
async def test_a_held_party_hears_nothing_and_goes_on_where_it_was(house, held):
    house.connect()
    await house.latch()
    house.forward(CALLER, remote=held, remote_rtcp=None)
    house.agent.say(house.ports[AGENT])
    await house.marker(house.caller, CALLER, house.agent)
    house.forward(CALLER)
    said = house.agent.say(house.ports[AGENT])
    await house.caller.until(lambda: said in house.caller.heard)
    assert len(house.caller.heard) == 2


async def test_a_tap_copies_what_is_sent_on_from_then_and_nothing_else(house):
    house.connect()
    await house.latch()
    house.caller.say(house.ports[CALLER])
    copies = []
    # the packet above lies in the kernel's queue: received before the tap, so not the tap's
    house.path.tap(CALLER, lambda at, packet: copies.append((at, bytes(packet))))
    house.stranger.say(house.ports[CALLER])
    said = [house.caller.say(house.ports[CALLER], bytes([n]) * 80) for n in range(10)]
    house.agent.say(house.ports[AGENT])
    await house.agent.until(lambda: said[-1] in house.agent.heard)
    assert [packet for _, packet in copies] == said == house.agent.heard[2:]
    assert [at for at, _ in copies] == sorted(at for at, _ in copies)
    house.path.tap(CALLER, None)
    await house.marker(house.caller, CALLER, house.agent)
    assert len(copies) == 10
    assert house.path.count(CALLER).tapped == 10


async def test_what_isn_t_sent_to_anybody_isn_t_tapped(house):
    house.connect()
    await house.latch()
    copies = []
    house.path.tap(CALLER, lambda at, packet: copies.append(bytes(packet)))
    house.forward(AGENT, remote=None, remote_rtcp=None)
    house.caller.say(house.ports[CALLER])
    house.path.tap(CALLER, lambda at, packet: copies.append(bytes(packet)))  # reads what is there
    house.forward(AGENT)
    said = await house.marker(house.caller, CALLER, house.agent)
    assert copies == [said]


async def test_a_diverted_packet_goes_nowhere_but_to_the_divert(house):
    house.connect()
    await house.latch()
    diverted, copies = [], []

    def divert(packet, at, readable):
        diverted.append(bytes(packet))
        return False

    outlet = house.path.divert(CALLER, divert)
    house.path.tap(CALLER, lambda at, packet: copies.append(bytes(packet)))
    said = house.caller.say(house.ports[CALLER])
    assert outlet.send(b"\x80own") is True
    await house.agent.until(lambda: b"\x80own" in house.agent.heard)
    await house.marker(house.agent, AGENT, house.caller)
    assert diverted == [said]
    assert outlet.last_header == said[:12]
    assert copies == []
    house.path.divert(CALLER, None)
    await house.marker(house.caller, CALLER, house.agent)
    assert len(house.agent.heard) == 3


async def test_a_party_that_went_away_doesn_t_stop_the_other_direction(house):
    house.connect()
    await house.latch()
    house.agent.close()
    for _ in range(5):
        house.caller.say(house.ports[CALLER])
        await asyncio.sleep(0.005)
    assert house.path.count(CALLER).received == 6
    house.agent = RtpParty(AGENT_HOST)


async def test_a_party_that_didn_t_listen_for_a_moment_loses_only_that_moment(house):
    house.connect()
    await house.latch()
    for _ in range(3):
        at = house.agent.rtp.getsockname()
        house.agent.close()
        house.caller.say(house.ports[CALLER])
        await asyncio.sleep(0.005)
        house.agent = RtpParty(AGENT_HOST, at=at)
        await house.marker(house.agent, AGENT, house.caller)
        await house.marker(house.caller, CALLER, house.agent)
    assert house.path.count(AGENT).forwarded == 4


async def test_a_refusal_of_one_packet_costs_no_other_one(house):
    house.connect()
    await house.latch()
    house.agent.close()
    for _ in range(20):
        house.caller.say(house.ports[CALLER])
    house.path.tap(CALLER, lambda at, packet: None)
    assert house.path.count(CALLER).received == 21
    assert (house.path.count(CALLER).forwarded, house.path.count(CALLER).send_failed) == (21, 0)
    house.agent = RtpParty(AGENT_HOST)


async def test_new_streams_are_told_with_the_one_before(house):
    house.connect()
    await house.latch()
    house.caller.ssrc = 5
    await house.marker(house.caller, CALLER, house.agent)
    await house.marker(house.caller, CALLER, house.agent)
    assert [event for event in house.observed.seen if event[0] == CALLER] == [
        (CALLER, 0xCA11E700, 8, None),
        (CALLER, 5, 8, 0xCA11E700),
    ]


async def test_short_and_foreign_packets_are_relayed_and_harm_nothing(house):
    house.connect()
    await house.latch()
    odd = [b"\x00", b"\x80\x08short", b"\xff" * 3, bytes(1400)]
    for packet in odd:
        house.caller.send(house.ports[CALLER], packet)
    await house.marker(house.caller, CALLER, house.agent)
    assert house.agent.heard[1:-1] == odd
    house.caller.send(house.ports[CALLER], b"")
    await house.marker(house.caller, CALLER, house.agent)


async def test_removed_ports_are_closed_and_cool_down():
    clock: dict[str, float] = {"now": 0.0}
    pool = PortPool(share((41100, 41103), 1, 0), cooldown_s=30.0)

    class Clock(SystemClock):
        def now(self):
            return clock["now"]

    path = UserspaceDatapath(asyncio.get_running_loop(), Clock(), pool, Observed())
    specs = [FlowSpec(CALLER, CALLER_SIDE), FlowSpec(AGENT, CALLER_SIDE)]
    first = path.reserve(specs)
    other = [FlowSpec(FlowId("ffff2233aabbccdd/caller/0"), CALLER_SIDE)]
    with pytest.raises(OutOfPorts):
        path.reserve(other)
    path.remove([CALLER, AGENT])
    with pytest.raises(UnknownFlow):
        path.count(CALLER)
    clock["now"] = 29.9
    with pytest.raises(OutOfPorts):
        path.reserve(other)
    clock["now"] = 30.0
    assert path.reserve(other)[other[0].flow] in first.values()
    path.close()


async def test_a_reservation_that_fails_binds_nothing(house):
    pool = PortPool(share((41200, 41203), 1, 0), cooldown_s=0.0)
    path = UserspaceDatapath(asyncio.get_running_loop(), SystemClock(), pool, Observed())
    flows = [FlowSpec(FlowId(f"00112233aabbccdd/caller/{n}"), CALLER_SIDE) for n in range(3)]
    with pytest.raises(OutOfPorts):
        path.reserve(flows)
    assert len(path.reserve(flows[:2])) == 2
    path.close()


async def test_restored_ports_relay_from_the_latched_sources_at_once(house):
    house.connect()
    await house.latch()
    latches, ports = dict(house.observed.latches), dict(house.ports)
    house.path.close()
    for flow in (CALLER, AGENT):
        house.path.restore(flow, ports[flow])
    house.connect()
    for flow in (CALLER, AGENT):
        house.path.relatch(flow, latches[flow])
    house.stranger.say(ports[CALLER])
    await house.marker(house.caller, CALLER, house.agent)
    await house.marker(house.agent, AGENT, house.caller)
    assert len(house.agent.heard) == 2
    assert house.path.state(CALLER).local == ports[CALLER]


async def test_orders_that_make_no_sense_are_refused(house):
    with pytest.raises(OrderRefused):
        house.forward(CALLER, remote=Address("caller.example", 4000))
    with pytest.raises(OrderRefused):
        house.forward(CALLER, nat_networks=("10.0.0.0/33",))
    with pytest.raises(UnknownFlow):
        house.path.forward(Forward(FlowId("0/agent/0"), CALLER, None, None))
    with pytest.raises(UnknownFlow):
        house.path.tap(FlowId("0/agent/0"), None)
    with pytest.raises(UnknownFlow):
        house.path.secure(Secure(FlowId("0/agent/0"), None, None))
    for key in (
        SrtpKey("AES_256_CM_HMAC_SHA1_80", HERS.key),
        SrtpKey(HERS.suite, "c2hvcnQ="),
        SrtpKey(HERS.suite, "?"),
    ):
        with pytest.raises(OrderRefused):
            house.path.secure(Secure(CALLER, key, None))
    assert house.path.remove([FlowId("0/agent/0")]) == {}


async def test_a_datagram_that_looks_like_rtcp_isn_t_tapped(house):
    house.forward(CALLER, rtcp_mux=True)
    house.forward(AGENT, rtcp_mux=True)
    await house.latch()
    copies = []
    house.path.tap(CALLER, lambda at, packet: copies.append(packet))
    house.caller.send(house.ports[CALLER], build(72, 1, 1, 1, bytes(8), marker=True))
    await house.agent.until(lambda: len(house.agent.heard) == 2)
    assert copies == []


# --- SRTP -------------------------------------------------------------------------------------------------------------

HERS, HIS, OURS = make_key(1), make_key(2), make_key(3)


def speak_srtp(house, flow, kind, own, other):
    """One party speaks SRTP from now."""
    party = SrtpParty(CALLER_HOST if flow == CALLER else AGENT_HOST, own, other, ssrc=5)
    name = "caller" if flow == CALLER else "agent"
    getattr(house, name).close()
    setattr(house, name, party)
    house.path.secure(Secure(flow, own, other))
    house.forward(flow, srtp=kind)
    return party


async def test_what_goes_through_isn_t_touched_and_a_tap_gets_it_decrypted(house):
    house.connect()
    speak_srtp(house, CALLER, Srtp.THROUGH, HERS, HIS)
    speak_srtp(house, AGENT, Srtp.THROUGH, HIS, HERS)
    said = [house.caller.say(house.ports[CALLER], bytes([n]) * 160) for n in range(10)]
    assert await house.agent.hears(10) == said
    copies = []
    house.path.tap(CALLER, lambda at, packet: copies.append(bytes(packet[12:])))
    said += [house.caller.say(house.ports[CALLER], bytes([n]) * 160) for n in range(10, 20)]
    assert await house.agent.hears(20) == said
    assert copies == house.agent.payloads[10:] == [bytes([n]) * 160 for n in range(10, 20)]
    house.path.tap(CALLER, None)
    await house.marker(house.caller, CALLER, house.agent)
    assert (len(copies), house.observed.unread) == (10, [])


@pytest.mark.parametrize("flow", [CALLER, AGENT])
async def test_srtp_of_either_party_ends_here_and_a_tap_gets_both_decrypted(house, flow):
    house.connect()
    speak_srtp(house, flow, Srtp.ENDED, HERS, OURS)
    copies: dict[FlowId, list[bytes]] = {CALLER: [], AGENT: []}
    for tapped, into in copies.items():
        house.path.tap(tapped, lambda at, packet, into=into: into.append(bytes(packet[12:])))
    caller, agent = ([bytes([n + first]) * 160 for n in range(10)] for first in (0, 100))
    for one, other in zip(caller, agent, strict=True):
        house.caller.say(house.ports[CALLER], one)
        house.agent.say(house.ports[AGENT], other)
    await asyncio.gather(house.caller.hears(10), house.agent.hears(10))
    assert house.caller.payloads == copies[AGENT] == agent
    assert house.agent.payloads == copies[CALLER] == caller
    assert house.path.count(CALLER).forwarded == house.path.count(AGENT).forwarded == 10


@pytest.mark.parametrize("keys", [None, (None, None), (HIS, None)])
async def test_without_its_key_nothing_goes_to_or_from_a_party_whose_srtp_ends_here(house, keys):
    house.connect()
    await house.latch()
    house.forward(CALLER, srtp=Srtp.ENDED)
    if keys is not None:
        house.path.secure(Secure(CALLER, *keys))
    for _ in range(60):
        house.caller.say(house.ports[CALLER])
        house.agent.say(house.ports[AGENT])
    for flow in (CALLER, AGENT):
        house.path.tap(flow, lambda at, packet: None)  # reads what is there
        house.path.tap(flow, None)
    house.forward(CALLER)
    await house.marker(house.caller, CALLER, house.agent)
    assert (len(house.agent.heard), len(house.caller.heard)) == (2, 1)
    assert house.observed.unread == [CALLER]
    assert house.path.count(CALLER).unreadable == 60
    assert (house.path.count(CALLER).send_failed, house.path.count(AGENT).send_failed) == (60, 60)


def test_workers_share_the_range_without_overlap():
    shares = [share((30001, 39999), 3, index) for index in range(3)]
    assert len({port for part in shares for port in part}) == sum(map(len, shares)) >= 4990
    assert all(port % 2 == 0 and 30001 <= port < 39999 for part in shares for port in part)


# --- RTCP and what is measured ----------------------------------------------------------------------------------------


async def test_a_party_s_own_reports_say_how_well_it_hears(house):
    house.connect()
    await house.latch()
    sender = struct.pack("!BBHIQIII", 0x80, 200, 6, 0xCA11E700, 0x12345678 << 16, 0, 50, 8000)
    port = house.ports[CALLER]
    house.caller.rtcp.sendto(sender, (port.host, port.port + 1))
    await house.agent.until(lambda: house.agent.reports)
    block = struct.pack("!IIIIII", 0xCA11E700, 64 << 24, 0, 80, 0x12345678, 0)
    report = struct.pack("!BBHI", 0x81, 201, 7, 0xA6E87000) + block
    port = house.ports[AGENT]
    house.agent.rtcp.sendto(report, (port.host, port.port + 1))
    await house.caller.until(lambda: house.caller.reports)
    assert (house.agent.reports, house.caller.reports) == ([sender], [report])
    heard = house.path.count(AGENT).heard
    assert heard is not None
    assert (heard.loss, heard.jitter_ms) == (0.25, 10.0)
    assert heard.round_trip_ms is not None and 0 <= heard.round_trip_ms < 5000
    assert house.path.count(CALLER).heard is None


async def test_rtcp_from_elsewhere_is_dropped_before_and_after_the_latch(house):
    house.connect()
    report = b"\x80\xc9\x00\x01" + bytes(4)
    port = house.ports[CALLER]
    house.stranger.rtcp.sendto(report, (port.host, port.port + 1))
    house.caller.rtcp.sendto(report, (port.host, port.port + 1))
    await house.agent.until(lambda: house.agent.reports)
    house.stranger.rtcp.sendto(report, (port.host, port.port + 1))
    muxed = RtpParty(STRANGER_HOST)
    muxed.send(port, report)
    house.caller.rtcp.sendto(report, (port.host, port.port + 1))
    await house.agent.until(lambda: len(house.agent.reports) == 2)
    await house.marker(house.caller, CALLER, house.agent)
    muxed.close()
    assert house.agent.reports == [report] * 2
    assert house.path.count(CALLER).wrong_source >= 1


async def test_after_a_re_invite_only_the_new_address_is_taken(house):
    house.connect()
    await house.latch()
    moved = RtpParty("127.10.1.14", ssrc=0xCA11E700)
    house.path.forward(Forward(CALLER, AGENT, moved.address, moved.rtcp_address))
    for _ in range(3):
        house.stranger.say(house.ports[CALLER])
        house.caller.say(house.ports[CALLER])
    said = await house.marker(moved, CALLER, house.agent)
    house.stranger.say(house.ports[CALLER])
    await house.marker(moved, CALLER, house.agent)
    moved.close()
    assert len(house.agent.heard) == 3
    assert house.agent.heard[1] == said
    assert house.path.count(CALLER).wrong_source >= 6


async def test_a_stranger_who_knows_the_ssrc_is_still_a_stranger(house):
    house.connect()
    await house.latch()
    copies = []
    house.path.tap(CALLER, lambda at, packet: copies.append(bytes(packet)))
    house.stranger.ssrc, house.stranger.seq, house.stranger.timestamp = (
        house.caller.ssrc,
        house.caller.seq,
        house.caller.timestamp,
    )
    house.stranger.say(house.ports[CALLER])
    said = await house.marker(house.caller, CALLER, house.agent)
    assert copies == [said]
    assert [event for event in house.observed.seen if event[0] == CALLER] == [(CALLER, house.caller.ssrc, 8, None)]


async def test_traffic_classes_are_kept_in_each_direction(house):
    house.connect()
    for party, marking in ((house.caller, 0xB8), (house.agent, 0x88)):  # expedited forwarding, and AF41
        party.rtp.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, marking)
        party.rtp.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
    await house.latch()
    loop = asyncio.get_running_loop()
    got = {}
    for sender, flow, listener in ((house.caller, CALLER, house.agent), (house.agent, AGENT, house.caller)):
        loop.remove_reader(listener.rtp)
        sender.say(house.ports[flow])
        there = loop.create_future()
        loop.add_reader(listener.rtp, there.set_result, None)
        await asyncio.wait_for(there, 5)
        loop.remove_reader(listener.rtp)
        _, notes, _, _ = listener.rtp.recvmsg(2048, 64)
        got[flow] = notes[0][2][0]
    assert got == {CALLER: 0xB8, AGENT: 0x88}


async def test_a_long_backlog_is_sent_on_before_a_tap_opens(house):
    house.connect()
    await house.latch()
    said = [house.caller.say(house.ports[CALLER], bytes([n]) * 160) for n in range(150)]
    copies: list[bytes] = []
    house.path.tap(CALLER, lambda at, packet: copies.append(bytes(packet)))  # reads what is there
    later = house.caller.say(house.ports[CALLER])
    assert (await house.agent.hears(152))[1:] == [*said, later]
    assert copies == [later]


async def test_what_waits_behind_an_order_to_stop_isn_t_tapped(house):
    house.connect()
    await house.latch()
    copies: list[bytes] = []
    house.path.tap(CALLER, lambda at, packet: copies.append(bytes(packet)))
    agreed = house.caller.say(house.ports[CALLER])
    await house.agent.hears(2)
    house.observed.ordered.append(lambda: house.path.tap(CALLER, None))
    house.caller.say(house.ports[CALLER])
    await house.agent.hears(3)
    assert copies == [agreed]
