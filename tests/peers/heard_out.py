"""Whether a real phone heard a sound to its end, though its jitter buffer may have cut or stretched it in one place."""

from demo.correlate import find
from demo.g711 import RATE, Samples

SLIP = RATE // 20
"""How far apart its parts may have come."""


def heard_out(sound: Samples, heard: Samples) -> bool:
    """Whether three of the sound's four parts were heard, each in its place, and its end is past.

    pjsua2 takes 10 ms out of a wave where packets came early: of the whole sound less than two thirds fit then.
    """
    part = len(sound) // 4
    matches = [find(sound[at * part : (at + 1) * part], heard) for at in range(4)]
    begins = [match.lag - at * part for at, match in enumerate(matches) if match.strength > 0.8]
    return len(begins) >= 3 and max(begins) - min(begins) <= SLIP and len(heard) >= max(begins) + len(sound)
