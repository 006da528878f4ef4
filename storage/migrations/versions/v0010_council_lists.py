"""The council's lists of an epoch, which have an end: names in a table of their own, openings of legs sealed to it."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Names move, so that an epoch's row, which is written often, holds none."""
    op.create_table(
        "epoch_names",
        sa.Column("e", sa.Text(), nullable=False),
        sa.Column("names", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["e"], ["epochs.name"], name="fk_epoch_names_e_epochs", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("e", name="pk_epoch_names"),
    )
    op.execute("INSERT INTO epoch_names (e, names) SELECT name, names FROM epochs WHERE h IS NOT NULL")
    op.drop_column("epochs", "names")
    op.create_table(
        "council_openings",
        sa.Column("e", sa.Text(), nullable=False),
        sa.Column("idx", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["e"], ["epochs.name"], name="fk_council_openings_e_epochs", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("e", "idx", name="pk_council_openings"),
    )
