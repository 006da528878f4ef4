"""The gateway's processes (`python -m gateway serve`, `worker`), and what may write while none of them runs.

People use `fairtap`, which starts this. Errors are one line on stderr; rc 0, 1 (it failed) or 2 (wrong use or wrong
configuration: starting again won't help).
"""

import argparse
import asyncio
import json
import logging
import sys
import traceback
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

import structlog

from gateway.config import Config, ConfigError, load_config
from gateway.errors import AnchorError, GatewayError
from storage.errors import RestoreUnfinished, SchemaNewer, StorageError, StorageUrlError

FAILED, WRONG_USE = 1, 2
PLACES = 12
"""Innermost frames of a fault that the log names."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the process's rc."""
    args = _parser().parse_args(arguments)
    _configure_log()
    try:
        config = load_config(args.config)
        return _run(args, config)
    except (ConfigError, AnchorError, StorageUrlError, SchemaNewer, RestoreUnfinished) as error:
        return _complain(error, WRONG_USE)
    except (GatewayError, StorageError) as error:
        return _complain(error, FAILED)
    except OSError as error:
        why = (error.strerror or "the system refused").lower()
        return _complain(GatewayError(f"`{error.filename}`: {why}" if error.filename else why), FAILED)
    except KeyboardInterrupt:
        return FAILED


def _run(args: argparse.Namespace, config: Config) -> int:
    # each command imports its own: a media worker that was killed has two seconds to carry its calls again
    if args.command == "serve":
        from gateway import assembly

        assembly.serve(config)
    elif args.command == "worker":
        from gateway.media import worker_process

        if not 0 <= args.index < worker_process.worker_count(config):
            raise ConfigError(f"--index: there are {worker_process.worker_count(config)} workers")
        worker_process.serve(config, args.index)
    elif args.command == "protect":
        from gateway.engine.protected import protect

        data_dir = config.site.data_dir.absolute()
        added = protect(data_dir, (line.strip() for line in sys.stdin))
        sys.stdout.write(f"{json.dumps({'added': added})}\n")
    elif args.command == "announcement":
        from gateway import announcing

        return announcing.run(args, config)
    elif args.command == "check":
        from gateway import checking

        return checking.run(config)
    elif args.command in ("backup", "restore", "migrate"):
        from gateway import keeping

        return keeping.run(args, config)
    else:
        from gateway import setup

        made = asyncio.run(setup.initialise(config, _anchors(args.anchor), ()))
        sys.stdout.write(json.dumps({"gateway": made.gateway, "log_key": made.log_key, "anchors": made.anchors}) + "\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m gateway", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="signalling, decisions, storage")
    worker = commands.add_parser("worker", help="one media worker")
    worker.add_argument("--index", type=int, required=True, help="0 to workers - 1")
    init = commands.add_parser("init", help="make the data folder, keys, database; set anchors")
    init.add_argument("--anchor", action="append", default=[], metavar="ROLE=KEYFILE", help="a party's public keys")
    guard = commands.add_parser("protect", help="add numbers (one a line on stdin) that are never recorded")
    announce = commands.add_parser("announcement", help="questions to callers, and recordings of your own")
    check = commands.add_parser("check", help="what a start would refuse, as JSON")
    for command in (serve, worker, init, guard, check, *_announcements(announce), *_keeping(commands)):
        command.add_argument("--config", type=Path, default=None, help="fairtap.toml")
    return parser


def _announcements(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    actions = parser.add_subparsers(dest="action", required=True)
    add = actions.add_parser("add", help="judge a WAV and keep it as a question")
    add.add_argument("file", type=Path)
    for name in ("id", "language", "purpose", "text", "yes", "no"):
        add.add_argument(f"--{name}", required=True)
    add.add_argument("--one-sided", action="store_true", help="it says that after a no the agent alone may be recorded")
    check = actions.add_parser("check", help="whether everything that an agreement names can be played")
    check.add_argument("file", type=Path)
    return [add, check, actions.add_parser("list", help="every question that can be asked")]


def _keeping(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> Iterator[argparse.ArgumentParser]:
    backup = commands.add_parser("backup", help="one folder with all but the vault, also while it serves")
    backup.add_argument("out", type=Path, help="the folder to make")
    backup.add_argument("--also", action="append", default=[], metavar="NAME=PATH", help="another process's file")
    backup.add_argument("--recipient", action="append", default=[], metavar="age1…", help="seal names and keys to it")
    restore = commands.add_parser("restore", help="make a data folder of a backup")
    restore.add_argument("backup", type=Path, help="the folder that backup made")
    restore.add_argument("--identity", type=Path, default=None, help="age key file that opens a sealed backup")
    restore.add_argument("--replace", action="store_true", help="set databases aside that are there")
    restore.add_argument("--without-vault", action="store_true", help="erase all recordings")
    restore.add_argument("--log-above", type=int, default=0, help="number of the newest log that a restore began")
    migrate = commands.add_parser("migrate", help="bring the tables up to date, or move them")
    migrate.add_argument("--to", default=None, metavar="URL", help="an empty database of the other kind")
    for command in (restore, migrate):
        command.add_argument("--dry-run", action="store_true", help="say what would be done")
    yield from (backup, restore, migrate)


def _anchors(texts: list[str]) -> dict[str, Path]:
    found = {}
    for text in texts:
        role, separator, path = text.partition("=")
        if not separator or not path:
            raise AnchorError(f"--anchor {text}: write ROLE=KEYFILE")
        found[role] = Path(path)
    return found


def _configure_log() -> None:
    """JSON lines on stderr: random references, no persons."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _tell_where,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def _tell_where(_logger: object, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Of an exception its kind and its places in the code: its text may quote a message, and with it a person."""
    given = line.pop("exc_info", None)
    error = given if isinstance(given, BaseException) else sys.exc_info()[1] if given else None
    if error is not None:
        frames = traceback.extract_tb(error.__traceback__)[-PLACES:]
        line["fault"] = type(error).__name__
        line["at"] = [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]
    return line


def _complain(error: Exception, rc: int) -> int:
    sys.stderr.write(f"gateway: {error}\n")
    return rc


if __name__ == "__main__":
    sys.exit(main())
