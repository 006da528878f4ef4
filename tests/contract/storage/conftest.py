"""The same tests over SQLite and PostgreSQL; the latter in a throw-away cluster on a Unix socket."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from crypto.x25519 import Identity
from tests.peers.stored import open_folder

NUMBERS = count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Path]:
    """The folder with a running server's socket."""
    pytest.importorskip("asyncpg", reason="extra `postgres` isn't installed")
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("no PostgreSQL server is installed")
    owner = None
    if os.getuid() == 0:
        owner = next((user.pw_name for user in pwd.getpwall() if user.pw_name in ("postgres", "nobody")), None)
        if owner is None:
            pytest.skip("PostgreSQL refuses to run as root, and there is no other user")
    home = Path(tempfile.mkdtemp(prefix="fairtap-pg-"))
    if owner is not None:
        shutil.chown(home, owner)
    binaries, data = found[-1].parent, home / "data"

    def run(program: str, *words: str) -> None:
        subprocess.run([binaries / program, "-D", data, *words], user=owner, cwd=home, check=True, capture_output=True)

    try:
        run("initdb", "-A", "trust", "-U", "fairtap", "--no-sync", "-E", "UTF8", "--no-locale")
        options = f"-k {home} -c listen_addresses='' -c fsync=off -c shared_buffers=16MB -c max_connections=40"
        run("pg_ctl", "-w", "-l", str(home / "log"), "-o", options, "start")
        try:
            yield home
        finally:
            run("pg_ctl", "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(home)


@pytest.fixture(params=["sqlite", "postgresql"])
def fresh_url(request, tmp_path) -> Callable[[], str]:
    """Gives the URL of one more empty database, of each kind in turn."""
    if request.param == "sqlite":
        return lambda: f"sqlite:///{tmp_path}/{next(NUMBERS)}.db"
    home = request.getfixturevalue("postgres")

    def made() -> str:
        name = f"t{next(NUMBERS)}"
        psql = ["psql", "-h", home, "-U", "fairtap", "-d", "postgres", "-qc", f"CREATE DATABASE {name}"]
        subprocess.run(psql, check=True, capture_output=True)
        return f"postgresql+asyncpg://fairtap@/{name}?host={home}"

    return made


@pytest.fixture
def url(fresh_url) -> str:
    """The URL of an empty database, of each kind in turn."""
    return fresh_url()


@pytest.fixture
async def folder(tmp_path, url):
    """An open data folder over each kind of database."""
    opened = await open_folder(tmp_path, url)
    yield opened
    await opened.database.close()


@pytest.fixture
async def local(tmp_path):
    """An open data folder over SQLite."""
    opened = await open_folder(tmp_path)
    yield opened
    await opened.database.close()


@pytest.fixture
def identity() -> Identity:
    """An agent's key."""
    return Identity.generate()
