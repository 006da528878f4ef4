"""`python -m gateway check`: what a start would refuse here, all of it at once, by the code that a start runs.

Writes nothing and binds nothing; for `fairtap doctor`, also beside a gateway that runs. Addresses that can't be bound
are the doctor's own to find, since a running gateway has them.
"""

import asyncio
import json
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from gateway.config import Config, ConfigError
from gateway.engine.protected import ProtectedListError, ProtectedParties
from gateway.ingress.next_hop import configured_hops
from gateway.ingress.sip_tls import SideTls
from gateway.ingress.sip_transport import advertised_name
from gateway.sip.hop import Side
from storage import gateway_key, migrations, record_codes
from storage.database import Database
from storage.errors import StorageError, StorageUnavailable, StorageUrlError
from storage.lock import restoring_mark

__all__ = ["faults", "run"]

URLS = "write `sqlite:////PATH/FILE.db` or `postgresql+asyncpg://USER@HOST/NAME`"


def run(config: Config) -> int:
    """Print the faults as JSON; rc 0 whether or not there are any."""
    sys.stdout.write(json.dumps({"faults": asyncio.run(faults(config))}, ensure_ascii=False) + "\n")
    return 0


async def faults(config: Config) -> list[str]:
    """One line each, with what to do."""
    found = [*_sides(config), *_data_folder(config.site.data_dir.absolute())]
    fault = await _database(config.database_url)
    return found if fault is None else [*found, f"storage.database: {fault}"]


def _sides(config: Config) -> Iterator[str]:
    for side, section in ((Side.CALLER, config.sip.caller_side), (Side.AGENT, config.sip.agent_side)):
        looks: list[Callable[[], object]] = [
            partial(configured_hops, side, section),
            partial(advertised_name, side, section.advertised),
        ]
        if any(listener.transport == "tls" for listener in section.listeners):
            looks.append(partial(SideTls, f"{side.value}_side", section))
        for look in looks:
            try:
                look()
            except ConfigError as error:
                yield str(error)


def _data_folder(data_dir: Path) -> Iterator[str]:
    """Nothing of one that was never set up: the doctor says so."""
    if restoring_mark(data_dir).exists():
        yield "a restore isn't finished in this data folder: run `fairtap restore` again"
    if not gateway_key.key_path(data_dir).exists():
        return
    looks: list[Callable[[], object]] = [
        partial(gateway_key.load, data_dir),
        partial(ProtectedParties.load, data_dir),
    ]
    if record_codes.key_path(data_dir).exists():
        looks.append(partial(record_codes.load_or_create_key, data_dir))
    for look in looks:
        try:
            look()
        except (StorageError, ProtectedListError) as error:
            yield str(error)


async def _database(url: str) -> str | None:
    fresh, fault = _fresh(url)
    if fresh:
        return fault
    try:
        database = await Database.open(url, read_only=True)
    except StorageUrlError as error:
        return f"{error}: {URLS}"
    except StorageUnavailable as error:
        return f"{error}: is it there, and may this account read it?"
    try:
        await database.read(migrations.steps)
    except StorageError as error:
        return str(error)
    finally:
        await database.close()
    return None


def _fresh(url: str) -> tuple[bool, str | None]:
    """Whether it is a file that isn't there yet, and what is wrong then: a start makes it, and the folder it is in."""
    file = Path(url.removeprefix("sqlite:///"))
    if not url.startswith("sqlite:///") or not file.is_absolute() or file.exists():
        return False, None
    folder = file.parent if file.parent.exists() else file.parent.parent
    if folder.is_dir() and os.access(folder, os.W_OK | os.X_OK):
        return True, None
    return True, f"`{file}` can't be made: make its folder, and let this account write there"
