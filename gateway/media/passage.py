"""The slow way from a flow to its peer: while digits are listened for or something is withheld, and after a playing.

Listens to what the flow's party presses, holds presses back, plays to the peer's party instead of or beneath what the
flow's party says, and keeps the outgoing numbers continuous from then on. A `Divert` of the datapath: what the peer's
party doesn't get, no tap gets.
"""

import asyncio
import secrets
from collections.abc import Callable
from typing import Final, Literal

from gateway.clock import Clock
from gateway.media.datapath.base import Outlet
from gateway.media.inband import InbandReader
from gateway.media.plane import CodeHeard, DigitHeard, FlowId, Listen, Play, PlayEnded, Report, Withhold
from gateway.media.prompts.continuity import Continuity
from gateway.media.prompts.player import Playing, Voice
from gateway.rtp.errors import RtpError
from gateway.rtp.g711 import SILENCE, decode
from gateway.rtp.key_codes import KeyCodes
from gateway.rtp.packet import HEADER, HEADER_BYTES, PLAIN, Rtp, build
from gateway.rtp.payload_types import LAWS, STATIC_LAW
from gateway.rtp.telephone_event import LOST_END_S, EventReader, Press

QUIET_S: Final = 0.060
"""A party that sent nothing for so long sends nothing now: the sound is played without it."""

LATE_S: Final = 0.1
"""A beat that comes later than this, since the machine had no time for us, shifts those behind it: all at once they are
more than a telephone's jitter buffer holds, and words would be lost."""
CUT_S: Final = 1.0
"""A sound that was interrupted for so long wasn't played to its end: nobody's answer to it counts."""


class Ear:
    """Hears one party's digits, of one SSRC only: the one that was there when listening began, or the first since."""

    def __init__(self, order: Listen, last_header: bytes) -> None:
        self.order: Final = order
        self._events = {kind: EventReader(rate) for kind, rate in order.events.items()}
        self._inband = InbandReader()
        self._codes = KeyCodes(order.codes)
        self._ssrc = int.from_bytes(last_header[8:12], "big") if last_header else None

    def hear(self, rtp: Rtp, packet: memoryview, arrival: float) -> tuple[list[Press], bool]:
        """The presses that ended with a packet, and whether the packet is to be held back.

        While codes are listened for, what completes one is held back: the key before it can still be anything.
        """
        if self._ssrc is None:
            self._ssrc = rtp.ssrc
        if not self._events:
            return self._hear_inband(rtp, packet, arrival)
        events = self._events.get(rtp.payload_type)
        if events is None:
            return [], False
        if rtp.ssrc != self._ssrc:
            return [], self.order.hold_back
        try:
            press = events.read(packet[rtp.start : rtp.end], rtp.timestamp, arrival)
        except RtpError:
            press = None
        key = events.down or (press.digit if press is not None else None)
        return [press] if press else [], self.order.hold_back or self._completes(key, arrival)

    def _completes(self, key: str | None, arrival: float) -> bool:
        return key is not None and bool(self.order.codes) and self._codes.completes(key, arrival)

    def passes_over(self, kind: int) -> bool:
        """Whether a packet of that payload type says nothing to it."""
        return self._ssrc is not None and bool(self._events) and kind not in self._events

    @property
    def detector(self) -> Literal["inband", "rfc4733"]:
        """How digits are heard."""
        return "rfc4733" if self._events else "inband"

    def report(self, flow: FlowId, press: Press) -> Report | None:
        """What the gateway is told of a press: the key, or only that it completed a code."""
        if not self.order.codes:
            return DigitHeard(flow, press.digit, press.duration_ms, press.began_at, self.detector)
        code = self._codes.pressed(press.digit, press.began_at)
        return CodeHeard(flow, code) if code is not None else None

    def expire(self, now: float) -> Press | None:
        """A press whose end was lost."""
        return next((press for events in self._events.values() if (press := events.expire(now)) is not None), None)

    @property
    def holding(self) -> bool:
        """Whether a key is down, and its end may be lost."""
        return any(events.holding for events in self._events.values())

    def _hear_inband(self, rtp: Rtp, packet: memoryview, arrival: float) -> tuple[list[Press], bool]:
        law = STATIC_LAW.get(rtp.payload_type)
        if law is None or rtp.ssrc != self._ssrc:
            return [], False
        presses = self._inband.read(decode(law, packet[rtp.start : rtp.end]), arrival)
        if self.order.hold_back:
            return presses, self._inband.sounding is not None or bool(presses)
        return presses, self._completes(self._inband.sounding, arrival)


class Passage:
    """From `source` to the party of `target`."""

    def __init__(self, source: FlowId, target: FlowId, clock: Clock, report: Callable[[Report], None]) -> None:
        self.source: Final = source
        self.target: Final = target
        self.outlet: Outlet | None = None
        """Set as soon as the datapath diverts to this."""
        self._clock, self._report = clock, report
        self._ear: Ear | None = None
        self._lost_end: asyncio.TimerHandle | None = None
        self._continuity: Continuity | None = None
        self._playing: Playing | None = None
        self._beat: asyncio.TimerHandle | None = None
        self._passed_at = float("-inf")
        self._withheld = Withhold(source)
        self._hidden: tuple[int, int, int] | None = None
        """SSRC, type and timestamp of the press that was held back last: the rest of it is, too, whoever listens."""

    @property
    def idle(self) -> bool:
        """Whether the fast way would do the same."""
        listens = self._ear is not None or self._hidden is not None
        return not listens and self._continuity is None and self._withheld.nothing

    def __call__(self, packet: memoryview, arrival: float, readable: bool = True) -> bool:
        """One packet of the source's party, of which maybe only the header can be read; True where it was sent on."""
        outlet = self.outlet
        if outlet is None:
            return False
        if readable and self._playing is None and self._withheld.nothing:
            sent = self._pass_quickly(outlet, packet)
            if sent is not None:
                return sent
        try:
            rtp = Rtp.parse(packet)
        except RtpError:
            return outlet.pass_on()
        withheld = self._withheld
        done = withheld.keys if rtp.payload_type in withheld.events else withheld.audio
        if not readable:
            # the other party may still read it, but not behind a play that was another stream
            return done == "passed" and self._continuity is None and outlet.pass_on()
        if self._ear is not None and self._heard(self._ear, rtp, packet, arrival):
            return False
        if self._hidden == (rtp.ssrc, rtp.payload_type, rtp.timestamp):
            return False
        if done == "passed":
            continuity = self._continuity
            return outlet.pass_on() if continuity is None else self._pass(outlet, continuity, rtp, packet, arrival)
        silence = _silenced(packet, rtp) if done == "silenced" else None
        if silence is not None:
            self._send_changed(outlet, rtp, silence, arrival)
        return False

    def _pass_quickly(self, outlet: Outlet, packet: memoryview) -> bool | None:
        """Nearly every packet of a call that was asked once: nothing to hear in it, only numbers to move.

        They are moved where the packet lies, and back again for whoever copies it afterwards. None: look at it.
        """
        if len(packet) <= HEADER_BYTES or packet[0] != PLAIN:
            return None
        kind, ear, continuity = packet[1] & 0x7F, self._ear, self._continuity
        hidden = self._hidden is not None and self._hidden[1] == kind
        if hidden or (ear is not None and not ear.passes_over(kind)):
            return None
        if continuity is None:
            return outlet.pass_on()
        if packet.readonly:
            return None
        flags, second, seq, timestamp, ssrc = HEADER.unpack_from(packet)
        ticks = len(packet) - HEADER_BYTES if kind in STATIC_LAW else 0
        place = continuity.goes_on(seq, timestamp, ssrc, ticks)
        if place is None:
            return None
        HEADER.pack_into(packet, 0, flags, second, *place, continuity.ssrc)
        sent = outlet.send(packet)
        HEADER.pack_into(packet, 0, flags, second, seq, timestamp, ssrc)
        return sent

    def _send_changed(self, outlet: Outlet, rtp: Rtp, packet: memoryview, arrival: float) -> None:
        """Under the numbers of the packet that it was made of, unless those must not be used twice."""
        if self._continuity is None and outlet.own_ssrc:
            self._continuity = _behind(outlet, rtp.end - rtp.start)
        if self._continuity is None:
            outlet.send(packet)
        else:
            self._pass(outlet, self._continuity, rtp, packet, arrival)

    def part(self) -> None:
        """The other party's key is that of `source` from now on: numbers that were moved would use its stream twice."""
        if self._continuity is not None:
            self._continuity = self._continuity.parted(secrets.randbits(32))

    # --- withholding --------------------------------------------------------------------------------------------------

    def withhold(self, order: Withhold) -> None:
        """From now on, what the peer's party doesn't get."""
        self._withheld = order

    # --- listening ----------------------------------------------------------------------------------------------------

    def listen(self, order: Listen) -> None:
        """Begin, change or end listening."""
        self._stop_waiting()
        last = self.outlet.last_header if self.outlet is not None else b""
        self._ear = Ear(order, last) if order.on else None

    def reveal(self) -> None:
        """Nothing more can come of the press that was held back last."""
        self._hidden = None

    def _heard(self, ear: Ear, rtp: Rtp, packet: memoryview, arrival: float) -> bool:
        presses, held_back = ear.hear(rtp, packet, arrival)
        for press in presses:
            self._tell(ear, press)
        if held_back and rtp.payload_type in ear.order.events:
            self._hidden = (rtp.ssrc, rtp.payload_type, rtp.timestamp)
        if ear.holding and self._lost_end is None:
            self._lost_end = asyncio.get_running_loop().call_later(LOST_END_S, self._expire)
        return held_back

    def _expire(self) -> None:
        self._lost_end = None
        if self._ear is None:
            return
        press = self._ear.expire(self._clock.now())
        if press is not None:
            self._tell(self._ear, press)
        if self._ear.holding:
            self._lost_end = asyncio.get_running_loop().call_later(LOST_END_S / 5, self._expire)

    def _tell(self, ear: Ear, press: Press) -> None:
        report = ear.report(self.source, press)
        if report is not None:
            self._report(report)

    def _stop_waiting(self) -> None:
        if self._lost_end is not None:
            self._lost_end.cancel()
            self._lost_end = None

    # --- playing ------------------------------------------------------------------------------------------------------

    def play(self, order: Play, voice: Voice) -> None:
        """Begin a playing; the one before ends, incomplete, unless the new one yields to it."""
        if order.mode == "between" and self._playing is not None:
            self._report(PlayEnded(order.play, self.target, False, self._clock.now()))
            return
        self.stop_play()
        playing = self._playing = Playing(order, voice)
        if self._continuity is None and self.outlet is not None:
            self._continuity = _behind(self.outlet, playing.frame_ticks)
        began_at = self._clock.now()
        if order.mode != "instead":
            # until the first beat nobody knows whether the other party sends
            self._passed_at = self._clock.now()
        self._on_beat(began_at, 0)

    def stop_play(self, play: str | None = None) -> None:
        """End the playing (None: whichever), incomplete."""
        playing = self._playing
        if playing is not None and play in (None, playing.order.play):
            playing.note(False)
            self._end_play(playing)

    def close(self) -> None:
        """The call is over, or the gateway gone."""
        self.stop_play()
        self._stop_waiting()
        self._ear = self._hidden = None

    def _on_beat(self, began_at: float, beat: int) -> None:
        playing, outlet, continuity = self._playing, self.outlet, self._continuity
        if playing is None or outlet is None or continuity is None:
            return
        alone, ptime_s = self._is_alone(playing), playing.order.ptime_ms / 1000
        if alone and not playing.voice.over:
            late = self._clock.now() - (began_at + beat * ptime_s)
            if late > LATE_S:
                missed = round(late / ptime_s)
                began_at += missed * ptime_s
                continuity.rest(missed * playing.frame_ticks)
            if late > CUT_S:
                playing.note(False)
            seq, timestamp = continuity.own(playing.frame_ticks)
            kind, marker = playing.order.payload_type, not playing.begun
            playing.begun = True
            playing.note(
                outlet.send(build(kind, seq, timestamp, continuity.ssrc, playing.voice.frame(), marker=marker))
            )
        if playing.voice.over:
            self._end_play(playing)
            return
        # from the beginning, not from now: the beat mustn't drift
        due = began_at + (beat + 1) * ptime_s
        wait = max(0.0, due - self._clock.now())
        self._beat = asyncio.get_running_loop().call_later(wait, self._on_beat, began_at, beat + 1)

    def _is_alone(self, playing: Playing) -> bool:
        """Whether the sound isn't beneath what the other party says."""
        return playing.order.mode == "instead" or self._clock.now() - self._passed_at > QUIET_S

    def _pass(self, outlet: Outlet, continuity: Continuity, rtp: Rtp, packet: memoryview, arrival: float) -> bool:
        playing = self._playing
        if playing is not None and playing.order.mode == "instead":
            return False
        ticks = self._ticks(rtp, playing)
        place = continuity.passed(rtp, ticks)
        if place is None:
            return False
        if playing is None or not ticks:
            return outlet.send(_moved(packet, rtp, place, continuity.ssrc))
        self._passed_at = arrival
        received = packet[rtp.start : rtp.end]
        mixed = playing.voice.beneath(received) if not playing.voice.over else received
        sent = outlet.send(_moved(packet, rtp, place, continuity.ssrc, mixed))
        playing.note(sent)
        return sent

    @staticmethod
    def _ticks(rtp: Rtp, playing: Playing | None) -> int:
        """Timestamp units of a packet's audio, as far as that is seen from outside; 0: isn't audio, or unknown."""
        if playing is not None and rtp.payload_type != playing.order.payload_type:
            return 0
        if playing is not None and playing.order.codec not in LAWS:
            return playing.frame_ticks if rtp.end > rtp.start else 0
        return rtp.end - rtp.start if playing is not None or rtp.payload_type in STATIC_LAW else 0

    def _end_play(self, playing: Playing) -> None:
        self._playing = None
        if self._beat is not None:
            self._beat.cancel()
            self._beat = None
        self._report(PlayEnded(playing.order.play, self.target, playing.complete, self._clock.now()))


def _behind(outlet: Outlet, span: int) -> Continuity:
    """What goes on behind the packet that was sent there last; `span` in timestamp units."""
    return Continuity.after(outlet.last_header, span, secrets.token_bytes(10), apart=outlet.own_ssrc)


def _silenced(packet: memoryview, rtp: Rtp) -> memoryview | None:
    """A packet of G.711 with silence in it; None for any other."""
    law = STATIC_LAW.get(rtp.payload_type)
    if law is None:
        return None
    silent = bytearray(packet)
    silent[rtp.start : rtp.end] = bytes((SILENCE[law],)) * (rtp.end - rtp.start)
    return memoryview(silent)


def _moved(packet: memoryview, rtp: Rtp, place: tuple[int, int], ssrc: int, payload: bytes | memoryview = b"") -> bytes:
    """A packet with other numbers, and with `payload` where one is given."""
    moved = bytearray(packet)
    moved[2:4] = place[0].to_bytes(2, "big")
    moved[4:8] = place[1].to_bytes(4, "big")
    moved[8:12] = ssrc.to_bytes(4, "big")
    if payload:
        moved[rtp.start : rtp.end] = payload
    return bytes(moved)
