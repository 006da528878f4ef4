"""The shipped catalogue: every sound is there, whole, short and loud enough; others are refused."""

import hashlib
import io
import json
import shutil
import wave
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.media.errors import SoundError
from gateway.media.prompts import make_catalogue
from gateway.media.prompts.sound_file import Words, pack, unpack
from gateway.media.prompts.sounds import INDEX, SHIPPED, Catalogue
from gateway.rtp.g711 import RATE, decode
from policy.terms import Purpose

QUESTIONS = {
    "ask": "coaching",
    "ask-quality": "process_quality",
    "ask-dispute": "dispute",
    "ask-side": "coaching",
    "ask-quality-side": "process_quality",
}
LANGUAGES = ("de", "en", "nb")
IDS = [
    *(f"{kind}-{language}-2" for kind in QUESTIONS for language in LANGUAGES),
    *(f"{kind}-{language}-1" for kind in ("notice", "notice-side", "code", "again") for language in LANGUAGES),
    *(f"digit-{language}-{digit}" for language in LANGUAGES for digit in range(10)),
    "tone-start",
    "tone-end",
    "tone-reminder",
]
PAUSES = {"pause-200": 1600, "pause-900": 7200}


def test_the_catalogue_holds_what_is_asked_for():
    sounds = Catalogue().sounds
    assert sorted(sounds) == sorted([*IDS, *PAUSES])
    assert sorted(f"{name}.wav" for name in sounds) == sorted(path.name for path in SHIPPED.glob("*.wav"))
    for name, sound in sounds.items():
        words = sound.words
        assert words.id == name
        if words.kind == "ask":
            assert (words.yes, words.no) == ("1", "9") and "1" in words.text and "9" in words.text
            assert words.purpose == QUESTIONS[name.rsplit("-", 2)[0]]
            assert words.one_sided == ("-side-" in name)
        if words.kind == "notice":
            assert words.withdraw == "*9" and "9" in words.text
    assert set(QUESTIONS.values()) == set(Purpose), "every purpose can be asked for"
    said = {entry.id: entry.words for entry in make_catalogue.SPOKEN}
    assert {name: sound.words for name, sound in sounds.items() if sound.words.text} == said


def test_no_question_can_mean_the_caller_where_it_means_the_agent():
    doubtful = ("Person am Telefon", "person you are speaking", "den du snakker med")
    for sound in Catalogue().sounds.values():
        assert not any(words in sound.words.text for words in doubtful), sound.words.id


@pytest.mark.parametrize("sound", IDS)
def test_each_sound_is_short_and_neither_faint_nor_clipped(sound):
    samples = Catalogue().samples(sound).astype(float)
    limit = {"ask": 10, "notice": 5, "code": 5, "again": 1, "digit": 0.8, "tone": 1}[sound.split("-")[0]]
    assert 0.2 <= len(samples) / RATE < limit
    assert np.abs(samples).max() < 32000
    loud = samples[np.abs(samples) > 0.05 * np.abs(samples).max()]
    assert -20 < 20 * np.log10(np.sqrt(np.mean(loud**2)) / 32768) < -13


def test_a_pause_is_silence_of_its_length():
    for sound, length in PAUSES.items():
        samples = Catalogue().samples(sound)
        assert len(samples) == length and not samples.any()


def test_a_sequence_is_its_sounds_one_behind_the_other():
    catalogue = Catalogue()
    both = catalogue.sequence(("digit-de-7", "pause-200", "digit-de-0"))
    assert len(both) == sum(len(catalogue.samples(one)) for one in ("digit-de-7", "pause-200", "digit-de-0"))
    with pytest.raises(SoundError):
        catalogue.sequence(("digit-de-7", "digit-de-10"))


def test_start_and_end_sound_different():
    catalogue = Catalogue()
    start, end = catalogue.samples("tone-start"), catalogue.samples("tone-end")
    assert len(start) != len(end)


@pytest.mark.parametrize("ptime_ms", [10, 20, 30, 40, 60])
@pytest.mark.parametrize("law", ["PCMA", "PCMU"])
def test_frames_are_of_one_length_and_hold_the_whole_sound(law, ptime_ms):
    catalogue = Catalogue()
    frames = catalogue.frames("tone-start", law, ptime_ms, gain_db=-12)
    assert {len(frame) for frame in frames} == {8 * ptime_ms}
    heard = decode(law, b"".join(frames)).astype(float)
    wanted = catalogue.samples("tone-start").astype(float) * 10 ** (-12 / 20)
    assert np.abs(heard[: len(wanted)] - wanted).max() < 200


def altered(path):
    changed = bytearray(path.read_bytes())
    changed[-100] ^= 1
    path.write_bytes(changed)


def test_a_changed_missing_or_foreign_sound_is_refused(tmp_path):
    folder = tmp_path / "catalogue"
    shutil.copytree(SHIPPED, folder)
    altered(folder / "tone-end.wav")
    (folder / "tone-start.wav").unlink()
    (folder / "digit-de-1.wav").write_bytes((folder / "digit-de-2.wav").read_bytes())
    index = {**json.loads((folder / INDEX).read_text()), "../etc/passwd": "0" * 64}
    (folder / INDEX).write_text(json.dumps(index))
    catalogue = Catalogue(folder)
    for sound in ("tone-end", "tone-start", "digit-de-1", "../etc/passwd", "never-heard-of"):
        with pytest.raises(SoundError):
            catalogue.samples(sound)


@pytest.mark.parametrize("index", [b"", b"[]", b'{"id": 1}', b"\xff"])
def test_a_broken_index_is_the_declared_error(tmp_path, index):
    (tmp_path / INDEX).write_bytes(index)
    with pytest.raises(SoundError):
        Catalogue(tmp_path).samples("ask-de-2")


# --- the house's own -------------------------------------------------------------------------------------------------

OWN = Words("ask-own-1", "ask", "de", "Dürfen wir? 1 oder 9.", "coaching", False, "1", "9")
TONE = (np.sin(np.arange(16000) * 0.3) * 9000).astype(np.int16)


def test_a_recording_of_the_house_is_played_by_the_hash_that_the_agreement_names(tmp_path):
    path = tmp_path / "ask-own-1.wav"
    path.write_bytes(pack(OWN, TONE))
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    catalogue = Catalogue(own=tmp_path)
    assert np.array_equal(catalogue.samples("ask-own-1", sha256), TONE)
    assert list(catalogue.own_ids()) == ["ask-own-1"]
    for wrong in ("", "0" * 64):
        with pytest.raises(SoundError):
            catalogue.samples("ask-own-1", wrong)
    assert np.array_equal(catalogue.samples("ask-own-1", sha256), TONE)
    # another one in its place is another hash
    path.write_bytes(pack(OWN, TONE[::-1]))
    again = Catalogue(own=tmp_path)
    with pytest.raises(SoundError):
        again.samples("ask-own-1", sha256)


def test_a_recording_of_the_house_takes_no_shipped_name_and_no_path(tmp_path):
    for name in ("ask-de-2", ".hidden", "a b"):
        (tmp_path / f"{name}.wav").write_bytes(pack(replace(OWN, id=name), TONE))
    (tmp_path / "notes.txt").write_text("no sound")
    catalogue = Catalogue(own=tmp_path)
    assert list(catalogue.own_ids()) == []
    assert len(catalogue.samples("ask-de-2")) != len(TONE)
    with pytest.raises(SoundError):
        catalogue.samples("ask-de-2", hashlib.sha256((tmp_path / "ask-de-2.wav").read_bytes()).hexdigest())


def test_the_file_says_what_it_says_under_one_hash_and_players_pass_over_it():
    data = pack(OWN, TONE)
    sound = unpack(data)
    assert sound.words == OWN and np.array_equal(sound.samples, TONE)
    assert sound.sha256 == hashlib.sha256(data).hexdigest()
    assert hashlib.sha256(pack(replace(OWN, purpose="dispute"), TONE)).hexdigest() != sound.sha256
    with wave.open(io.BytesIO(data)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, RATE)
        assert file.readframes(file.getnframes()) == TONE.tobytes()


@given(st.data())
@settings(max_examples=200)
def test_any_file_is_a_sound_or_the_declared_error(data):
    whole = bytearray(pack(OWN, TONE[:400]))
    for at in data.draw(st.lists(st.integers(0, len(whole) - 1), max_size=4)):
        whole[at] = data.draw(st.integers(0, 255))
    cut = bytes(whole[: data.draw(st.integers(0, len(whole)))])
    try:
        sound = unpack(cut)
    except SoundError:
        return
    assert pack(sound.words, sound.samples) == cut
