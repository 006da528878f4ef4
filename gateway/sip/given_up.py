"""INVITEs that were given up early for another next hop: whoever rings for one late is told to stop (RFC 3261 §9.1).

Such a hop never answered while it was waited for, so nothing could be cancelled then; another may have the call now.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from gateway.sip import transaction as tx
from gateway.sip.build import build_ack
from gateway.sip.hop import Hop
from gateway.sip.message import Request, Response

MOST: Final = 1024


@dataclass(slots=True)
class _Given:
    request: Request
    hop: Hop
    until: float
    cancelled: bool = False


@dataclass(slots=True)
class GivenUp:
    """By their client transactions, which are over."""

    _given: dict[tx.ClientKey, _Given] = field(default_factory=dict)

    def add(self, key: tx.ClientKey, request: Request, hop: Hop, until: float) -> None:
        """What was sent, and how long its answers may still come (monotonic)."""
        self._given[key] = _Given(request, hop, until)
        if len(self._given) > MOST:
            del self._given[next(iter(self._given))]

    def to_cancel(self, key: tx.ClientKey, response: Response, now: float) -> tuple[Request, Hop] | None:
        """The INVITE of a late provisional response, once: it is to be cancelled."""
        given = self._of(key, now)
        if given is None or response.status >= 200 or given.cancelled:
            return None
        given.cancelled = True
        return given.request, given.hop

    def to_send(self, key: tx.ClientKey, response: Response, now: float) -> tuple[Request, Hop] | None:
        """The ACK for a late refusal, as often as it comes."""
        given = self._of(key, now)
        return None if given is None or response.status < 300 else (build_ack(given.request, response), given.hop)

    def _of(self, key: tx.ClientKey, now: float) -> _Given | None:
        while self._given and next(iter(self._given.values())).until <= now:
            del self._given[next(iter(self._given))]
        return self._given.get(key)
