"""The container plays in other programs although its length is unknown."""

import subprocess

import numpy as np
import pytest

from gateway.media.recording.container import HEADER_BYTES, container, wav_header
from gateway.rtp.g711 import decode, encode


@pytest.mark.parametrize("law", ["PCMA", "PCMU"])
def test_sox_reads_the_audio_that_was_put_in(program, law, tmp_path):
    sox = program("sox")
    samples = (np.sin(np.arange(8000) * 0.3) * 9000).astype(np.int16)
    payload = encode(law, samples)
    path = tmp_path / "side.wav"
    path.write_bytes(wav_header(law) + payload)
    raw = subprocess.run([sox, path, "-t", "raw", "-e", "signed", "-b", "16", "-"], capture_output=True, check=True)
    assert (np.frombuffer(raw.stdout, "<i2") == decode(law, payload)).all()


def test_the_header_says_what_it_is():
    header = wav_header("PCMU")
    assert len(header) == HEADER_BYTES == 46
    assert header[4:8] == header[-4:] == b"\xff" * 4
    assert container("PCMU").name == "wav/PCMU"
