"""Openings of agents' own legs, sealed to them, and where an epoch's shares stand in the log."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

# SQLite numbers rows by itself only in a column that is literally INTEGER.
SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Legs entered before stay without openings: their salts weren't kept."""
    op.add_column("epochs", sa.Column("revealed_index", sa.BigInteger(), nullable=True))
    op.create_table(
        "leg_openings",
        sa.Column("id", SERIAL, autoincrement=True, nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("idx", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("keep_until", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["agent"], ["agents.id"], name="fk_leg_openings_agent_agents"),
        sa.PrimaryKeyConstraint("id", name="pk_leg_openings"),
        sa.UniqueConstraint("origin", "idx", name="uq_leg_openings_origin_idx"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_leg_openings_agent", "leg_openings", ["agent"], unique=False)
    op.create_index("ix_leg_openings_keep_until", "leg_openings", ["keep_until"], unique=False)
