"""Speech whose every RTP frame is unlike any other, so that it can be found again: at the far end, in a recording."""

import itertools
from collections.abc import Mapping

import numpy as np

from demo.g711 import RATE, Samples, decode, encode
from demo.line import FRAME, Arrival, Line
from tests.peers.running_site import until

__all__ = ["MarkedFrames", "unbroken"]


class MarkedFrames:
    """Noise that `line` speaks from now on, and that arrives at `far`."""

    def __init__(self, line: Line, far: Line, seconds: float, seed: int) -> None:
        noise = np.random.default_rng(seed).normal(0, 3000, round(seconds * RATE) // FRAME * FRAME)
        frames = noise.clip(-32768, 32767).astype(np.int16).reshape(-1, FRAME)
        self._payloads = {encode(line.codec, frame): number for number, frame in enumerate(frames)}
        assert len(self._payloads) == len(frames)
        self._sounds = [decode(line.codec, payload) for payload in self._payloads]
        self._far = far
        line.play(frames.reshape(-1))

    def heard(self) -> Mapping[int, Arrival]:
        """The frames that have arrived at the far end as they were sent, by number."""
        numbered = ((self._payloads.get(one.payload), one) for one in self._far.arrivals)
        return {number: one for number, one in numbered if number is not None}

    async def until_heard(self, since: float, count: int) -> None:
        """Wait until so many frames have arrived at the far end after an instant of the loop's time."""

        async def enough() -> bool:
            return sum(one.at > since for one in self.heard().values()) >= count

        await until(enough)

    def kept(self, side: Samples) -> range:
        """Which frames a side of a recording holds; they must stand in it one after another, every one of them.

        A recorder that follows a sender's clock repeats or drops a sample now and then: a frame is there where either
        half of it is, and its neighbour stands a frame away, give or take a sample.
        """
        recorded = side.astype(np.int16).tobytes()
        halves = ((sound[: FRAME // 2].tobytes(), sound[FRAME // 2 :].tobytes()) for sound in self._sounds)
        places = {
            number: start if (start := recorded.find(first)) >= 0 else recorded.find(second) - len(first)
            for number, (first, second) in enumerate(halves)
        }
        found = {number: place // 2 for number, place in places.items() if place >= 0}
        assert found, "none of the frames was recorded"
        first, last = min(found), max(found)
        assert not set(range(first, last + 1)) - set(found)
        steps = {number: found[number + 1] - found[number] for number in range(first, last)}
        assert not {number: step for number, step in steps.items() if abs(step - FRAME) > 1}
        return range(first, last + 1)


def unbroken(line: Line, since: float) -> int:
    """How many packets a line has got since an instant, without any missing by sequence number and timestamp."""
    arrivals = [one for one in line.arrivals if one.at > since]
    for one, after in itertools.pairwise(arrivals):
        assert after.ssrc == one.ssrc
        assert (after.sequence - one.sequence) & 0xFFFF == 1, (one, after)
        assert (after.timestamp - one.timestamp) & 0xFFFFFFFF == FRAME, (one, after)
    return len(arrivals)
