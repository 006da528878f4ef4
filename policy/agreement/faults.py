"""What can be wrong with an agreement: one code per kind, and the faults of one document as one error."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from policy.errors import PolicyError


class FaultCode(StrEnum):
    """Kinds of faults; the numbers are those of agreement.md §2."""

    # 13: the file itself
    TOO_LARGE = "too_large"
    NOT_UTF8 = "not_utf8"
    NOT_YAML = "not_yaml"
    TOO_DEEP = "too_deep"
    TOO_MANY_VALUES = "too_many_values"
    ANCHOR_OR_ALIAS = "anchor_or_alias"
    TAG = "tag"
    DUPLICATE_KEY = "duplicate_key"
    BOOLEAN = "boolean"
    UNKNOWN_FIELD = "unknown_field"
    # a field's own value
    MISSING_FIELD = "missing_field"
    WRONG_TYPE = "wrong_type"
    WRONG_VALUE = "wrong_value"
    # 1
    NO_END = "no_end"
    END_BEFORE_START = "end_before_start"
    VALIDITY_TOO_LONG = "validity_too_long"
    # 2
    RATE_TOO_HIGH = "rate_too_high"
    RATE_SUM_TOO_HIGH = "rate_sum_too_high"
    # 3
    PURPOSE_PROHIBITED = "purpose_prohibited"
    PROHIBITION_MISSING = "prohibition_missing"
    # 4
    PERSON_SELECTOR = "person_selector"
    MIN_AGENTS_TOO_LOW = "min_agents_too_low"
    # 5
    ANCHOR_MISSING = "anchor_missing"
    SIGNATURES_MISSING = "signatures_missing"
    RESOLUTION_MISSING = "resolution_missing"
    # 6
    AGENT_GATE_TOO_WEAK = "agent_gate_too_weak"
    # 7
    CAMPAIGN_NOTICE_TOO_SHORT = "campaign_notice_too_short"
    CAMPAIGN_OPEN_ENDED = "campaign_open_ended"
    CAMPAIGN_WITHOUT_COUNT = "campaign_without_count"
    # 8
    OPT_OUT = "opt_out"
    PER_LEG_WITHOUT_OPINION = "per_leg_without_opinion"
    # 9
    NOT_MANDATORY = "not_mandatory"
    LIGHT_AGE_TOO_LONG = "light_age_too_long"
    # 10
    PERIOD_TOO_LONG = "period_too_long"
    # 11
    PURPOSE_WITHOUT_GROUNDS = "purpose_without_grounds"
    DPIA_MISSING = "dpia_missing"
    # 12
    POWERS_WITHOUT_CLAUSE = "powers_without_clause"
    # 14
    CAP_LONGER_THAN_EPOCH = "cap_longer_than_epoch"
    # 15
    NO_QUORUM = "no_quorum"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: its kind, the field's full path, the line (from 1), and what to do, in one sentence."""

    code: FaultCode
    field: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.field}: {self.message}"


def printable(text: str) -> str:
    """One line that shows nothing but visible characters: messages repeat parts of an unknown file."""
    return "".join(char if char.isprintable() else "?" for char in text)


class AgreementRefused(PolicyError):
    """The document can't be an agreement; `faults` holds every fault found, by line."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(sorted(faults, key=lambda fault: (fault.line, fault.field)))
        super().__init__(f"agreement refused, {len(self.faults)} fault(s); first: {self.faults[0]}")
