"""What the council's statistics count: the name of each leg's rule, and counters of answers and kept recordings."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Legs of before have no name of their rule, and stand in no statistics."""
    op.add_column("legs", sa.Column("rule", sa.Text(), nullable=True))
    op.create_index("ix_legs_day", "legs", ["day"], unique=False)
    op.create_table(
        "figures",
        sa.Column("month", sa.Text(), nullable=False),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("month", "site", "rule", "channel", "what", name="pk_figures"),
    )
