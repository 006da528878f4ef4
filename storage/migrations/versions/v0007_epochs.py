"""Epochs of two parties' commitments, the council's cosignatures, and where each leg's entries stand in the log."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

# SQLite numbers rows by itself only in a column that is literally INTEGER.
SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """What was drawn before was a demo's: its epochs and the entries that it left open go."""
    op.execute("DELETE FROM legs WHERE o IS NULL AND kind != 'x'")
    op.add_column("legs", sa.Column("origin", sa.Text(), nullable=True))
    op.add_column("legs", sa.Column("i", sa.BigInteger(), nullable=True))
    op.add_column("legs", sa.Column("out_i", sa.BigInteger(), nullable=True))
    op.drop_table("epochs")
    op.create_table(
        "epochs",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("c", sa.LargeBinary(), nullable=False),
        sa.Column("csig", sa.Text(), nullable=False),
        sa.Column("h", sa.LargeBinary(), nullable=True),
        sa.Column("host_secret", sa.LargeBinary(), nullable=True),
        sa.Column("council_secret", sa.LargeBinary(), nullable=True),
        sa.Column("roster", sa.JSON(), nullable=True),
        sa.Column("names", sa.JSON(), nullable=True),
        sa.Column("committed_index", sa.BigInteger(), nullable=True),
        sa.Column("day", sa.BigInteger(), nullable=True),
        sa.Column("figures", sa.JSON(), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("name", name="pk_epochs"),
    )
    op.create_index("ix_epochs_state", "epochs", ["state"], unique=False)
    op.create_table(
        "cosignatures",
        sa.Column("id", SERIAL, autoincrement=True, nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("line", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_cosignatures"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_cosignatures_origin_size", "cosignatures", ["origin", "size"], unique=False)
