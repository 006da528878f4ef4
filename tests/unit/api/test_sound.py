"""What recordings are kept in, as samples: beside FFmpeg's decoders, cut, damaged, and joined at one rate."""

import sys
from pathlib import Path

import numpy as np
import pytest

from api import listen, sound
from api.errors import CommandError
from audio import libopus
from audio.g722 import Encoder
from gateway.media.recording.container import container
from gateway.rtp.payload_types import Codec

needs_libopus = pytest.mark.skipif(not libopus.available(), reason="no libopus here (Debian: libopus0)")


def tone(rate: int, seconds: float, hertz: float = 800) -> sound.Pcm:
    return (np.sin(np.arange(int(rate * seconds)) * 2 * np.pi * hertz / rate) * 9000).astype(np.int16)


def file_of(codec: Codec, pieces: list[bytes | int]) -> bytes:
    made = container(codec)
    parts = [made.audio(one) if isinstance(one, bytes) else b"".join(made.silence(one)) for one in pieces]
    return b"".join([made.header(), *parts, made.end()])


def opus_packets(seconds: float) -> list[bytes | int]:
    encoder, samples = libopus.Encoder(16_000), tone(16_000, seconds)
    return [encoder.encode(samples[at : at + 320]) for at in range(0, len(samples), 320)]


def peak(samples: sound.Pcm, rate: int) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum)) * rate / len(samples)


def test_g722_comes_out_at_16_khz() -> None:
    rate, samples = sound.decode(file_of("G722", [Encoder().encode(tone(8000, 2.0)), 8000]))
    assert (rate, len(samples)) == (16_000, 48_000)
    assert abs(peak(samples[8000:24_000], rate) - 800) < 3
    assert np.abs(samples[-8000:]).max() < 60


@needs_libopus
def test_opus_comes_out_at_48_khz_with_its_silences() -> None:
    packets = opus_packets(2.0)
    rate, samples = sound.decode(file_of("OPUS", [*packets, 400, *packets]))
    assert (rate, round(len(samples) / rate, 1)) == (48_000, 5.0)
    assert abs(peak(samples[:90_000], rate) - 800) < 3
    assert np.abs(samples[rate * 5 // 2 - 4800 : rate * 5 // 2 + 4800]).max() < 50


@needs_libopus
def test_a_cut_opus_file_gives_its_whole_pages_and_a_damaged_one_is_one_line() -> None:
    data = file_of("OPUS", opus_packets(4.0))
    _, cut = sound.decode(data[: len(data) * 3 // 4])
    assert 1.9 <= len(cut) / 48_000 < 3.1
    with pytest.raises(CommandError, match="isn't mono Opus"):
        sound.decode(data[:20])
    with pytest.raises(CommandError, match="isn't mono Opus"):
        sound.decode(data.replace(b"OpusHead", b"OpusHeat"))


def test_g729_is_left_to_a_program_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = file_of("G729", [np.random.default_rng(1).bytes(1000), 100])
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CommandError, match="needs the program `ffmpeg`"):
        sound.decode(data)
    program = tmp_path / "ffmpeg"
    program.write_text(
        f"#!{sys.executable}\n"
        "import sys, io, av\n"
        "file = av.open(io.BytesIO(sys.stdin.buffer.read()), 'r')\n"
        "for frame in file.decode(audio=0): sys.stdout.buffer.write(frame.to_ndarray().tobytes())\n"
    )
    program.chmod(0o700)
    rate, samples = sound.decode(data)
    assert (rate, len(samples)) == (8000, 16_000)
    assert np.abs(samples).max() > 1000
    program.write_text(f"#!{sys.executable}\nraise SystemExit(1)\n")
    with pytest.raises(CommandError, match="can't decode"):
        sound.decode(data)


def test_sides_in_different_codecs_are_joined_at_the_higher_rate() -> None:
    narrow = listen.Opened("agent", 1, 8000, tone(8000, 1.0), None, "", True)
    wide = listen.Opened("caller", 1, 16_000, tone(16_000, 1.0), None, "", True)
    rate, both = listen.stereo([narrow, wide])
    assert (rate, both.shape) == (16_000, (16_000, 2))
    assert np.abs(both[:-1, 0].astype(int) - both[:-1, 1]).max() < 700
