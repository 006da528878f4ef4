"""That the log committed to what a bundle shows: each leg's `out` opened, proven, and its manifests all here.

A proof stands in the folder (C2SP tlog-proof) or is made from a copy of the log. Where neither tells how many segments
there were, a gap in their numbers does.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from api.evidence_check import Check, Report, Segment
from api.evidence_files import Bundle
from crypto.checkpoint import open_checkpoint
from crypto.errors import CryptoError
from crypto.merkle import inclusion_proof
from crypto.ssh_key import VerifyKey
from crypto.tlog_proof import TlogProof
from policy import log_entry
from policy.errors import PolicyError
from policy.opening import OutOpening, parse_out_opening
from storage.errors import StorageError
from storage.log.files import LocalLogFiles
from storage.log.tiles import PublishedTree

__all__ = ["check_log"]


def check_log(bundle: Bundle, key: VerifyKey | None, log: Path | None, report: Report) -> None:
    """Check every leg's end, and by them that no segment is missing; after `check_segments`."""
    proven: set[str] = set()
    for stem, files in sorted(bundle.legs.items()):
        opening = _Leg(stem, files, report).check(key, log)
        proven |= set(opening.manifests) if opening is not None else set()
    if proven:
        _compare(proven, report)
    else:
        report.unchecked.append("that the log committed to these manifests: no leg's opening is proven here")
        _numbers(report)


class _Leg:
    """One leg's end, while it is checked."""

    def __init__(self, stem: str, files: dict[str, bytes], report: Report) -> None:
        self._stem, self._files, self._report = stem, files, report
        self._origin = next((one.manifest.origin for one in report.segments if one.manifest is not None), None)

    def check(self, key: VerifyKey | None, log: Path | None) -> OutOpening | None:
        """Its opening, once the log is shown to hold what it opens."""
        opening, entry = self._opening(), self._entry()
        if opening is None or entry is None:
            return None
        if not opening.fits(entry.m):
            self._add(".out", "doesn't open the entry's commitment")
            return None
        if opening.manifests and entry.o not in ("hit", "wish"):
            self._add(".entry", f"says `{entry.o}`, so nothing could be kept")
            return None
        self._whose(entry)
        return opening if self._proven(opening, key, log) else None

    def _opening(self) -> OutOpening | None:
        try:
            return parse_out_opening(self._file("out"))
        except PolicyError as error:
            self._add(".out", str(error))
            return None

    def _entry(self) -> log_entry.Out | None:
        try:
            entry = log_entry.parse(self._file("entry"))
        except PolicyError as error:
            self._add(".entry", str(error))
            return None
        if not isinstance(entry, log_entry.Out):
            self._add(".entry", "isn't the end of a leg")
            return None
        return entry

    def _whose(self, entry: log_entry.Out) -> None:
        private = next((one.private for one in self._report.segments if one.private is not None), None)
        if private is None:
            return
        if (entry.e, entry.a) != (private.epoch, private.agent) or (entry.o == "hit" and entry.n != private.n):
            self._add(".entry", "is another leg's than the openings say")

    def _proven(self, opening: OutOpening, key: VerifyKey | None, log: Path | None) -> bool:
        proof = self._files.get("tlog-proof")
        if key is None or self._origin is None or (proof is None and log is None):
            self._report.unchecked.append(f"{self._stem}: that the log holds it: no *.tlog-proof and no --log")
            return False
        try:
            if proof is not None:
                self._inside(TlogProof.parse(proof), opening.entry, key)
            if log is not None:
                self._inside(_proof_from(log, self._origin, opening.entry, key), opening.entry, key)
        except CryptoError as error:
            self._add(".tlog-proof" if proof is not None else ".entry", str(error))
            return False
        except StorageError as error:
            self._add(".entry", f"can't be looked up in the copy of the log: {error}")
            return False
        self._report.entries.append(f"{self._origin} {opening.entry}")
        return True

    def _inside(self, proof: TlogProof, index: int, key: VerifyKey) -> None:
        if proof.index != index:
            raise CryptoError("proof is another entry's")
        proof.check(self._file("entry"), self._origin or "", key)

    def _file(self, suffix: str) -> bytes:
        return self._files.get(suffix, b"")

    def _add(self, suffix: str, sentence: str) -> None:
        self._report.add(Check.LOG, self._stem + suffix, sentence)


def _proof_from(log: Path, origin: str, index: int, key: VerifyKey) -> TlogProof:
    """From the tiles of a copy, under its own checkpoint. Raises CryptoError, StorageError."""
    files = LocalLogFiles(log, "")
    note = files.checkpoint(origin)
    size = open_checkpoint(note, origin, key)[0].size
    return TlogProof(index, tuple(inclusion_proof(index, size, PublishedTree(files, origin, size).node)), note)


def _compare(proven: set[str], report: Report) -> None:
    """The log's manifests and those of the folder are the same ones."""
    here = {one.digest: one for one in report.segments if one.manifest is not None}
    for digest, one in here.items():
        if digest not in proven:
            report.add(Check.LOG, f"{one.name}.manifest.json", "no proven entry commits to it")
    gaps = ", ".join(_missing(report.segments))
    for digest in sorted(proven - here.keys()):
        said = "is in the log and not here: a segment is missing" + (f", by the numbers {gaps}" if gaps else "")
        report.add(Check.SEGMENT, f"manifest {digest}", said)


def _numbers(report: Report) -> None:
    for name in _missing(report.segments):
        report.add(Check.SEGMENT, name, "is missing: the numbers have a gap")


def _missing(segments: list[Segment]) -> Iterator[str]:
    """Sides and segments that others of the same recording make one expect."""
    there = {(one.manifest.side, one.manifest.seg) for one in segments if one.manifest is not None}
    for side in sorted({side for side, _ in there}):
        for seg in range(1, max((seg for _, seg in there), default=0) + 1):
            if (side, seg) not in there:
                yield f"{side}-{seg}"
