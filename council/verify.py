"""Verifies a mirrored log offline (crypto.md §4, V0 to V11): walks its entries once, tells what isn't as it must be.

Believes nothing but the keys it is given. What it can't check for want of a file is named, never passed over.
Recordings are `manifests`', call records `cdr`'s.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final

from council.acts_check import PATIENCE, ActsCheck
from council.epoch_book import EpochBook
from council.fairness import Share
from council.finding import Code, Findings
from council.folder import LogFolder
from council.tree_check import Kept, TreeCheck, cosigned_size, read_checkpoint
from crypto.checkpoint import Checkpoint
from crypto.draw import epoch_commitment
from crypto.errors import CryptoError
from crypto.ssh_key import VerifyKey
from policy import log_entry
from policy.chain import Posted
from policy.epoch_statement import CouncilCommitment
from policy.epochs import REVEAL_WITHIN, RosterLeaf
from policy.errors import LogEntryError
from policy.log_block import LogBlock
from policy.opening import CallOpening
from policy.state import Term

TRIES: Final = 50_000
"""Sizes that are tried for the checkpoint behind one cosignature."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What to verify, and against what. None or empty: not at hand."""

    folder: LogFolder
    origin: str
    key: VerifyKey
    """The log's own."""
    pinned: Mapping[str, str] = field(default_factory=dict)
    """Role → key of the parties, as the council holds them."""
    acts: Mapping[str, Posted] | None = None
    rosters: Mapping[str, Collection[RosterLeaf]] | None = None
    """By root."""
    kept: Sequence[Kept] = ()
    openings: Mapping[int, CallOpening] = field(default_factory=dict)
    """By entry."""
    wanted: frozenset[int] = frozenset()
    """`out` entries whose commitment is asked for."""
    now: datetime | None = None
    followed_by: str | None = None
    """The log that took this one's place after a restore."""


@dataclass(slots=True)
class Verified:
    """What the walk found and counted."""

    origin: str
    checkpoint: Checkpoint | None
    findings: Findings
    epochs: dict[str, EpochBook] = field(default_factory=dict)
    shares: list[Share] = field(default_factory=list)
    legs: dict[int, bool] = field(default_factory=dict)
    """Entries whose opening fits → whether the leg is a hit."""
    outs: dict[int, log_entry.Out] = field(default_factory=dict)
    """Of `Asked.wanted`."""
    anchors: dict[str, str] = field(default_factory=dict)
    """Role → the parties' keys as the log has them."""
    missing: list[str] = field(default_factory=list)
    """Checks that couldn't be made: `acts`, `roster`, `reveal`."""
    entries: int = 0
    zone: tzinfo = UTC
    """The agreement's; UTC where none is at hand."""
    followed_by: str | None = None
    """The log that took this one's place after a restore: its open epochs never close."""
    acts: ActsCheck | None = None


def verify(asked: Asked, progress: Callable[[int], None] = lambda _: None) -> Verified:
    """Walk one log. Never raises for what the log holds; `progress` hears the number of entries seen."""
    return _Walk(asked).run(progress)


class _Walk:
    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.findings = Findings(asked.origin)
        self.acts = ActsCheck(self.findings, asked.acts, asked.pinned)
        self.books: dict[str, EpochBook] = {}
        self.result = Verified(
            asked.origin, None, self.findings, self.books, followed_by=asked.followed_by, acts=self.acts
        )
        self.cosigned: list[tuple[int, int]] = [
            (one.checkpoint.size, one.at) for one in asked.kept if one.at is not None
        ]
        self.days: list[tuple[int, datetime]] = []
        """Entries that can't be older than an instant."""
        self.campaigns: Counter[str] = Counter()
        self.carried: Counter[str] = Counter()
        self.first_told = False
        """An `eclose` of this log has told what was kept: what was carried over before is known from then on."""
        self.pending: dict[tuple[str, str, int, bool], int] = {}
        self.misfits: set[int] = set()
        self.size = 0

    def run(self, progress: Callable[[int], None]) -> Verified:
        asked, council = self.asked, self.acts.council_keys()
        checkpoint = read_checkpoint(asked.folder.checkpoint(), asked.origin, asked.key, council, self.findings)
        self.result.checkpoint = checkpoint
        if checkpoint is None:
            return self.result
        self.size = checkpoint.size
        tree = TreeCheck(asked.folder, checkpoint, asked.kept, self.findings)
        for index, leaf in tree.entries():
            self._entry(index, leaf)
            if index % 4096 == 0:
                progress(index)
        tree.finish()
        self._finish()
        return self.result

    def _entry(self, index: int, leaf: bytes) -> None:
        self.result.entries += 1
        try:
            entry = log_entry.parse(leaf)
        except LogEntryError:
            self.findings.at(Code.ENTRY, index)
            return
        if isinstance(entry, log_entry.Anchor):
            self.acts.anchor(index, entry, leaf)
            return
        take = _TAKE.get(type(entry))
        if take is not None:
            take(self, index, entry)

    # -- one entry each

    def act(self, index: int, entry: log_entry.Act) -> None:
        running = [book for book in self.books.values() if book.open and book.closed is None]
        starts = [span[0] for book in running if (span := self.acts.span(book.name, book.day or 0)) is not None]
        begun = [book.first_leg is not None for book in running]
        self.acts.act(index, entry, max(starts) if starts and any(begun) else None)

    def ecommit(self, index: int, entry: log_entry.ECommit) -> None:
        book = self._book(entry.e)
        if book.ecommit is not None:
            self.findings.at(Code.ECOMMIT_REPEATED, index, epoch=entry.e)
            return
        book.ecommit, book.ecommit_at = entry, index
        if not self._in_block(entry.e) or (self.asked.acts and not self.acts.epoch_fits(entry.e)):
            self.findings.at(Code.EPOCH_FOREIGN, index, epoch=entry.e)
        said = CouncilCommitment(self.asked.origin, entry.e, entry.c)
        if not said.signed_by(entry.csig, self.acts.council_keys()):
            self.findings.at(Code.ECOMMIT_SIGNATURE, index, epoch=entry.e)
        self.acts.policy(index, entry.policy)
        if self.asked.rosters is not None:
            leaves = self.asked.rosters.get(entry.roster)
            if leaves is None or len(leaves) != entry.n:
                self.findings.at(Code.ROSTER, index, epoch=entry.e)
            else:
                book.roster = {leaf.a: leaf for leaf in leaves}

    def _in_block(self, epoch: str) -> bool:
        try:
            block = LogBlock.parse(self.asked.origin)
            return LogBlock.of_epoch(block.site, epoch, block.restores) == block
        except LogEntryError:
            return False

    def eopen(self, index: int, entry: log_entry.EOpen) -> None:
        book = self._book(entry.e)
        if book.ecommit is None or book.open:
            self.findings.at(Code.EOPEN_ORDER, index, epoch=entry.e)
            book.open = True
            return
        book.open = True
        found = self._cosigned(entry.cosig, book.ecommit_at + 1, index)
        if found is None:
            self.findings.at(Code.EOPEN_COSIGNATURE, index, epoch=entry.e)
            return
        self.cosigned.append(found)
        span = self.acts.span(entry.e)
        if span is not None and found[1] >= span[0].timestamp():
            book.day = None

    def _cosigned(self, line: str, first: int, index: int) -> tuple[int, int] | None:
        """The checkpoint behind an `eopen`: it holds the `ecommit` and stands before the `eopen`."""
        council, folder, origin = self.acts.council_keys(), self.asked.folder, self.asked.origin
        sizes = [one.checkpoint.size for one in self.asked.kept if first <= one.checkpoint.size <= index]
        for low, high in [*((size, size) for size in sizes), (first, min(index, first + TRIES))]:
            try:
                found = cosigned_size(folder, origin, line, council, low, high, self.size)
            except CryptoError:
                return None
            if found is not None:
                return found
        return None

    def day(self, index: int, entry: log_entry.Day) -> None:
        book = self._book(entry.e)
        span = self.acts.span(entry.e, entry.i)
        expected = entry.i >= 1 if book.day is None else entry.i == book.day + 1
        if not book.open or book.closed is not None or not expected or entry.i > 6 or span is None:
            self.findings.at(Code.DAY_ORDER, index, epoch=entry.e, day=entry.i)
        else:
            self.days.append((index, span[0]))
        book.day = min(max(book.day or 0, entry.i), 6)

    def call(self, index: int, entry: log_entry.Call) -> None:
        book, ruled = self._book(entry.e), None
        if book.first_leg is None and (span := self.acts.span(entry.e)) is not None:
            self.days.append((index, span[0]))
        member = book.roster.get(entry.a) if book.roster is not None else None
        if entry.r is not None and self.acts.state is not None and (book.roster is None or member is not None):
            ruled = self.acts.ruled(entry.e, book.day, entry.q, member).get(entry.r)
            if ruled is None:
                self.findings.at(Code.RULE, index, rule=entry.r)
        book.call(index, entry, ruled)
        self._opening(index, entry, wish=False)

    def x(self, index: int, entry: log_entry.X) -> None:
        book = self._book(entry.e)
        book.x[entry.k] += 1
        if not book.open or book.over or book.closed is not None:
            self.findings.at(Code.LEG_OUTSIDE_EPOCH, index, epoch=entry.e)

    def wish(self, index: int, entry: log_entry.Wish) -> None:
        self._book(entry.e).wish(index, entry)
        self._opening(index, entry, wish=True)

    def out(self, index: int, entry: log_entry.Out) -> None:
        first = self._book(entry.e).out(index, entry)
        if index in self.asked.wanted:
            self.result.outs[index] = entry
        leg = self.pending.pop((entry.e, entry.a, entry.n, entry.o == "wish"), None) if self.pending else None
        if leg is not None and first:
            self.result.legs[leg] = entry.o == "hit"

    def _opening(self, index: int, entry: log_entry.Call | log_entry.Wish, *, wish: bool) -> None:
        """The opening of a leg, where the council has one, fits what the entry commits to."""
        opening = self.asked.openings.get(index)
        if opening is None:
            return
        self._book(entry.e).figures["opened"] += 1
        if (opening.lane is not None) != wish or not opening.fits(entry.c):
            self.misfits.add(index)
            self.findings.at(Code.OPENING, index, epoch=entry.e)
        else:
            self.result.legs[index] = False
            self.pending[entry.e, entry.a, entry.n, wish] = index

    def halt(self, index: int, entry: log_entry.Halt) -> None:
        book = self._book(entry.e)
        if not book.open or book.over:
            self.findings.at(Code.EOPEN_ORDER, index, epoch=entry.e)
        book.over = True

    def eclose(self, index: int, entry: log_entry.EClose) -> None:
        book = self._book(entry.e)
        if not book.open or book.closed is not None:
            self.findings.at(Code.ECLOSE_ORDER, index, epoch=entry.e)
            return
        book.closed = entry
        book.missing_outs()
        book.compare_counts(index, entry)
        self._kept(index, entry, book.count())

    def _kept(self, index: int, entry: log_entry.EClose, counted: Mapping[str, int]) -> None:
        """Told from `min_calls` hits on, with what was carried over; and nothing is kept but hits and wishes."""
        least = max((one.agreement.statistics.min_calls for one in self._terms()), default=None)
        most_carried = self.carried["kept"] if self.first_told else self.carried["kept"] + (least or 0)
        hits = self.carried["hits"] + counted["hits"]
        if entry.kept is not None and entry.kept > counted["hits"] + counted["wishes"] + most_carried:
            self.findings.at(Code.KEPT_TOO_MANY, index, epoch=entry.e, kept=entry.kept)
        if least is not None and (entry.kept is None) != (hits < least) and (self.first_told or entry.kept is None):
            self.findings.at(Code.ECLOSE_COUNTS, index, epoch=entry.e, what="kept")
        self.first_told = self.first_told or entry.kept is not None
        if entry.kept is None:
            self.carried.update(hits=counted["hits"], kept=counted["hits"] + counted["wishes"])
        else:
            self.carried.clear()

    def reveal(self, index: int, entry: log_entry.Reveal) -> None:
        book = self._book(entry.e)
        if book.ecommit is None or book.closed is None or book.reveal is not None:
            self.findings.at(Code.REVEAL_ORDER, index, epoch=entry.e)
            return
        book.reveal = entry
        host, council = bytes.fromhex(entry.h), bytes.fromhex(entry.c)
        origin = self.asked.origin
        fits = [
            epoch_commitment("host", origin, entry.e, host).hex() == book.ecommit.h,
            epoch_commitment("council", origin, entry.e, council).hex() == book.ecommit.c,
        ]
        for fit, code in zip(fits, (Code.SHARE_HOST, Code.SHARE_COUNCIL), strict=True):
            if not fit:
                self.findings.at(code, index, epoch=entry.e)
        if all(fits) and self.acts.state is not None:
            self.result.shares += book.replay(host, council, origin, self.campaigns)
        book.forget()

    # -- what only the end shows

    def _finish(self) -> None:
        self.acts.finish()
        for book in self.books.values():
            self._late(book)
            opened = book.figures["opened"]
            legs = book.count()
            if opened and opened < legs["legs"] + legs["wishes"]:
                self.findings.add(Code.OPENING, f"epoch {book.name}", epoch=book.name)
        unknown = set(self.asked.openings) - set(self.result.legs)
        for index in sorted(unknown - self.misfits):
            self.findings.at(Code.OPENING, index, epoch="")
        self._clock()
        self.result.zone = self.acts.zone()
        self.result.anchors = {role: one.key for role, one in self.acts.anchors.items()}
        self.result.missing += [name for name, given in self._inputs() if not given]

    def _inputs(self) -> list[tuple[str, bool]]:
        closed = [book for book in self.books.values() if book.closed is not None]
        return [
            ("acts", self.asked.acts is not None),
            ("roster", self.asked.rosters is not None),
            ("reveal", all(book.reveal is not None for book in closed)),
        ]

    def _late(self, book: EpochBook) -> None:
        """An epoch that is over is closed and revealed within a day."""
        span, now = self.acts.span(book.name), self.asked.now
        if not book.open or book.reveal is not None or span is None or now is None or self.asked.followed_by:
            return
        if now > span[1] + REVEAL_WITHIN + PATIENCE:
            self.findings.add(Code.REVEAL_MISSING, f"epoch {book.name}", epoch=book.name)

    def _clock(self) -> None:
        """No entry stands in a cosigned checkpoint before its time came (V11)."""
        tolerance = PATIENCE if self._terms() else timedelta(hours=26)
        for index, instant in self.days:
            times = [at for size, at in self.cosigned if size > index]
            if times and min(times) < (instant - tolerance).timestamp():
                seen = datetime.fromtimestamp(min(times), UTC)
                self.findings.at(Code.DAY_EARLY, index, cosigned=f"{seen:%Y-%m-%d %H:%M}Z")

    def _terms(self) -> Sequence[Term]:
        return self.acts.state.terms if self.acts.state is not None else ()

    def _book(self, epoch: str) -> EpochBook:
        book = self.books.get(epoch)
        if book is None:
            book = self.books[epoch] = EpochBook(epoch, self.findings)
        return book


_TAKE: Final[dict[type, Callable[[_Walk, int, Any], None]]] = {
    log_entry.Act: _Walk.act,
    log_entry.ECommit: _Walk.ecommit,
    log_entry.EOpen: _Walk.eopen,
    log_entry.Day: _Walk.day,
    log_entry.Call: _Walk.call,
    log_entry.X: _Walk.x,
    log_entry.Wish: _Walk.wish,
    log_entry.Out: _Walk.out,
    log_entry.Halt: _Walk.halt,
    log_entry.EClose: _Walk.eclose,
    log_entry.Reveal: _Walk.reveal,
}
"""The others (`key`, `access`, …) say nothing that can be checked without their openings."""
