"""What parties say of audio m-lines, and what of it asking and recording need. Sans-IO."""

from dataclasses import dataclass, field
from typing import Final

from gateway.call.errors import NegotiationError
from gateway.call.model import Line, flow_of
from gateway.media.plane import Address, CallRef, Srtp
from gateway.rtp.payload_types import CLOCK, CODECS, LAWS, Codec
from gateway.sdp import session as sdp
from gateway.sdp.profile import is_secure
from gateway.sdp.session import Direction, Media, Session, is_address, is_null_address
from policy.decision import Side

__all__ = ["AudioLine", "Lines", "audio_lines", "line_of"]

OPUS_PTIMES: Final = (10, 20, 40, 60)
"""Of the packets of Opus that sounds are played in, in ms."""
PTIMES: Final = range(10, 121)
"""The same of the others: a packet of a second would reach nobody's ear, and be taken for a question that was heard."""


@dataclass(frozen=True, slots=True)
class AudioLine:
    """What one party said about one audio m-line."""

    remote: Address | None
    """Where it receives; None where the m-line is refused or has no address."""
    remote_rtcp: Address | None
    rtcp_mux: bool
    sends: bool
    receives: bool
    codecs: dict[int, str]
    """Payload type to upper-case encoding name, in the order of preference; with an unusual clock rate behind it."""
    ptime_ms: int
    event_clocks: dict[int, int] = field(default_factory=dict)
    """Clock rate of each payload type of telephone-event."""
    proto: str = "RTP/AVP"
    told_as: str = ""
    """The profile that the other party was told instead; empty: this one."""
    sdes: bool = False
    """It has keys."""
    dtls: bool = False
    """It has the fingerprint of a DTLS certificate."""

    def srtp(self, other: "AudioLine | None") -> Srtp:
        """What holds between this party and the other one."""
        if self.told_as:
            return Srtp.ENDED if is_secure(self.proto) else Srtp.NONE
        both = other is not None and ((self.sdes and other.sdes) or (self.dtls and other.dtls))
        return Srtp.THROUGH if both or is_secure(self.proto) else Srtp.NONE


Lines = dict[int, AudioLine]
"""The audio m-lines of one description, by index."""


def audio_lines(session: Session) -> Lines:
    return {media.index: _audio_line(session, media) for media in session.media if media.is_audio}


def line_of(call: CallRef, index: int, caller: AudioLine, agent: AudioLine, plays: tuple[Codec, ...]) -> Line | None:
    common = {kind: name for kind, name in agent.codecs.items() if caller.codecs.get(kind) == name}
    spoken = [(kind, name) for kind, name in common.items() if not name.startswith(("TELEPHONE-EVENT", "CN"))]
    first = _codec(spoken[0][1]) if spoken else None
    # sounds in the codec that they speak, else in another one that both take
    heard = sorted((one for one in spoken if one[1] in plays), key=lambda one: one[1] != first)
    if first is None or not heard:
        return None
    kind, codec = heard[0][0], _codec(heard[0][1])
    caller_events, agent_events = _events(caller, agent), _events(agent, caller)
    if codec is None or (first not in LAWS and not caller_events):
        return None  # keys are found in the audio of G.711 only
    either = {**caller.codecs, **agent.codecs}
    both_ways = caller.sends and caller.receives and agent.sends and agent.receives
    return Line(
        caller_flow=flow_of(call, Side.CALLER, index),
        agent_flow=flow_of(call, Side.AGENT, index),
        codec=codec,
        payload_type=kind,
        codecs={pt: name for pt, name in either.items() if name in LAWS or (pt in common and name in CODECS)},
        ptime_ms=caller.ptime_ms if caller.ptime_ms in (OPUS_PTIMES if codec == "OPUS" else PTIMES) else 20,
        caller_events=caller_events,
        agent_events=agent_events,
        flowing=both_ways,
        plain=first in LAWS and codec in LAWS,
    )


def _codec(name: str) -> Codec | None:
    return next((codec for codec in CODECS if codec == name), None)


def _events(sender: AudioLine, receiver: AudioLine) -> dict[int, int]:
    """The telephone-events that one party may send: as the other names them, and as it names them itself.

    There is one of each audio clock (RFC 4733 §2.1), and by which of them a telephone tells its keys is its affair.
    """
    if not sender.event_clocks or not receiver.event_clocks:
        return {}
    own = {kind: clock for kind, clock in sender.event_clocks.items() if kind not in receiver.codecs}
    return own | receiver.event_clocks


def _audio_line(session: Session, media: Media) -> AudioLine:
    connection, direction = session.connection(media), session.direction(media)
    silent = connection is None or is_null_address(connection.address)
    remote = rtcp = None
    if connection is not None and not silent and media.port != 0:
        told, rtcp_port = session.rtcp(media), session.rtcp_port(media)
        if not is_address(connection.address):
            raise NegotiationError("a party receives at a name that nobody here knows")
        remote = Address(connection.address, media.port)
        if rtcp_port < 65_536:
            rtcp_host = told.address if told and told.address and is_address(told.address) else connection.address
            rtcp = Address(rtcp_host, rtcp_port)
    codecs = session.codecs(media)
    return AudioLine(
        remote=remote,
        remote_rtcp=rtcp,
        rtcp_mux=session.rtcp_mux(media),
        sends=direction in (Direction.SENDRECV, Direction.SENDONLY),
        receives=direction in (Direction.SENDRECV, Direction.RECVONLY) and not silent,
        codecs={codec.payload_type: _name(codec) for codec in codecs},
        ptime_ms=session.ptime(media) or 20,
        event_clocks={one.payload_type: one.clock_rate or 8000 for one in codecs if one.name == "TELEPHONE-EVENT"},
        proto=media.proto,
        sdes=session.has_crypto(media),
        dtls=session.has_fingerprint(media),
    )


def _name(codec: sdp.Codec) -> str:
    usual = _codec(codec.name)
    rate = CLOCK[usual] if usual is not None else 8000
    return codec.name if codec.clock_rate == rate else f"{codec.name}/{codec.clock_rate}"
