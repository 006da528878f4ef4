"""Jurisdiction profiles: what a country adds to the rules that hold everywhere. A profile can only tighten."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class Profile:
    """What a jurisdiction forbids or demands beyond the rules for all; every flag set is a restriction more."""

    name: str
    forbids_opt_out: bool = False
    """A caller's silence can't be agreed to mean yes."""
    per_leg_needs_opinion: bool = False
    """Keeping the agent's side alone needs `legal.per_leg_opinion`."""
    needs_dpia: bool = False
    """`legal.dpia_ref` is mandatory."""


def tightened(base: Profile, more: Profile) -> Profile:
    """Both profiles at once: whatever either restricts."""
    return Profile(
        more.name,
        base.forbids_opt_out or more.forbids_opt_out,
        base.per_leg_needs_opinion or more.per_leg_needs_opinion,
        base.needs_dpia or more.needs_dpia,
    )


# This version never takes silence for a yes (agreement.md §4), so opt-out can't be promised anywhere.
EVERYWHERE: Final = Profile("everywhere", forbids_opt_out=True)

PROFILES: Final[Mapping[str, Profile]] = MappingProxyType(
    {
        profile.name: tightened(EVERYWHERE, profile)
        for profile in (
            Profile("DE", forbids_opt_out=True, per_leg_needs_opinion=True, needs_dpia=True),
            Profile("NO", forbids_opt_out=True, per_leg_needs_opinion=True),
            Profile("DK", forbids_opt_out=True, per_leg_needs_opinion=True),
            Profile("AT", forbids_opt_out=True, per_leg_needs_opinion=True),
        )
    }
)


def profile_of(jurisdiction: str) -> Profile:
    """The profile of a country; one that isn't listed has the rules for all."""
    return PROFILES.get(jurisdiction, EVERYWHERE)
