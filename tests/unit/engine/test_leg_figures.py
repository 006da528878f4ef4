"""Histograms of how well legs were heard, and how Prometheus is told."""

from api.routes.operations import _legs
from gateway.engine.leg_figures import BUCKETS, LegFigures, told_of
from gateway.media.plane import FlowCount, FlowId
from gateway.rtp.quality import Quality

CALLER, AGENT = FlowId("00112233aabbccdd/caller/0"), FlowId("00112233aabbccdd/agent/0")


def count(received=1000, lost=0, heard=None):
    return FlowCount(received, received, 0, 0, 0, 0, lost, heard)


def test_what_isnt_known_isnt_told():
    assert told_of(count(received=0)) == {}
    assert told_of(count()) == {"lost_before_us_ratio": 0.0}
    found = told_of(count(heard=Quality(0.01, 5.0, None, 4.2)))
    assert found == {"loss_ratio": 0.01, "jitter_seconds": 0.005, "mos": 4.2, "lost_before_us_ratio": 0.0}


def test_metrics_have_cumulative_buckets_by_side_and_no_other_label():
    figures = LegFigures()
    for lost in (0, 10, 500):
        figures.take({CALLER: count(lost=lost), AGENT: count(heard=Quality(0.0, 1.0, 30.0, 4.4))})
    text = _legs(figures.told()).decode()
    assert 'fairtap_leg_lost_before_us_ratio_bucket{le="0.0",side="caller"} 1.0' in text
    assert 'fairtap_leg_lost_before_us_ratio_bucket{le="0.01",side="caller"} 2.0' in text
    assert 'fairtap_leg_lost_before_us_ratio_bucket{le="+Inf",side="caller"} 3.0' in text
    assert 'fairtap_leg_mos_count{side="agent"} 3.0' in text
    assert 'fairtap_leg_round_trip_seconds_sum{side="agent"} 0.09' in text
    assert "aabbccdd" not in text
    assert all(f"fairtap_leg_{name}" in text for name in BUCKETS)
    assert _legs(None) == b""
