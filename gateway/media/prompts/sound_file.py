"""A sound as it lies on disk: a WAV that carries what it says, so that the file's one hash stands for words and audio.

8 kHz, 16 bit, mono; a LIST/INFO chunk before the audio holds the words as canonical JSON in its comment (ICMT). Players
pass over it. There is one way to write a sound: a file that doesn't come out the same is refused.
"""

import hashlib
import struct
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
from pydantic import TypeAdapter

from crypto import jcs
from crypto.errors import CryptoError
from gateway.media.errors import SoundError
from gateway.rtp.g711 import RATE, Samples

__all__ = ["Kind", "Sound", "Words", "pack", "read_sound", "unpack"]

Kind = Literal["ask", "notice", "tone", "end_tone", "reminder", "code", "digit", "pause"]
MAX_BYTES: Final = 4 << 20
_MAX_WORDS: Final = 8 << 10
_FMT: Final = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, RATE, RATE * 2, 2, 16)
_INFO_AT: Final = 12 + len(_FMT)
_WORDS_AT: Final = _INFO_AT + 20


@dataclass(frozen=True, slots=True)
class Words:
    """What a sound says, and what it is for."""

    id: str
    kind: Kind
    language: str
    """`de`, `en`, `nb`; empty for tones."""
    text: str
    """What is said; empty for tones."""
    purpose: str = ""
    """Of a question: what it asks for, so that nobody's yes to one thing is taken for another."""
    one_sided: bool = False
    """Of a question: it says that after a no the other person's side may be kept alone."""
    yes: str = ""
    """Of a question: the key that it names for yes."""
    no: str = ""
    """The same for no."""
    withdraw: str = ""
    """Of a notice: the keys that it names for stopping."""


@dataclass(frozen=True, slots=True, eq=False)
class Sound:
    """A file's words, hash and samples."""

    words: Words
    sha256: str
    samples: Samples


_WORDS: Final = TypeAdapter(Words)


def pack(words: Words, samples: Samples) -> bytes:
    """The file."""
    said = jcs.canonical(asdict(words))
    said += b"\0" * (len(said) % 2)
    info = struct.pack("<4sI4s4sI", b"LIST", 12 + len(said), b"INFO", b"ICMT", len(said)) + said
    audio = samples.astype("<i2").tobytes()
    rest = _FMT + info + struct.pack("<4sI", b"data", len(audio)) + audio
    return struct.pack("<4sI4s", b"RIFF", 4 + len(rest), b"WAVE") + rest


def unpack(data: bytes) -> Sound:
    """Read a file as `pack` writes it; raises SoundError for any other."""
    try:
        if len(data) > MAX_BYTES:
            raise SoundError("the file is too long for a sound")
        (length,) = struct.unpack_from("<I", data, _WORDS_AT - 4)
        if length > _MAX_WORDS:
            raise SoundError("the words of a sound are too long")
        words = _WORDS.validate_json(data[_WORDS_AT : _WORDS_AT + length].rstrip(b"\0"))
        audio = data[_WORDS_AT + length + 8 :]
        samples = np.frombuffer(audio, "<i2").astype(np.int16)
    except (struct.error, ValueError):
        raise SoundError("not a sound as Fairtap writes them") from None
    if not _written(words, samples, data):
        raise SoundError("not a sound as Fairtap writes them")
    return Sound(words, hashlib.sha256(data).hexdigest(), samples)


def _written(words: Words, samples: Samples, data: bytes) -> bool:
    try:
        return pack(words, samples) == data
    except CryptoError:  # words that no canonical JSON can hold, such as half a surrogate pair
        return False


def read_sound(path: Path) -> Sound:
    """The same from a file; raises SoundError."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise SoundError("the file is too long for a sound")
        return unpack(path.read_bytes())
    except OSError:
        raise SoundError("the file can't be read") from None
