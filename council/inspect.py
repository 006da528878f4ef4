"""Has everything judged that lies in the council's folders: each log, what there is of recordings, call records."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Final

from council import cdr, fairness, gather
from council.codes import Code
from council.errors import CdrError, WrongUse, about
from council.finding import Finding, Findings
from council.folder import LogFolder, logs_in, read_file
from council.manifests import check_shown
from council.opened import Opened
from council.verify import Asked, Verified, verify
from crypto.signed_note import VerifierKey
from crypto.ssh_key import VerifyKey
from crypto.x25519 import Identity
from policy.epochs import EpochState
from policy.log_block import LogBlock, is_origin
from policy.retention import COUNCIL_LISTS

_MAX_KEY: Final = 1_024
FRESH: Final = COUNCIL_LISTS - timedelta(days=1)
"""After an epoch's end its opening file should be at hand for so long."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where things lie; None: not at hand."""

    log: Path
    acts: Path | None = None
    roster: Path | None = None
    """A file, or a folder of them."""
    cdr: Path | None = None
    openings: Path | None = None
    """Opening files, one for each epoch."""
    inventories: Path | None = None
    manifests: Path | None = None
    seen: Path | None = None
    evidence: Path | None = None
    """Folders of other histories that the council was shown: red until somebody has dealt with them."""
    key: VerifyKey | None = None
    """The log's own; else the file `vkey` beside it says it."""
    pinned: Mapping[str, str] = field(default_factory=dict)
    own: Mapping[str, str] = field(default_factory=dict)
    """Role → key of whoever verifies, as it is now: acts may have brought it since the log began."""
    identities: Sequence[Identity] = ()
    """What opens openings that are still sealed to the council."""
    now: datetime | None = None
    zone: tzinfo | None = None
    """Of the call records; else the agreement's."""


@dataclass(slots=True)
class Outcome:
    """Everything that was found out."""

    logs: list[Verified]
    findings: list[Finding]
    total: int
    """Of findings, also those that are no longer kept one by one."""
    judged: list[fairness.Judged]
    calls: cdr.Comparison | None
    steering: dict[str, float]
    """What was compared → probability under a fair choice."""
    waiting: int
    """Manifests that no closed epoch vouches for yet."""
    missing: list[str]
    """What couldn't be checked, for want of `acts`, `roster`, `cdr`, …"""

    @property
    def clean(self) -> bool:
        """Nothing was found."""
        return self.total == 0


def inspect(sources: Sources, progress: Callable[[int], None] = lambda _: None) -> Outcome:
    """Verify every log under `sources.log`. Raises WrongUse where there is none, or nobody says its key."""
    folders = logs_in(sources.log)
    if not folders:
        raise WrongUse(f"no log in `{sources.log}`: a log is a folder with a file `checkpoint`")
    own = Findings()
    acts, rosters = gather.acts(sources.acts, own), gather.rosters(sources.roster, own)
    openings = gather.openings(sources.openings, sources.identities, own) if sources.cdr is not None else {}
    known = {*sources.pinned.items(), *sources.own.items()}
    council = [VerifyKey.parse(line) for role, line in sorted(known) if role.startswith("council")]
    places = {origin: folder for folder in folders if (origin := log_origin(folder)) is not None}
    if len(places) < len(folders):
        own.add(Code.CHECKPOINT_UNREADABLE, "checkpoint")
    keys = {origin: _key(sources, folder) for origin, folder in places.items()}
    shown = gather.shown(sources.manifests, sources.inventories, keys, own)
    wanted = {opening.entry for opening in shown.outs}
    logs, seen, campaigns = list[Verified](), list[Opened](), Counter[tuple[str, str]]()
    for origin, key in keys.items():
        seen.append(Opened(origin, openings, wanted, own, progress))
        kept = gather.kept(sources.seen, origin, key, council, own)
        given = (LogFolder(places[origin]), origin, key, sources.pinned, acts, rosters, kept, sources.now)
        logs.append(verify(Asked(*given, _follower(origin, keys), seen[-1], campaigns)))
    _together(logs, sources.own, own)
    for one_history in sorted(sources.evidence.iterdir()) if sources.evidence is not None else ():
        own.add(Code.EVIDENCE, f"evidence/{one_history.name}")
    books = [book for one in logs for book in one.epochs.values()]
    waiting = check_shown(shown, books, [out for one in seen for out in one.outs], own)
    calls = _calls(sources, logs, set(openings), [leg for one in seen for leg in one.legs], own)
    steering = _steering(calls, own) if calls is not None else {}
    judged = fairness.judge([share for one in logs for share in one.shares])
    for one in judged:
        if one.corrected < fairness.ALARM:
            own.add(Code.UNLIKELY, f"epoch {one.share.epoch}, agent {one.share.agent}", p=f"{one.corrected:.2g}")
    findings = [finding for one in logs for finding in one.findings.kept] + own.kept
    total = sum(one.findings.total for one in logs) + own.total
    missing = sorted(_missing(sources, logs, calls, set(openings), set(shown.inventories)))
    return Outcome(logs, findings, total, judged, calls, steering, waiting, missing)


def _missing(
    sources: Sources, logs: Sequence[Verified], calls: cdr.Comparison | None, opened: set[str], inventories: set[str]
) -> set[str]:
    """What couldn't be checked."""
    given = {name: getattr(sources, name) for name in ("acts", "roster", "cdr", "seen", "key")}
    found = {name for name, path in given.items() if path is None}
    for one in logs:
        for book in one.epochs.values():
            if book.state is EpochState.CLOSED:
                found.add("reveal")
            if one.followed_by and book.state is EpochState.OPENED:
                found.add("restore")
            if book.closed is not None and book.name not in inventories:
                found.add("manifests")
            span, now = one.acts.terms.span(book.name), sources.now
            fresh = span is None or now is None or now < span[1] + FRESH
            if sources.cdr is not None and book.over and fresh and book.counted["legs"] and book.name not in opened:
                found.add("openings")
    if calls is not None and calls.uncovered:
        found.add("records")
    return found


def log_origin(folder: Path) -> str | None:
    """What the log says it is; whether its key signed that, the verifier asks."""
    note = LogFolder(folder).checkpoint() or b""
    origin = note.partition(b"\n")[0].decode("utf-8", errors="replace")
    return origin if is_origin(origin) else None


def _key(sources: Sources, folder: Path) -> VerifyKey:
    """The log's key: as given, else as the folder itself says. Raises WrongUse."""
    for place in (folder, *folder.parents[:3]) if sources.key is None else ():
        text = read_file(place / "vkey", _MAX_KEY)
        if text is not None:
            return log_key(text.decode("utf-8", errors="replace"))
    if sources.key is None:
        raise WrongUse("nobody says the log's key: give it with `--key`, as the gateway printed it")
    return sources.key


def log_key(text: str) -> VerifyKey:
    """The key in `name+hash+base64`, one line. Raises WrongUse."""
    with about("the log's key must look like `name+hash+base64`"):
        return VerifierKey.parse(text.strip()).key


# -- several logs


def _follower(origin: str, origins: Collection[str]) -> str | None:
    """The log of the same weeks that was begun after this one, because an older state of the site was restored."""
    blocks = [LogBlock.parse(one) for one in origins]
    return min((str(one) for one in blocks if one.follows(LogBlock.parse(origin))), default=None)


def _together(logs: Sequence[Verified], keys: Mapping[str, str], findings: Findings) -> None:
    """A log has every act that came while it was the newest, and an epoch's legs are in one log only.

    `keys` of whoever verifies are the newest log's: a key that others put in their place would speak for them.
    """
    seen, later = dict[str, str](), set[str]()
    in_time = sorted(logs, key=lambda one: LogBlock.parse(one.origin))
    for role, anchor in in_time[-1].acts.anchors.items() if in_time else ():
        if keys.get(role, anchor.key) != anchor.key:
            findings.add(Code.ANCHOR_DIFFERS, f"{in_time[-1].origin} anchor {role}", role=role)
    for one in reversed(in_time):
        one.acts.unlogged(later)
        later |= one.acts.logged
    for one in in_time:
        for name, book in one.epochs.items():
            if book.opened and seen.get(name, one.origin) != one.origin:
                findings.add(Code.EPOCH_TWICE, f"{one.origin} epoch {name}", epoch=name)
            elif book.over or (book.opened and (book.legs or book.x)):
                seen[name] = one.origin


# -- call records


def _calls(
    sources: Sources, logs: Sequence[Verified], opened: set[str], legs: Sequence[cdr.Leg], findings: Findings
) -> cdr.Comparison | None:
    """The telephone system's records against the legs whose opening fits, over the epochs whose openings are here."""
    if sources.cdr is None:
        return None
    data = read_file(sources.cdr, cdr.MAX_BYTES)
    if data is None:
        raise CdrError(f"call records: no file `{sources.cdr.name}`")
    books = [(one, book) for one in logs for name, book in one.epochs.items() if name in opened]
    spans = [span for one, book in books if (span := one.acts.terms.span(book.name)) is not None]
    zone = sources.zone or next((one.acts.terms.zone() for one in reversed(logs)), UTC)
    found = cdr.compare(cdr.read(data, zone), legs, spans)
    x = sum(book.x.total() for _, book in books)
    for row in found.without_entry if len(found.without_entry) > x else ():
        findings.add(Code.CALL_WITHOUT_ENTRY, f"{sources.cdr.name} line {row.line}")
    for leg in found.without_row:
        findings.add(Code.LEG_WITHOUT_CALL, leg.place)
    for leg in cdr.repeated(legs):
        findings.add(Code.LEG_TWICE, leg.place)
    return found


def _steering(calls: cdr.Comparison, findings: Findings) -> dict[str, float]:
    found = {name: fairness.rank_sum(*values) for name, values in cdr.steering(calls.pairs).items()}
    for name, p in zip(found, fairness.holm(list(found.values())), strict=True):
        if p < fairness.ALARM:
            findings.add(Code.STEERING, "call records", what=name, p=f"{p:.2g}")
    return found
