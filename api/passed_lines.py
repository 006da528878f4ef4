"""A pass-through week in words: what `fairtap passthrough` prints, and what the doctor makes of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["passed_lines", "sees_no_media"]

FEW: Final = 5
"""Answered calls from which a conclusion is drawn."""


def passed_lines(total: Mapping[str, int], hindrances: Mapping[str, str]) -> list[str]:
    """One line for each thing that is worth knowing."""
    answered = total.get("answered", 0)
    could = total.get("recordable", 0)
    lines = [f"calls: {total.get('calls', 0)}, answered: {answered}, could have been recorded: {could}"]
    spoken = {name.removeprefix("codec "): count for name, count in total.items() if name.startswith("codec ")}
    if spoken:
        codecs = sorted(((count, name) for name, count in spoken.items()), reverse=True)
        lines.append("codecs: " + ", ".join(f"{name} {count}" for count, name in codecs))
    if total.get("srtp"):
        lines.append(f"SRTP: {total['srtp']}")
    legs = total.get("legs heard", 0)
    if legs:
        lossy, jittery = total.get("legs lossy", 0), total.get("legs jittery", 0)
        lines.append(f"of {legs} legs that told, {lossy} lost more than 1 %, {jittery} had more than 30 ms of jitter")
    for who, said in (("caller", "nothing came from the caller"), ("agent", "nothing came from the agent")):
        if total.get(f"silent {who}"):
            lines.append(f"{said}: {total[f'silent {who}']}")
    if sees_no_media(total):
        lines.append(f"no media at all: {total['silent both']}: it flows past Fairtap, see `fairtap doctor`")
    if total.get("no queue"):
        lines.append(f"no queue named: {total['no queue']}; that matters where the agreement names queues")
    found = ((why, total.get(f"hindered {name}")) for name, why in hindrances.items())
    return lines + [f"not recordable, {why}: {count}" for why, count in found if count]


def sees_no_media(total: Mapping[str, int]) -> bool:
    """Whether media probably flows straight between the ends."""
    answered = total.get("answered", 0)
    return answered >= FEW and total.get("silent both", 0) * 2 > answered
