"""The shipped catalogue: every sound is there, whole, short and loud enough; others are refused."""

import json
import shutil

import numpy as np
import pytest

from gateway.media.errors import SoundError
from gateway.media.prompts import make_catalogue
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
IDS = [
    *(f"{kind}-{language}-1" for kind in (*QUESTIONS, "notice", "notice-side") for language in ("de", "en", "nb")),
    *(f"{kind}-{language}-1" for kind in ("code", "again") for language in ("de", "en", "nb")),
    *(f"digit-{language}-{digit}" for language in ("de", "en", "nb") for digit in range(10)),
    "tone-start",
    "tone-end",
    "tone-reminder",
]
PAUSES = {"pause-200": 1600, "pause-900": 7200}


def test_the_catalogue_holds_what_is_asked_for():
    sounds = Catalogue().sounds
    assert sorted(sounds) == sorted([*IDS, *PAUSES])
    assert {sound.file for sound in sounds.values()} == {path.name for path in SHIPPED.glob("*.wav")}
    for sound in sounds.values():
        if sound.kind == "ask":
            assert "1" in sound.text
            assert "9" in sound.text
            assert sound.purpose == QUESTIONS[sound.id.rsplit("-", 2)[0]]
            assert sound.one_sided == ("-side-" in sound.id)
    assert set(QUESTIONS.values()) == set(Purpose), "every purpose can be asked for"
    said = {entry.id: entry.text for entry in make_catalogue.SPOKEN}
    assert {sound.id: sound.text for sound in sounds.values() if sound.text} == said


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


def test_a_changed_missing_or_foreign_sound_is_refused(tmp_path):
    folder = tmp_path / "catalogue"
    shutil.copytree(SHIPPED, folder)
    changed = bytearray((folder / "tone-end.wav").read_bytes())
    changed[100] ^= 1
    (folder / "tone-end.wav").write_bytes(changed)
    (folder / "tone-start.wav").unlink()
    lines = json.loads((folder / INDEX).read_text())
    lines[0]["file"] = "../../../etc/passwd"
    (folder / INDEX).write_text(json.dumps(lines))
    catalogue = Catalogue(folder)
    for sound in ("tone-end", "tone-start", lines[0]["id"], "never-heard-of"):
        with pytest.raises(SoundError):
            catalogue.samples(sound)


@pytest.mark.parametrize("index", [b"", b"{}", b'[{"id": 1}]', b"\xff"])
def test_a_broken_index_is_the_declared_error(tmp_path, index):
    (tmp_path / INDEX).write_bytes(index)
    with pytest.raises(SoundError):
        Catalogue(tmp_path).samples("ask-de-1")
