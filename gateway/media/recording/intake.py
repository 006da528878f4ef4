"""What a tap copied, on its way to a timeline: a bounded queue, emptied for all packets that came, by SSRC.

The tap only appends; what overflows is a counted gap, never back-pressure. Only codecs that were ordered get through:
telephone-event is told to the timeline as a key press, comfort noise is passed over, anything else that could carry a
voice is counted as unread. The first packet decides the codec of what is kept: the other law of G.711 is turned into
it, any other codec that was ordered is told as a switch, since it needs a file of its own.
"""

from array import array
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from audio.g722 import SILENCE as G722_SILENCE
from gateway.media.recording.frame_line import FRAMINGS, FrameLine
from gateway.media.recording.timeline import Batch, Timeline
from gateway.rtp.g711 import SILENCE, transcode
from gateway.rtp.packet import HEADER, HEADER_BYTES, headers, in_a_row, payload
from gateway.rtp.payload_types import CODECS, Codec, Law
from storage.errors import StorageError

MAX_QUEUED: Final = 1024
"""Packets between two drains: ten seconds' worth at 10 ms a packet."""
MAX_PAYLOAD: Final = 2000
_EVENT_BYTES: Final = 4
_COMFORT_NOISE: Final = 13
_G729_FRAME: Final = 10


class Intake:
    """One flow's queue and timeline. `began` is told the codec and the arrival of the first packet that counts."""

    def __init__(self, opened_at: float, codecs: dict[int, str], began: Callable[[Codec, float], None]) -> None:
        """Raises StorageError for a codec that can't be kept."""
        self.overflowed = 0
        """Packets that the queue had no room for."""
        self.unread = 0
        """Packets with what may be audio of another codec."""
        self.switched = False
        """A packet of another codec came than can go where the first one went."""
        self.timeline: Timeline | None = None
        """Since the first packet that counts; its bytes are of `codec`."""
        self.codec: Codec = "PCMA"
        self._opened_at, self._began = opened_at, began
        self._codecs: dict[int, Codec] = {kind: _codec(name) for kind, name in codecs.items()}
        self._arrivals = array("d")
        self._packets: list[bytes] = []
        self._overflow_since: float | None = None

    @property
    def law(self) -> Law:
        """The codec, where audio is compared: that takes G.711 only. Raises StorageError for another one."""
        if self.codec == "PCMA" or self.codec == "PCMU":
            return self.codec
        raise StorageError("a codec can't be compared")

    def tap(self, arrival: float, packet: memoryview) -> bool:
        """Copy one packet that was sent on; whether it is in the queue now."""
        if arrival < self._opened_at or len(packet) < HEADER_BYTES:
            return False
        if len(self._packets) >= MAX_QUEUED:
            self.overflowed += 1
            self._overflow_since = self._overflow_since or arrival
            return False
        self._arrivals.append(arrival)
        self._packets.append(bytes(packet))
        return True

    def drain(self, now: float) -> None:
        """Put what came onto the timeline."""
        arrivals, packets = self._arrivals, self._packets
        if not packets:
            return
        self.clear()
        times = np.frombuffer(arrivals, np.float64)
        if self._overflow_since is None and self._go_on(times, packets):
            return
        heads = headers(packets)
        for ssrc in dict.fromkeys(heads["ssrc"].tolist()):
            chosen = np.flatnonzero(heads["ssrc"] == ssrc)
            self._place(ssrc, times[chosen], heads[chosen], [packets[index] for index in chosen.tolist()])
        if self._overflow_since is not None and self.timeline is not None:
            self.timeline.overflow(self._overflow_since, now)
            self._overflow_since = None

    def clear(self) -> None:
        """Forget what is queued."""
        self._arrivals, self._packets = array("d"), []

    def _go_on(self, times: NDArray[np.float64], packets: list[bytes]) -> bool:
        """The usual case, each packet right behind the one before it; False where it is another."""
        timeline = self.timeline
        if timeline is None or len(packets[0]) > HEADER_BYTES + MAX_PAYLOAD:
            return False
        row = in_a_row(packets)
        if row is None:
            return False
        _, kind, seq, timestamp, ssrc = HEADER.unpack_from(packets[0])
        return self._codecs.get(kind & 0x7F) == self.codec and timeline.go_on(ssrc, times, seq, timestamp, row)

    def _place(self, ssrc: int, times: NDArray[np.float64], heads: NDArray[Any], packets: list[bytes]) -> None:
        """One SSRC's packets of a drain onto the timeline; what wasn't ordered is never kept."""
        codec = self._common_codec(heads)
        plain = codec is not None and codec not in FRAMINGS and len(set(map(len, packets))) == 1
        if codec is not None and plain and HEADER_BYTES < len(packets[0]) <= MAX_PAYLOAD:
            timeline = self._begin(codec, float(times[0]))
            if codec == self.codec:
                seqs, stamps = heads["seq"].astype(np.int64), heads["timestamp"].astype(np.int64)
                audio = [packet[HEADER_BYTES:] for packet in packets]
                timeline.place(Batch(ssrc, times, seqs, stamps, audio))
                return
        self._place_each(ssrc, times, heads, packets)

    def _common_codec(self, heads: NDArray[Any]) -> Codec | None:
        """Of all packets, where they are plain ones of one payload type; None where they must be looked at."""
        kind = int(heads["kind"][0]) & 0x7F
        plain = (heads["flags"] == 0x80).all() and (heads["kind"] & 0x7F == kind).all()
        return self._codecs.get(kind) if plain else None

    def _place_each(self, ssrc: int, times: NDArray[np.float64], heads: NDArray[Any], packets: list[bytes]) -> None:
        stored: list[int] = []
        payloads: list[bytes] = []
        for index, (packet, kind) in enumerate(zip(packets, (heads["kind"] & 0x7F).tolist(), strict=True)):
            codec = self._codecs.get(kind)
            received = bytes(payload(packet))
            if codec is None:
                self._pass_over(kind, ssrc, heads, times, index, received)
                continue
            audio = _audio(codec, received)
            if 0 < len(audio) <= MAX_PAYLOAD:
                self._begin(codec, float(times[index]))
                kept = self._as_kept(codec, audio)
                if kept is None:
                    self.switched = True
                else:
                    stored.append(index)
                    payloads.append(kept)
            elif len(received) > MAX_PAYLOAD:
                self.unread += 1
        if stored and self.timeline is not None:
            seqs, stamps = heads["seq"][stored].astype(np.int64), heads["timestamp"][stored].astype(np.int64)
            self.timeline.place(Batch(ssrc, times[stored], seqs, stamps, payloads))

    def _as_kept(self, codec: Codec, audio: bytes) -> bytes | None:
        """A payload in the codec of the timeline; None where that is another one."""
        if codec == self.codec:
            return audio
        if (codec == "PCMA" or codec == "PCMU") and (self.codec == "PCMA" or self.codec == "PCMU"):
            return transcode(audio, codec, self.codec)
        return None

    def _pass_over(
        self, kind: int, ssrc: int, heads: NDArray[Any], times: NDArray[np.float64], index: int, audio: bytes
    ) -> None:
        if len(audio) > _EVENT_BYTES and kind != _COMFORT_NOISE:
            self.unread += 1
        elif self.timeline is not None and len(audio) == _EVENT_BYTES:
            self.timeline.digits(ssrc, int(heads["timestamp"][index]), float(times[index]))

    def _begin(self, codec: Codec, arrival: float) -> Timeline:
        """At the first packet that counts: its codec is the timeline's."""
        if self.timeline is None:
            self.codec, self.timeline = codec, _timeline(self._opened_at, codec)
            self._began(codec, arrival)
        return self.timeline


def _timeline(opened_at: float, codec: Codec) -> Timeline:
    if codec == "PCMA" or codec == "PCMU":
        return Timeline(opened_at, SILENCE[codec])
    return Timeline(opened_at, G722_SILENCE) if codec == "G722" else FrameLine(opened_at, codec)


def _audio(codec: Codec, received: bytes) -> bytes:
    """What of a payload is sound: not G.729's comfort noise (annex B), which follows the last frame; no broken Opus."""
    if codec == "G729":
        return received[: len(received) // _G729_FRAME * _G729_FRAME]
    if codec == "OPUS":
        return received if FRAMINGS[codec].span(received) else b""
    return received


def _codec(name: str) -> Codec:
    for codec in CODECS:
        if name == codec:
            return codec
    raise StorageError("a codec isn't one that is kept")
