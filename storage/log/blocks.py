"""Which logs of a site stand open on a day, and which one an epoch is in (policy.log_block)."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Final

from sqlalchemy import Connection, update

from policy.epochs import EpochState
from policy.log_block import LogBlock
from storage.log import wal
from storage.tables import epochs

_UNDER_WAY: Final = (EpochState.PROMISED, EpochState.COMMITTED, EpochState.OPENED)
AHEAD: Final = timedelta(days=8)
"""A week and the hours between time zones: an epoch's commitments are logged one epoch before it."""


def keep_open(connection: Connection, site: str, today: date) -> list[str]:
    """Open the log of this day and the one that begins soon; the newly opened.

    None is closed by a clock, which may be wrong for a while.
    """
    wanted = dict.fromkeys(origin_of(connection, LogBlock.of_day(site, day)) for day in (today, today + AHEAD))
    return [origin for origin in wanted if wal.open_log(connection, origin)]


def begin_anew(connection: Connection, origin: str, restores: int) -> str:
    """Close a log that an older state of the site was restored beside, and open the block's next one; its origin.

    Epochs under way in the closed log are dark: who knows how many of their legs it had, which aren't counted here.
    """
    fresh = str(replace(LogBlock.parse(origin), restores=restores))
    wal.close_log(connection, origin)
    under_way = epochs.c.state.in_([state.value for state in _UNDER_WAY])
    dark = {"state": EpochState.DARK.value, "host_secret": None, "council_secret": None}
    connection.execute(update(epochs).where(epochs.c.origin == origin, under_way).values(**dark))
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
