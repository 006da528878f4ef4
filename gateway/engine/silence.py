"""Calls that may be over though nobody said so: their BYE was lost, or both ends are gone.

A worker tells once that a flow fell silent; from then on its call is counted now and then until something comes again.
First the recording ends, much later the call, so that no port, light or journal entry outlives what it stands for. A
call on hold, or of people who say nothing, must not be cut off: hence the long times, and RTCP and fax count as
life. A recording lives by what is said alone.
"""

from dataclasses import dataclass

from gateway.media.plane import CallRef, Counted, is_relay

__all__ = [
    "EXPIRED_OVER_AFTER_S",
    "OVER_AFTER_S",
    "RECORDING_OVER_AFTER_S",
    "UNANCHORED_AFTER_S",
    "SilentCalls",
    "SilentFor",
]

RECORDING_OVER_AFTER_S = 120.0
"""A leg that is being recorded and hears nothing from either party is given up."""
OVER_AFTER_S = 2 * 3600.0
"""A call of which nothing at all was heard is over."""
EXPIRED_OVER_AFTER_S = 60.0
"""The same for a call whose session timer ran out without a refresh (RFC 4028 §10): its parties have given it up."""
UNANCHORED_AFTER_S = 12 * 3600.0
"""A call without ports, of which nothing can be heard, is forgotten."""


@dataclass(frozen=True, slots=True)
class SilentFor:
    """For how many seconds nothing has come from anybody."""

    call: float = 0.0
    said: float = 0.0
    """On lines of audio."""


@dataclass(slots=True)
class _Since:
    at: float
    packets: int = -1
    """At the last count."""

    def counted(self, packets: int, now: float) -> float:
        """For how long there have been no more; the first count has nothing to be compared with."""
        if packets != self.packets:
            self.at, self.packets = now, packets
        return now - self.at


@dataclass(slots=True)
class _Silent:
    call: _Since
    said: _Since


class SilentCalls:
    """By call reference. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._silent: dict[CallRef, _Silent] = {}

    def suspect(self, call: CallRef, since: float) -> None:
        """A flow of the call fell silent, or nobody knows whether it isn't."""
        self._silent.setdefault(call, _Silent(_Since(since), _Since(since)))

    def forget(self, call: CallRef) -> None:
        """The call is over."""
        self._silent.pop(call, None)

    def calls(self) -> tuple[CallRef, ...]:
        """Calls to count."""
        return tuple(self._silent)

    def counted(self, report: Counted, now: float) -> SilentFor:
        """A count; for how long nothing has been heard of the call."""
        silent = self._silent.get(report.call)
        if silent is None:
            return SilentFor()
        said = sum(count.received + count.rtcp for flow, count in report.flows.items() if not is_relay(flow))
        further = sum(count.received + count.rtcp for flow, count in report.flows.items() if is_relay(flow))
        return SilentFor(silent.call.counted(said + further, now), silent.said.counted(said, now))
