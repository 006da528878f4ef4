"""What happens to a kept recording, told to the log: a commitment whose opening only the recording's agent gets.

In the transaction of what it tells; before a site has its log, nothing is told.
"""

from sqlalchemy import Connection, select

from policy.log_entry import Access, Erase, Hold, Quorum, Release, Unhold, Unrelease
from storage.log.wal import append_committed, open_logs
from storage.tables import recordings

Kind = (
    type[Access] | type[Erase] | type[Hold] | type[Quorum] | type[Release] | type[Unhold] | type[Unrelease]
)  # fmt: skip


def tell(connection: Connection, kind: Kind, recording: str, **told: str | int) -> None:
    """Put it at the newest log's end. Harmless for a recording that is gone."""
    agent = connection.execute(select(recordings.c.agent).where(recordings.c.id == recording)).scalar_one_or_none()
    if agent is not None and open_logs(connection):
        append_committed(connection, kind, agent, {"recording": recording, **told})
