"""What a week without recording shows an admin: calls, codecs, SRTP, how they were heard, what can't be recorded.

Counts by day (UTC) from signalling and packet counters alone, of every call alike, whatever agreement, draw or person
say of it: nothing here depends on whether anybody was asked, refused or was recorded. A small file keeps two weeks.
"""

import json
import os
from collections import Counter
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from gateway.engine.call_facts import CallFacts
from gateway.engine.leg_figures import spoken, told_of
from gateway.engine.live_call import LiveCall
from gateway.media.plane import CallRef, FlowCount, FlowId
from policy.decision import Side

__all__ = ["PassThrough"]

KEPT_DAYS: Final = 14
MAX_FILE: Final = 262_144
MOST_WAITING: Final = 4_096
"""Calls whose last packet counts are awaited."""
POOR: Final = {"loss_ratio": 0.01, "jitter_seconds": 0.03}
"""From where a leg counts as poorly heard."""


class PassThrough:
    """Counters by day."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._days = _read(file)
        self._waiting: dict[CallRef, str] = {}
        self._changed = False

    def over(self, live: LiveCall, facts: CallFacts | None, wallclock: datetime) -> None:
        """A call ended; `facts` None: nobody answered."""
        day = wallclock.date().isoformat()
        counts = self._day(day)
        counts["calls"] += 1
        if facts is None:
            return
        counts["answered"] += 1
        counts["srtp"] += facts.srtp
        counts["no queue"] += not facts.queue
        if facts.codec is not None:
            counts[f"codec {facts.codec}"] += 1
        hindrances = facts.hindrances
        if live.call.needs_lease and not live.named and not live.call.adopted:
            hindrances = (*hindrances, "no_lease")
        for name in hindrances:
            counts[f"hindered {name}"] += 1
        counts["recordable"] += not hindrances
        if live.call.worker is not None and len(self._waiting) < MOST_WAITING:
            self._waiting[live.call.ref] = day

    def counted(self, ref: CallRef, flows: dict[FlowId, FlowCount]) -> None:
        """The last counts of a call's packets."""
        day = self._waiting.pop(ref, None)
        if day is None:
            return
        counts = self._day(day)
        flows = spoken(flows)
        silent = {Side(flow.split("/")[1]) for flow, count in flows.items() if not count.received}
        counts["silent both"] += len(silent) == len(Side)
        if len(silent) == 1:
            counts[f"silent {silent.pop().value}"] += 1
        for count in flows.values():
            told = told_of(count)
            counts["legs heard"] += bool(told)
            loss = max(told.get("loss_ratio", 0.0), told.get("lost_before_us_ratio", 0.0))
            counts["legs lossy"] += loss > POOR["loss_ratio"]
            counts["legs jittery"] += told.get("jitter_seconds", 0.0) > POOR["jitter_seconds"]

    def told(self, days: int, wallclock: datetime) -> dict[str, Any]:
        """The last `days` days, the newest first, and their sum."""
        first = (wallclock.date() - timedelta(days=days - 1)).isoformat()
        within = {day: counts for day, counts in self._days.items() if day >= first}
        total = Counter[str]()
        for counts in within.values():
            total.update(counts)
        return {
            "days": [{"day": day, **within[day]} for day in sorted(within, reverse=True)],
            "total": dict(total),
        }

    def save(self) -> None:
        """Write the file anew where anything changed; what it said before stays if that fails."""
        if not self._changed:
            return
        self._changed = False
        text = json.dumps({day: dict(counts) for day, counts in tuple(self._days.items())})
        part = self._file.with_suffix(".part")
        part.write_text(text)
        os.replace(part, self._file)

    def _day(self, day: str) -> Counter[str]:
        self._changed = True
        if day not in self._days:
            self._days[day] = Counter()
            for old in sorted(self._days)[:-KEPT_DAYS]:
                del self._days[old]
        return self._days[day]


def _read(file: Path) -> dict[str, Counter[str]]:
    """What an earlier run wrote; nothing where it can't be read."""
    try:
        found = json.loads(file.read_bytes()[: MAX_FILE + 1])
        return {
            date.fromisoformat(day).isoformat(): Counter({str(name): int(count) for name, count in counts.items()})
            for day, counts in found.items()
        }
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
