"""`fairtap-council`: the works council's own tool. The only place here that reads the clock and prints."""

import argparse
import locale
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from council.errors import CouncilError, WrongUse
from council.folder import read_file
from council.home import Home, Settings
from council.inspect import Outcome, Sources, inspect, log_key
from council.report import Report
from council.rounds import AHEAD, Round
from council.usage import ABOUT, COMMANDS, EVERYWHERE
from council.words import LANGUAGES

PROGRESS_AFTER_S: Final = 2.0
utc_now: Final = partial(datetime.now, UTC)
"""The machine's clock."""


def main(arguments: Sequence[str] | None = None, now: Callable[[], datetime] | None = None) -> int:
    """Run one command: 0 clean, 1 with findings, 2 wrong use. `now`: else the machine's clock."""
    args = _parser().parse_args(arguments)
    args.now = now or utc_now
    args.home = args.home or Path(os.environ.get("FAIRTAP_COUNCIL_HOME", Path.home() / ".fairtap-council"))
    try:
        code: int = getattr(_Command(args), args.command.replace("-", "_"))()
        return code
    except (CouncilError, OSError) as error:
        print(f"fairtap-council: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fairtap-council", description=ABOUT)
    commands = parser.add_subparsers(title="commands", required=True, dest="command")
    offered = [(parser, EVERYWHERE)]
    for name, (sentence, options) in COMMANDS.items():
        offered.append((commands.add_parser(name, help=sentence, description=sentence), options))
    for one, options in offered:
        for option, told in options.items():
            one.add_argument(option, **told)
    return parser


class _Command:
    """One command; what it does is the method of its name."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args

    def init(self) -> int:
        args = self.args
        log_key(args.log_key)
        _zone(args.zone)
        beside = args.key.with_suffix(".key")
        args.identity = args.identity or (beside if beside.is_file() else None)
        paths = {name: getattr(args, name) for name in ("key", "identity", "ca", "cdr")}
        settings = Settings(
            url=args.url.rstrip("/"),
            log_key=args.log_key,
            role=args.role,
            zone=args.zone,
            language=args.lang or _language(args.home),
            anchors=dict(_anchor(text) for text in args.anchor),
            **{name: str(path.resolve()) for name, path in paths.items() if path is not None},
        )
        home = Home(args.home, settings)
        key = home.signing_key()
        home.identities()
        home.save()
        print(f"set up in {args.home}; your key: {key.verify_key.fingerprint()}")
        for role, line in home.pinned().items():
            print(f"  {role}: {line}")
        return 0

    def sync(self) -> int:
        one, source = self._round(), self.args.source
        return 0 if (one.sync() if source is None else one.sync_folder(source)) else 1

    def verify(self) -> int:
        args, names = self.args, ("acts", "roster", "cdr", "openings", "inventories", "manifests", "seen")
        given: dict[str, Any] = {name: path for name in names if (path := getattr(args, name)) is not None}
        if args.zone is not None:
            given["zone"] = _zone(args.zone)
        if args.key is not None:
            text = read_file(Path(args.key), 1_024)
            given["key"] = log_key(args.key if text is None else text.decode("utf-8", errors="replace"))
        sources = Sources(args.log) if args.log is not None else Home.open(args.home).sources()
        outcome = inspect(replace(sources, now=args.now(), **given), _progress())
        return self._tell(outcome, as_json=args.json, page=args.html)

    def cdr(self) -> int:
        """Opening files are kept for a short time only: they are fetched first, unless a log is named."""
        if self.args.log is None:
            self._round(silent=self.args.json).sync()
        return self.verify()

    def cosign(self) -> int:
        """Nothing without a clean log; `share` likewise."""
        one = self._round()
        outcome = one.verify(_progress())
        if not outcome.clean:
            return self._tell(outcome)
        getattr(one, self.args.command)(outcome)
        return 0

    share = cosign

    def open_epoch(self) -> int:
        if not 0 <= self.args.ahead <= AHEAD:
            raise WrongUse(f"--ahead: at most {AHEAD}")
        self._round().open_epochs(self.args.ahead)
        return 0

    def weekly(self) -> int:
        one = self._round()
        alike, settings = one.sync(), one.home.settings
        there = settings.cdr is not None and Path(settings.cdr).is_file()
        records = {"cdr": Path(settings.cdr or ""), "zone": _zone(settings.zone)} if there else {}
        outcome = one.verify(_progress(), **records)
        if outcome.clean and alike:
            one.hand_over(outcome, self.args.ahead)
        page = one.home.path / "reports" / f"{self.args.now():%Y-%m-%d}.html"
        code = self._tell(outcome, page=page)
        print(page)
        return code if alike else 1

    def watch(self) -> int:
        done = 0
        while True:
            try:
                one = self._round()
                alike, outcome = one.sync(), one.verify()
                if not (alike and outcome.clean):
                    return max(1, self._tell(outcome))
                one.hand_over(outcome, self.args.ahead, if_due=True)
            except CouncilError as error:
                if isinstance(error, WrongUse):
                    raise
                print(f"fairtap-council: {error}; trying again", file=sys.stderr, flush=True)
            done += 1
            if done == self.args.rounds:
                return 0
            time.sleep(max(self.args.every, 0))

    def suspend(self) -> int:
        self._round().suspend(self.args.agreement)
        return 0

    def rates(self) -> int:
        self._round().put_rates(self.args.agreement, self.args.rates)
        return 0

    def _round(self, *, silent: bool = False) -> Round:
        say: Callable[[str], None] = (lambda _: None) if silent else partial(print, flush=True)
        return Round(Home.open(self.args.home), self.args.now, say)

    def _tell(self, outcome: Outcome, *, as_json: bool = False, page: Path | None = None) -> int:
        report = Report(outcome, self.args.lang or _language(self.args.home), self.args.now())
        print(report.json() if as_json else report.text(), end="\n" if as_json else "")
        if page is not None:
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_text(report.html(), encoding="utf-8")
        return 0 if outcome.clean else 1


def _anchor(text: str) -> tuple[str, str]:
    role, _, name = text.partition("=")
    data = (read_file(Path(name), 65_536) or b"").decode("utf-8", errors="replace")
    line = next((line for line in data.splitlines() if line.startswith("ssh-ed25519 ")), None)
    if not role or line is None:
        raise WrongUse(f"--anchor `{text}`: give ROLE=FILE, a file with a line `ssh-ed25519 …`")
    return role, " ".join(line.split()[:2])


def _language(home: Path) -> str:
    """As set up, else the machine's."""
    try:
        found = Home.open(home).settings.language
    except CouncilError:
        found = (locale.getlocale()[0] or "")[:2].lower()
    found = "nb" if found in ("no", "nn") else found
    return found if found in LANGUAGES else "en"


def _zone(name: str | None) -> ZoneInfo | None:
    try:
        return None if name is None else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise WrongUse(f"--zone: no time zone `{name}`") from None


def _progress() -> Callable[[int], None]:
    """A line that counts, on a terminal, once it takes long."""
    started = time.monotonic()

    def tell(count: int) -> None:
        if sys.stderr.isatty() and time.monotonic() - started > PROGRESS_AFTER_S:
            print(f"\r{count} entries …", end="", file=sys.stderr, flush=True)

    return tell


if __name__ == "__main__":
    raise SystemExit(main())
