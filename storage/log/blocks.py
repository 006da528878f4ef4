"""Which logs of a site stand open on a day, and which one an epoch is in (policy.log_block)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Final

from sqlalchemy import Connection, delete, update

from policy.epochs import EpochState
from policy.log_block import LogBlock
from storage.log import wal
from storage.tables import epochs

_AHEAD: Final = (EpochState.PROMISED, EpochState.COMMITTED, EpochState.OPENED)
_UNDER_WAY: Final = (*_AHEAD, EpochState.CLOSED)
AHEAD: Final = timedelta(days=8)
"""A week and the hours between time zones: an epoch's commitments are logged one epoch before it."""


def keep_open(connection: Connection, site: str, today: date) -> list[str]:
    """Open the log of this day and the one that begins soon; the newly opened.

    None is closed by a clock, which may be wrong for a while.
    """
    return [origin for origin in _wanted(connection, site, today) if wal.open_log(connection, origin)]


def unknown_logs(connection: Connection, site: str, today: date) -> list[str]:
    """What `keep_open` would open."""
    known = wal.known_logs(connection)
    return [origin for origin in _wanted(connection, site, today) if origin not in known]


def begin_anew(
    connection: Connection, origin: str, restores: int, passed: Sequence[int], at: datetime, revealed: Mapping[str, int]
) -> str:
    """Close a log that an older state of the site was restored beside, and open the block's next one; its origin.

    Epochs under way in the closed log are dark: who knows how many of their legs it had, which aren't counted here.
    Those that haven't begun by `at` may be committed to anew, for the new log. `passed`: numbers whose logs have files;
    `revealed`: epochs whose reveal the closed log's files have, and where.
    """
    for number in passed:
        wal.note_closed(connection, str(replace(LogBlock.parse(origin), restores=number)))
    fresh = str(replace(LogBlock.parse(origin), restores=restores))
    wal.close_log(connection, origin)
    here = epochs.c.origin == origin
    gone = {"host_secret": None, "council_secret": None}
    for name, index in revealed.items():
        told = {"state": EpochState.REVEALED.value, "revealed_index": index}
        connection.execute(update(epochs).where(here, epochs.c.name == name).values(**told, **gone))
    ahead = epochs.c.state.in_([state.value for state in _AHEAD])
    connection.execute(delete(epochs).where(here, ahead, epochs.c.starts_at > at))
    under_way = epochs.c.state.in_([state.value for state in _UNDER_WAY])
    connection.execute(update(epochs).where(here, under_way).values(state=EpochState.DARK.value, **gone))
    wal.open_log(connection, fresh)
    return fresh


def epoch_origin(connection: Connection, site: str, epoch: str) -> str:
    """The origin of the log that an epoch is in, open or not. Raises LogEntryError for what isn't an epoch."""
    return origin_of(connection, LogBlock.of_epoch(site, epoch))


def origin_of(connection: Connection, block: LogBlock) -> str:
    """The block's log: after a restore the one begun last."""
    known = [LogBlock.parse(origin) for origin in wal.known_logs(connection)]
    same = [one.restores for one in known if (one.site, one.days) == (block.site, block.days)]
    return str(LogBlock(block.site, block.year, block.first_week, max(same, default=0)))


def _wanted(connection: Connection, site: str, today: date) -> list[str]:
    return list(dict.fromkeys(origin_of(connection, LogBlock.of_day(site, day)) for day in (today, today + AHEAD)))
