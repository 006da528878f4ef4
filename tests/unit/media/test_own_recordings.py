"""A house's own recordings: kept under their id for ever, and refused where the words don't fit."""

from dataclasses import replace

import numpy as np
import pytest

from gateway.media.errors import SoundError
from gateway.media.prompts.own_recordings import add
from gateway.media.prompts.sound_file import Words, read_sound
from gateway.media.prompts.sounds import SHIPPED, Catalogue, own_folder

GOOD = Words("ask-own-1", "ask", "de", "Dürfen wir? Für ja die 1, für nein die 9.", "coaching", False, "1", "9")
WAV = (SHIPPED / "ask-de-2.wav").read_bytes()
OTHER = (SHIPPED / "ask-en-2.wav").read_bytes()


def test_a_recording_is_kept_with_its_words_and_found_by_its_hash(tmp_path):
    sound = add(tmp_path, WAV, GOOD)
    found = Catalogue(own=own_folder(tmp_path)).sound("ask-own-1", sound.sha256)
    assert found.words == GOOD and np.array_equal(found.samples, sound.samples)


def test_an_id_stays_with_its_sound(tmp_path):
    first = add(tmp_path, WAV, GOOD)
    assert add(tmp_path, WAV, GOOD).sha256 == first.sha256, "the same once more changes nothing"
    for wav, words in ((OTHER, GOOD), (WAV, replace(GOOD, purpose="dispute"))):
        with pytest.raises(SoundError, match="take a new id"):
            add(tmp_path, wav, words)
    assert read_sound(own_folder(tmp_path) / "ask-own-1.wav").sha256 == first.sha256


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"id": "../x"}, "--id"),
        ({"id": "ask-de-2"}, "shipped"),
        ({"id": ""}, "--id"),
        ({"language": "fr"}, "--language"),
        ({"purpose": "discipline"}, "--purpose"),
        ({"yes": "12"}, "--yes, --no"),
        ({"no": "1"}, "--yes, --no"),
        ({"text": "1 9"}, "--text"),
        ({"text": "Dürfen wir? Für ja die 1,\nfür nein die 9."}, "--text"),
        ({"text": "Dürfen wir? Für ja die eins, für nein die 9."}, "key `1`"),
    ],
)
def test_words_that_no_agreement_could_name_are_refused_and_nothing_is_kept(tmp_path, change, said):
    with pytest.raises(SoundError) as refusal:
        add(tmp_path, WAV, replace(GOOD, **change))
    assert said in str(refusal.value) and "\n" not in str(refusal.value)
    assert not own_folder(tmp_path).exists()
