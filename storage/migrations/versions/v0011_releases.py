"""Coaches and their keys, releases to them, and what counts as an evaluation; who fetched something."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

# SQLite numbers rows by itself only in a column that is literally INTEGER.
SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Accesses before this were of council and officer, whose role says who they are."""
    op.create_table(
        "coaches",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("key_seq", sa.BigInteger(), nullable=False),
        sa.Column("added_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_coaches"),
    )
    op.create_table(
        "coach_keys",
        sa.Column("coach", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("signing_key", sa.Text(), nullable=False),
        sa.Column("statement", sa.Text(), nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.Column("enrolled_from", TIME, nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("idx", sa.BigInteger(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["coach"], ["coaches.id"], name="fk_coach_keys_coach_coaches"),
        sa.PrimaryKeyConstraint("coach", "seq", name="pk_coach_keys"),
    )
    op.create_table(
        "releases",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("recording", sa.Text(), nullable=False),
        sa.Column("coach", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("until", TIME, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("revoked_at", TIME, nullable=True),
        sa.Column("stored", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["recording"], ["recordings.id"], name="fk_releases_recording_recordings", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["coach"], ["coaches.id"], name="fk_releases_coach_coaches"),
        sa.PrimaryKeyConstraint("id", name="pk_releases"),
    )
    for column in ("recording", "coach", "stored"):
        op.create_index(f"ix_releases_{column}", "releases", [column], unique=False)
    op.create_table(
        "release_parts",
        sa.Column("release", sa.Text(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("seg", sa.BigInteger(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["release"], ["releases.id"], name="fk_release_parts_release_releases", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("release", "side", "seg", name="pk_release_parts"),
    )
    op.create_table(
        "evaluations",
        sa.Column("id", SERIAL, autoincrement=True, nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("pair", sa.Text(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["agent"], ["agents.id"], name="fk_evaluations_agent_agents"),
        sa.PrimaryKeyConstraint("id", name="pk_evaluations"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_evaluations_agent_at", "evaluations", ["agent", "at"], unique=False)
    op.add_column("accesses", sa.Column("who", sa.Text(), nullable=True))
    op.create_index("ix_accesses_role_who_at", "accesses", ["role", "who", "at"], unique=False)
