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
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from council.acting import put_rates, suspend
from council.errors import CouncilError, WrongUse
from council.folder import read_file
from council.home import Home, Settings
from council.inspect import Outcome, Sources, inspect, log_key
from council.report import Report
from council.rounds import AHEAD, Round
from council.words import LANGUAGES

DEFAULT_HOME: Final = Path.home() / ".fairtap-council"
PROGRESS_AFTER_S: Final = 2.0


def main(arguments: Sequence[str] | None = None, now: Callable[[], datetime] | None = None) -> int:
    """Run one command: 0 clean, 1 with findings, 2 wrong use. `now`: else the machine's clock."""
    args = _parser().parse_args(arguments)
    args.now = now or utc_now
    try:
        return int(args.run(args))
    except (CouncilError, OSError) as error:
        print(f"fairtap-council: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fairtap-council", description="Checks the recording log, without trust.")
    parser.add_argument("--home", type=Path, default=Path(os.environ.get("FAIRTAP_COUNCIL_HOME", DEFAULT_HOME)))
    parser.add_argument("--lang", choices=LANGUAGES, help="else as set up, else the machine's")
    commands = parser.add_subparsers(title="commands", required=True)

    def command(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text)
        made.set_defaults(run=run)
        return made

    made = command("init", _init, "Set up this folder: the site's address, your key, the log's key.")
    made.add_argument("--url", required=True)
    made.add_argument("--key", required=True, type=Path, help="your acting key, `OUT.sign` of `fairtap keygen`")
    made.add_argument("--log-key", required=True, help="the log's key, as the gateway printed it: name+hash+base64")
    made.add_argument("--identity", type=Path, help="your age identity, `OUT.key`, for opening files")
    made.add_argument("--role", default="council", choices=("council", "council2", "council3"))
    made.add_argument("--anchor", action="append", default=[], metavar="ROLE=FILE", help="another party's public key")
    made.add_argument("--ca", help="the site's certificate, where it made its own")
    made = command("weekly", _weekly, "Copy, verify, cosign, share, commit ahead; writes one page to print.")
    made.add_argument("--ahead", type=int, default=AHEAD)
    made = command("watch", _watch, "The same unattended, over and over, without the page.")
    made.add_argument("--every", type=int, default=300, metavar="SECONDS")
    made.add_argument("--ahead", type=int, default=AHEAD)
    made.add_argument("--rounds", type=int, default=0, help="stop after so many; 0: never")
    made = command("sync", _sync, "Copy the log, acts and rosters.")
    made.add_argument("--from", dest="source", type=Path, help="a folder with logs, instead of the site")
    made = command("verify", _verify, "Check everything offline: your own folder, or one you name.")
    _sources(made)
    made = command("cdr", _verify, "Compare the telephone system's call records with the log.")
    made.add_argument("cdr", type=Path, help="CSV of Asterisk, FreeSWITCH or Kamailio")
    _sources(made, cdr=False)
    command("cosign", _cosign, "Verify, then cosign the newest checkpoint and hand it over.")
    made = command("open-epoch", _open_epoch, "Draw your share for coming epochs and commit to it.")
    made.add_argument("--ahead", type=int, default=0, help="how many after the current one, at most 13")
    command("share", _share, "Hand over the shares of epochs whose commitments you have cosigned.")
    made = command("suspend", _suspend, "Stop all recording at once.")
    made.add_argument("agreement")
    made = command("rates", _rates, "Lower percentages: `sample/team-a/regular=2`.")
    made.add_argument("agreement")
    made.add_argument("rates", nargs="+", metavar="RULE=PERCENT")
    return parser


def _sources(made: argparse.ArgumentParser, *, cdr: bool = True) -> None:
    made.add_argument("--log", type=Path, help="a log, or a folder of logs; else your own copy")
    made.add_argument("--acts", type=Path, help="folder of acts")
    made.add_argument("--roster", type=Path, help="a roster, or a folder of them")
    if cdr:
        made.add_argument("--cdr", type=Path, help="call records, CSV")
    made.add_argument("--openings", type=Path, help="opening files")
    made.add_argument("--manifests", type=Path, help="folder of manifests and inventories")
    made.add_argument("--seen", type=Path, help="folder of checkpoints that you kept")
    made.add_argument("--key", help="the log's key, or a file that holds it")
    made.add_argument("--zone", help="time zone of the call records, such as Europe/Berlin")
    made.add_argument("--json", action="store_true")
    made.add_argument("--html", type=Path, metavar="FILE", help="write the report as a page too")


# -- commands


def _init(args: argparse.Namespace) -> int:
    anchors = dict(_anchor(text) for text in args.anchor)
    log_key(args.log_key)
    settings = Settings(
        url=args.url.rstrip("/"),
        key=str(args.key.resolve()),
        log_key=args.log_key,
        role=args.role,
        identity=None if args.identity is None else str(args.identity.resolve()),
        ca=None if args.ca is None else str(Path(args.ca).resolve()),
        language=args.lang or _machine_language(),
        anchors=anchors,
    )
    home = Home(args.home, settings)
    key = home.signing_key()
    home.identities()
    args.home.mkdir(parents=True, exist_ok=True, mode=0o700)
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
    found = one.sync() if args.source is None else one.sync_folder(args.source)
    return 1 if any(synced.evidence is not None for synced in found) else 0


def _verify(args: argparse.Namespace) -> int:
    named = {name: getattr(args, name) for name in ("acts", "roster", "cdr", "openings", "manifests", "seen")}
    given = {name: path for name, path in named.items() if path is not None}
    sources = Sources(args.log) if args.log is not None else Home.open(args.home).sources()
    changes = {**given, "now": args.now(), "zone": _zone(args.zone)}
    if args.key is not None:
        text = read_file(Path(args.key), 1_024)
        changes["key"] = log_key(args.key if text is None else text.decode("utf-8", errors="replace"))
    outcome = inspect(replace(sources, **changes), _progress())
    return _tell(outcome, args, as_json=args.json, page=args.html)


def _cosign(args: argparse.Namespace) -> int:
    one = _round(args)
    outcome = one.verify(_progress())
    if not outcome.clean:
        return _tell(outcome, args)
    one.cosign(outcome)
    return 0


def _share(args: argparse.Namespace) -> int:
    one = _round(args)
    outcome = one.verify(_progress())
    if not outcome.clean:
        return _tell(outcome, args)
    one.share(outcome)
    return 0


def _open_epoch(args: argparse.Namespace) -> int:
    if not 0 <= args.ahead <= AHEAD:
        raise WrongUse(f"--ahead: at most {AHEAD}")
    _round(args).open_epochs(args.ahead)
    return 0


def _weekly(args: argparse.Namespace) -> int:
    one = _round(args)
    forked = any(synced.evidence is not None for synced in one.sync())
    outcome = one.verify(_progress())
    if outcome.clean and not forked:
        one.cosign(outcome)
        one.share(outcome)
        one.open_epochs(min(args.ahead, AHEAD))
    page = one.home.path / "reports" / f"{args.now():%Y-%m-%d}.html"
    code = _tell(outcome, args, page=page)
    print(page)
    return 1 if forked else code


def _watch(args: argparse.Namespace) -> int:
    done = 0
    while True:
        try:
            one = _round(args)
            forked = any(synced.evidence is not None for synced in one.sync())
            outcome = one.verify()
            if forked or not outcome.clean:
                return max(1, _tell(outcome, args))
            one.cosign(outcome, if_due=True)
            one.share(outcome)
            one.open_epochs(min(args.ahead, AHEAD))
        except CouncilError as error:
            if isinstance(error, WrongUse):
                raise
            print(f"fairtap-council: {error}; trying again", file=sys.stderr, flush=True)
        done += 1
        if done == args.rounds:
            return 0
        time.sleep(args.every)


def _suspend(args: argparse.Namespace) -> int:
    suspend(_round(args).site, args.agreement)
    print(f"suspended: {args.agreement}")
    return 0


def _rates(args: argparse.Namespace) -> int:
    one = _round(args)
    put_rates(one.site, args.agreement, args.rates, one.home.settings.role, one.home.signing_key())
    print(f"changed: {', '.join(args.rates)}")
    return 0


# -- parts


def _round(args: argparse.Namespace) -> Round:
    return Round(Home.open(args.home), args.now, lambda line: print(line, flush=True))


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
    if not sys.stderr.isatty():
        return lambda _: None
    started = time.monotonic()

    def tell(count: int) -> None:
        if time.monotonic() - started > PROGRESS_AFTER_S:
            print(f"\r{count} entries …", end="", file=sys.stderr, flush=True)

    return tell


if __name__ == "__main__":
    raise SystemExit(main())
