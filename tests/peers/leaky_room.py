"""A call in a room where the agent's microphone may hear the caller: voices, echo paths, noise and the codec.

Voices are the demo's speech, or whatever is given. Everything is made from one seed, so that a run can be repeated.
"""

import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from demo.make_speech import FOLDER
from gateway.rtp.g711 import RATE, decode, encode
from gateway.rtp.payload_types import Law

Scene = Literal["silence", "conversation", "double talk"]
"""What the agent does: listens, takes turns with some overlap, or talks all the time while the caller does too."""
Voices = dict[str, list[np.ndarray]]
"""Utterances of each speaker at a loudness of 1 while they speak."""
FULL_SCALE = 32768


def demo_voices() -> Voices:
    """The four voices that are in this repository, one utterance each."""
    return {path.stem: [levelled(_read(path))] for path in sorted(FOLDER.glob("*.wav"))}


def levelled(samples: np.ndarray) -> np.ndarray:
    """Speech at a loudness of 1 where it isn't a pause."""
    return np.asarray(samples / loudness(samples))


def loudness(samples: np.ndarray) -> float:
    """Root mean square of what is louder than a twentieth of the peak."""
    loud = samples[np.abs(samples) > 0.05 * np.abs(samples).max(initial=1e-9)]
    return float(np.sqrt(np.mean(loud**2))) if len(loud) else 1.0


@dataclass(frozen=True, slots=True)
class Room:
    """Where the agent sits."""

    leak_db: float | None
    """The caller's voice in the microphone against the agent's own at a normal loudness; None: none of it."""
    scene: Scene = "conversation"
    seconds: int = 20
    noise_db: float = -60.0
    """Of the microphone, against full scale; the agent speaks at -20."""
    path: Literal["headset", "loudspeaker"] | None = None
    """A short path, or one with the room's reverberation; None: either."""
    delay_ms: float | None = None
    """From our port to our port; None: 20 to 200."""
    agent_echo_db: float | None = None
    """The agent's voice that comes back from the caller's line."""
    law: Law | None = None


def call(room: Room, dice: np.random.Generator, voices: Voices) -> tuple[np.ndarray, np.ndarray]:
    """What the agent is sent and what their microphone sends, as 16-bit samples after the codec."""
    agents, callers = dice.choice(sorted(voices), 2, replace=False)
    count = room.seconds * RATE
    law: Law = room.law or ("PCMA" if dice.random() < 0.5 else "PCMU")
    normal = FULL_SCALE * 10 ** (-20 / 20)
    agent = _talk(voices[agents], count, dice) * normal
    caller = _talk(voices[callers], count, dice) * normal * 10 ** (dice.uniform(-8, 4) / 20)
    if room.scene == "silence":
        agent = np.zeros(count)
    if room.scene == "conversation":
        turns = _turns(count, dice)
        agent, caller = agent * turns, caller * (1 - np.roll(turns, -RATE * 4 // 10))
    if room.agent_echo_db is not None:
        caller = caller + _echo(agent, "headset", dice.uniform(30, 200), dice) * 10 ** (room.agent_echo_db / 20)
    heard = through(law, caller + dice.standard_normal(count) * 10)
    microphone = agent + dice.standard_normal(count) * FULL_SCALE * 10 ** (room.noise_db / 20)
    if room.leak_db is not None:
        path = room.path or ("headset" if dice.random() < 0.5 else "loudspeaker")
        delay = room.delay_ms if room.delay_ms is not None else dice.uniform(20, 200)
        echo = _echo(heard.astype(np.float64), path, delay, dice)
        microphone = microphone + echo / loudness(echo) * normal * 10 ** (room.leak_db / 20)
    return heard, through(law, microphone)


def through(law: Law, samples: np.ndarray) -> np.ndarray:
    """Samples as they come out of the codec."""
    return decode(law, encode(law, np.clip(np.rint(samples), -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)))


def _talk(utterances: list[np.ndarray], count: int, dice: np.random.Generator) -> np.ndarray:
    """One voice for so long, beginning anywhere, with a breath between the utterances."""
    said: list[np.ndarray] = []
    while sum(map(len, said)) < count + RATE:
        said += [utterances[dice.integers(len(utterances))], np.zeros(int(dice.uniform(0.2, 0.6) * RATE))]
    everything = np.concatenate(said)
    return np.asarray(np.roll(everything, -int(dice.integers(len(everything))))[:count])


def _turns(count: int, dice: np.random.Generator) -> np.ndarray:
    turns, at, speaks = np.zeros(count), 0, dice.random() < 0.5
    while at < count:
        length = int(4 * dice.uniform(0.6, 1.4) * RATE)
        turns[at : at + length] = speaks
        at, speaks = at + length, not speaks
    return turns


def _echo(sound: np.ndarray, path: str, delay_ms: float, dice: np.random.Generator) -> np.ndarray:
    """A sound after its way: a few samples of resonance, or reverberation that dies away in 0.25 to 0.6 s."""
    if path == "headset":
        way = dice.standard_normal(24) * np.exp(-np.arange(24) / 4)
    else:
        length = np.arange(int(0.35 * RATE))
        way = 0.3 * dice.standard_normal(len(length)) * 10 ** (-3 * length / (dice.uniform(0.25, 0.6) * RATE))
        way[0] = 1
    way = np.concatenate((np.zeros(int(delay_ms * RATE / 1000)), way))
    size = len(sound) + len(way)
    return np.asarray(np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(way, size), size)[: len(sound)])


def _read(path: Path) -> np.ndarray:
    with wave.open(str(path)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float64)
