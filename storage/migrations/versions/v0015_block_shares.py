"""What agents kept in a block that isn't over: sealed from now on; what an older version had in the open goes."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """A block of which something went has a row without a key: what is left of it would be told of too few weeks."""
    made = op.create_table(
        "block_shares",
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("origin", name="pk_block_shares"),
    )
    columns = (sa.column("name", sa.Text()), sa.column("origin", sa.Text()), sa.column("figures", sa.JSON()))
    epochs = sa.table("epochs", *columns)
    query = sa.select(epochs.c.name, epochs.c.origin, epochs.c.figures).where(epochs.c.figures.is_not(None))
    rows = op.get_bind().execute(query).all()
    for row in rows:
        left = {name: value for name, value in row.figures.items() if name != "shares"}
        op.execute(epochs.update().where(epochs.c.name == row.name).values(figures=left))
    begun = sorted({row.origin for row in rows if row.figures.get("shares")})
    op.bulk_insert(made, [{"origin": origin, "key": "", "sealed": b""} for origin in begun])
