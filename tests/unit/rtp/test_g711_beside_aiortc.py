"""Our G.711 tables beside the codecs that aiortc (extra `webrtc`) brings: an implementation that nobody here wrote."""

import fractions

import numpy as np
import pytest

from gateway.rtp.g711 import decode, encode
from gateway.rtp.payload_types import Law

aiortc = pytest.importorskip("aiortc", reason="the extra `webrtc` isn't installed")

from aiortc.codecs.g711 import PcmaDecoder, PcmaEncoder, PcmuDecoder, PcmuEncoder  # noqa: E402 - after the skip
from aiortc.jitterbuffer import JitterFrame  # noqa: E402 - likewise
from av import AudioFrame  # noqa: E402 - likewise

FRAME = 160


@pytest.mark.parametrize(("law", "decoder"), [("PCMA", PcmaDecoder), ("PCMU", PcmuDecoder)])
def test_every_code_decodes_alike(law: Law, decoder: type) -> None:
    codes = bytes(range(256)) + bytes(64)
    theirs = np.concatenate(
        [
            decoder().decode(JitterFrame(data=codes[at : at + FRAME], timestamp=at))[0].to_ndarray().ravel()
            for at in range(0, len(codes), FRAME)
        ]
    )
    assert np.array_equal(decode(law, codes), theirs)


@pytest.mark.parametrize(("law", "encoder"), [("PCMA", PcmaEncoder), ("PCMU", PcmuEncoder)])
def test_speech_levels_encode_to_within_one_step(law: Law, encoder: type) -> None:
    samples = (8000 * np.sin(np.arange(FRAME) / 7)).astype(np.int16)
    frame = AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = 8000, 0, fractions.Fraction(1, 8000)
    payloads, _ = encoder().encode(frame)
    ours, theirs = decode(law, encode(law, samples)), decode(law, b"".join(payloads))
    step = np.maximum(np.abs(samples.astype(int)) // 16, 16)
    assert np.all(np.abs(ours.astype(int) - theirs.astype(int)) <= step)
