"""Codecs in frames on the timeline, and what their containers hold: judged by FFmpeg's decoders."""

import dataclasses
import io

import av
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.media.recording.container import container
from gateway.media.recording.frame_line import FRAMINGS, HOLE, FrameLine
from gateway.media.recording.intake import Intake
from gateway.media.recording.timeline import Batch
from gateway.rtp import opus
from gateway.rtp.packet import build

RATE = 48_000
PT = 111


@dataclasses.dataclass
class Talk:
    """Opus packets of a tone that is on for the first half of every second, 20 ms each."""

    seconds: float
    ppm: float = 0.0
    start: float = 0.0

    def samples(self):
        at = np.arange(int(self.seconds * RATE)) / RATE
        return (np.sin(2 * np.pi * 800 * at) * 9000 * ((at % 1.0) < 0.5)).astype(np.int16)

    def packets(self, *, seq=65_500, timestamp=2**32 - 100_000, ssrc=7):
        """(arrival, packet)"""
        for index, payload in enumerate(encoded(self.samples())):
            said_at = self.start + index * 0.02 / (1 + self.ppm / 1e6)
            yield said_at + 0.01, build(PT, seq + index, timestamp + index * 960, ssrc, payload)


def encoded(samples, *, frame_ms=20):
    codec = av.codec.CodecContext.create("libopus", "w")
    codec.sample_rate, codec.layout, codec.format = RATE, "mono", "s16"
    codec.options = {"frame_duration": str(frame_ms)}
    codec.open()
    frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
    frame.sample_rate = RATE
    fifo = av.AudioFifo()
    fifo.write(frame)
    packets = []
    while (some := fifo.read(RATE * frame_ms // 1000)) is not None:
        packets += [bytes(packet) for packet in codec.encode(some)]
    return packets


def pieces_of(packets, stop, codecs, *, opened_at=0.0):
    """What leaves the timeline, drained once a second, and the timeline."""
    intake = Intake(opened_at, codecs, lambda codec, arrival: None)
    waiting, pieces = sorted(packets, key=lambda one: one[0]), []
    for end in [*np.arange(opened_at + 1, stop, 1.0).tolist(), stop]:
        while waiting and waiting[0][0] <= end:
            arrival, packet = waiting.pop(0)
            intake.tap(arrival, memoryview(packet))
        intake.drain(end)
        if intake.timeline is not None:
            pieces += intake.timeline.take(end)
    assert intake.timeline is not None
    return [*pieces, *intake.timeline.finish(stop)], intake


def file_of(codec, pieces, *, cut=False):
    made = container(codec)
    whole = made.header() + b"".join(
        made.audio(piece) if isinstance(piece, bytes) else b"".join(made.silence(piece)) for piece in pieces
    )
    return whole if cut else whole + made.end()


def played(data, rate=RATE):
    """Samples as FFmpeg plays a file."""
    with av.open(io.BytesIO(data), "r") as file:
        resampler = av.AudioResampler(format="s16", layout="mono", rate=rate)
        frames = [one for frame in file.decode(audio=0) for one in resampler.resample(frame)]
    return np.concatenate([frame.to_ndarray().ravel() for frame in frames])


def onsets(samples, rate=RATE):
    """When the tone began, in seconds."""
    power = np.sqrt(np.convolve(samples.astype(np.float64) ** 2, np.ones(240) / 240, "same"))
    loud = power > 2500
    return [at / rate for at in np.flatnonzero(np.diff(loud.astype(int)) == 1)]


def test_opus_is_kept_as_received_and_plays():
    talk = Talk(10.0)
    packets = list(talk.packets())
    pieces, intake = pieces_of(packets, 10.01, {PT: "OPUS"})
    assert [piece for piece in pieces if isinstance(piece, bytes)] == [packet[12:] for _, packet in packets]
    sound = played(file_of("OPUS", pieces))
    assert abs(len(sound) / RATE - 10.0) < 0.04
    assert np.allclose(np.diff(onsets(sound)), 1.0, atol=0.005)
    assert intake.unread == 0
    assert not intake.switched


def test_a_cut_file_plays_up_to_its_last_whole_page():
    pieces, _ = pieces_of(Talk(10.0).packets(), 10.01, {PT: "OPUS"})
    data = file_of("OPUS", pieces, cut=True)
    sound = played(data[: len(data) * 2 // 3])
    assert 5.0 < len(sound) / RATE < 7.5
    assert np.allclose(np.diff(onsets(sound)), 1.0, atol=0.005)


def test_loss_and_silence_keep_their_length_and_are_told():
    packets = [one for one in Talk(10.0).packets() if not 3.6 < one[0] < 3.8]
    late = [(at + 5.0, b"".join((packet[:4], (int.from_bytes(packet[4:8], "big") + 5 * RATE).to_bytes(5, "big")[1:],
             packet[8:]))) for at, packet in packets if at > 6.0]  # fmt: skip
    pieces, intake = pieces_of([one for one in packets if one[0] <= 6.0] + late, 15.01, {PT: "OPUS"})
    assert intake.timeline is not None
    assert [(gap.why, round(gap.start_ms, -2), round(gap.end_ms, -2)) for gap in intake.timeline.gaps] == [
        ("loss", 3600, 3800),
        ("dtx", 6000, 11000),
    ]
    sound = played(file_of("OPUS", pieces))
    assert abs(len(sound) / RATE - 15.0) < 0.04
    begun = onsets(sound)
    assert [round(at) for at in begun[:5]] == [1, 2, 3, 4, 5]
    assert min(abs(at - 11.0) for at in begun) < 0.02


@pytest.mark.parametrize("ppm", [60.0, -60.0])
def test_a_clock_that_drifts_for_ten_minutes_stays_in_step(ppm):
    payload = encoded(Talk(0.02).samples())[0]
    count = 30_000
    packets = [
        (index * 0.02 / (1 + ppm / 1e6) + 0.01, build(PT, index, index * 960, 7, payload)) for index in range(count)
    ]
    stop = packets[-1][0] + 0.01
    pieces, intake = pieces_of(packets, stop, {PT: "OPUS"})
    assert intake.timeline is not None
    length = sum(opus.duration(piece) if isinstance(piece, bytes) else piece * 120 for piece in pieces)
    assert abs(length / RATE - stop) < 0.04
    kept = sum(piece == payload for piece in pieces)
    assert kept >= count - 4
    assert all(isinstance(piece, bytes) or piece <= 8 for piece in pieces), "concealed, not silenced"


@pytest.mark.parametrize("frame_ms", [10, 20, 40, 60])
def test_packets_of_any_length_follow_each_other(frame_ms):
    payloads = encoded(Talk(3.0).samples(), frame_ms=frame_ms)
    step = frame_ms * 48
    packets = [(n * frame_ms / 1000 + 0.01, build(PT, n, n * step, 7, one)) for n, one in enumerate(payloads)]
    swapped = [*packets[:20], (packets[20][0] + 0.1, packets[20][1]), *packets[21:]]
    pieces, _ = pieces_of(swapped, 3.01, {PT: "OPUS"})
    assert [piece for piece in pieces if isinstance(piece, bytes)] == payloads


@settings(max_examples=80, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.floats(0, 3),
            st.integers(0, 65535),
            st.one_of(st.integers(0, 2**32 - 1), st.integers(0, 200_000)),
            st.binary(max_size=40),
            st.integers(1, 3),
        ),
        max_size=40,
    ),
    st.floats(0.01, 4),
    st.sampled_from(["OPUS", "G729"]),
)
@example([(0.0, 0, 0, b"\r", 1), (0.0, 0, 0, b"\x13\x03", 1)], 0.03125, "OPUS")
def test_whatever_arrives_the_length_is_the_time_that_passed(rows, stop, codec):
    line, span = FrameLine(0.0, codec), FRAMINGS[codec].span
    pieces = []
    for arrival, seq, timestamp, payload, ssrc in sorted(rows):
        if arrival <= stop and span(payload):
            line.place(Batch(ssrc, np.array([arrival]), np.array([seq]), np.array([timestamp]), [payload]))
            pieces += line.take(arrival)
    pieces += line.finish(stop)
    length = sum(span(piece) if isinstance(piece, bytes) else piece * FRAMINGS[codec].unit for piece in pieces)
    assert length == line.samples
    # the last packet begins before the end, and may begin half its length before the one in front of it ended
    assert stop * 8000 - 2 * HOLE <= length <= stop * 8000 + 960 * 3 // 2
    assert all(0 <= gap.start_ms < gap.end_ms <= stop * 1000 + 120 for gap in line.gaps)


def test_every_duration_of_rfc_6716_is_known_and_nonsense_is_none():
    assert opus.duration(b"") == 0
    assert opus.duration(bytes([31 << 3])) == 960
    assert opus.duration(bytes([16 << 3 | 1])) == 240
    assert opus.duration(bytes([3 << 3 | 3, 2])) == 5760
    assert opus.duration(bytes([3 << 3 | 3, 3])) == 0, "longer than 120 ms"
    assert opus.duration(bytes([31 << 3 | 3])) == 0
    assert sum(map(opus.duration, opus.silence(48_000 + 120 + 60))) == 48_120
    for config in range(32):
        lost = opus.concealment(bytes([config << 3]))
        assert (opus.duration(lost), len(lost)) == (480, 1)


def test_g729_is_kept_in_frames_without_its_comfort_noise():
    dice = np.random.default_rng(5)
    packets, kept = [], []
    for index in range(200):
        speech = dice.bytes(20)
        noise = b"\x12\x34" if index % 10 == 9 else b""
        at = 0.02 * index
        if 100 <= index < 150:
            continue
        kept.append(speech)
        packets.append((at + 0.005, build(18, index, index * 160, 7, speech + noise)))
    packets.append((3.995, build(18, 200, 200 * 160, 7, b"\x12\x34")))
    pieces, intake = pieces_of(packets, 4.005, {18: "G729"})
    assert [piece for piece in pieces if isinstance(piece, bytes)] == kept
    assert sum(piece for piece in pieces if isinstance(piece, int)) == 100, "frames of 10 ms"
    data = file_of("G729", pieces)
    assert data[20:22] == b"\x83\x00"
    frames = b"".join(data[at : at + 10] for at in range(46, len(data), 10))
    assert frames[2000:3000] == bytes(1000)
    assert intake.unread == 0


def test_g722_is_kept_byte_for_byte_and_plays():
    codec = av.codec.CodecContext.create("g722", "w")
    codec.sample_rate, codec.layout, codec.format = 16_000, "mono", "s16"
    codec.open()
    at = np.arange(16_000 * 4) / 16_000
    tone = (np.sin(2 * np.pi * 800 * at) * 9000 * ((at % 1.0) < 0.5)).astype(np.int16)
    frame = av.AudioFrame.from_ndarray(tone[None], format="s16", layout="mono")
    frame.sample_rate = 16_000
    coded = b"".join(bytes(packet) for packet in codec.encode(frame))
    packets = [
        (n * 0.02 + 0.01, build(9, n, n * 160, 7, coded[n * 160 : (n + 1) * 160])) for n in range(200) if n != 130
    ]
    pieces, intake = pieces_of(packets, 4.01, {9: "G722"})
    data = file_of("G722", pieces)
    assert coded[: 130 * 160] in data
    assert coded[131 * 160 :] in data
    sound = played(data, 16_000)
    assert abs(len(sound) / 16_000 - 4.01) < 0.005
    assert np.allclose(np.diff(onsets(sound, 16_000)), 1.0, atol=0.01)
    assert intake.timeline is not None
    assert [gap.why for gap in intake.timeline.gaps if gap.start_ms] == ["loss"]


def test_another_codec_than_the_first_is_told_and_not_mixed_in():
    packets = [(n * 0.02, build(8 if n < 50 else 9, n, n * 160, 7, bytes(160))) for n in range(100)]
    pieces, intake = pieces_of(packets, 2.0, {8: "PCMA", 9: "G722", 0: "PCMU"})
    assert intake.codec == "PCMA"
    assert intake.switched
    assert b"".join(piece for piece in pieces if isinstance(piece, bytes)).count(b"\0") == 50 * 160
