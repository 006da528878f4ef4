"""Which logs of a site stand open on a day, and which one an epoch is in (policy.log_block)."""

from datetime import date, timedelta
from typing import Final

from sqlalchemy import Connection

from policy.log_block import LogBlock
from storage.log import wal

AHEAD: Final = timedelta(days=8)
"""A week and the hours between time zones: an epoch's commitments are logged one epoch before it."""
AFTER: Final = timedelta(days=15)
"""The shares of an epoch may come up to 14 days after its end."""


def keep_open(connection: Connection, site: str, today: date) -> list[str]:
    """Open the log of this day and the one that begins soon, close those that are over; the newly opened."""
    wanted = dict.fromkeys(origin_of(connection, LogBlock.of_day(site, day)) for day in (today, today + AHEAD))
    opened = [origin for origin in wanted if wal.open_log(connection, origin)]
    for origin in wal.open_logs(connection):
        if LogBlock.parse(origin).days[1] + AFTER <= today:
            wal.close_log(connection, origin)
    return opened


def epoch_origin(connection: Connection, site: str, epoch: str) -> str:
    """The origin of the log that an epoch is in, open or not. Raises LogEntryError for what isn't an epoch."""
    return origin_of(connection, LogBlock.of_epoch(site, epoch))


def origin_of(connection: Connection, block: LogBlock) -> str:
    """The block's log: after a restore the one begun last."""
    known = [LogBlock.parse(origin) for origin in wal.known_logs(connection)]
    same = [one.restores for one in known if (one.site, one.days) == (block.site, block.days)]
    return str(LogBlock(block.site, block.year, block.first_week, max(same, default=0)))
