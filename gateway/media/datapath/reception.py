"""What is known of a flow's reception without looking at every packet: losses before us, and what RTCP reports.

Losses are found by comparing sequence numbers with the count of packets whenever somebody asks (the worker does, every
few seconds); a stream that begins anew, or was shaped on its way, begins a new comparison.
"""

from typing import Final

from gateway.rtp.packet import HEADER, HEADER_BYTES, Buffer
from gateway.rtp.quality import Quality, QualityMeter
from gateway.rtp.rtcp import reports

OPUS_CLOCK: Final = 48_000
CLOCK: Final = 8000
_DYNAMIC: Final = 96
_FARTHEST: Final = 0x8000


class Reception:
    """Of one flow: what came from its party, and what its party says that it hears."""

    __slots__ = ("_expected", "_got", "_meter", "_received", "_seq", "_ssrc")

    def __init__(self) -> None:
        self._meter: QualityMeter | None = None
        self._ssrc = self._seq = self._received = -1
        self._expected = self._got = 0

    @property
    def lost(self) -> int:
        """Packets of the party's that never came, as far as was surveyed."""
        return max(self._expected - self._got, 0)

    def survey(self, header: Buffer, received: int) -> None:
        """Look at the newest packet's header and at how many have come."""
        if len(header) < HEADER_BYTES or received == self._received:
            return
        _, _, seq, _, ssrc = HEADER.unpack_from(header)
        ahead, came = (seq - self._seq) & 0xFFFF, received - self._received
        if ssrc == self._ssrc and ahead < _FARTHEST:
            self._expected, self._got = self._expected + ahead, self._got + came
        self._ssrc, self._seq, self._received = ssrc, seq, received

    def reported(self, packet: Buffer, other: "Reception", heard: Buffer, now: float) -> None:
        """RTCP of the party's; `other` is the reception of whom it hears, `heard` the newest header from there."""
        kind = heard[1] & 0x7F if len(heard) >= HEADER_BYTES else 0
        ssrc = HEADER.unpack_from(heard)[4] if len(heard) >= HEADER_BYTES else 0
        self._meter, other._meter = self._meter or QualityMeter(), other._meter or QualityMeter()
        for report in reports(packet):
            other._meter.sent_on(report, now)
            self._meter.received(report, ssrc, OPUS_CLOCK if kind >= _DYNAMIC else CLOCK, now)

    @property
    def heard(self) -> Quality | None:
        """How well the party hears."""
        return self._meter.quality() if self._meter is not None else None
