"""How well a party hears the other one, from the reports that it sends: loss, jitter, round trip, and a guess at MOS.

The opinion score is that of the E-model (ITU-T G.107) with all its defaults, which leaves two impairments: delay in the
simplification of Cole and Rosenbluth (2001), and random loss as for G.711 with concealment (ITU-T G.113 appendix I:
Ie 0, Bpl 25.1), whatever the codec is. So it compares legs of one site, and is no measurement of the codec. Sans-IO.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from gateway.rtp.rtcp import Report

R_MOST: Final = 93.2
BPL: Final = 25.1
PACKET_MS: Final = 20.0
LONGEST_S: Final = 10.0
"""A jitter or round trip beyond this is nonsense."""
_REMEMBERED: Final = 16
_KNEE_MS: Final = 177.3


@dataclass(frozen=True, slots=True)
class Quality:
    """Means over a leg so far."""

    loss: float
    """Share of the packets towards the party that it missed, 0 to 1."""
    jitter_ms: float
    round_trip_ms: float | None
    """Between us and the party; None where its reports don't tell."""
    mos: float
    """1 to 4.4."""


@dataclass(slots=True)
class QualityMeter:
    """What one party reports."""

    _sent: OrderedDict[int, float] = field(default_factory=OrderedDict)
    """When sender reports were sent on to the party, by their NTP time."""
    _count: int = 0
    _loss: float = 0.0
    _jitter_s: float = 0.0
    _round_trips: int = 0
    _round_trip_s: float = 0.0

    def sent_on(self, report: Report, now: float) -> None:
        """A report of the other party's goes to this one."""
        if report.sent is not None:
            self._sent[report.sent] = now
            while len(self._sent) > _REMEMBERED:
                self._sent.popitem(last=False)

    def received(self, report: Report, ssrc: int, clock_rate: int, now: float) -> None:
        """This party reports on what it hears of the stream `ssrc`."""
        for block in report.blocks:
            jitter_s = block.jitter / clock_rate
            if block.ssrc != ssrc or jitter_s > LONGEST_S:
                continue
            self._count += 1
            self._loss += block.loss
            self._jitter_s += jitter_s
            sent_at = self._sent.get(block.last_report) if block.last_report else None
            if sent_at is not None and 0 <= now - sent_at - block.delay_s <= LONGEST_S:
                self._round_trips += 1
                self._round_trip_s += now - sent_at - block.delay_s

    def quality(self) -> Quality | None:
        """None before the first report."""
        if not self._count:
            return None
        loss, jitter_ms = self._loss / self._count, 1000 * self._jitter_s / self._count
        round_trip_ms = 1000 * self._round_trip_s / self._round_trips if self._round_trips else None
        delay_ms = (round_trip_ms or 0.0) / 2 + 2 * jitter_ms + PACKET_MS
        return Quality(loss, jitter_ms, round_trip_ms, mos(loss, delay_ms))


def mos(loss: float, delay_ms: float) -> float:
    """Mean opinion score of a share of lost packets and the delay from mouth to ear."""
    late = max(delay_ms - _KNEE_MS, 0.0)
    percent = 100 * loss
    rating = R_MOST - 0.024 * delay_ms - 0.11 * late - 95 * percent / (percent + BPL)
    rating = min(max(rating, 0.0), 100.0)
    return max(1.0, 1 + 0.035 * rating + rating * (rating - 60) * (100 - rating) * 7e-6)
