"""How a leg ends, in words: its reasons as its agent may know them, and what became of it (agreement.md §4)."""

from policy.decision import ASKABLE, Decision, Reason

__all__ = ["closing_reasons", "told_as", "unrecorded_reasons"]

UNREACHED = frozenset({Reason.CALLER_NOTICE_MISSING, Reason.INDICATOR_STALE})


def closing_reasons(decision: Decision, fallback: tuple[Reason, ...]) -> tuple[Reason, ...]:
    """The reasons of a decision that a closing tells: without the gates that simply weren't reached yet."""
    told = tuple(reason for reason in decision.reasons if reason not in UNREACHED)
    return told or fallback


def unrecorded_reasons(decision: Decision) -> tuple[Reason, ...]:
    """Why a leg that never opened isn't recorded: without what asking could still have changed, where more is known."""
    reached = tuple(reason for reason in decision.reasons if reason not in ASKABLE)
    return reached or decision.reasons


def told_as(*, opened: bool, discarded: bool, cut: bool) -> str:
    """The word for a leg that ends."""
    if not opened:
        return "not_recorded"
    if discarded:
        return "discarded"
    return "recorded (cut)" if cut else "recorded"
