"""The sounds that can be played: those that are shipped, and the house's own recordings in the data folder.

A shipped sound is the one that the index names by its hash. A recording of the house's own is played only by the hash
under which it is ordered, which is the agreement's. Files are read when they are first needed, or all of them before.
"""

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from pydantic import TypeAdapter, ValidationError

from gateway.media.errors import SoundError
from gateway.media.prompts.coding import coded
from gateway.media.prompts.plain_sounds import PLAIN, read_plain
from gateway.media.prompts.sound_file import Sound, read_sound
from gateway.rtp.g711 import RATE, Samples, amplify, encode
from gateway.rtp.payload_types import Codec, Law

__all__ = ["INDEX", "SHIPPED", "SOUND_ID", "SUFFIX", "Catalogue", "own_folder"]

SHIPPED: Final = Path(__file__).with_name("catalogue")
INDEX: Final = "index.json"
SUFFIX: Final = ".wav"
SOUND_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
"""As the agreement spells them; never a path."""
_MAX_OWN: Final = 256
_INDEX: Final = TypeAdapter(dict[str, str])


def own_folder(data_dir: Path) -> Path:
    """Where a house's own recordings lie."""
    return data_dir / "announcements"


@dataclass
class Catalogue:
    """Shipped sounds by their index, and recordings of the house's own where a folder is given."""

    folder: Path = SHIPPED
    own: Path | None = None
    plain: Path | None = None
    """Sounds that a proxy may have played."""
    _index: dict[str, str] | None = None
    _read: dict[str, Sound] = field(default_factory=dict)
    _coded: dict[tuple[str, Codec, int, float], list[bytes]] = field(default_factory=dict)

    @property
    def index(self) -> dict[str, str]:
        """Shipped sounds: id to SHA-256; raises SoundError."""
        if self._index is None:
            try:
                self._index = _INDEX.validate_json((self.folder / INDEX).read_bytes())
            except (OSError, ValidationError):
                raise SoundError("the catalogue's index can't be read") from None
        return self._index

    @property
    def sounds(self) -> dict[str, Sound]:
        """All shipped sounds; raises SoundError."""
        return {sound: self.sound(sound) for sound in self.index}

    def own_ids(self) -> Iterator[str]:
        """Recordings of the house's own, by their files' names."""
        try:
            names = sorted(path.name for path in self.own.iterdir()) if self.own is not None else []
        except OSError:
            return
        for name in names[:_MAX_OWN]:
            sound = name.removesuffix(SUFFIX)
            if name.endswith(SUFFIX) and SOUND_ID.fullmatch(sound) and sound not in self.index:
                yield sound

    def sound(self, sound: str, sha256: str = "") -> Sound:
        """A shipped sound, the house's own of this hash, or a plain one; raises SoundError."""
        if sound.startswith(PLAIN) and self.plain is not None:
            return read_plain(self.plain, sound)
        if not sha256 and sound not in self.index:
            raise SoundError("no such sound in the catalogue")
        wanted = self.index.get(sound, sha256)
        found = self._read.get(sound)
        if found is None or found.sha256 != wanted:
            found = self._read[sound] = self.load(sound)
        if found.sha256 != wanted or sha256 not in ("", wanted):
            raise SoundError(f"sound `{sound}` isn't the one that is named")
        return found

    def take_in(self) -> None:
        """Read what is there now, own recordings too; what can't be read is left for whoever asks for it."""
        with contextlib.suppress(SoundError):
            for sound in (*self.index, *self.own_ids()):
                with contextlib.suppress(SoundError):
                    self._read[sound] = self.load(sound)

    def at_hand(self, sounds: Sequence[str], sha256: str = "") -> bool:
        """Whether none of these must be read from a disk; hash as for `sequence`."""
        for at, name in enumerate(sounds):
            wanted = (self._index or {}).get(name, "" if at else sha256)
            found = self._read.get(name)
            if found is None or found.sha256 != wanted:
                return False
        return True

    def load(self, sound: str) -> Sound:
        """What lies on disk under this id now, whatever its hash; raises SoundError."""
        if not SOUND_ID.fullmatch(sound):
            raise SoundError("no such sound in the catalogue")
        folder = self.folder if sound in self.index else self.own
        if folder is None:
            raise SoundError("no such sound in the catalogue")
        try:
            found = read_sound(folder / f"{sound}{SUFFIX}")
        except SoundError as error:
            raise SoundError(f"sound `{sound}`: {error}") from None
        if found.words.id != sound:
            raise SoundError(f"sound `{sound}` calls itself something else")
        return found

    def coded(
        self, sounds: Sequence[str], codec: Codec, ptime_ms: int, gain_db: float, sha256: str = ""
    ) -> list[bytes]:
        """Sounds one behind the other as payloads; each is coded by itself, once. Hash and errors as `sequence`."""
        payloads: list[bytes] = []
        for at, name in enumerate(sounds):
            sound = self.sound(name, "" if at else sha256)
            key = (sound.sha256, codec, ptime_ms, gain_db)
            if key not in self._coded:
                self._coded[key] = coded(codec, amplify(sound.samples, gain_db), ptime_ms)
            payloads += self._coded[key]
        return payloads

    def samples(self, sound: str, sha256: str = "") -> Samples:
        """A sound as 16-bit samples at 8 kHz; raises SoundError."""
        return self.sound(sound, sha256).samples

    def sequence(self, sounds: Sequence[str], sha256: str = "") -> Samples:
        """Sounds one behind the other, the first of them of this hash where one is given; raises SoundError."""
        return np.concatenate([self.samples(sound, "" if at else sha256) for at, sound in enumerate(sounds)])

    def frames(self, sound: str, law: Law, ptime_ms: int, gain_db: float = 0.0) -> list[bytes]:
        """A sound as G.711 payloads of `ptime_ms` each, the last one filled up with silence; raises SoundError."""
        samples = amplify(self.samples(sound), gain_db)
        size = RATE * ptime_ms // 1000
        whole = np.concatenate((samples, np.zeros(-len(samples) % size, np.int16)))
        return [encode(law, whole[at : at + size]) for at in range(0, len(whole), size)]
