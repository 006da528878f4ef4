"""V8: every manifest at hand is one that an `out` or an inventory committed to, and no more are kept than drawn.

An inventory must be the one behind its `eclose`'s root. Whether each of its manifests is at hand can be asked only of a
folder that holds both: elsewhere recordings have been erased since.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from council.codes import Code
from council.epoch_book import EpochBook
from council.finding import Findings
from policy import log_entry
from policy.inventory import inventory_root
from policy.opening import OutOpening


@dataclass(slots=True)
class Shown:
    """What is at hand of recordings."""

    manifests: dict[str, str] = field(default_factory=dict)
    """Digest → name of the file."""
    recordings: dict[str, str] = field(default_factory=dict)
    """Digest → the recording that it is about, of manifests which their gateway signed."""
    inventories: dict[str, list[str]] = field(default_factory=dict)
    """Epoch → digests."""
    complete: set[str] = field(default_factory=set)
    """Epochs whose manifests lie beside their inventory."""
    outs: list[OutOpening] = field(default_factory=list)


def check_shown(
    shown: Shown, epochs: Sequence[EpochBook], outs: Sequence[tuple[int, log_entry.Out]], findings: Findings
) -> int:
    """Judge all of it, `epochs` in the log's order; the number of manifests that no inventory can vouch for yet."""
    books = {book.name: book for book in epochs if book.opened}
    known = _by_inventory(shown, books, findings)
    listed = known.keys() | _by_outs(shown, outs, findings)
    wanted = {digest for digest, epoch in known.items() if epoch in shown.complete} | (listed - known.keys())
    for digest in sorted(wanted - shown.manifests.keys()):
        findings.add(Code.ENTRY_WITHOUT_MANIFEST, f"manifest {digest[:16]}")
    unknown = sorted(shown.manifests.keys() - listed)
    told = [place for place, book in enumerate(epochs) if book.closed is not None and book.closed.root is not None]
    untold = [book for place, book in enumerate(epochs) if not book.opened or place > max(told, default=-1)]
    for digests, books_of in ((shown.manifests, epochs), (unknown, untold)):
        kept = len({shown.recordings[digest] for digest in digests if digest in shown.recordings})
        if kept > _most(books_of):
            findings.add(Code.KEPT_TOO_MANY, "manifests", epoch="", kept=kept)
    if _most(untold):
        return len(unknown)
    for digest in unknown:
        findings.add(Code.MANIFEST_WITHOUT_ENTRY, shown.manifests[digest])
    return 0


def _most(epochs: Iterable[EpochBook]) -> int:
    """How many recordings these epochs can have: hits, wishes, and legs that go on."""
    return sum(book.counted["hits"] + book.counted["wishes"] + book.counted["open"] for book in epochs)


def _by_inventory(shown: Shown, books: Mapping[str, EpochBook], findings: Findings) -> dict[str, str]:
    """Digest → epoch, of inventories that are the log's."""
    known: dict[str, str] = {}
    for epoch, digests in shown.inventories.items():
        closed = books[epoch].closed if epoch in books else None
        if closed is None or closed.root not in (None, inventory_root(digests).hex()):
            findings.add(Code.INVENTORY, f"epoch {epoch}", epoch=epoch)
        elif closed.root is not None:
            known |= dict.fromkeys(digests, epoch)
    return known


def _by_outs(shown: Shown, outs: Sequence[tuple[int, log_entry.Out]], findings: Findings) -> set[str]:
    """Digests that an `out` of a hit or a wish committed to; `outs`: entries at these indices, of any log at hand."""
    known: set[str] = set()
    for opening in shown.outs:
        fits = [one for index, one in outs if index == opening.entry and opening.fits(one.m)]
        if not any(one.o in ("hit", "wish") or not opening.manifests for one in fits):
            findings.at(Code.MANIFEST_WITHOUT_ENTRY, opening.entry)
        else:
            known |= set(opening.manifests)
    return known
