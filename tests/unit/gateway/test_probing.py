"""Which next hops answer: judged by probes and by calls; silence costs the first place, never a call."""

import pytest

from gateway.config import SideConfig
from gateway.ingress.next_hop import NextHops
from gateway.ingress.probing import SHUNNED_S, Probing
from gateway.sip.hop import Hop, Side, Transport
from tests.peers.manual_clock import ManualClock
from tests.peers.zone import Zone

FIRST, SECOND = (Hop(Side.AGENT, Transport.UDP, host, 5060) for host in ("10.0.0.5", "10.0.0.6"))


class House:
    def __init__(self) -> None:
        self.zone = Zone()
        config = SideConfig(listen=["udp:10.0.0.20:5060"], peers=["10.0.0.0/8"], next_hops=["10.0.0.5", "10.0.0.6"])
        phones = config.model_copy(update={"next_hops": []})
        hops = {
            Side.AGENT: NextHops.of(Side.AGENT, config, self.zone.locator()),
            Side.CALLER: NextHops.of(Side.CALLER, phones, self.zone.locator()),
        }
        self.asked: list[Hop] = []
        self.clock = ManualClock()
        self.probing = Probing(hops, self.asked.append, self.clock)

    async def round(self, *answering: Hop) -> None:
        await self.probing.round(Side.AGENT)
        for hop in answering:
            self.probing.answered(hop)


@pytest.fixture
def house():
    return House()


async def test_every_hop_is_asked_each_round(house):
    await house.round()
    await house.round()
    assert house.asked == [FIRST, SECOND] * 2


async def test_a_hop_that_falls_silent_is_tried_last_until_it_answers(house):
    await house.round(FIRST, SECOND)
    await house.round(SECOND)
    await house.round(SECOND)
    assert house.probing.in_order([FIRST, SECOND]) == [FIRST, SECOND], "one lost probe is no silence"
    await house.round(SECOND)
    assert house.probing.in_order([FIRST, SECOND]) == [SECOND, FIRST]
    house.probing.answered(FIRST)
    assert house.probing.in_order([FIRST, SECOND]) == [FIRST, SECOND]


async def test_who_never_answered_is_silent_after_one_probe_and_a_failed_call_is_enough(house):
    await house.round()
    assert house.probing.ready(Side.AGENT), "nobody knows yet"
    await house.round()
    assert not house.probing.ready(Side.AGENT)
    house.probing.answered(SECOND)
    assert house.probing.ready(Side.AGENT)
    house.probing.failed(SECOND)
    assert not house.probing.ready(Side.AGENT)


async def test_a_hop_that_nobody_probes_is_tried_last_for_a_while_after_a_failed_call(house):
    house.probing.failed(FIRST)
    assert house.probing.in_order([FIRST, SECOND]) == [SECOND, FIRST]
    assert house.probing.ready(Side.AGENT), "one call isn't enough to say that nobody is there"
    house.clock.advance(SHUNNED_S)
    assert house.probing.in_order([FIRST, SECOND]) == [FIRST, SECOND]
    house.probing.failed(FIRST)
    house.probing.answered(FIRST)
    assert house.probing.in_order([FIRST, SECOND]) == [FIRST, SECOND]


async def test_a_side_without_next_hops_is_ready_for_its_phones(house):
    await house.probing.round(Side.CALLER)
    assert house.probing.ready(Side.CALLER)


async def test_a_name_that_leads_elsewhere_now_takes_its_silence_along():
    zone = Zone(ttl_s=1.0)
    zone.a["pbx.example"] = ["10.0.0.5"]
    config = SideConfig(listen=["udp:10.0.0.20:5060"], peers=["10.0.0.0/8"], next_hops=["pbx.example:5060"])
    clock = ManualClock()
    probing = Probing({Side.AGENT: NextHops.of(Side.AGENT, config, zone.locator(clock))}, lambda hop: None, clock)
    await probing.round(Side.AGENT)
    await probing.round(Side.AGENT)
    assert not probing.ready(Side.AGENT)
    zone.a["pbx.example"] = ["10.0.0.6"]
    clock.advance(2)
    await probing.round(Side.AGENT)
    assert probing.ready(Side.AGENT)
    assert not probing.silent(FIRST)
