"""A leg's queue beside its code in the log, which doesn't name a queue of few agents."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """So far the code was the queue."""
    op.add_column("legs", sa.Column("queue", sa.Text(), nullable=True))
    op.execute("UPDATE legs SET queue = q")
