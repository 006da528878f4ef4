"""The shipped speech: two speakers, two languages, of a length that a story can use, loud and not clipped."""

import subprocess
import sys

import numpy as np
import pytest

from demo.correlate import level_db
from demo.g711 import RATE
from demo.make_speech import LINES
from demo.speech import FOLDER, speech


@pytest.mark.parametrize("name", sorted(LINES))
def test_speech_is_speech(name):
    speaker, language = name.split("-")
    samples = speech(speaker, language)
    assert 10 * RATE <= len(samples) <= 20 * RATE
    assert -30 < level_db(samples) < -12
    assert np.abs(samples.astype(int)).max() < 30_000
    assert (FOLDER / f"{name}.wav").stat().st_size < 256_000


def test_nothing_else_is_shipped():
    assert {path.stem for path in FOLDER.glob("*.wav")} == set(LINES)


def test_files_are_what_the_script_makes(program, tmp_path):
    program("espeak-ng")
    made = "import demo.make_speech as m, pathlib, sys; m.FOLDER = pathlib.Path(sys.argv[1]); sys.exit(m.main())"
    subprocess.run([sys.executable, "-c", made, tmp_path], check=True, capture_output=True)
    for name in LINES:
        # another version of espeak-ng speaks a little differently: length tells that the text is the same
        before, now = (FOLDER / f"{name}.wav").stat().st_size, (tmp_path / f"{name}.wav").stat().st_size
        assert abs(before - now) < before / 10
