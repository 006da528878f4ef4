"""What the agent's page makes of opened recordings, in a real browser: G.722 sample by sample, Opus whole and cut."""

import base64
from pathlib import Path

import numpy as np
import pytest

from api import sound
from audio import libopus
from audio.g722 import Encoder
from gateway.media.recording.container import container
from tests.peers.chromium import CHROMIUM, browser_page

PARTS = Path(__file__).parents[2] / "api" / "web" / "src" / "parts"
DECODE = """async (file) => {
    const { decodeSound } = await import("http://page.test/sound.js");
    const bytes = Uint8Array.from(atob(file), (c) => c.charCodeAt(0));
    const { rate, samples } = await decodeSound(bytes);
    return { rate, samples: [...samples] };
}"""
JOIN = """async () => {
    const { joinSides } = await import("http://page.test/sound.js");
    const ramp = (n) => Int16Array.from({ length: n }, (_, i) => i * (800 / n));
    const parts = [["agent", 8000, ramp(80)], ["caller", 16000, ramp(160)]].map(
        ([side, rate, samples]) => ({ side, rate, samples, at: 0 }));
    return [...new Int16Array(joinSides(parts).buffer.slice(44))];
}"""

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="chromium isn't installed"),
    pytest.mark.skipif(not libopus.available(), reason="no libopus here (Debian: libopus0)"),
    pytest.mark.timeout(120),
]


async def serve(route):
    name = route.request.url.rsplit("/", 1)[1]
    if not name:
        await route.fulfill(body="<!doctype html><title>sound</title>", content_type="text/html")
    else:
        await route.fulfill(body=(PARTS / name).read_text(encoding="utf-8"), content_type="text/javascript")


async def test_the_page_hears_what_was_said():
    at = np.arange(8000 * 2) / 8000
    tone = (np.sin(2 * np.pi * 700 * at) * 9000 * (at % 0.5 < 0.3)).astype(np.int16)
    wav = container("G722")
    g722 = wav.header() + Encoder().encode(tone) + b"".join(wav.silence(4000)) + np.random.default_rng(2).bytes(4000)
    ogg, encoder = container("OPUS"), libopus.Encoder(8000)
    opus = ogg.header() + b"".join(ogg.audio(encoder.encode(tone[n : n + 160])) for n in range(0, len(tone), 160))
    opus += b"".join(ogg.silence(400)) + ogg.end()
    async with browser_page() as page:
        await page.route("http://page.test/**", serve)
        await page.goto("http://page.test/")

        async def decoded(file):
            heard = await page.evaluate(DECODE, base64.b64encode(file).decode())
            return heard["rate"], np.array(heard["samples"])

        rate, samples = await decoded(g722)
        assert rate == 16_000
        assert (samples == sound.decode(g722)[1]).all()
        for file in (opus, opus[: len(opus) * 2 // 3]):
            rate, samples = await decoded(file)
            wanted = sound.decode(file)[1].astype(int)
            assert rate == 48_000
            # 20 ms of what the browser's decoder puts before or behind are its own affair
            assert abs(len(samples) - len(wanted)) <= 960
            count = min(len(samples), len(wanted), 60_000)
            assert np.corrcoef(samples[:count], wanted[:count])[0, 1] > 0.99
        joined = await page.evaluate(JOIN)
        assert len(joined) == 320
        assert max(abs(left - right) for left, right in zip(joined[:-4:2], joined[1:-4:2], strict=True)) <= 1
