"""G.722 beside FFmpeg's: the same samples from the same bytes, and prompts that it understands."""

import av
import numpy as np
import pytest

from audio.g722 import RATE, SILENCE, Encoder, decode

at_16k = np.arange(RATE * 4) / RATE


def peer_encodes(samples):
    codec = av.codec.CodecContext.create("g722", "w")
    codec.sample_rate, codec.layout, codec.format = RATE, "mono", "s16"
    codec.open()
    frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
    frame.sample_rate = RATE
    return b"".join(bytes(packet) for packet in codec.encode(frame))


def peer_decodes(data):
    codec = av.codec.CodecContext.create("g722", "r")
    codec.sample_rate, codec.layout = RATE, "mono"
    return np.concatenate([frame.to_ndarray().ravel() for frame in codec.decode(av.Packet(data))])


def sines(*tones):
    return sum(np.sin(2 * np.pi * hertz * at_16k) * height for hertz, height in tones).astype(np.int16)


SOUNDS = {
    "voice band": sines((440, 6000), (1200, 2000)),
    "upper band": sines((5200, 1500)) * (at_16k % 0.4 < 0.2),
    "loud": sines((300, 32000)),
    "noise": np.random.default_rng(3).integers(-32768, 32767, len(at_16k)),
    "silence": np.zeros(len(at_16k)),
}


@pytest.mark.parametrize("sound", SOUNDS)
def test_every_sample_is_the_peer_s(sound):
    data = peer_encodes(SOUNDS[sound].astype(np.int16))
    assert (decode(data) == peer_decodes(data)).all()


def test_any_bytes_decode_as_the_peer_decodes_them():
    data = np.random.default_rng(4).bytes(60_000)
    assert (decode(data) == peer_decodes(data)).all()


def test_a_few_bytes_and_none():
    data = peer_encodes(SOUNDS["loud"])
    assert (decode(data[:3]) == peer_decodes(data[:3])).all()
    assert len(decode(b"")) == 0


def test_a_prompt_is_heard_as_it_was():
    at_8k = np.arange(16_000) / 8000
    prompt = (np.sin(2 * np.pi * 440 * at_8k) * 8000 * (at_8k % 1 < 0.5)).astype(np.int16)
    encoder = Encoder()
    data = b"".join(encoder.encode(prompt[at : at + 160]) for at in range(0, len(prompt), 160))
    assert len(data) == len(prompt)
    heard = peer_decodes(data).astype(np.float64)
    spectrum = np.abs(np.fft.rfft(heard[:8000] * np.hanning(8000)))
    tone = spectrum[215:226].sum()
    assert tone / spectrum.sum() > 0.9
    assert abs(np.abs(heard[1000:7000]).max() - 8000) < 400
    assert np.abs(heard[10_000:15_000]).max() < 60


def test_silence_fades_into_silence():
    data = peer_encodes(SOUNDS["loud"]) + bytes([SILENCE]) * 8000
    assert np.abs(peer_decodes(data)[-8000:].astype(int)).max() < 60
