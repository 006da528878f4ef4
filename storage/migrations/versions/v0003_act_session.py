"""Which party's session asked for a suspension: the one act that needs no key."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Acts of before carried keys."""
    op.add_column("acts", sa.Column("session", sa.Text(), nullable=True))
