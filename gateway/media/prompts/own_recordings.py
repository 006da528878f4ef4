"""A house's own recordings of questions: judged, converted, and put into the data folder under an id of their own.

What is said stands beside the audio in the file, so that the hash that goes into the agreement is of both. An id stays
with its sound: another recording is another id, since an agreement may name the first one.
"""

import re
from pathlib import Path
from typing import Final

from gateway.media.errors import SoundError
from gateway.media.prompts.sound_file import Sound, Words, pack, unpack
from gateway.media.prompts.sounds import SOUND_ID, SUFFIX, Catalogue, own_folder
from gateway.media.prompts.studio import prepared
from policy.agreement.sections import LANGUAGES
from policy.terms import Purpose
from storage import durable
from storage.errors import BlobExists

__all__ = ["add"]

TEXT_LENGTH: Final = range(10, 501)
_KEY: Final = re.compile(r"[0-9]", re.ASCII)


def add(data_dir: Path, wav: bytes, words: Words) -> Sound:
    """Keep a question; raises SoundError, which says what to do, and StorageUnavailable."""
    _judge(words)
    sound = unpack(pack(words, prepared(wav)))
    path = own_folder(data_dir) / f"{words.id}{SUFFIX}"
    try:
        durable.put(path, pack(sound.words, sound.samples), data_dir)
    except BlobExists:
        raise SoundError(f"`{words.id}` is another recording already: take a new id") from None
    return sound


def _judge(words: Words) -> None:
    if not SOUND_ID.fullmatch(words.id):
        raise SoundError(f"--id: `{words.id[:64]}`: letters, digits, `.`, `_`, `-`, up to 64")
    if words.id in Catalogue().index:
        raise SoundError(f"--id: `{words.id}` is a sound that is shipped: take another id")
    if words.language not in LANGUAGES:
        raise SoundError(f"--language: `{words.language[:16]}`: one of {', '.join(LANGUAGES)}")
    if words.purpose not in set(Purpose):
        raise SoundError(f"--purpose: `{words.purpose[:32]}`: one of {', '.join(Purpose)}")
    if not _KEY.fullmatch(words.yes) or not _KEY.fullmatch(words.no) or words.yes == words.no:
        raise SoundError("--yes, --no: two different keys, each one digit")
    if len(words.text) not in TEXT_LENGTH or not words.text.isprintable():
        raise SoundError(f"--text: what is said, in {TEXT_LENGTH[0]} to {TEXT_LENGTH[-1]} characters on one line")
    for key in (words.yes, words.no):
        if key not in words.text:
            raise SoundError(f"--text: it doesn't name key `{key}`: write what is said, with digits for keys")
