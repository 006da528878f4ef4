"""An open data folder for each test; its empty database is made once and copied, since making it takes a while."""

import asyncio
import shutil
from pathlib import Path

import pytest

from tests.peers.stored import open_folder


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory) -> Path:
    """A database with every table and no row."""
    root = tmp_path_factory.mktemp("empty")

    async def make() -> None:
        await (await open_folder(root)).database.close()

    asyncio.run(make())
    return root / "fairtap.db"


@pytest.fixture
def data_dir(tmp_path, empty_database) -> Path:
    """A data folder that is closed."""
    shutil.copy(empty_database, tmp_path / "fairtap.db")
    return Path(tmp_path)


@pytest.fixture
async def folder(data_dir):
    """The same, open."""
    opened = await open_folder(data_dir, migrate=False)
    yield opened
    await opened.database.close()
