"""RTCP reports as phones send them, and what becomes of them: loss, jitter, round trip, opinion score."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.media.datapath.reception import Reception
from gateway.rtp.packet import build
from gateway.rtp.quality import QualityMeter, mos
from gateway.rtp.rtcp import Report, reports

HEARD = 0xCA11E700


def block(ssrc=HEARD, loss=0.0, jitter=0, last=0, delay_s=0.0):
    return struct.pack("!IIIIII", ssrc, int(loss * 256) << 24, 1000, jitter, last, int(delay_s * 65536))


def receiver_report(*blocks):
    return struct.pack("!BBHI", 0x80 | len(blocks), 201, 1 + 6 * len(blocks), 7) + b"".join(blocks)


def sender_report(ntp, *blocks):
    words = 6 + 6 * len(blocks)
    head = struct.pack("!BBHIQIII", 0x80 | len(blocks), 200, words, 7, ntp << 16, 0, 50, 8000)
    return head + b"".join(blocks)


SDES = struct.pack("!BBHI", 0x81, 202, 3, 7) + b"\x01\x04a@b\0\0\0"[:8]


def test_a_compound_of_a_sender_is_read():
    (report,) = reports(sender_report(0x12345678, block(loss=0.25, jitter=80, last=9, delay_s=0.5)) + SDES)
    assert report.sent == 0x12345678
    (found,) = report.blocks
    assert (found.ssrc, found.loss, found.jitter, found.last_report, found.delay_s) == (HEARD, 0.25, 80, 9, 0.5)


@given(st.binary(max_size=200))
def test_any_bytes_are_reports_or_none(data):
    assert all(isinstance(report, Report) for report in reports(data))
    Reception().reported(data, Reception(), data[:12], 1.0)


def test_a_cut_report_is_none():
    whole = receiver_report(block())
    assert list(reports(whole[:-1])) == []
    assert len(list(reports(whole))) == 1


@pytest.mark.parametrize(
    ("loss", "delay_ms", "low", "high"),
    [
        (0.0, 20.0, 4.38, 4.42),  # as good as the E-model gets
        (0.0, 400.0, 2.9, 3.3),
        (0.05, 20.0, 3.7, 4.0),
        (0.20, 100.0, 1.9, 2.6),
        (1.0, 1000.0, 1.0, 1.0),
    ],
)
def test_the_score_falls_as_the_e_model_says(loss, delay_ms, low, high):
    assert low <= mos(loss, delay_ms) <= high


def test_a_leg_s_quality_is_the_mean_of_its_reports():
    meter = QualityMeter()
    assert meter.quality() is None
    (sent,) = reports(sender_report(77))
    meter.sent_on(sent, 10.0)
    for loss in (0.0, 0.5):
        (report,) = reports(receiver_report(block(loss=loss, jitter=160, last=77, delay_s=4.0)))
        meter.received(report, HEARD, 8000, 14.060)
    found = meter.quality()
    assert found is not None
    assert (found.loss, found.jitter_ms) == (0.25, 20.0)
    assert found.round_trip_ms == pytest.approx(60.0, abs=0.1)
    assert found.mos == mos(0.25, 30.0 + 40.0 + 20.0) or found.mos == pytest.approx(mos(0.25, 90.03), abs=0.01)


def test_nonsense_and_other_streams_count_for_nothing():
    meter = QualityMeter()
    (sent,) = reports(sender_report(77))
    meter.sent_on(sent, 10.0)
    for one in (block(ssrc=1), block(jitter=2**32 - 1)):
        (report,) = reports(receiver_report(one))
        meter.received(report, HEARD, 8000, 11.0)
    assert meter.quality() is None
    (report,) = reports(receiver_report(block(last=77, delay_s=60.0), block(last=5)))
    meter.received(report, HEARD, 8000, 11.0)
    found = meter.quality()
    assert found is not None and found.round_trip_ms is None


def test_losses_before_us_are_counted_by_sequence_numbers_across_their_wrap():
    reception, received, header = Reception(), 0, b""
    for seq in range(65_000, 66_000):
        if seq % 10:
            received += 1
            header = build(8, seq, 0, 7, b"")
        if seq % 100 == 99:
            reception.survey(header, received)
            reception.survey(header, received)
    assert 85 <= reception.lost <= 95


def test_a_new_stream_and_repeated_packets_are_no_loss():
    reception = Reception()
    reception.survey(build(8, 100, 0, 7, b""), 100)
    reception.survey(build(8, 40_000, 0, 8, b""), 200)
    reception.survey(build(8, 40_050, 0, 8, b""), 300)
    assert reception.lost == 0
    reception.survey(build(8, 39_000, 0, 8, b""), 310)
    assert reception.lost == 0
