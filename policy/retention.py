"""When something must be erased at the latest (agreement.md §1 `retention`, §4). Executing it lives elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from policy.agreement.schema import Agreement
from policy.terms import Purpose

ERASE_SIDE_AFTER: Final = timedelta(hours=24)
"""How long a side stays after its own person asked for its erasure."""
COUNCIL_LISTS: Final = timedelta(days=14)
"""How long after an epoch's end the council's lists of it are kept: opening file (crypto.md §3) and names."""
ORPHAN_AFTER: Final = timedelta(days=14)
"""How long files stay whose rows were lost with an older database: nobody could find or erase them any more."""
MAX_HOLD: Final = timedelta(days=90)
"""The longest hold that can be set at once (crypto.md §2)."""


def erase_recording_at(agreements: Iterable[Agreement], purpose: Purpose, started: datetime) -> datetime:
    """The instant by which a recording that started at `started` must be gone: the shortest of all agreements.

    An agreement that states no period for the purpose leaves nothing to keep.
    """
    stated = (agreement.retention.purposes.get(purpose) for agreement in agreements)
    return min((period.after(started) if period is not None else started for period in stated), default=started)


def erase_receipt_at(agreements: Iterable[Agreement], recording_erased: datetime) -> datetime:
    """The instant by which a consent receipt must be gone: the recording's life, then the receipts' period."""
    periods = (agreement.retention.receipts for agreement in agreements)
    return min((period.after(recording_erased) for period in periods), default=recording_erased)


def forget_opening_at(agreements: Iterable[Agreement], day: date) -> datetime:
    """The midnight (UTC) by which an agent's opening of a leg of `day` must be gone: as long as the log is kept."""
    midnight = datetime.combine(day, time(), tzinfo=UTC)
    return min((agreement.retention.log.after(midnight) for agreement in agreements), default=midnight)
