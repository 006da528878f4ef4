"""A sound while the machine has no time for it: a pause, never a heap of packets, and no question after a long one."""

import asyncio
import itertools

import numpy as np
import pytest

from gateway.media.passage import CUT_S, Passage
from gateway.media.plane import FlowId, Play, PlayEnded
from gateway.media.prompts.player import LawVoice
from gateway.rtp.packet import Rtp
from tests.peers.manual_clock import ManualClock

CALLER, AGENT = FlowId("0011/caller/0"), FlowId("0011/agent/0")
FRAMES = 5


class Outlet:
    last_header = b""
    own_ssrc = False

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.sent: list[tuple[float, Rtp]] = []
        """When, and the packet."""

    def send(self, packet: bytes | bytearray | memoryview) -> bool:
        self.sent.append((self.clock.now(), Rtp.parse(packet)))
        return True

    def pass_on(self) -> bool:
        raise AssertionError("nobody speaks")


async def played(stall_s: float) -> tuple[list[tuple[float, Rtp]], bool]:
    """What was sent of a sound in whose middle the machine stalled, and how it ended."""
    clock = ManualClock()
    reports: list[object] = []
    passage = Passage(AGENT, CALLER, clock, reports.append)
    outlet = passage.outlet = Outlet(clock)
    voice = LawVoice("PCMA", np.full(FRAMES * 160, 1000, np.int16), 20, 0.0)
    passage.play(Play("p", CALLER, "tone-start", "instead", "PCMA", 8), voice)
    count = 0
    async with asyncio.timeout(5):
        while not reports:
            if len(outlet.sent) > count:
                count = len(outlet.sent)
                clock.advance(stall_s if count == 2 else 0.02)
            await asyncio.sleep(0)
    (ended,) = reports
    assert isinstance(ended, PlayEnded)
    return outlet.sent, ended.complete


@pytest.mark.parametrize("stall_s", [0.02, 0.3, CUT_S + 0.5])
async def test_a_stall_is_a_pause_in_time_and_timestamps_and_every_word_is_sent(stall_s):
    sent, complete = await played(stall_s)
    assert len(sent) == FRAMES
    for place, ((at, one), (then, other)) in enumerate(itertools.pairwise(sent)):
        assert (other.seq - one.seq) & 0xFFFF == 1
        passed_ms = 20 if place != 1 else round(stall_s * 1000)
        assert then - at == pytest.approx(passed_ms / 1000)
        assert (other.timestamp - one.timestamp) & 0xFFFFFFFF == passed_ms * 8
    assert complete == (stall_s < CUT_S)
