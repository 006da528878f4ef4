"""`fairtap-council`: the works council's own tool. The only place here that reads the clock and prints."""

from __future__ import annotations

import argparse
import locale
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from council.acting import put_rates, suspend
from council.errors import CouncilError, WrongUse
from council.folder import read_file
from council.home import Home, Settings
from council.inspect import Outcome, Sources, inspect, log_key
from council.report import Report
from council.rounds import AHEAD, Round
from council.usage import ABOUT, COMMANDS, EVERYWHERE
from council.words import LANGUAGES

PROGRESS_AFTER_S: Final = 2.0


def main(arguments: Sequence[str] | None = None, now: Callable[[], datetime] | None = None) -> int:
    """Run one command: 0 clean, 1 with findings, 2 wrong use. `now`: else the machine's clock."""
    args = _parser().parse_args(arguments)
    args.now = now or utc_now
    args.home = args.home or Path(os.environ.get("FAIRTAP_COUNCIL_HOME", Path.home() / ".fairtap-council"))
    try:
        return _RUN[args.command](args)
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


# -- commands


def _init(args: argparse.Namespace) -> int:
    log_key(args.log_key)
    _zone(args.zone)
    settings = Settings(
        url=args.url.rstrip("/"),
        key=_path(args.key) or "",
        log_key=args.log_key,
        role=args.role,
        identity=_path(args.identity or (beside if (beside := args.key.with_suffix(".key")).is_file() else None)),
        ca=_path(args.ca),
        cdr=_path(args.cdr),
        zone=args.zone,
        language=args.lang or _machine_language(),
        anchors=dict(_anchor(text) for text in args.anchor),
    )
    home = Home(args.home, settings)
    key = home.signing_key()
    home.identities()
    home.save()
    print(f"set up in {args.home}; your key: {key.verify_key.fingerprint()}")
    for role, line in home.pinned().items():
        print(f"  {role}: {line}")
    return 0


def _anchor(text: str) -> tuple[str, str]:
    role, _, name = text.partition("=")
    data = (read_file(Path(name), 65_536) or b"").decode("utf-8", errors="replace")
    line = next((line for line in data.splitlines() if line.startswith("ssh-ed25519 ")), None)
    if not role or line is None:
        raise WrongUse(f"--anchor `{text}`: give ROLE=FILE, a file with a line `ssh-ed25519 …`")
    return role, " ".join(line.split()[:2])


def _sync(args: argparse.Namespace) -> int:
    one = _round(args)
    return 0 if (one.sync() if args.source is None else one.sync_folder(args.source)) else 1


def _verify(args: argparse.Namespace) -> int:
    names = ("acts", "roster", "cdr", "openings", "inventories", "manifests", "seen")
    given: dict[str, Any] = {name: path for name in names if (path := getattr(args, name)) is not None}
    if args.zone is not None:
        given["zone"] = _zone(args.zone)
    if args.key is not None:
        text = read_file(Path(args.key), 1_024)
        given["key"] = log_key(args.key if text is None else text.decode("utf-8", errors="replace"))
    sources = Sources(args.log) if args.log is not None else Home.open(args.home).sources()
    outcome = inspect(replace(sources, now=args.now(), **given), _progress())
    return _tell(outcome, args, as_json=args.json, page=args.html)


def _cdr(args: argparse.Namespace) -> int:
    """Opening files are kept for a short time only: they are fetched first, unless a log is named."""
    if args.log is None:
        _round(args, silent=args.json).sync()
    return _verify(args)


def _step(args: argparse.Namespace) -> int:
    """`cosign` and `share`: nothing without a clean log."""
    one = _round(args)
    outcome = one.verify(_progress())
    if not outcome.clean:
        return _tell(outcome, args)
    (one.cosign if args.command == "cosign" else one.share)(outcome)
    return 0


def _open_epoch(args: argparse.Namespace) -> int:
    if not 0 <= args.ahead <= AHEAD:
        raise WrongUse(f"--ahead: at most {AHEAD}")
    _round(args).open_epochs(args.ahead)
    return 0


def _weekly(args: argparse.Namespace) -> int:
    one = _round(args)
    alike = one.sync()
    outcome = one.verify(_progress(), **_records(one.home.settings))
    if outcome.clean and alike:
        _hand_over(one, outcome, args.ahead)
    page = one.home.path / "reports" / f"{args.now():%Y-%m-%d}.html"
    code = _tell(outcome, args, page=page)
    print(page)
    return code if alike else 1


def _records(settings: Settings) -> dict[str, Any]:
    """The call records that the council set up, if they are there."""
    there = settings.cdr is not None and Path(settings.cdr).is_file()
    return {"cdr": Path(settings.cdr or ""), "zone": _zone(settings.zone)} if there else {}


def _hand_over(one: Round, outcome: Outcome, ahead: int, *, if_due: bool = False) -> None:
    one.cosign(outcome, if_due=if_due)
    one.share(outcome)
    one.open_epochs(min(ahead, AHEAD))


def _watch(args: argparse.Namespace) -> int:
    done = 0
    while True:
        try:
            one = _round(args)
            alike, outcome = one.sync(), one.verify()
            if not (alike and outcome.clean):
                return max(1, _tell(outcome, args))
            _hand_over(one, outcome, args.ahead, if_due=True)
        except CouncilError as error:
            if isinstance(error, WrongUse):
                raise
            print(f"fairtap-council: {error}; trying again", file=sys.stderr, flush=True)
        done += 1
        if done == args.rounds:
            return 0
        time.sleep(max(args.every, 0))


def _suspend(args: argparse.Namespace) -> int:
    suspend(_round(args).site, args.agreement)
    print(f"suspended: {args.agreement}")
    return 0


def _rates(args: argparse.Namespace) -> int:
    one = _round(args)
    put_rates(one.site, args.agreement, args.rates, one.home.settings.role, one.home.signing_key())
    print(f"changed: {', '.join(args.rates)}")
    return 0


_RUN: Final[dict[str, Callable[[argparse.Namespace], int]]] = {
    "init": _init,
    "weekly": _weekly,
    "watch": _watch,
    "sync": _sync,
    "verify": _verify,
    "cdr": _cdr,
    "cosign": _step,
    "share": _step,
    "open-epoch": _open_epoch,
    "suspend": _suspend,
    "rates": _rates,
}


# -- parts


def _round(args: argparse.Namespace, *, silent: bool = False) -> Round:
    return Round(Home.open(args.home), args.now, lambda line: None if silent else print(line, flush=True))


def _tell(outcome: Outcome, args: argparse.Namespace, *, as_json: bool = False, page: Path | None = None) -> int:
    report = Report(outcome, args.lang or _language(args.home), args.now())
    print(report.json() if as_json else report.text(), end="\n" if as_json else "")
    if page is not None:
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(report.html(), encoding="utf-8")
    return 0 if outcome.clean else 1


def _language(home: Path) -> str:
    try:
        found = Home.open(home).settings.language
    except CouncilError:
        return _machine_language()
    return found if found in LANGUAGES else "en"


def _machine_language() -> str:
    found = (locale.getlocale()[0] or "en")[:2].lower()
    return {"de": "de", "nb": "nb", "no": "nb", "nn": "nb"}.get(found, "en")


def _path(path: Path | None) -> str | None:
    return None if path is None else str(path.resolve())


def _zone(name: str | None) -> ZoneInfo | None:
    try:
        return None if name is None else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise WrongUse(f"--zone: no time zone `{name}`") from None


def utc_now() -> datetime:
    """The machine's clock."""
    return datetime.now(UTC)


def _progress() -> Callable[[int], None]:
    """A line that counts, on a terminal, once it takes long."""
    started = time.monotonic()

    def tell(count: int) -> None:
        if sys.stderr.isatty() and time.monotonic() - started > PROGRESS_AFTER_S:
            print(f"\r{count} entries …", end="", file=sys.stderr, flush=True)

    return tell


if __name__ == "__main__":
    raise SystemExit(main())
