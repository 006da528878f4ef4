"""What older versions counted of what was kept: exact numbers, which nobody may be told any more (`policy.kept`)."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Figures of epochs without an inventory of today's form go, and counters of anything but callers' answers."""
    epochs = sa.table("epochs", sa.column("name", sa.Text()), sa.column("figures", sa.JSON()))
    rows = op.get_bind().execute(sa.select(epochs.c.name, epochs.c.figures).where(epochs.c.figures.is_not(None))).all()
    for row in rows:
        if "leaves" not in (row.figures or {}):
            op.execute(epochs.update().where(epochs.c.name == row.name).values(figures=sa.null()))
    op.execute("DELETE FROM figures WHERE what NOT IN ('yes', 'no')")
