"""An hour of a call as a network and two clocks make it: both sides stay together, and as long as the call was."""

from dataclasses import dataclass

import numpy as np
import pytest

from gateway.media.recording.intake import Intake
from gateway.rtp.packet import build

RATE = 8000
HOUR = 3600.0
OPENED_AT = 50_000.0
HOLD = (1500.0, 1620.0)
"""Neither party sends; afterwards the caller's timestamps go on as if nothing had been, the agent's have run on."""
NEW_SSRC_AT = 2400.0
BEAT_S = 10.0
BEAT = b"\x01"
"""One packet every ten seconds by the true time is filled with this on both sides."""


@dataclass
class Sender:
    ppm: float
    seq: int
    timestamp: int
    stands_still: bool
    loss: float
    dice: np.random.Generator
    beats: dict[int, float]
    """When each beat was really said."""

    def packets(self):
        """(arrival, packet) for an hour."""
        ticks, count, ssrc, held = 0, 0, 11, False
        while True:
            said_at = ticks / RATE / (1 + self.ppm / 1e6)
            if said_at >= HOUR:
                return
            if HOLD[0] <= said_at < HOLD[1]:
                held, ticks = True, ticks + 160
                if self.stands_still:
                    self.timestamp -= 160
                continue
            if said_at >= NEW_SSRC_AT and ssrc == 11:
                ssrc, self.seq, self.timestamp = 12, self.seq + 12_345, self.timestamp + 999_999_999
            beat = int(said_at // BEAT_S)
            first = beat not in self.beats and said_at - beat * BEAT_S < 0.02
            if first:
                self.beats[beat] = said_at
            payload = (BEAT if first else b"\x55") * 160
            packet = build(8, self.seq + count, self.timestamp + ticks, ssrc, payload, marker=held)
            held = False
            if first or self.dice.random() >= self.loss:
                yield OPENED_AT + said_at + 0.03 + float(self.dice.exponential(0.006)), packet
            ticks, count = ticks + 160, count + 1


def record(sender):
    """The audio of a side whose session drains once a second, and its timeline."""
    intake = Intake(OPENED_AT, {8: "PCMA"}, lambda law, arrival: None)
    packets = sorted(sender.packets())
    pieces, at = [], 0
    for second in range(1, int(HOUR) + 1):
        now = OPENED_AT + second
        while at < len(packets) and packets[at][0] <= now:
            intake.tap(packets[at][0], memoryview(packets[at][1]))
            at += 1
        intake.drain(now)
        if intake.timeline is not None:
            pieces += intake.timeline.take(now)
    assert intake.timeline is not None
    pieces += intake.timeline.finish(OPENED_AT + HOUR)
    audio = b"".join(piece if isinstance(piece, bytes) else b"\xd5" * piece for piece in pieces)
    return np.frombuffer(audio, np.uint8), intake.timeline


def heard(audio, beat):
    """Where a beat begins, in seconds; None where it isn't."""
    around = max(int(beat * BEAT_S * RATE) - RATE, 0)
    found = np.flatnonzero(audio[around : around + 2 * RATE] == BEAT[0])
    return (around + int(found[0])) / RATE if len(found) else None


@pytest.fixture(scope="module")
def hour():
    """Agent and caller of one call, fast and slow by 50 ppm, with loss, a hold and new SSRCs."""
    agent = Sender(50.0, 65_000, 2**32 - 5_000_000, False, 0.01, np.random.default_rng(1), {})
    caller = Sender(-50.0, 100, 77, True, 0.03, np.random.default_rng(2), {})
    return [(sender, *record(sender)) for sender in (agent, caller)]


def test_both_sides_are_as_long_as_the_call(hour):
    for _, audio, timeline in hour:
        assert abs(len(audio) / RATE - HOUR) <= 0.040
        assert timeline.samples == len(audio)


def test_both_sides_are_in_step_within_20_ms_up_to_the_end(hour):
    (agent, agent_audio, _), (caller, caller_audio, _) = hour
    skews = {}
    for beat in sorted(agent.beats.keys() & caller.beats.keys()):
        agent_at, caller_at = heard(agent_audio, beat), heard(caller_audio, beat)
        if agent_at is not None and caller_at is not None:
            skews[beat] = (agent_at - caller_at) - (agent.beats[beat] - caller.beats[beat])
    assert len(skews) > 340
    assert max(skews) >= 358, "up to the last ten seconds"
    assert max(map(abs, skews.values())) < 0.020


def test_what_was_lost_and_the_hold_are_told(hour):
    for _, _, timeline in hour:
        held = [gap for gap in timeline.gaps if gap.end_ms - gap.start_ms > 100_000]
        assert len(held) == 1
        assert abs(held[0].start_ms - HOLD[0] * 1000) < 100
        assert abs(held[0].end_ms - HOLD[1] * 1000) < 100
        assert sum(gap.why == "loss" for gap in timeline.gaps) > 500
