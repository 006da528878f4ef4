"""Sounds that a proxy may have played (`play media`): plain WAV files that an admin put into the data folder.

8 kHz, 16 bit, mono. They are no questions and no notices: nothing of ours is under `sounds/`, and nothing there counts
for an agreement.
"""

import hashlib
import io
import re
import wave
from pathlib import Path
from typing import Final

import numpy as np

from gateway.media.errors import SoundError
from gateway.media.prompts.sound_file import MAX_BYTES, Sound, Words
from gateway.rtp.g711 import RATE

__all__ = ["PLAIN", "plain_folder", "read_plain"]

PLAIN: Final = "sounds/"
"""How their ids begin; those of all others can't."""
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)


def plain_folder(data_dir: Path) -> Path:
    """Where they lie."""
    return data_dir / "sounds"


def read_plain(folder: Path, sound: str) -> Sound:
    """The sound of an id such as `sounds/busy`, as it lies there now; raises SoundError."""
    name = sound.removeprefix(PLAIN)
    if not _NAME.fullmatch(name):
        raise SoundError("no such sound")
    path = folder / f"{name}.wav"
    try:
        if path.stat().st_size > MAX_BYTES:
            raise SoundError("the file is too long for a sound")
        data = path.read_bytes()
    except OSError:
        raise SoundError("no such sound") from None
    try:
        with wave.open(io.BytesIO(data)) as file:
            if (file.getnchannels(), file.getsampwidth(), file.getframerate()) != (1, 2, RATE):
                raise SoundError("not 16-bit mono at 8 kHz")
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.int16)
    except (wave.Error, EOFError, ValueError):
        raise SoundError("not a WAV file") from None
    return Sound(Words(sound, "tone", "", ""), hashlib.sha256(data).hexdigest(), samples)
