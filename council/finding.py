"""What the verifier can find: which check, where, and the values that its sentence needs. The sentences: `words`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

MOST: Final = 1_000
"""Findings that are kept one by one; the rest is counted."""


class Code(StrEnum):
    """One kind of finding each; the check stands before the point."""

    ANCHOR_MISSING = "V0.anchor_missing"
    ANCHOR_DIFFERS = "V0.anchor_differs"
    ANCHOR_CHAIN = "V0.anchor_chain"
    CHECKPOINT_UNREADABLE = "V1.checkpoint_unreadable"
    CHECKPOINT_SIGNATURE = "V1.checkpoint_signature"
    COSIGNATURE = "V1.cosignature"
    ROLLED_BACK = "V1.rolled_back"
    FORKED = "V1.forked"
    EVIDENCE = "V1.evidence"
    BUNDLE = "V2.bundle"
    ENTRY = "V2.entry"
    TILE = "V2.tile"
    ROOT = "V2.root"
    ECOMMIT_REPEATED = "V3.ecommit_repeated"
    ECOMMIT_SIGNATURE = "V3.ecommit_signature"
    EOPEN_ORDER = "V3.eopen_order"
    EOPEN_COSIGNATURE = "V3.eopen_cosignature"
    EPOCH_FOREIGN = "V3.epoch_foreign"
    EPOCH_TWICE = "V3.epoch_twice"
    LEG_OUTSIDE_EPOCH = "V3.leg_outside_epoch"
    REVEAL_ORDER = "V3.reveal_order"
    REVEAL_MISSING = "V3.reveal_missing"
    SHARE_HOST = "V3.share_host"
    SHARE_COUNCIL = "V3.share_council"
    ROSTER = "V3.roster"
    COUNTER_GAP = "V4.counter_gap"
    COUNTER_REPEATED = "V4.counter_repeated"
    ACT_MISSING = "V5.act_missing"
    ACT_UNLOGGED = "V5.act_unlogged"
    ACT_FILE = "V5.act_file"
    ACT_REFUSED = "V5.act_refused"
    ACT_LATE = "V5.act_late"
    POLICY = "V5.policy"
    RULE = "V5.rule"
    OUT_MISSING = "V6.out_missing"
    OUT_REPEATED = "V6.out_repeated"
    OUT_WITHOUT_LEG = "V6.out_without_leg"
    OUT_LATE = "V6.out_late"
    HIT_NOT_DRAWN = "V7.hit_not_drawn"
    DRAWN_NOT_SAID = "V7.drawn_not_said"
    CEILING = "V7.ceiling"
    AGENT_CAP = "V7.agent_cap"
    CAMPAIGN_FULL = "V7.campaign_full"
    CAP_WITHOUT_REASON = "V7.cap_without_reason"
    OUTSIDE_ROSTER = "V7.outside_roster"
    MANIFEST_FILE = "V8.manifest_file"
    MANIFEST_SIGNATURE = "V8.manifest_signature"
    MANIFEST_WITHOUT_ENTRY = "V8.manifest_without_entry"
    ENTRY_WITHOUT_MANIFEST = "V8.entry_without_manifest"
    INVENTORY = "V8.inventory"
    KEPT_TOO_MANY = "V8.kept_too_many"
    ECLOSE_ORDER = "V9.eclose_order"
    ECLOSE_COUNTS = "V9.eclose_counts"
    DAY_ORDER = "V10.day_order"
    DAY_EARLY = "V11.day_early"
    CALL_WITHOUT_ENTRY = "CDR.call_without_entry"
    LEG_WITHOUT_CALL = "CDR.leg_without_call"
    OPENING = "CDR.opening"
    LEG_TWICE = "CDR.leg_twice"
    UNLIKELY = "FAIR.unlikely"
    STEERING = "FAIR.steering"

    @property
    def check(self) -> str:
        """`V0` to `V11`, `CDR`, `FAIR`."""
        return self.value.partition(".")[0]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it must be."""

    code: Code
    place: str
    """Where: the log's origin and the entry, or a file."""
    values: Mapping[str, str] = field(default_factory=dict, hash=False)


class Findings:
    """A list that stops growing before memory does."""

    def __init__(self, place: str = "") -> None:
        self._place = place
        self.kept: list[Finding] = []
        self.total = 0

    def add(self, code: Code, place: str, **values: object) -> None:
        """Put one down; `place` within the log."""
        self.total += 1
        if len(self.kept) < MOST:
            where = f"{self._place} {place}" if self._place else place
            self.kept.append(Finding(code, where, {key: str(value) for key, value in values.items()}))

    def at(self, code: Code, index: int, **values: object) -> None:
        """Put one down at an entry."""
        self.add(code, f"entry {index}", **values)
