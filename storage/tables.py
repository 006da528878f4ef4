"""The tables, the same for SQLite and PostgreSQL (`migrations/`). Times are `Utc`, digests and keys are text or bytes.

`legs` holds no names, numbers, Call-IDs, purposes or times of day; audio and what opens it are never in the database.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)


class Utc(TypeDecorator[datetime]):
    """An aware datetime, stored in UTC; a naive one is refused, and never comes out (SQLite drops zones)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is not None and value.utcoffset() is None:
            raise ValueError("naive datetime")
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)
# SQLite numbers rows by itself only in a column that is literally INTEGER.
Serial = BigInteger().with_variant(Integer, "sqlite")


def _numbered(name: str, *rest: Any) -> Table:
    """A table whose `id` grows by one row after the other and is never given twice."""
    return Table(
        name, metadata, Column("id", Serial, primary_key=True, autoincrement=True), *rest, sqlite_autoincrement=True
    )


def _text(name: str, *, null: bool = False) -> Column[str]:
    return Column(name, Text, nullable=null)


def _whole(name: str, *, null: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=null)


def _time(name: str, *, null: bool = False) -> Column[datetime]:
    return Column(name, Utc, nullable=null)


def _agent() -> Column[str]:
    return Column("agent", Text, ForeignKey("agents.id"), nullable=False)


def _of_recording(**options: Any) -> Column[str]:
    """What goes with its recording."""
    return Column("recording", Text, ForeignKey("recordings.id", ondelete="CASCADE"), nullable=False, **options)


def _of_epoch() -> Column[str]:
    """What goes with its epoch."""
    return Column("e", Text, ForeignKey("epochs.name", ondelete="CASCADE"), primary_key=True)


anchors = Table(
    "anchors",
    metadata,
    Column("role", Text, primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    _text("key"),
    _text("rkey", null=True),
    _text("prev", null=True),
    _time("at"),
)
acts = Table(
    "acts",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    _text("type"),
    _text("agreement"),
    _text("digest"),
    Column("act", LargeBinary, nullable=False),
    Column("signatures", JSON, nullable=False),
    Column("document", LargeBinary, nullable=True),
    _time("at"),
    Column("session", Text, nullable=True),
)
agents = Table(
    "agents",
    metadata,
    Column("id", Text, primary_key=True),
    _text("name"),
    _text("group"),
    _text("site"),
    Column("onboarding_from", Date, nullable=True),
    Column("home_office", Boolean, nullable=False),
    Column("salt", LargeBinary, nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("blackout", Boolean, nullable=False),
    _whole("seat_seq"),
    _whole("key_seq"),
    _time("added_at"),
    Index(None, "group"),
)
agent_keys = Table(
    "agent_keys",
    metadata,
    Column("agent", Text, ForeignKey("agents.id"), primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    _text("recipient"),
    _text("signing_key"),
    _text("statement"),
    _text("signature"),
    _time("enrolled_from"),
)
seats = Table(
    "seats",
    metadata,
    Column("agent", Text, ForeignKey("agents.id"), primary_key=True),
    _text("extension"),
    _text("session"),
    _whole("seq"),
    _text("statement"),
    _text("signature"),
    _time("claimed_at"),
    _time("expires_at"),
    UniqueConstraint("extension"),
)
consents = _numbered(
    "consents",
    _agent(),
    _text("purpose"),
    _whole("seq"),
    _text("answer"),
    Column("home_office", Boolean, nullable=False),
    _text("text_sha256", null=True),
    _text("language", null=True),
    _text("statement", null=True),
    _text("signature", null=True),
    _time("at"),
    UniqueConstraint("agent", "purpose", "seq"),
)
receipts = _numbered(
    "receipts",
    _text("jti"),
    _text("call_ref"),
    _text("recording", null=True),
    _text("outcome"),
    Column("receipt", LargeBinary, nullable=False),
    _text("signature"),
    _time("at"),
    _time("keep_until"),
    UniqueConstraint("jti"),
    Index(None, "call_ref"),
    Index(None, "recording"),
)
epochs = Table(
    "epochs",
    metadata,
    Column("name", Text, primary_key=True),
    _text("origin"),
    _text("state"),
    _time("starts_at"),
    _time("ends_at"),
    Column("first_day", Date, nullable=False),
    Column("c", LargeBinary, nullable=False),
    _text("csig"),
    Column("h", LargeBinary, nullable=True),
    Column("host_secret", LargeBinary, nullable=True),
    Column("council_secret", LargeBinary, nullable=True),
    Column("roster", JSON, nullable=True),
    _whole("committed_index", null=True),
    _whole("day", null=True),
    Column("figures", JSON, nullable=True),
    _time("closed_at", null=True),
    _whole("revealed_index", null=True),
    _whole("acts", null=True),
    Index(None, "state"),
)
block_shares = Table(
    "block_shares",
    metadata,
    Column("origin", Text, primary_key=True),
    _text("key"),
    Column("sealed", LargeBinary, nullable=False),
)
epoch_names = Table(
    "epoch_names",
    metadata,
    _of_epoch(),
    Column("names", JSON, nullable=False),
)
council_openings = Table(
    "council_openings",
    metadata,
    _of_epoch(),
    Column("idx", BigInteger, primary_key=True, autoincrement=False),
    Column("sealed", LargeBinary, nullable=False),
)
cosignatures = _numbered(
    "cosignatures",
    _text("origin"),
    _whole("size"),
    _text("line"),
    _time("at"),
    Index(None, "origin", "size"),
)
legs = _numbered(
    "legs",
    _text("kind"),
    _text("e"),
    _text("a", null=True),
    _whole("n", null=True),
    _whole("r", null=True),
    _text("q", null=True),
    Column("c", LargeBinary, nullable=True),
    _text("k", null=True),
    Column("day", Date, nullable=True),
    _text("admission", null=True),
    _text("o", null=True),
    Column("m", LargeBinary, nullable=True),
    _text("rule", null=True),
    _text("origin", null=True),
    _whole("i", null=True),
    _whole("out_i", null=True),
    _whole("acts", null=True),
    _text("queue", null=True),
    UniqueConstraint("e", "kind", "a", "n"),
    Index(None, "e", "kind", "r", "admission"),
    Index(None, "kind", "o"),
    Index(None, "day"),
)
logs = _numbered(
    "logs",
    _text("origin"),
    _whole("size"),
    Column("open", Boolean, nullable=False),
    UniqueConstraint("origin"),
)
log_wal = Table(
    "log_wal",
    metadata,
    Column("origin", Text, ForeignKey("logs.origin"), primary_key=True),
    Column("idx", BigInteger, primary_key=True, autoincrement=False),
    Column("leaf", LargeBinary, nullable=False),
)
stamps = Table("stamps", metadata, Column("id", BigInteger, primary_key=True, autoincrement=False), _whole("number"))
log_openings = _numbered(
    "log_openings",
    _agent(),
    _text("origin"),
    _whole("idx"),
    _text("kind"),
    Column("told", LargeBinary, nullable=False),
    Column("salt", LargeBinary, nullable=False),
    Index(None, "agent"),
    UniqueConstraint("origin", "idx"),
)
leg_openings = _numbered(
    "leg_openings",
    _agent(),
    _text("recipient"),
    _text("origin"),
    _whole("idx"),
    _text("kind"),
    Column("sealed", LargeBinary, nullable=False),
    _time("keep_until"),
    Index(None, "agent"),
    Index(None, "keep_until"),
    UniqueConstraint("origin", "idx"),
)
figures = Table(
    "figures",
    metadata,
    *(Column(name, Text, primary_key=True) for name in ("month", "site", "rule", "channel", "what")),
    _whole("total"),
)
campaigns = Table(
    "campaigns", metadata, *(Column(name, Text, primary_key=True) for name in ("agreement", "id")), _whole("hits")
)
decisions = _numbered(
    "decisions",
    _text("call_ref"),
    _whole("entry", null=True),
    _text("recording", null=True),
    _whole("seg", null=True),
    _text("outcome"),
    _text("lane", null=True),
    _text("purpose", null=True),
    Column("sides", JSON, nullable=False),
    Column("reasons", JSON, nullable=False),
    _text("agreement", null=True),
    _time("at"),
    Index(None, "call_ref"),
    Index(None, "recording"),
)
recordings = Table(
    "recordings",
    metadata,
    Column("id", Text, primary_key=True),
    _agent(),
    _text("call_ref"),
    _whole("entry"),
    _text("origin"),
    _text("epoch"),
    _text("pseudonym"),
    _whole("n"),
    _text("lane"),
    _text("purpose"),
    _text("agreement"),
    Column("consents", JSON, nullable=False),
    Column("recipients", JSON, nullable=False),
    _text("ingress"),
    _text("media"),
    _text("state"),
    _time("erase_at"),
    _time("begun_at"),
    _time("ended_at", null=True),
    Index(None, "agent", "begun_at"),
    Index(None, "state"),
    Index(None, "erase_at"),
)
record_codes = Table(
    "record_codes",
    metadata,
    Column("hash", Text, primary_key=True),
    _of_recording(unique=True),
    _time("issued_at"),
)
erasures = Table(
    "erasures",
    metadata,
    _of_recording(primary_key=True),
    Column("side", Text, primary_key=True),
    _time("requested_at"),
    _time("due_at"),
    Index(None, "due_at"),
)
holds = Table(
    "holds",
    metadata,
    _of_recording(primary_key=True),
    Column("by", Text, primary_key=True),
    _text("reason"),
    _time("set_at"),
    _time("until"),
)
coaches = Table(
    "coaches",
    metadata,
    Column("id", Text, primary_key=True),
    _text("name"),
    Column("disabled", Boolean, nullable=False),
    _whole("key_seq"),
    _time("added_at"),
)
coach_keys = Table(
    "coach_keys",
    metadata,
    Column("coach", Text, ForeignKey("coaches.id"), primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    _text("recipient"),
    _text("signing_key"),
    _text("statement"),
    _text("signature"),
    _time("enrolled_from"),
    _text("origin"),
    _whole("idx"),
    Column("salt", LargeBinary, nullable=False),
)
releases = Table(
    "releases",
    metadata,
    Column("id", Text, primary_key=True),
    _of_recording(),
    Column("coach", Text, ForeignKey("coaches.id"), nullable=False),
    _text("purpose"),
    _time("until"),
    _time("at"),
    _time("revoked_at", null=True),
    Column("stored", Boolean, nullable=False),
    Index(None, "recording"),
    Index(None, "coach"),
    Index(None, "stored"),
)
release_parts = Table(
    "release_parts",
    metadata,
    Column("release", Text, ForeignKey("releases.id", ondelete="CASCADE"), primary_key=True),
    Column("side", Text, primary_key=True),
    Column("seg", BigInteger, primary_key=True),
    _text("document"),
    _text("signature"),
)
evaluations = _numbered(
    "evaluations",
    _agent(),
    _text("pair"),
    _time("at"),
    Index(None, "agent", "at"),
)
accesses = _numbered(
    "accesses",
    _of_recording(),
    _text("who", null=True),
    _time("at"),
    *(_text(name) for name in ("role", "what", "purpose", "side")),
    _whole("seg"),
    Index(None, "recording"),
    Index(None, "role", "who", "at"),
)
segments = Table(
    "segments",
    metadata,
    Column("recording", Text, ForeignKey("recordings.id", ondelete="CASCADE"), primary_key=True),
    Column("seg", BigInteger, primary_key=True),
    Column("side", Text, primary_key=True),
    _text("state"),
    _text("key_commit", null=True),
    _whole("stanzas", null=True),
    _text("container", null=True),
    _time("opened_at", null=True),
    _text("end", null=True),
    _text("reason", null=True),
    _text("sha256", null=True),
    _whole("bytes", null=True),
    _whole("chunks", null=True),
    _text("manifest_sha256", null=True),
    _time("started", null=True),
    _time("ended", null=True),
    Index(None, "state"),
)
