"""Who but its owner fetched something of a recording."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

# SQLite numbers rows by itself only in a column that is literally INTEGER.
SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Nobody but owners fetched anything before."""
    op.create_table(
        "accesses",
        sa.Column("id", SERIAL, autoincrement=True, nullable=False),
        sa.Column("recording", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("role", "what", "purpose", "side")),
        sa.Column("seg", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["recording"], ["recordings.id"], name="fk_accesses_recording_recordings", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_accesses"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_accesses_recording", "accesses", ["recording"], unique=False)
