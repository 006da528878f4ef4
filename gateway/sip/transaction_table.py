"""The four transaction machines as one table (RFC 3261 §17 with RFC 6026's Accepted state).

Rows: (kind, state, event) → (next state, actions). What a row doesn't name is ignored. The actions are carried out by
`transaction.py`. Timers A and E are RETRANSMIT, B and F are GIVE_UP, D, K, L, M, H, I and J are LINGER.
"""

from __future__ import annotations

from enum import Enum, auto


class Kind(Enum):
    """Which of the four machines."""

    INVITE_CLIENT = auto()
    CLIENT = auto()
    INVITE_SERVER = auto()
    SERVER = auto()


class State(Enum):
    """States of RFC 3261 figures 5 to 8; the RFC's Calling and Trying of clients are both TRYING."""

    TRYING = auto()
    PROCEEDING = auto()
    ACCEPTED = auto()
    COMPLETED = auto()
    CONFIRMED = auto()
    TERMINATED = auto()


class Event(Enum):
    """What can happen: a request again, an ACK, a response received or to be sent, a timer, a broken transport."""

    REQUEST = auto()
    ACK = auto()
    R1XX = auto()
    R2XX = auto()
    R3_6XX = auto()
    RETRANSMIT = auto()
    GIVE_UP = auto()
    LINGER = auto()
    BROKEN = auto()


class Action(Enum):
    """What a row asks for."""

    UP = auto()
    """Pass the response or ACK to the user of the transaction."""
    SEND = auto()
    """Send the response of this event and keep it for retransmissions."""
    REPEAT = auto()
    """Send the kept bytes once more."""
    ACK = auto()
    """Build, keep and send the ACK for this refusal."""
    BACK_OFF = auto()
    """Double the retransmission interval up to its cap."""
    SLOW = auto()
    """From now on repeat every T2."""
    LINGER_D = auto()
    LINGER_K = auto()
    LINGER_L = auto()
    """64*T1: L and M of RFC 6026."""
    LINGER_H = auto()
    """64*T1, and G (retransmission of the refusal) on unreliable transports."""
    LINGER_I = auto()
    LINGER_J = auto()
    TIMED_OUT = auto()
    """Tell the user that nobody answered."""
    FAILED = auto()
    """Tell the user that the transport is broken."""


_IC, _C, _IS, _S = Kind.INVITE_CLIENT, Kind.CLIENT, Kind.INVITE_SERVER, Kind.SERVER
_UP, _ACK = Action.UP, Action.ACK

TABLE: dict[tuple[Kind, State, Event], tuple[State, tuple[Action, ...]]] = {
    # RFC 3261 §17.1.1 and figure 5, RFC 6026 §7.2
    (_IC, State.TRYING, Event.R1XX): (State.PROCEEDING, (_UP,)),
    (_IC, State.TRYING, Event.R2XX): (State.ACCEPTED, (_UP, Action.LINGER_L)),
    (_IC, State.TRYING, Event.R3_6XX): (State.COMPLETED, (_ACK, _UP, Action.LINGER_D)),
    (_IC, State.TRYING, Event.RETRANSMIT): (State.TRYING, (Action.REPEAT, Action.BACK_OFF)),
    (_IC, State.TRYING, Event.GIVE_UP): (State.TERMINATED, (Action.TIMED_OUT,)),
    (_IC, State.TRYING, Event.BROKEN): (State.TERMINATED, (Action.FAILED,)),
    (_IC, State.PROCEEDING, Event.R1XX): (State.PROCEEDING, (_UP,)),
    (_IC, State.PROCEEDING, Event.R2XX): (State.ACCEPTED, (_UP, Action.LINGER_L)),
    (_IC, State.PROCEEDING, Event.R3_6XX): (State.COMPLETED, (_ACK, _UP, Action.LINGER_D)),
    (_IC, State.COMPLETED, Event.R3_6XX): (State.COMPLETED, (Action.REPEAT,)),
    (_IC, State.COMPLETED, Event.LINGER): (State.TERMINATED, ()),
    (_IC, State.ACCEPTED, Event.R2XX): (State.ACCEPTED, (_UP,)),
    (_IC, State.ACCEPTED, Event.LINGER): (State.TERMINATED, ()),
    # RFC 3261 §17.1.2 and figure 6
    (_C, State.TRYING, Event.R1XX): (State.PROCEEDING, (_UP, Action.SLOW)),
    (_C, State.TRYING, Event.R2XX): (State.COMPLETED, (_UP, Action.LINGER_K)),
    (_C, State.TRYING, Event.R3_6XX): (State.COMPLETED, (_UP, Action.LINGER_K)),
    (_C, State.TRYING, Event.RETRANSMIT): (State.TRYING, (Action.REPEAT, Action.BACK_OFF)),
    (_C, State.TRYING, Event.GIVE_UP): (State.TERMINATED, (Action.TIMED_OUT,)),
    (_C, State.TRYING, Event.BROKEN): (State.TERMINATED, (Action.FAILED,)),
    (_C, State.PROCEEDING, Event.R1XX): (State.PROCEEDING, (_UP,)),
    (_C, State.PROCEEDING, Event.R2XX): (State.COMPLETED, (_UP, Action.LINGER_K)),
    (_C, State.PROCEEDING, Event.R3_6XX): (State.COMPLETED, (_UP, Action.LINGER_K)),
    (_C, State.PROCEEDING, Event.RETRANSMIT): (State.PROCEEDING, (Action.REPEAT, Action.SLOW)),
    (_C, State.PROCEEDING, Event.GIVE_UP): (State.TERMINATED, (Action.TIMED_OUT,)),
    (_C, State.PROCEEDING, Event.BROKEN): (State.TERMINATED, (Action.FAILED,)),
    (_C, State.COMPLETED, Event.LINGER): (State.TERMINATED, ()),
    # RFC 3261 §17.2.1 and figure 7, RFC 6026 §7.1
    (_IS, State.PROCEEDING, Event.REQUEST): (State.PROCEEDING, (Action.REPEAT,)),
    (_IS, State.PROCEEDING, Event.R1XX): (State.PROCEEDING, (Action.SEND,)),
    (_IS, State.PROCEEDING, Event.R2XX): (State.ACCEPTED, (Action.SEND, Action.LINGER_L)),
    (_IS, State.PROCEEDING, Event.R3_6XX): (State.COMPLETED, (Action.SEND, Action.LINGER_H)),
    (_IS, State.ACCEPTED, Event.R2XX): (State.ACCEPTED, (Action.SEND,)),
    (_IS, State.ACCEPTED, Event.ACK): (State.ACCEPTED, (_UP,)),
    (_IS, State.ACCEPTED, Event.LINGER): (State.TERMINATED, ()),
    (_IS, State.COMPLETED, Event.REQUEST): (State.COMPLETED, (Action.REPEAT,)),
    (_IS, State.COMPLETED, Event.RETRANSMIT): (State.COMPLETED, (Action.REPEAT, Action.BACK_OFF)),
    (_IS, State.COMPLETED, Event.ACK): (State.CONFIRMED, (Action.LINGER_I,)),
    (_IS, State.COMPLETED, Event.LINGER): (State.TERMINATED, ()),
    (_IS, State.CONFIRMED, Event.LINGER): (State.TERMINATED, ()),
    # RFC 3261 §17.2.2 and figure 8
    (_S, State.TRYING, Event.R1XX): (State.PROCEEDING, (Action.SEND,)),
    (_S, State.TRYING, Event.R2XX): (State.COMPLETED, (Action.SEND, Action.LINGER_J)),
    (_S, State.TRYING, Event.R3_6XX): (State.COMPLETED, (Action.SEND, Action.LINGER_J)),
    (_S, State.PROCEEDING, Event.REQUEST): (State.PROCEEDING, (Action.REPEAT,)),
    (_S, State.PROCEEDING, Event.R1XX): (State.PROCEEDING, (Action.SEND,)),
    (_S, State.PROCEEDING, Event.R2XX): (State.COMPLETED, (Action.SEND, Action.LINGER_J)),
    (_S, State.PROCEEDING, Event.R3_6XX): (State.COMPLETED, (Action.SEND, Action.LINGER_J)),
    (_S, State.COMPLETED, Event.REQUEST): (State.COMPLETED, (Action.REPEAT,)),
    (_S, State.COMPLETED, Event.LINGER): (State.TERMINATED, ()),
}
