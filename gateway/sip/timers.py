"""Named sets of SIP timer values, in seconds (RFC 3261 table 4, RFC 6026 §8.4, RFC 3261 §16.6 timer C)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class SipTimers:
    """One parameter set; all other timers follow from these (A, B, F, H, J, L, M = multiples of T1)."""

    t1: float
    """Round-trip estimate; first retransmission interval."""
    t2: float
    """Longest retransmission interval of non-INVITE requests and INVITE responses."""
    t4: float
    """Longest time a message stays in the network."""
    d: float
    """Wait for retransmitted final responses on unreliable transports, at least 32 s by the RFC."""
    c: float
    """Longest time a proxied INVITE may ring without a new provisional response, over 3 minutes."""

    RFC3261: ClassVar[SipTimers]
    TESTING: ClassVar[SipTimers]

    @property
    def timeout(self) -> float:
        """64*T1: timers B, F, H, J, L and M."""
        return 64 * self.t1

    @property
    def elsewhere(self) -> float:
        """How long an INVITE waits for any answer at all while another next hop is left: four tries of it over UDP.

        RFC 3263 §4.3 goes on after 64*T1, when no caller waits any more. Whoever is there says 100 within 200 ms.
        """
        return 8 * self.t1


SipTimers.RFC3261 = SipTimers(t1=0.5, t2=4.0, t4=5.0, d=32.0, c=181.0)
SipTimers.TESTING = SipTimers(t1=0.02, t2=0.16, t4=0.2, d=1.28, c=7.0)
