"""G.722 and Opus over real sockets: kept as they came, and prompts that phones understand."""

import asyncio
import io
import itertools

import av
import numpy as np
import pytest

from audio import g722, libopus
from gateway.media.plane import CodecSwitched, Play, PlayEnded, SegmentFailed, StopPlay
from gateway.media.prompts.sounds import Catalogue
from gateway.rtp.g711 import amplify
from gateway.rtp.packet import Rtp
from tests.peers.media_house import AGENT, CALLER, worker_here

OPUS, G722 = 111, 9
needs_libopus = pytest.mark.skipif(not libopus.available(), reason="no libopus here (Debian: libopus0)")


@pytest.fixture
async def house(tmp_path):
    async with worker_here(tmp_path, (42400, 42499), "127.10.7") as made:
        await made.call()
        yield made


def wide_tone(seconds, hertz=1000):
    return (np.sin(np.arange(int(seconds * 16_000)) * 2 * np.pi * hertz / 16_000) * 9000).astype(np.int16)


def peak(samples, rate):
    """The loudest frequency."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum)) * rate / len(samples)


@needs_libopus
async def test_each_side_is_kept_in_its_own_codec_and_a_switch_is_told(house):
    house.caller.payload_type, house.agent.payload_type = OPUS, G722
    house.caller.timestamp = 1000
    opus, tone = libopus.Encoder(16_000), wide_tone(0.6)
    wide = g722.Encoder().encode(tone[::2])
    codecs = {OPUS: "OPUS", G722: "G722", 8: "PCMA"}
    await house.record(codecs=codecs)
    said = []
    for at in range(30):
        packet = opus.encode(tone[at * 320 : (at + 1) * 320])
        house.caller.timestamp = 1000 + at * 960
        house.caller.say(house.ports[CALLER], packet)
        house.agent.say(house.ports[AGENT], wide[at * 160 : (at + 1) * 160])
        said.append(packet)
        await asyncio.sleep(0.02)
    house.agent.payload_type = 8
    house.agent.say(house.ports[AGENT], b"\xaa" * 160)
    switched = await house.gateway.report(CodecSwitched)
    assert switched.seg == 1
    house.stop()
    kept = {side: await house.sealed(side) for side in ("caller", "agent")}
    assert {side: sealed.container for side, sealed in kept.items()} == {"caller": "ogg/opus", "agent": "wav/G722"}
    assert wide in house.opened("agent")
    assert b"\xaa" * 160 not in house.opened("agent")
    ogg = house.opened("caller")
    assert all(packet in ogg for packet in said)
    with av.open(io.BytesIO(ogg), "r") as file:
        sound = np.concatenate([frame.to_ndarray()[0] for frame in file.decode(audio=0)])
    assert abs(len(sound) / 48_000 - (kept["caller"].ended_at - kept["caller"].started_at)) < 0.04
    assert abs(peak(sound[5000:25_000], 48_000) - 1000) < 10
    assert abs(kept["caller"].frames - kept["agent"].frames) < 0.04 * 8000


async def test_a_side_that_can_t_be_compared_isn_t_begun(house):
    await house.record_alone(codecs={G722: "G722"})
    assert (await house.gateway.report(SegmentFailed)).reason == "a codec can't be compared"


@pytest.mark.parametrize(
    ("codec", "kind", "step"), [("G722", G722, 160), pytest.param("OPUS", OPUS, 960, marks=needs_libopus)]
)
async def test_a_prompt_is_heard_in_the_call_s_codec(house, codec, kind, step):
    house.gateway.order(Play("p1", CALLER, "tone-start", "instead", codec, kind, gain_db=-6.0))
    assert (await house.gateway.report(PlayEnded)).complete
    packets = [Rtp.parse(packet) for packet in house.caller.heard]
    assert {rtp.payload_type for rtp in packets} == {kind}
    assert {(b.timestamp - a.timestamp) & 0xFFFFFFFF for a, b in itertools.pairwise(packets)} == {step}
    wanted = amplify(Catalogue().samples("tone-start"), -6.0)
    if codec == "G722":
        heard = g722.decode(b"".join(house.caller.payloads))[::2]
    else:
        decoder = libopus.Decoder(8000)
        heard = np.concatenate([decoder.decode(payload) for payload in house.caller.payloads])
    middle = slice(len(wanted) // 4, len(wanted) // 2)
    assert abs(peak(heard[middle], 8000) - peak(wanted[middle], 8000)) < 20
    assert 0.7 < np.abs(heard).max() / np.abs(wanted).max() < 1.4


async def test_a_tone_takes_the_place_of_what_passes_and_a_stop_before_it_sounds_is_told(house):
    house.agent.payload_type = G722
    house.gateway.order(Play("p1", CALLER, "tone-start", "beneath", "G722", G722))
    await house.talk(b"", b"\x5a" * 160 * 25)
    assert (await house.gateway.report(PlayEnded)).complete
    await house.caller.hears(25)
    packets = [Rtp.parse(packet) for packet in house.caller.heard]
    assert {(b.timestamp - a.timestamp) & 0xFFFFFFFF for a, b in itertools.pairwise(packets)} == {160}
    assert house.caller.payloads[-1] == b"\x5a" * 160
    assert any(payload != b"\x5a" * 160 for payload in house.caller.payloads)
    house.gateway.order(Play("p2", CALLER, "ask-en-2", "instead", "G722", G722), StopPlay("p2", CALLER))
    assert not (await house.gateway.report(PlayEnded, play="p2")).complete


async def test_what_can_t_be_played_in_is_told_at_once(house):
    house.gateway.order(Play("p1", CALLER, "tone-start", "instead", "G729", 18))
    assert not (await house.gateway.report(PlayEnded)).complete
