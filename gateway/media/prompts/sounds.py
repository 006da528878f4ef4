"""The sounds that can be played: prompts, notices and tones as 8 kHz 16-bit WAV beside their index with hashes.

They are made by `make_catalogue` and shipped; a file that isn't the one in the index is refused.
"""

import hashlib
import io
import json
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final, Literal

import numpy as np
from pydantic import TypeAdapter, ValidationError

from gateway.media.errors import SoundError
from gateway.media.prompts.coding import coded
from gateway.rtp.g711 import RATE, Samples, amplify, encode
from gateway.rtp.payload_types import Codec, Law

Kind = Literal["ask", "notice", "tone", "end_tone", "reminder", "code", "digit", "pause"]
SHIPPED: Final = Path(__file__).with_name("catalogue")
INDEX: Final = "index.json"
_MAX_BYTES: Final = 4 << 20


@dataclass(frozen=True, slots=True)
class Sound:
    """One line of the index."""

    id: str
    kind: Kind
    language: str
    """`de`, `en`, `nb`; empty for tones."""
    file: str
    sha256: str
    text: str
    """What is said; empty for tones."""
    purpose: str = ""
    """Of a question: what it asks for, so that nobody's yes to one thing is taken for another."""
    one_sided: bool = False
    """Of a question: it says that after a no the other person's side may be kept alone."""


_INDEX: Final = TypeAdapter(tuple[Sound, ...])


@dataclass(frozen=True)
class Catalogue:
    """The sounds of a folder, read and checked when they are first played."""

    folder: Path = SHIPPED

    @cached_property
    def sounds(self) -> dict[str, Sound]:
        """All sounds by id; raises SoundError."""
        try:
            listed = _INDEX.validate_json((self.folder / INDEX).read_bytes())
        except (OSError, ValidationError):
            raise SoundError("the catalogue's index can't be read") from None
        return {sound.id: sound for sound in listed}

    @cached_property
    def _read(self) -> dict[str, Samples]:
        return {}

    @cached_property
    def _coded(self) -> dict[tuple[str, Codec, int, float], list[bytes]]:
        return {}

    def coded(self, sounds: Sequence[str], codec: Codec, ptime_ms: int, gain_db: float) -> list[bytes]:
        """Sounds one behind the other as payloads; each is coded by itself, once. Raises SoundError."""
        payloads: list[bytes] = []
        for sound in sounds:
            key = (sound, codec, ptime_ms, gain_db)
            if key not in self._coded:
                self._coded[key] = coded(codec, amplify(self.samples(sound), gain_db), ptime_ms)
            payloads += self._coded[key]
        return payloads

    def sequence(self, sounds: Sequence[str]) -> Samples:
        """Sounds one behind the other; raises SoundError."""
        return np.concatenate([self.samples(sound) for sound in sounds])

    def samples(self, sound: str) -> Samples:
        """A sound as 16-bit samples at 8 kHz; raises SoundError."""
        if sound not in self._read:
            self._read[sound] = self._load(sound)
        return self._read[sound]

    def frames(self, sound: str, law: Law, ptime_ms: int, gain_db: float = 0.0) -> list[bytes]:
        """A sound as G.711 payloads of `ptime_ms` each, the last one filled up with silence; raises SoundError."""
        samples = amplify(self.samples(sound), gain_db)
        size = RATE * ptime_ms // 1000
        whole = np.concatenate((samples, np.zeros(-len(samples) % size, np.int16)))
        return [encode(law, whole[at : at + size]) for at in range(0, len(whole), size)]

    def _load(self, sound: str) -> Samples:
        entry = self.sounds.get(sound)
        if entry is None:
            raise SoundError("no such sound in the catalogue")
        if Path(entry.file).name != entry.file:
            raise SoundError(f"sound `{entry.id}` lies outside the catalogue")
        try:
            data = (self.folder / entry.file).read_bytes()
        except OSError:
            raise SoundError(f"sound `{entry.id}` can't be read") from None
        if len(data) > _MAX_BYTES or hashlib.sha256(data).hexdigest() != entry.sha256:
            raise SoundError(f"sound `{entry.id}` isn't the one that was shipped")
        return _samples(entry.id, data)


def write_index(folder: Path, sounds: list[Sound]) -> None:
    """Write the index of a folder, as `Catalogue` reads it."""
    lines = json.loads(_INDEX.dump_json(tuple(sounds)))
    (folder / INDEX).write_text(json.dumps(lines, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def _samples(sound: str, data: bytes) -> Samples:
    try:
        with wave.open(io.BytesIO(data)) as file:
            if (file.getnchannels(), file.getsampwidth(), file.getframerate()) != (1, 2, RATE):
                raise SoundError(f"sound `{sound}` isn't 16-bit mono at 8 kHz")
            return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.int16)
    except (wave.Error, EOFError):
        raise SoundError(f"sound `{sound}` isn't a WAV file") from None
