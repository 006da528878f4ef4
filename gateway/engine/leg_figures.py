"""How well legs were heard, as histograms by side, for metrics: taken when a call is over, without any name in them."""

from bisect import bisect_left
from typing import Final

from gateway.media.plane import FlowCount, FlowId, is_relay
from policy.decision import Side

__all__ = ["BUCKETS", "LegFigures", "spoken", "told_of"]

BUCKETS: Final[dict[str, tuple[float, ...]]] = {
    "loss_ratio": (0.0, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.3, 1.0),
    "jitter_seconds": (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5),
    "round_trip_seconds": (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0),
    "mos": (1.5, 2.0, 2.5, 3.0, 3.5, 3.8, 4.0, 4.2, 4.4),
    "lost_before_us_ratio": (0.0, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.3, 1.0),
}
"""Upper bounds. All but the last are from the party's own reports: of what it hears."""


class LegFigures:
    """Counts by measure and side."""

    def __init__(self) -> None:
        self._counts = {(name, side): [0] * (len(bounds) + 1) for name, bounds in BUCKETS.items() for side in Side}
        self._sums = dict.fromkeys(self._counts, 0.0)

    def take(self, flows: dict[FlowId, FlowCount]) -> None:
        """A call is over."""
        for flow, count in spoken(flows).items():
            side = Side(flow.split("/")[1])
            for name, value in told_of(count).items():
                self._counts[name, side][bisect_left(BUCKETS[name], value)] += 1
                self._sums[name, side] += value

    def told(self) -> dict[str, dict[str, dict[str, object]]]:
        """By measure and side: bounds, counts of each bucket and of what is beyond, and the sum of all values."""
        told: dict[str, dict[str, dict[str, object]]] = {name: {} for name in BUCKETS}
        for (name, side), counts in self._counts.items():
            told[name][side.value] = {"bounds": BUCKETS[name], "counts": counts, "sum": self._sums[name, side]}
        return told


def spoken(flows: dict[FlowId, FlowCount]) -> dict[FlowId, FlowCount]:
    """Those of audio alone: how a call was heard, video and fax say nothing about."""
    return {flow: count for flow, count in flows.items() if not is_relay(flow)}


def told_of(count: FlowCount) -> dict[str, float]:
    """The measures of one leg, as far as they are known."""
    found: dict[str, float] = {}
    if count.heard is not None:
        found |= {
            "loss_ratio": count.heard.loss,
            "jitter_seconds": count.heard.jitter_ms / 1000,
            "mos": count.heard.mos,
        }
        if count.heard.round_trip_ms is not None:
            found["round_trip_seconds"] = count.heard.round_trip_ms / 1000
    if count.received:  # whatever its length, each leg counts once: how long it was could tell who was asked
        found["lost_before_us_ratio"] = count.lost / (count.lost + count.received)
    return found
