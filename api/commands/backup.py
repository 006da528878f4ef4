"""`fairtap backup`, `restore`, `migrate`: a site's state kept, brought back, brought up to date.

The gateway's code does it, since it alone writes there (`python -m gateway backup`, …); here are the words around it,
the API's own database, and the first token after a restore.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from api.accounts import first_token
from api.commands.saying import AsJson, ConfigFile, finish, tell
from api.database import PASSING
from api.errors import CommandError
from api.home import DEFAULT_NAME, Home, find_home
from api.serve import api_database
from api.supervisor import child_environment
from gateway.clock import SystemClock
from storage import durable
from storage.backup.databases import snapshot_file
from storage.errors import StorageError
from storage.named_file import read_named

__all__ = ["backup", "migrate", "restore"]

PROGRESS_AFTER_S: Final = 2.0
Identity = Annotated[Path | None, typer.Option("-i", "--identity", help="OUT.key that opens a sealed backup.")]


def backup(
    out: Annotated[Path, typer.Argument(metavar="DIR", help="The folder to make; it mustn't be there.")],
    recipient: Annotated[
        list[str] | None,
        typer.Option(help="Seal names, keys and settings to age1… or to OUT.pub of `fairtap keygen`; repeat."),
    ] = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Keep all but the vault in a folder, also while the site serves; `fairtap restore` verifies it before use."""
    home = find_home(config)
    sealed_to = [one for text in recipient or [] for one in _recipients(text)]
    with ExitStack() as stack:
        arguments = [str(out), *(word for one in sealed_to for word in ("--recipient", one))]
        if api_database(home.config).exists():
            arguments += ["--also", f"api.db={_accounts(home, stack)}"]
        made = _gateway(home, "backup", arguments)
    damaged = made["damaged"]
    lines = [
        f"{made['folder']}: {made['files']} files, {_size(made['bytes'])}, {made['recordings']} recorded sides",
        f"signed by the gateway {made['gateway']}",
        "names, keys and settings in it are sealed: keep the key that opens them elsewhere"
        if made["sealed"]
        else "it holds keys and names in the open: keep it as you keep this machine, or seal it with --recipient",
        f"not in it, ever: {home.data_dir / 'vault'}, without which no recording opens; see docs/operate.md",
    ]
    tell(as_json, made, *lines)
    if damaged:
        raise CommandError(
            f"the backup stands, but `{damaged[0]}` is damaged on this machine and isn't in it ({len(damaged)})"
        )


def restore(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="What `fairtap backup` made.")],
    identity: Identity = None,
    replace: Annotated[bool, typer.Option("--replace", help="Set databases aside that are there.")] = False,
    without_vault: Annotated[
        bool, typer.Option("--without-vault", help="The vault is lost: erase all recordings.")
    ] = False,
    log_above: Annotated[
        int, typer.Option(help="The council's tool knows a log `…-rN` that is lost here: N.", min=0, max=998)
    ] = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Verify and say what would be done.")] = False,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Make a data folder of a backup while nothing serves from it. Killed or failed, the same command goes on."""
    _expect_config(folder, config)
    home = find_home(config)
    arguments = [str(folder), "--log-above", str(log_above)]
    arguments += ["--identity", str(identity)] if identity is not None else []
    flags = {"--replace": replace, "--without-vault": without_vault, "--dry-run": dry_run}
    done = _gateway(home, "restore", [*arguments, *(name for name, given in flags.items() if given)])
    lines = [f"backup of {done['site']}, made {done['made']}, signed by the gateway {done['gateway']}: whole"]
    erased = f"{done['without_header']} of {done['sealed_segments']} recorded sides were erased since"
    if dry_run:
        tell(as_json, done, *lines, f"{erased}; nothing was written")
        return
    done["admin_token"] = finish(first_token(api_database(home.config), SystemClock()))
    tell(as_json, done, *lines, *_told(done, erased))


def migrate(
    to: Annotated[str | None, typer.Option(metavar="URL", help="Move into this empty database.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done.")] = False,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Bring the database up to this version's tables, or move it: from SQLite to PostgreSQL, or back."""
    home = find_home(config)
    arguments = [*(("--to", to) if to is not None else ()), *(("--dry-run",) if dry_run else ())]
    done = _gateway(home, "migrate", arguments)
    steps = done["steps"]
    lines = [f"database is of revision {done['revision']}, this version of {done['newest']}"]
    lines += [f"{'would do' if dry_run else 'done'} {step}" for step in steps] or ["nothing to change in its tables"]
    if done["moved_to"] is not None:
        lines += [
            f"{done['rows']} rows are in {done['moved_to']}: put it into [storage] database",
            "the old database is as it was; remove it once the site runs",
        ]
    tell(as_json, done, *lines)


def _told(done: dict[str, Any], erased: str) -> list[str]:
    found = done["recordings"] or {}
    lines = [f"set aside: {path}" for path in done["set_aside"]]
    lines += [
        f"{found.get('kept', 0)} recordings open; {erased}; {found.get('asked', 0)} requests to erase"
        f" and {found.get('held', 0)} holds came back"
    ]
    if found.get("unreadable"):
        lines.append(f"{found['unreadable']} recorded sides have no payload here any more")
    if found.get("orphans"):
        lines.append(f"{found['orphans']} recordings are newer than the backup: nobody finds them, they go in 14 days")
    lines += [f"the log goes on as {origin}" for origin in done["logs"]]
    lines += [
        "nothing is recorded until the council has cosigned the new log, nothing is drawn before the next epoch",
        f"hand in again what came after {done['made']}: acts, agents, protected numbers",
        "every agent says yes anew; every token but this one is gone",
    ]
    token = done["admin_token"]
    return [*lines, f"admin token, shown only now: {token}" if token else "an admin token is there already"]


def _gateway(home: Home, command: str, arguments: list[str]) -> dict[str, Any]:
    """Have the gateway's code do it; what it says on the way becomes a progress line. Its result."""
    started = [sys.executable, "-m", "gateway", command, *arguments, "--config", str(home.file)]
    clock, result, shown = SystemClock(), None, False
    since: float | None = None
    with subprocess.Popen(
        started, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=child_environment()
    ) as child:
        for line in child.stdout or ():
            said = json.loads(line)
            result = said.get("result", result)
            since = clock.now() if since is None else since
            if "doing" in said and clock.now() - since > PROGRESS_AFTER_S:
                typer.echo(
                    f"\r{said['doing']}: {said['done']} of {said['total']} …", err=True, nl=not sys.stderr.isatty()
                )
                shown = True
        wrong = child.stderr.read() if child.stderr is not None else ""
    if shown and sys.stderr.isatty():
        typer.echo(err=True)
    if child.returncode != 0 or result is None:
        last = (wrong.strip().splitlines() or [f"{command} failed"])[-1]
        raise CommandError(last.removeprefix("gateway: "), child.returncode or 1)
    return dict(result)


def _accounts(home: Home, stack: ExitStack) -> Path:
    """A copy of the API's database, without what ends with a restore anyhow: sign-ins, codes, tokens."""
    run = home.config.run_dir
    try:
        durable.make_folder(run, home.data_dir)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="api-", dir=run)))
        snapshot_file(api_database(home.config), folder / "api.db", [table.name for table in PASSING])
    except (StorageError, OSError) as error:
        raise CommandError(f"api.db can't be copied: {error}") from None
    return folder / "api.db"


def _recipients(text: str) -> list[str]:
    if text.startswith("age1"):
        return [text]
    try:
        found = [line.strip() for line in read_named(Path(text)).decode("utf-8").splitlines()]
    except (OSError, UnicodeDecodeError):
        raise CommandError(f"--recipient: `{text}` is neither age1… nor a file that can be read", 2) from None
    keys = [line for line in found if line.startswith("age1")]
    if not keys:
        raise CommandError(f"--recipient: `{text}` holds no line age1…", 2)
    return keys


def _expect_config(folder: Path, config: Path | None) -> None:
    """On a fresh machine the configuration is in the backup, and a person puts it in its place."""
    file = config or Path(DEFAULT_NAME)
    kept = folder / DEFAULT_NAME
    if file.exists() or not folder.is_dir():
        return
    if kept.exists():
        raise CommandError(f"`{file}` does not exist: `cp {kept} {file}`, look through it, then again", 2)
    if kept.with_name(f"{kept.name}.age").exists():
        raise CommandError(
            f"`{file}` does not exist: `age -d -i KEY {kept}.age > {file}`, look through it, then again", 2
        )


def _size(count: int) -> str:
    return f"{count / (1 << 20):.1f} MiB"
