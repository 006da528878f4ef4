"""How a caller finds their record again, what is to be erased before its time, and what mustn't be."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Recordings of before have no code."""
    op.create_table(
        "record_codes",
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("recording", sa.Text(), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        _goes_with_its_recording("record_codes"),
        sa.PrimaryKeyConstraint("hash", name="pk_record_codes"),
        sa.UniqueConstraint("recording", name="uq_record_codes_recording"),
    )
    op.create_table(
        "erasures",
        sa.Column("recording", sa.Text(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        _goes_with_its_recording("erasures"),
        sa.PrimaryKeyConstraint("recording", "side", name="pk_erasures"),
    )
    op.create_index("ix_erasures_due_at", "erasures", ["due_at"], unique=False)
    op.create_table(
        "holds",
        sa.Column("recording", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        _goes_with_its_recording("holds"),
        sa.PrimaryKeyConstraint("recording", "by", name="pk_holds"),
    )


def _goes_with_its_recording(table: str) -> sa.ForeignKeyConstraint:
    name = f"fk_{table}_recording_recordings"
    return sa.ForeignKeyConstraint(["recording"], ["recordings.id"], name=name, ondelete="CASCADE")
