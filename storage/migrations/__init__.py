"""Alembic migrations, one chain for SQLite and PostgreSQL, run by the gateway at its start or by `fairtap migrate`."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from storage.errors import SchemaNewer


def upgrade(connection: Connection) -> bool:
    """Bring the database behind `connection` to the newest revision, inside its transaction; False: it was there.

    Raises SchemaNewer.
    """
    if not steps(connection):
        return False
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    return True


def revision(connection: Connection) -> str | None:
    """The database's revision; None before its first tables."""
    return MigrationContext.configure(connection).get_current_revision()


def steps(connection: Connection) -> list[tuple[str, str]]:
    """What `upgrade` would do, oldest first: revisions, and what each is about. Raises SchemaNewer."""
    scripts = ScriptDirectory.from_config(_config())
    known = [(one.revision, (one.doc or "").splitlines()[0]) for one in scripts.walk_revisions()][::-1]
    current = revision(connection)
    if current is None:
        return known
    names = [name for name, _ in known]
    if current not in names:
        raise SchemaNewer(
            f"database is of revision `{current}`, this version knows up to `{names[-1]}`: update Fairtap"
        )
    return known[names.index(current) + 1 :]


def newest() -> str:
    """The revision of this version's tables."""
    return ScriptDirectory.from_config(_config()).get_current_head() or ""


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config
