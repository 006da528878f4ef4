"""The log: which there are and how long, entries that aren't published yet, openings kept for their agents."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """No log is open before the gateway's start opens one."""
    serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "logs",
        sa.Column("id", serial, autoincrement=True, nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("open", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_logs"),
        sa.UniqueConstraint("origin", name="uq_logs_origin"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "log_wal",
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("idx", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("leaf", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["origin"], ["logs.origin"], name="fk_log_wal_origin_logs"),
        sa.PrimaryKeyConstraint("origin", "idx", name="pk_log_wal"),
    )
    op.create_table(
        "log_openings",
        sa.Column("id", serial, autoincrement=True, nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("idx", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("told", sa.LargeBinary(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["agent"], ["agents.id"], name="fk_log_openings_agent_agents"),
        sa.PrimaryKeyConstraint("id", name="pk_log_openings"),
        sa.UniqueConstraint("origin", "idx", name="uq_log_openings_origin_idx"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_log_openings_agent", "log_openings", ["agent"], unique=False)
