"""A question of a house's own that is over in three seconds: what running sites ask, since a shipped one takes nine."""

from pathlib import Path
from typing import Final

from gateway.media.prompts.sound_file import Sound, Words, pack, unpack
from gateway.media.prompts.sounds import SUFFIX, Catalogue, own_folder
from gateway.rtp.g711 import RATE

__all__ = ["QUESTION", "put"]

_WORDS: Final = Words("ask-short-1", "ask", "en", "May we record this? 1 or 9.", "coaching", False, "1", "9")
_FILE: Final = pack(_WORDS, Catalogue().samples("ask-quality-en-2")[: 3 * RATE])
QUESTION: Final[Sound] = unpack(_FILE)


def put(data_dir: Path) -> None:
    """Where the gateway of this data folder finds it."""
    folder = own_folder(data_dir)
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / f"{_WORDS.id}{SUFFIX}").write_bytes(_FILE)
