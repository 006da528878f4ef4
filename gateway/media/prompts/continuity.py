"""What hides a play from the receiver's jitter buffer: sequence numbers and timestamps without a break, and one SSRC.

Where that has to be another one than before, the numbers go on all the same: baresip's buffer empties itself at a new
SSRC, yet drops as too late whatever is below the numbers that it had.

Packets of our own take the next numbers; packets of the party that are passed on afterwards are moved behind them. Only
a direction in which something was played is shaped like this.
"""

from dataclasses import dataclass
from typing import Final

from gateway.rtp.g711 import RATE
from gateway.rtp.packet import HEADER, HEADER_BYTES, Rtp
from gateway.rtp.sequence import distance

BEFORE_WRAP: Final = 1000
"""Sequence numbers that a stream under another SSRC leaves out rather than to begin within them."""
LONGEST_REST: Final = 60 * RATE
"""How far ahead of us a sender's own timestamps may be after its silence, to be kept."""


@dataclass(slots=True)
class Continuity:
    """The outgoing packets toward one party."""

    ssrc: int
    seq: int
    """Of the packet that was sent last."""
    timestamp: int
    """Of the packet that was sent last."""
    span: int
    """Samples from that packet's timestamp to the next one's."""
    _source: int | None = None
    """SSRC of the packets that are passed on."""
    _first: int = 0
    """Sequence number at which the present shift begins; what is older comes too late."""
    _seq_shift: int = 0
    _timestamp_shift: int = 0
    _interrupted: bool = False

    @classmethod
    def after(cls, last_header: bytes, span: int, dice: bytes, *, apart: bool = False) -> "Continuity":
        """Go on behind the packet that was forwarded last; `dice` (10 bytes) begin a stream where there was none.

        `apart`: under an SSRC of its own.
        """
        own_ssrc, seq, timestamp = (int.from_bytes(part, "big") for part in (dice[:4], dice[4:6], dice[6:10]))
        if len(last_header) == HEADER_BYTES and last_header[0] >> 6 == 2:
            _, _, seq, timestamp, ssrc = HEADER.unpack(last_header)
            behind = cls(ssrc, seq, timestamp, span, ssrc, seq)
            return behind.parted(own_ssrc) if apart else behind
        # the lower half: until it wraps, the receiver of an encrypted stream can't be wrong about it (RFC 3711 §3.3.1)
        return cls(own_ssrc, seq & 0x7FFF, timestamp, span, None, 0, _interrupted=True)

    def parted(self, ssrc: int) -> "Continuity":
        """The numbers that go on behind these, under an SSRC of their own."""
        # whoever misses the first packets up to a wrap could not open the later ones (RFC 3711 §3.3.1)
        begin = self.seq if self.seq < 0x10000 - BEFORE_WRAP else 0xFFFF
        return Continuity(ssrc, begin, self.timestamp, self.span, None, 0, _interrupted=True)

    def own(self, samples: int) -> tuple[int, int]:
        """Sequence number and timestamp for a packet of ours with so many samples."""
        self._sent(self.seq + 1, self.timestamp + self.span, samples)
        self._interrupted = True
        return self.seq, self.timestamp

    def rest(self, samples: int) -> None:
        """Time passed in which nothing was sent: what comes next is later by so much."""
        self.timestamp = (self.timestamp + samples) & 0xFFFFFFFF

    def passed(self, rtp: Rtp, samples: int) -> tuple[int, int] | None:
        """The same for a packet that is passed on; None where it comes too late to be."""
        if self._interrupted or rtp.ssrc != self._source:
            self._shift(rtp)
        elif distance(rtp.seq, self._first, 16) < 0:
            return None
        seq, timestamp = (rtp.seq + self._seq_shift) & 0xFFFF, (rtp.timestamp + self._timestamp_shift) & 0xFFFFFFFF
        if distance(seq, self.seq, 16) > 0:
            self._sent(seq, timestamp, samples)
        return seq, timestamp

    def goes_on(self, seq: int, timestamp: int, ssrc: int, samples: int) -> tuple[int, int] | None:
        """`passed` for a packet of a stream that goes on as it was; None, and nothing is noted, for any other."""
        if self._interrupted or ssrc != self._source or (seq - self._first) & 0x8000:
            return None
        seq, timestamp = (seq + self._seq_shift) & 0xFFFF, (timestamp + self._timestamp_shift) & 0xFFFFFFFF
        if 0 < (seq - self.seq) & 0xFFFF < 0x8000:
            self.seq, self.timestamp, self.span = seq, timestamp, samples or self.span
        return seq, timestamp

    def _sent(self, seq: int, timestamp: int, samples: int) -> None:
        self.seq, self.timestamp, self.span = seq & 0xFFFF, timestamp & 0xFFFFFFFF, samples or self.span

    def _shift(self, rtp: Rtp) -> None:
        due = self.timestamp + self.span
        ahead = distance(rtp.timestamp + self._timestamp_shift, due, 32)
        if rtp.ssrc != self._source or not 0 <= ahead <= LONGEST_REST:
            self._timestamp_shift = due - rtp.timestamp
        self._seq_shift = self.seq + 1 - rtp.seq
        self._source, self._first, self._interrupted = rtp.ssrc, rtp.seq, False
