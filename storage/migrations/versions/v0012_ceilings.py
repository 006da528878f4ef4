"""Ceilings of each agreement: the acts that an epoch's rules are counted from and a leg's rule was read under."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """A campaign's hits count for every agreement so far, since nothing says whose they are: none is exceeded."""
    op.add_column("epochs", sa.Column("acts", sa.BigInteger(), nullable=True))
    # The council hands its share over in the round in which it first cosigns the epoch's commitments.
    op.execute(
        "UPDATE epochs SET acts = COALESCE((SELECT MAX(acts.seq) FROM acts WHERE acts.at <= COALESCE("
        "(SELECT MIN(cosignatures.at) FROM cosignatures WHERE cosignatures.origin = epochs.origin"
        " AND cosignatures.size > epochs.committed_index), epochs.starts_at)), 0)"
        " WHERE council_secret IS NOT NULL OR revealed_index IS NOT NULL"
    )
    op.add_column("legs", sa.Column("acts", sa.BigInteger(), nullable=True))
    signed = "SELECT DISTINCT acts.agreement, campaigns.id, campaigns.hits FROM acts CROSS JOIN campaigns"
    rows = op.get_bind().execute(sa.text(f"{signed} WHERE acts.type = 'agreement'")).all()
    op.drop_table("campaigns")
    made = op.create_table(
        "campaigns",
        sa.Column("agreement", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("hits", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("agreement", "id", name="pk_campaigns"),
    )
    op.bulk_insert(made, [{"agreement": row.agreement, "id": row.id, "hits": row.hits} for row in rows])
