"""Opens a recording for its owner: decrypts in memory, decodes, makes one stereo WAV, agent left, caller right.

The data-protection officer opens one too, with what the council made of its quorum object (`.inner`) beside each side.
Segments stand where they were, by the start times in their openings; where there are none, one after the other.
Nothing is written but the WAV that was asked for.
"""

from __future__ import annotations

import hashlib
import io
import re
import wave
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from api.errors import CommandError
from api.evidence_files import MAX_PAYLOAD
from api.sound import Pcm, decode, resampled
from crypto import age, quorum
from crypto.errors import CryptoError
from crypto.header import FileKey
from crypto.stream import read_chunks
from crypto.x25519 import Identity, parse_identities
from storage.errors import StorageError
from storage.manifest import Opening
from storage.named_file import read_named

__all__ = ["Opened", "SideFile", "find_sides", "open_side", "read_identities", "stereo", "wav_bytes", "write_wav"]

_NAME: Final = re.compile(r"(?:.*-)?(agent|caller)-([1-9][0-9]{0,3})(\.age|\.payload)")


@dataclass(frozen=True, slots=True)
class SideFile:
    """The cipher text of one side of one segment, and its opening where there is one."""

    side: str
    seg: int
    data: bytes
    """header ‖ payload."""
    opening: bytes | None = None
    started: datetime | None = None
    """As the index has it, for those who have no opening."""
    inner: bytes | None = None
    """What the council made of the quorum object: the file key, for the data-protection officer."""


@dataclass(frozen=True, slots=True)
class Opened:
    """One side of one segment as sound."""

    side: str
    seg: int
    rate: int
    """Samples per second."""
    samples: Pcm
    started: datetime | None
    container_sha256: str
    """Of the decrypted file, as `age -d` writes it."""
    whole: bool
    """False: the file was cut (a crash), this is its whole-chunk prefix."""

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.samples) / self.rate


def read_identities(path: Path) -> list[Identity]:
    """The identities of an age key file; raises `CommandError`."""
    try:
        return parse_identities(read_named(path).decode("ascii"))
    except (OSError, UnicodeDecodeError):
        said = f"`{path}` can't be read; name the agent's key file (OUT.key of `fairtap keygen`)"
        raise CommandError(said, 2) from None
    except CryptoError:
        said = f"`{path}` holds no line AGE-SECRET-KEY-1…; name the agent's key file (OUT.key of `fairtap keygen`)"
        raise CommandError(said, 2) from None


def find_sides(place: Path, vault: Path | None = None) -> list[SideFile]:
    """All sides in a folder of `.age` files, or of `.payload` files with their headers in `vault` (or beside them)."""
    if not place.is_dir():
        said = "name a folder with a recording's files, or a recording's id with --data-dir or --login"
        raise CommandError(f"`{place}` is no folder: {said}", 2)
    found = []
    for path in sorted(place.iterdir()):
        match = _NAME.fullmatch(path.name)
        if match is None:
            continue
        stem = path.name.removesuffix(match[3])
        data = _read(path)
        if match[3] == ".payload":
            header = _beside((vault or place) / f"{stem}.header")
            if header is None:
                raise CommandError(f"`{stem}.header` is missing: it was erased, or lies in the vault (use --data-dir)")
            data = header + data
        opening, inner = (_beside((vault or place) / f"{stem}.{kind}") for kind in ("opening", "inner"))
        found.append(SideFile(match[1], int(match[2]), data, opening, inner=inner))
    if not found:
        raise CommandError(f"`{place}` holds no recording: no *.age and no *.payload file", 2)
    return found


def open_side(file: SideFile, identities: Sequence[Identity]) -> Opened:
    """Decrypt and decode one side; raises `CommandError`. A cut file gives its whole chunks."""
    name = f"{file.side}-{file.seg}"
    try:
        header, payload = age.split_header(file.data)
        chunks = read_chunks(_file_key(file, bytes(header), identities), payload)
    except CryptoError as error:
        raise CommandError(f"`{name}` can't be opened: {error}") from None
    container, whole = bytearray(), True
    try:
        for chunk in chunks:
            container += chunk
    except CryptoError as error:
        whole = False
        if not container:
            raise CommandError(f"`{name}` can't be opened: {error}") from None
    rate, samples = decode(bytes(container))
    digest = hashlib.sha256(container).hexdigest()
    return Opened(file.side, file.seg, rate, samples, _started(file, identities), digest, whole)


def stereo(sides: Iterable[Opened]) -> tuple[int, NDArray[np.int16]]:
    """Rate and samples of shape (n, 2): agent left, caller right, each segment at its place.

    The rate is the highest of the sides'.
    """
    sides = list(sides)
    rate = max(side.rate for side in sides)
    sides = [replace(side, rate=rate, samples=resampled(side.samples, side.rate, rate)) for side in sides]
    placed = [(_place(side, sides, rate), side) for side in sides]
    length = max(start + len(side.samples) for start, side in placed)
    both = np.zeros((length, 2), dtype=np.int16)
    for start, side in placed:
        both[start : start + len(side.samples), 0 if side.side == "agent" else 1] = side.samples
    return rate, both


def wav_bytes(rate: int, samples: NDArray[np.int16]) -> bytes:
    """A WAV of 16-bit samples, one column per channel."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.ascontiguousarray(samples, dtype="<i2").tobytes())
    return out.getvalue()


def write_wav(sides: Iterable[Opened], out: Path) -> float:
    """Write the stereo WAV, readable by its owner only; its length in seconds."""
    rate, samples = stereo(sides)
    out.touch(mode=0o600)
    out.write_bytes(wav_bytes(rate, samples))
    return len(samples) / rate


def play(sides: Iterable[Opened]) -> None:
    """Play through the loudspeaker; raises `CommandError` where PyAudio isn't installed."""
    try:
        import pyaudio
    except ImportError:
        raise CommandError("playing needs the extra `audio` (PyAudio); write a file with --out F.wav instead") from None
    rate, samples = stereo(sides)
    audio = pyaudio.PyAudio()
    try:
        stream = audio.open(format=pyaudio.paInt16, channels=2, rate=rate, output=True)
        stream.write(np.ascontiguousarray(samples, dtype="<i2").tobytes())
        stream.close()
    except OSError as error:
        raise CommandError(f"no loudspeaker: {error}; write a file with --out F.wav instead") from None
    finally:
        audio.terminate()


def _file_key(file: SideFile, header: bytes, identities: Sequence[Identity]) -> FileKey:
    if file.inner is None:
        return age.open_header(header, identities)
    return quorum.open_inner(file.inner, identities, header)


def _place(side: Opened, sides: Sequence[Opened], rate: int) -> int:
    starts = [one.started for one in sides if one.started is not None]
    if len(starts) == len(sides) and side.started is not None:
        return round((side.started - min(starts)).total_seconds() * rate)
    lengths: dict[int, int] = {}
    for one in sides:
        lengths[one.seg] = max(lengths.get(one.seg, 0), len(one.samples))
    return sum(length for seg, length in lengths.items() if seg < side.seg)


def _started(file: SideFile, identities: Sequence[Identity]) -> datetime | None:
    if file.opening is None:
        return file.started
    try:
        return Opening.open(file.opening, identities).private.started
    except StorageError:
        return None


def _read(path: Path) -> bytes:
    try:
        return read_named(path, MAX_PAYLOAD)
    except OSError as error:
        raise CommandError(f"`{path}`: {error.strerror or error}") from None


def _beside(path: Path) -> bytes | None:
    return _read(path) if path.is_file() else None


def summary(sides: Iterable[Opened]) -> list[Mapping[str, object]]:
    """What was opened, for `--json`."""
    return [
        {
            "side": one.side,
            "seg": one.seg,
            "seconds": round(one.seconds, 3),
            "sha256": one.container_sha256,
            "whole": one.whole,
        }
        for one in sides
    ]
