"""What the studio makes of somebody's recording, and what it refuses with a line that says what to do."""

import io
import wave

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.call.asking import ANSWER_S, ASK_MAX_S
from gateway.media.errors import SoundError
from gateway.media.prompts.sounds import Catalogue
from gateway.media.prompts.studio import LONGEST_S, prepared
from gateway.rtp.g711 import RATE

SPEECH = Catalogue().samples("ask-de-2").astype(float) / 32768


def wav(*channels, rate=RATE, width=2):
    top = 2 ** (8 * width - 1) - 1
    whole = np.rint(np.clip(np.stack(channels, axis=1), -1, 1) * top).astype("<i4")
    raw = whole.view(np.uint8).reshape(*whole.shape, 4)[:, :, :width]
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(len(channels))
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(raw.tobytes())
    return out.getvalue()


def at_rate(samples, rate):
    count = round(len(samples) * rate / RATE)
    return np.interp(np.arange(count) * RATE / rate, np.arange(len(samples)), samples)


def quiet(seconds):
    return np.zeros(round(seconds * RATE))


def key(one, other, ms=200):
    at = np.arange(RATE * ms // 1000) / RATE
    return 0.2 * (np.sin(2 * np.pi * one * at) + np.sin(2 * np.pi * other * at))


@pytest.mark.parametrize(
    ("channels", "rate", "width"),
    [(1, 8000, 2), (2, 8000, 2), (1, 16000, 2), (2, 44100, 2), (1, 48000, 3), (2, 96000, 3)],
)
def test_a_usual_recording_becomes_the_same_words_at_8_khz_and_one_loudness(channels, rate, width):
    soft = 0.25 * at_rate(SPEECH, rate)
    samples = prepared(wav(*[soft] * channels, rate=rate, width=width)).astype(float)
    assert samples.dtype == float and abs(len(samples) - len(SPEECH)) < 0.15 * RATE
    loud = samples[np.abs(samples) > 0.05 * np.abs(samples).max()]
    assert -18 < 20 * np.log10(np.sqrt(np.mean(loud**2)) / 32768) < -14
    # as said: found at one place in what was handed in
    piece, around = samples[RATE // 2 : RATE], SPEECH[: RATE * 3 // 2]
    found = np.correlate(around, piece, "valid")
    there = around[found.argmax() : found.argmax() + len(piece)]
    assert found.max() / np.linalg.norm(piece) / np.linalg.norm(there) > 0.9


def test_a_question_leaves_room_for_the_answer():
    assert LONGEST_S == ASK_MAX_S - ANSWER_S
    assert all(len(one.samples) / RATE <= LONGEST_S for one in Catalogue().sounds.values() if one.words.kind == "ask")


def test_silence_at_both_ends_is_cut_off():
    padded = prepared(wav(np.concatenate((quiet(3), SPEECH, quiet(3)))))
    assert abs(len(padded) - len(SPEECH)) < 0.2 * RATE


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "not a WAV"),
        (b"RIFF\0\0\0\0WAVEfmt ", "not a WAV"),
        (b"\0" * (33 << 20), "over 32 MiB"),
        (wav(SPEECH, rate=4000), "4000 Hz"),
        (wav(SPEECH, SPEECH, SPEECH), "3 channels"),
        (wav(SPEECH * 0), "nothing to be heard"),
        (wav(SPEECH[:0]), "nothing to be heard"),
        (wav(SPEECH * 0.03), "too soft"),
        (wav(SPEECH * 12), "clipped in "),
        (wav(SPEECH, -SPEECH), "cancel each other"),
        (wav(SPEECH[: RATE // 2]), "0.5 s long"),
        (wav(np.concatenate((SPEECH, SPEECH))), f"{LONGEST_S:.0f} s are left"),
        (wav(np.concatenate((SPEECH[:RATE], quiet(2), SPEECH[:RATE]))), "silent for "),
        (wav(np.concatenate((SPEECH[: RATE * 3], key(697, 1209), SPEECH[: RATE * 3]))), "key tones"),
    ],
)  # fmt: skip
def test_what_a_caller_would_not_understand_is_refused(data, said):
    with pytest.raises(SoundError) as refusal:
        prepared(data)
    assert said in str(refusal.value) and "\n" not in str(refusal.value)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=2000), st.sampled_from([1, 2]), st.sampled_from([8000, 22050]))
def test_any_audio_is_prepared_or_the_declared_error(noise, channels, rate):
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(noise * 40)
    for data in (noise, out.getvalue(), out.getvalue()[:-3]):
        try:
            prepared(data)
        except SoundError:
            continue
