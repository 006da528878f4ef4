"""Gathers what lies in folders (log, acts, rosters, kept checkpoints, manifests, call records) and has it judged."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo
from itertools import islice
from pathlib import Path
from typing import Final

from council import cdr, fairness
from council.errors import CdrError, WrongUse
from council.finding import Code, Finding, Findings
from council.folder import LogFolder, logs_in, read_file
from council.manifests import Shown, check_shown, read_shown
from council.tree_check import Kept, is_checkpoint, read_kept
from council.verify import Asked, Verified, verify
from crypto import age
from crypto.errors import CryptoError
from crypto.jcs import Json, parse_json
from crypto.signed_note import MAX_NOTE, VerifierKey
from crypto.ssh_key import VerifyKey
from crypto.x25519 import Identity
from policy import act_file
from policy.acts import parse_act
from policy.chain import Posted
from policy.epochs import RosterLeaf, roster_root
from policy.errors import ActError, LogEntryError, StatementError
from policy.log_block import LogBlock
from policy.opening import MAX_FILE, CallOpening, parse_openings
from policy.terms import Phase

MOST_FILES: Final = 20_000
_MAX_ROSTER: Final = 16 << 20
_MAX_KEY: Final = 1_024
_AGE: Final = b"age-encryption.org/v1\n"


@dataclass(frozen=True, slots=True)
class Sources:
    """Where things lie; None: not at hand."""

    log: Path
    acts: Path | None = None
    roster: Path | None = None
    """A file, or a folder of them."""
    cdr: Path | None = None
    openings: Path | None = None
    """Opened files of openings: one, or a folder of them."""
    manifests: Path | None = None
    seen: Path | None = None
    evidence: Path | None = None
    """Folders of other histories that the council was shown: red until somebody has dealt with them."""
    key: VerifyKey | None = None
    """The log's own; else the file `vkey` beside it says it."""
    pinned: Mapping[str, str] = field(default_factory=dict)
    identities: Sequence[Identity] = ()
    """What opens files of openings that are still encrypted to the council."""
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
    acts = _acts(sources.acts, own)
    rosters = _rosters(sources.roster, own)
    openings = _openings(sources.openings, sources.identities, own)
    shown = read_shown(sources.manifests, own) if sources.manifests is not None else Shown()
    logs = []
    identities = [_identity(sources, folder) for folder in folders]
    origins = [origin for _, origin in identities]
    for folder, (key, origin) in zip(folders, identities, strict=True):
        pinned = [VerifyKey.parse(line) for role, line in sources.pinned.items() if role.startswith("council")]
        asked = Asked(
            LogFolder(folder),
            origin,
            key,
            sources.pinned,
            acts,
            rosters,
            _kept(sources.seen, origin, key, pinned, own),
            openings if len(folders) == 1 else {},
            frozenset(opening.entry for opening in shown.outs),
            sources.now,
            _follower(origin, origins),
        )
        found = verify(asked, progress)
        logs.append(found)
    _unlogged(logs)
    _twice(logs, own)
    for one_history in sorted(sources.evidence.iterdir()) if sources.evidence is not None else ():
        own.add(Code.EVIDENCE, f"evidence/{one_history.name}")
    waiting = _shown(sources, shown, logs, own)
    calls, steering = _calls(sources, logs, openings, own)
    judged = fairness.judge([share for one in logs for share in one.shares])
    for one in judged:
        if one.corrected < fairness.ALARM:
            own.add(Code.UNLIKELY, f"epoch {one.share.epoch}, agent {one.share.agent}", p=f"{one.corrected:.2g}")
    findings = [finding for one in logs for finding in one.findings.kept] + own.kept
    total = sum(one.findings.total for one in logs) + own.total
    several = {"manifests"} if len(logs) > 1 else set()
    cut = {
        "restore"
        for one in logs
        if one.followed_by and any(book.begun and book.reveal is None for book in one.epochs.values())
    }
    missing = sorted({name for one in logs for name in one.missing} | _not_given(sources) | several | cut)
    return Outcome(logs, findings, total, judged, calls, steering, waiting, missing)


def _not_given(sources: Sources) -> set[str]:
    optional = {"cdr": sources.cdr, "manifests": sources.manifests, "seen": sources.seen}
    return {name for name, path in {**optional, "key": sources.key}.items() if path is None}


def _identity(sources: Sources, folder: Path) -> tuple[VerifyKey, str]:
    """The log's key, and the origin it must have: as the checkpoint says, where nothing else does."""
    key = sources.key
    for place in (folder, *folder.parents[:3]) if key is None else ():
        text = read_file(place / "vkey", _MAX_KEY)
        if text is not None:
            key = log_key(text.decode("utf-8", errors="replace"))
            break
    if key is None:
        raise WrongUse("nobody says the log's key: give it with `--key`, as the gateway printed it")
    note = LogFolder(folder).checkpoint() or b""
    return key, note.partition(b"\n")[0][:256].decode("utf-8", errors="replace")


def log_key(text: str) -> VerifyKey:
    """The key in `name+hash+base64`, one line. Raises WrongUse."""
    try:
        return VerifierKey.parse(text.strip()).key
    except CryptoError:
        raise WrongUse("the log's key must look like `name+hash+base64`") from None


def _acts(folder: Path | None, findings: Findings) -> dict[str, Posted] | None:
    if folder is None:
        return None
    found = {}
    for path in _files(folder, "*.json"):
        try:
            posted = act_file.parse_act_file(read_file(path, act_file.MAX_BYTES) or b"")
            found[parse_act(posted.act).digest] = posted
        except ActError:
            findings.add(Code.ACT_FILE, path.name)
    return found


def _rosters(path: Path | None, findings: Findings) -> dict[str, Collection[RosterLeaf]] | None:
    if path is None:
        return None
    found: dict[str, Collection[RosterLeaf]] = {}
    for one in _files(path, "*.json"):
        try:
            leaves = [
                _leaf(item) for item in _list_of(parse_json(read_file(one, _MAX_ROSTER) or b"", limit=_MAX_ROSTER))
            ]
            found[roster_root(leaves).hex()] = leaves
        except (CryptoError, StatementError):
            findings.add(Code.ROSTER, one.name, epoch=one.stem)
    return found


def _list_of(found: Json) -> list[Json]:
    leaves = found.get("leaves") if isinstance(found, dict) else None
    if not isinstance(leaves, list):
        raise StatementError("roster has no leaves")
    return leaves


def _leaf(item: Json) -> RosterLeaf:
    if not isinstance(item, dict) or set(item) != {"a", "group", "phase"}:
        raise StatementError("not a leaf of a roster")
    a, group, phase = item["a"], item["group"], item["phase"]
    if not isinstance(a, str) or not isinstance(group, str) or phase not in [one.value for one in Phase]:
        raise StatementError("not a leaf of a roster")
    return RosterLeaf(a, group, Phase(str(phase)))


def _openings(path: Path | None, identities: Sequence[Identity], findings: Findings) -> dict[int, CallOpening]:
    found: dict[int, CallOpening] = {}
    for one in _files(path, "*") if path is not None else ():
        data = read_file(one, MAX_FILE) or b""
        try:
            if data.startswith(_AGE):
                data = age.decrypt(data, identities, limit=MAX_FILE)
            found.update((opening.entry, opening) for opening in parse_openings(data))
        except (CryptoError, StatementError):
            findings.add(Code.OPENING, one.name, epoch="")
    return found


def _kept(
    folder: Path | None, origin: str, key: VerifyKey, council: Sequence[VerifyKey], findings: Findings
) -> list[Kept]:
    found = []
    for path in _files(folder, "*.note") if folder is not None else ():
        data = read_file(path, MAX_NOTE) or b""
        if is_checkpoint(data) and data.partition(b"\n")[0] != origin.encode():
            continue  # another log's
        kept = read_kept(data, origin, key, council, path.name, findings)
        found += [kept] if kept is not None else []
    return found


def _follower(origin: str, origins: Collection[str]) -> str | None:
    """The log of the same weeks that was begun after this one, because an older state of the site was restored."""
    own, found = _block(origin), []
    for other in origins:
        block = _block(other)
        if own is not None and block is not None and replace(block, restores=own.restores) == own:
            found += [block] if block.restores > own.restores else []
    return str(min(found, key=lambda block: block.restores)) if found else None


def _block(origin: str) -> LogBlock | None:
    try:
        return LogBlock.parse(origin)
    except LogEntryError:
        return None


def _unlogged(logs: Sequence[Verified]) -> None:
    """A log must have every act that came while it was the newest: those after it may be in a later one alone."""
    known = [(_block(one.origin), one.acts) for one in logs]
    for block, acts in known:
        later: set[str] = set()
        for other, theirs in known:
            if block is not None and other is not None and theirs is not None and _order(other) > _order(block):
                later |= theirs.logged
        if acts is not None:
            acts.unlogged(later)


def _order(block: LogBlock) -> tuple[int, int, int]:
    return block.year, block.first_week, block.restores


def _twice(logs: Sequence[Verified], findings: Findings) -> None:
    """Legs of an epoch are in one log only: after a restore nothing is drawn until the next one."""
    seen: dict[str, str] = {}
    for one in sorted(logs, key=lambda one: _order(block) if (block := _block(one.origin)) is not None else (0, 0, 0)):
        for name, book in one.epochs.items():
            if book.open and seen.get(name, one.origin) != one.origin:
                findings.add(Code.EPOCH_TWICE, f"{one.origin} epoch {name}", epoch=name)
            elif book.open and (book.begun or book.closed is not None):
                seen[name] = one.origin


def _shown(sources: Sources, shown: Shown, logs: Sequence[Verified], findings: Findings) -> int:
    if sources.manifests is None or len(logs) != 1:
        return 0
    key, origin = _identity(sources, logs_in(sources.log)[0])
    return check_shown(shown, origin, key, logs[0].epochs, logs[0].outs, findings)


def _calls(
    sources: Sources, logs: Sequence[Verified], openings: Mapping[int, CallOpening], findings: Findings
) -> tuple[cdr.Comparison | None, dict[str, float]]:
    """The telephone system's records against the legs whose opening fits."""
    if sources.cdr is None:
        return None, {}
    if len(logs) != 1:
        raise WrongUse("call records are compared with one log: name it with `--log`")
    data = read_file(sources.cdr, cdr.MAX_BYTES)
    if data is None:
        raise CdrError(f"call records: no file `{sources.cdr.name}`")
    rows = cdr.read(data, sources.zone or logs[0].zone)
    legs = [cdr.Leg(index, openings[index], hit) for index, hit in logs[0].legs.items()]
    calls = [leg for leg in legs if leg.opening.lane is None]
    known = {leg.opening.call for leg in calls}
    found = cdr.compare(rows, [leg for leg in legs if leg.opening.lane is None or leg.opening.call not in known])
    x = sum(book.x.total() for book in logs[0].epochs.values())
    for row in found.without_entry if len(found.without_entry) > x else ():
        findings.add(Code.CALL_WITHOUT_ENTRY, f"{sources.cdr.name} line {row.line}")
    for leg in found.without_row:
        findings.at(Code.LEG_WITHOUT_CALL, leg.entry)
    for index in cdr.repeated(calls):
        findings.at(Code.LEG_TWICE, index)
    steering = {name: fairness.rank_sum(*values) for name, values in cdr.steering(found.pairs).items()}
    corrected = fairness.holm(list(steering.values()))
    for name, p in zip(steering, corrected, strict=True):
        if p < fairness.ALARM:
            findings.add(Code.STEERING, sources.cdr.name, what=name, p=f"{p:.2g}")
    return found, steering


def _files(path: Path, pattern: str) -> Iterable[Path]:
    """The file itself, or those of a folder, in the order of their names. Raises WrongUse where there is nothing."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise WrongUse(f"no such file or folder: `{path}`")
    return islice(sorted(one for one in path.glob(pattern) if one.is_file()), MOST_FILES)
