"""V8: every manifest at hand is one that an `out` or an inventory committed to, and no more are kept than drawn.

An inventory must be the one behind its `eclose`'s root, and as long as the epoch's hits and wishes make it. It doesn't
tell which of them were kept: a recording that is gone can be missed only by whoever opens its `out`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from council.codes import Code
from council.epoch_book import EpochBook
from council.finding import Findings
from policy import log_entry
from policy.inventory import LEAVES_OF_A_LEG, inventory_root, side_leaf
from policy.opening import OutOpening


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Which part of which recording a manifest is about."""

    recording: str
    side: str
    seg: int


@dataclass(slots=True)
class Shown:
    """What is at hand of recordings."""

    manifests: dict[str, str] = field(default_factory=dict)
    """Digest → name of the file."""
    places: dict[str, Place] = field(default_factory=dict)
    """Digest → its place, of manifests which their gateway signed."""
    inventories: dict[str, list[str]] = field(default_factory=dict)
    """Epoch → leaves."""
    outs: list[OutOpening] = field(default_factory=list)


def check_shown(
    shown: Shown, epochs: Sequence[EpochBook], outs: Sequence[tuple[int, log_entry.Out]], findings: Findings
) -> int:
    """Judge all of it, `epochs` in the log's order; the number of manifests that no inventory can vouch for yet."""
    told = _by_outs(shown, outs, findings)
    listed = told | _by_inventory(shown, {book.name: book for book in epochs if book.opened}, findings)
    for digest in sorted(told - shown.manifests.keys()):
        findings.add(Code.ENTRY_WITHOUT_MANIFEST, f"manifest {digest[:16]}")
    unknown = sorted(shown.manifests.keys() - listed)
    untold = [book for book in epochs if book.closed is None]
    for digests, books_of in ((shown.manifests, epochs), (unknown, untold)):
        kept = len({shown.places[digest].recording for digest in digests if digest in shown.places})
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


def _by_inventory(shown: Shown, books: Mapping[str, EpochBook], findings: Findings) -> set[str]:
    """Digests of manifests whose side stands in an inventory that is the log's."""
    leaves: set[str] = set()
    for epoch, told in shown.inventories.items():
        closed = books[epoch].closed if epoch in books else None
        length = LEAVES_OF_A_LEG * books[epoch].recorded if closed is not None else 0
        if closed is None or closed.root != inventory_root(told).hex() or len(told) < length:
            findings.add(Code.INVENTORY, f"epoch {epoch}", epoch=epoch)
        elif len(told) > length:
            findings.add(Code.KEPT_TOO_MANY, f"epoch {epoch}", epoch=epoch, kept=-(-len(told) // LEAVES_OF_A_LEG))
        else:
            leaves |= set(told)
    sides: dict[tuple[str, str], list[str]] = {}
    for digest, place in sorted(shown.places.items(), key=lambda item: item[1]):
        sides.setdefault((place.recording, place.side), []).append(digest)
    return {digest for digests in sides.values() if side_leaf(digests) in leaves for digest in digests}


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
