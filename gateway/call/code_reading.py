"""Reading a record code to the caller, digit by digit, twice; the agent hears it softly. Sans-IO.

Like every prompt it reaches the parties only: what is recorded is what a party sends, so the code is in no recording.
"""

from collections.abc import Iterator
from itertools import chain, repeat

from gateway.call.asking import AGENT_GAIN_DB
from gateway.call.model import Line
from gateway.media.plane import Play, StopPlay
from policy.record_code import GROUP

__all__ = ["READING", "hush", "reading"]

READING = "record-code"
"""Reference of the playing to the caller."""
_TO_AGENT = "record-code-agent"
_BETWEEN_DIGITS = "pause-200"
_BETWEEN_GROUPS = "pause-900"


def reading(line: Line, code: str, language: str) -> tuple[Play, ...]:
    """What the caller hears instead of the agent, for 45 s, and the agent beneath the caller, if that can be."""
    sounds = tuple(_sounds(code, language))
    to_caller = Play(
        READING, line.caller_flow, sounds[0], "instead", line.codec, line.payload_type, line.ptime_ms, then=sounds[1:]
    )
    to_agent = Play(
        _TO_AGENT, line.agent_flow, sounds[0], "beneath", line.codec, line.payload_type, line.ptime_ms,
        AGENT_GAIN_DB, sounds[1:],
    )  # fmt: skip
    return (to_caller, to_agent) if line.plain else (to_caller,)


def hush(line: Line) -> tuple[StopPlay, StopPlay]:
    """End a reading, wherever it is."""
    return StopPlay(READING, line.caller_flow), StopPlay(_TO_AGENT, line.agent_flow)


def _sounds(code: str, language: str) -> Iterator[str]:
    for opening in ("code", "again"):
        yield f"{opening}-{language}-1"
        for at in range(0, len(code), GROUP):
            yield _BETWEEN_GROUPS
            spoken = (f"digit-{language}-{digit}" for digit in code[at : at + GROUP])
            yield from chain.from_iterable(zip(spoken, repeat(_BETWEEN_DIGITS), strict=False))
