"""Verifies a mirrored log offline (crypto.md §4, V0 to V11): walks its entries once, tells what isn't as it must be.

Believes nothing but the keys it is given. What it can't check for want of a file is named, never passed over.
Recordings are `manifests`', call records `calls`'.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from council.acts_check import PATIENCE, ActsCheck
from council.codes import Code
from council.epoch_book import EpochBook
from council.fairness import Share
from council.finding import Findings
from council.folder import LogFolder
from council.tree_check import Kept, read_checkpoint, tree_walk
from crypto.checkpoint import Checkpoint
from crypto.draw import ROLES, epoch_commitment
from crypto.errors import CryptoError
from crypto.ssh_key import VerifyKey
from crypto.tree_walk import cosigned_size
from policy import log_entry
from policy.chain import Posted
from policy.epoch_statement import CouncilCommitment
from policy.epochs import REVEAL_WITHIN, EpochState, RosterLeaf
from policy.errors import LogEntryError
from policy.log_block import ends_block, in_its_block

TRIES: Final = 50_000
"""Sizes that are tried for the checkpoint behind one cosignature."""
UNKNOWN_ZONE: Final = timedelta(hours=26)
"""Between midnights anywhere on earth, where no agreement says the site's."""


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
    now: datetime | None = None
    followed_by: str | None = None
    """The log that took this one's place after a restore."""
    watch: Callable[[int, log_entry.Entry], None] = lambda _, __: None
    """Sees every entry that can be read."""
    campaigns: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Hits by agreement and campaign in the logs before this one, which adds its own."""


@dataclass(slots=True)
class Verified:
    """What the walk found and counted."""

    origin: str
    findings: Findings
    acts: ActsCheck
    followed_by: str | None = None
    """The log that took this one's place after a restore: its open epochs never close."""
    checkpoint: Checkpoint | None = None
    epochs: dict[str, EpochBook] = field(default_factory=dict)
    shares: list[Share] = field(default_factory=list)
    entries: int = 0


def verify(asked: Asked) -> Verified:
    """Walk one log. Never raises for what the log holds."""
    return _Walk(asked).run()


class _Walk:
    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.findings = Findings(asked.origin)
        self.acts = ActsCheck(self.findings, asked.acts, asked.pinned)
        self.terms = self.acts.terms
        self.result = Verified(asked.origin, self.findings, self.acts, asked.followed_by)
        self.books = self.result.epochs
        self.cosigned = [(one.checkpoint.size, one.at) for one in asked.kept if one.at is not None]
        self.size = 0
        self.days: list[tuple[int, datetime]] = []
        """Entries that can't be older than an instant."""
        self.hits = 0

    def run(self) -> Verified:
        asked, council = self.asked, self.acts.council_keys()
        found = read_checkpoint(
            asked.folder.checkpoint(), asked.origin, asked.key, council, "checkpoint", self.findings
        )
        if found is None:
            return self.result
        self.result.checkpoint = checkpoint = found.checkpoint
        self.size = checkpoint.size
        for index, leaf in tree_walk(asked.folder, checkpoint, asked.kept, self.findings).entries():
            self._entry(index, leaf)
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
        take = getattr(self, entry.t, None)  # the others (`key`, `access`, …) say nothing that their openings don't
        if take is not None:
            take(index, entry)
        self.asked.watch(index, entry)

    # -- one entry each, by the name of its type

    def act(self, index: int, entry: log_entry.Act) -> None:
        running = [book for book in self.books.values() if book.state is EpochState.OPENED and book.legs]
        spans = [self.terms.span(book.name, book.day or 0) for book in running]
        self.acts.act(index, entry, max((span[0] for span in spans if span is not None), default=None))

    def ecommit(self, index: int, entry: log_entry.ECommit) -> None:
        book = self.book(entry.e)
        if not book.step(index, entry):
            return
        book.ecommit, book.ecommit_at = entry, index
        if not in_its_block(self.asked.origin, entry.e) or (self.asked.acts and not self.terms.epoch_fits(entry.e)):
            self.findings.at(Code.EPOCH_FOREIGN, index, epoch=entry.e)
        if not CouncilCommitment(self.asked.origin, entry.e, entry.c).signed_by(entry.csig, self.acts.council_keys()):
            self.findings.at(Code.ECOMMIT_SIGNATURE, index, epoch=entry.e)
        self.acts.policy(index, entry.policy)
        if self.asked.rosters is not None:
            leaves = self.asked.rosters.get(entry.roster)
            if leaves is None or len(leaves) != entry.n:
                self.findings.at(Code.ROSTER, index, epoch=entry.e)
            else:
                book.roster = {leaf.a: leaf for leaf in leaves}

    def eopen(self, index: int, entry: log_entry.EOpen) -> None:
        book = self.book(entry.e)
        self.terms.begin(entry.e)
        if not book.step(index, entry):
            return
        found = self._cosigned(entry.cosig, book.ecommit_at + 1, index, self.acts.council_keys())
        if found is None or self._early(entry, book, *found):
            self.findings.at(Code.EOPEN_COSIGNATURE, index, epoch=entry.e)
            return
        self.cosigned.append(found)
        if (span := self.terms.span(entry.e)) is not None and found[1] >= span[0].timestamp():
            book.day = None

    def _early(self, entry: log_entry.EOpen, book: EpochBook, size: int, at: int) -> bool:
        """A key that didn't count yet made the cosignature, or the council's commitment."""
        said, early = book.ecommit, self.acts.early_keys(at)
        if said is None or not early:
            return False
        committed = CouncilCommitment(self.asked.origin, said.e, said.c)
        return committed.signed_by(said.csig, early) or bool(self._cosigned(entry.cosig, size, size, early))

    def _cosigned(self, cosig: str, first: int, index: int, keys: list[VerifyKey]) -> tuple[int, int] | None:
        """The checkpoint behind an `eopen`: it holds the `ecommit` and stands before the `eopen`."""
        asked, last = self.asked, min(index, first + TRIES)
        kept = [one.checkpoint.size for one in asked.kept if first <= one.checkpoint.size <= index]
        sizes = [*kept, *range(first, last + 1)]
        try:
            return cosigned_size(asked.folder.tiles, asked.origin, cosig, keys, sizes, self.size)
        except CryptoError:
            return None

    def day(self, index: int, entry: log_entry.Day) -> None:
        book, span = self.book(entry.e), self.terms.span(entry.e, entry.i)
        expected = entry.i >= 1 if book.day is None else entry.i == book.day + 1
        if book.state is not EpochState.OPENED or not expected or entry.i > 6 or span is None:
            self.findings.at(Code.DAY_ORDER, index, epoch=entry.e, day=entry.i)
        else:
            self.days.append((index, span[0]))
        book.day = min(max(book.day or 0, entry.i), 6)

    def call(self, index: int, entry: log_entry.Call) -> None:
        book, ruled = self.book(entry.e), None
        if not book.legs and (span := self.terms.span(entry.e)) is not None:
            self.days.append((index, span[0]))
        member = book.roster.get(entry.a) if book.roster is not None else None
        if self.terms.state is not None and (book.roster is None or member is not None):
            held = self.terms.ruled(entry.e, book.day, entry.q, member)
            ruled = held.get(entry.r) if entry.r is not None else None
            if entry.r is not None and ruled is None:
                self.findings.at(Code.RULE, index, rule=entry.r)
            if held:
                book.under_rule[entry.a, entry.r is not None] += 1
        book.in_time(index)
        book.enter(index, entry, ruled)

    def wish(self, index: int, entry: log_entry.Wish) -> None:
        self.book(entry.e).enter(index, entry)

    def out(self, index: int, entry: log_entry.Out) -> None:
        self.book(entry.e).out(index, entry)

    def x(self, index: int, entry: log_entry.X) -> None:
        book = self.book(entry.e)
        book.x[entry.k] += 1
        book.in_time(index)

    def halt(self, index: int, entry: log_entry.Halt) -> None:
        book = self.book(entry.e)
        if not book.opened or book.halted:
            self.findings.at(Code.EOPEN_ORDER, index, epoch=entry.e)
        book.halted = True

    def eclose(self, index: int, entry: log_entry.EClose) -> None:
        book = self.book(entry.e)
        if book.step(index, entry):
            book.close(index, entry)
            self.hits += book.counted["hits"]
            last = ends_block(self.asked.origin, entry.e) and not book.halted
            enough = last and self.hits >= (self.terms.min_calls() or 1)
            if entry.kept is not None and not enough:  # what only a whole block may tell (V9)
                self.findings.at(Code.ECLOSE_COUNTS, index, epoch=entry.e, what="kept")

    def reveal(self, index: int, entry: log_entry.Reveal) -> None:
        book, origin = self.book(entry.e), self.asked.origin
        if not book.step(index, entry) or book.ecommit is None:
            return
        shares = {"host": bytes.fromhex(entry.h), "council": bytes.fromhex(entry.c)}
        committed = {"host": book.ecommit.h, "council": book.ecommit.c}
        opened = {role: epoch_commitment(role, origin, entry.e, shares[role]).hex() for role in ROLES}
        wrong = [role for role in ROLES if opened[role] != committed[role]]
        for role in wrong:
            self.findings.at(Code[f"SHARE_{role.upper()}"], index, epoch=entry.e)
        if not wrong and self.terms.state is not None:
            self.result.shares += book.replay(**shares, origin=origin, campaigns=self.asked.campaigns)
        book.forget()

    # -- what only the end shows

    def _finish(self) -> None:
        self.acts.finish()
        for book in self.books.values():
            self._late(book)
        self._clock()

    def _late(self, book: EpochBook) -> None:
        """An epoch that is over is closed and revealed within a day."""
        span, now = self.terms.span(book.name), self.asked.now
        waits = book.state in (EpochState.OPENED, EpochState.CLOSED) and not self.asked.followed_by
        if waits and span is not None and now is not None and now > span[1] + REVEAL_WITHIN + PATIENCE:
            self.findings.add(Code.REVEAL_MISSING, f"epoch {book.name}", epoch=book.name)

    def _clock(self) -> None:
        """No entry stands in a cosigned checkpoint before its time came (V11)."""
        tolerance = UNKNOWN_ZONE if self.terms.min_calls() is None else PATIENCE
        for index, instant in self.days:
            times = [at for size, at in self.cosigned if size > index]
            if times and min(times) < (instant - tolerance).timestamp():
                seen = datetime.fromtimestamp(min(times), UTC)
                self.findings.at(Code.DAY_EARLY, index, cosigned=f"{seen:%Y-%m-%d %H:%M}Z")

    def book(self, epoch: str) -> EpochBook:
        book = self.books.get(epoch)
        if book is None:
            book = self.books[epoch] = EpochBook(epoch, self.findings)
        return book
