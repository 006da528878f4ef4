"""Runs `backup`, `restore` and `migrate` for the command line: JSON lines on stdout, the result last."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from crypto.errors import CryptoError
from crypto.x25519 import Identity, Recipient, parse_identities
from gateway.backup import make
from gateway.clock import Clock, SystemClock
from gateway.config import Config, ConfigError
from gateway.migrate import migrate
from gateway.restore import Asked, restore
from storage.named_file import read_named

__all__ = ["run"]

EVERY_S: Final = 0.5
"""Between two lines about the same thing."""


def run(args: argparse.Namespace, config: Config) -> int:
    """One of the three; the process's rc. Raises StorageError, ConfigError."""
    os.umask(0o077)
    tell, at = _Telling(SystemClock()), SystemClock().wallclock()
    result: dict[str, Any]
    if args.command == "backup":
        also = dict(_pair(text) for text in args.also)
        made = make(config, args.config, args.out, also=also, recipients=_recipients(args.recipient), at=at, tell=tell)
        result = asdict(made)
    elif args.command == "restore":
        asked = Asked(
            args.backup,
            _identities(args.identity),
            args.replace,
            args.without_vault,
            args.log_above,
            args.dry_run,
        )
        result = restore(config, asked, at, tell).plain()
    else:
        result = asdict(migrate(config, to=args.to, dry_run=args.dry_run, tell=tell))
    _print({"result": result})
    return 0


class _Telling:
    """A line twice a second at the most for each thing that goes on."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last: tuple[str, float] = ("", 0.0)

    def __call__(self, what: str, done: int, total: int) -> None:
        now = self._clock.now()
        if what != self._last[0] or now - self._last[1] >= EVERY_S:
            self._last = what, now
            _print({"doing": what, "done": done, "total": total})


def _print(members: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(members) + "\n")
    sys.stdout.flush()


def _pair(text: str) -> tuple[str, Path]:
    name, _, path = text.partition("=")
    if not name or not path:
        raise ConfigError(f"--also `{text}`: write NAME=PATH")
    return name, Path(path)


def _recipients(texts: Sequence[str]) -> list[Recipient]:
    try:
        return [Recipient.parse(text) for text in texts]
    except CryptoError as error:
        raise ConfigError(f"--recipient: {error}") from None


def _identities(path: Path | None) -> list[Identity]:
    if path is None:
        return []
    try:
        return parse_identities(read_named(path).decode("ascii"))
    except (OSError, UnicodeDecodeError):
        raise ConfigError(f"--identity: `{path}` can't be read") from None
    except CryptoError as error:
        raise ConfigError(f"--identity: `{path}`: {error}") from None
