"""Opens the agents' recordings with their keys, writes each as a stereo WAV, and looks for the speech that was sent."""

import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from api.listen import SideFile, open_side, write_wav
from demo.agents import Desk
from demo.correlate import find
from demo.g711 import Samples
from demo.report import CallTold, SideFound
from demo.talk import Spoken

STRONG = 0.9
"""Correlation from which a channel holds the speech that was sent (other speech: under 0.2)."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What the comparison of a recording with what was said gave."""

    agent: float
    caller: float
    skew_ms: float
    """How much later the caller's speech stands, beside the agent's, than it was sent."""

    @property
    def good(self) -> bool:
        """Whether both are there, each on its own channel."""
        return self.agent >= STRONG and self.caller >= STRONG

    def __str__(self) -> str:
        return f"agent left {self.agent:.3f}, caller right {self.caller:.3f}, skew {self.skew_ms:+.1f} ms"


async def open_recordings(desk: Desk, calls: dict[str, CallTold], folder: Path) -> dict[str, Path]:
    """Write a WAV for each recording of this agent's and note its sides at its call; files by call reference."""
    written = {}
    for recording in await desk.client.recordings():
        call = calls.get(recording["call"])
        if call is None or not recording["sides"]:
            continue
        files = [
            SideFile(one["side"], one["seg"], await desk.client.fetch(recording["id"], one["side"], one["seg"]))
            for one in recording["sides"]
        ]
        sides = [open_side(file, [desk.keys.keys.identity]) for file in files]
        path = folder / f"{call.call}.wav"
        write_wav(sides, path)
        call.sides = [
            SideFound(one.side, round(one.seconds, 3), one.container_sha256, str(path))
            for one in sorted(sides, key=lambda one: (one.side, one.seg))
        ]
        written[call.call] = path
    return written


def check(path: Path, spoken: Spoken) -> Checked:
    """Look for both speakers in a WAV of ours."""
    left, right = read_stereo(path)
    agent, caller = find(spoken.agent, left), find(spoken.caller, right)
    sent_ms = (spoken.caller_at - spoken.agent_at) * 1000
    return Checked(agent.strength, caller.strength, caller.lag_ms - agent.lag_ms - sent_ms)


def read_stereo(path: Path) -> tuple[Samples, Samples]:
    """Left and right of a 16-bit WAV."""
    with wave.open(str(path), "rb") as file:
        frames = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
    return frames[:, 0].astype(np.int16), frames[:, 1].astype(np.int16)
