"""Where a leg stands on its way to the tap, and which steps there are (telephony.md "Asking, light, tap").

idle → prompting → listening → noticing → lit → open ⇄ paused → closed. *Armed* is no stage: it is what a leg in `idle`
must be before it is asked. Closed is final for the way; only a wish gives the leg another one.
"""

from enum import StrEnum

__all__ = ["STEPS", "Stage"]


class Stage(StrEnum):
    """One place on the way."""

    IDLE = "idle"
    PROMPTING = "prompting"
    LISTENING = "listening"
    NOTICING = "noticing"
    LIT = "lit"
    OPEN = "open"
    PAUSED = "paused"
    CLOSED = "closed"


STEPS: dict[Stage, frozenset[Stage]] = {
    Stage.IDLE: frozenset({Stage.PROMPTING, Stage.NOTICING, Stage.CLOSED}),
    Stage.PROMPTING: frozenset({Stage.LISTENING, Stage.NOTICING, Stage.CLOSED}),
    Stage.LISTENING: frozenset({Stage.NOTICING, Stage.CLOSED}),
    Stage.NOTICING: frozenset({Stage.LIT, Stage.CLOSED}),
    Stage.LIT: frozenset({Stage.OPEN, Stage.PAUSED, Stage.CLOSED}),
    Stage.OPEN: frozenset({Stage.PAUSED, Stage.CLOSED}),
    Stage.PAUSED: frozenset({Stage.LIT, Stage.CLOSED}),
    Stage.CLOSED: frozenset(),
}
"""Every permitted step; anything else is a bug and drops the leg from recording."""
