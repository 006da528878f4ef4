"""Branches of INVITEs that nobody waits for any more: what comes of them late is still brought to an end.

Such a hop kept silent while it was waited for, or answered no CANCEL; another may have the call by now. Who rings late
is told to stop (RFC 3261 §9.1), a refusal gets its ACK, and a 2xx goes on to the caller or is ended in its place.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from gateway.sip.build import build_ending, has_to_tag
from gateway.sip.headers import address, parse_uri
from gateway.sip.hop import Hop
from gateway.sip.message import Request, Response
from gateway.sip.proxy_events import ContextId, Unclaimed
from gateway.sip.routing import Routing
from gateway.sip.transaction import ClientKey

__all__ = ["Branch", "GivenUp"]

MOST: Final = 1024
MOST_TAGS: Final = 64
"""Of one branch: so many phones may take it up late behind a forking proxy."""


@dataclass(slots=True)
class Branch:
    """One INVITE as it went out."""

    context: ContextId
    key: ClientKey
    sent: Request
    hop: Hop
    cancelled: bool = False
    """Its CANCEL is out."""
    resumed: bool = False
    """It is waited for again."""
    passed: set[str] = field(default_factory=set)
    """To tags of the 2xx that went on: the caller ends those dialogs, or talks in one."""
    ended: set[str] = field(default_factory=set)
    """To tags of those that we end."""
    until: float = 0.0

    def end(self, tag: str, answer: Response, routing: Routing) -> Unclaimed | None:
        """The dialog of a 2xx that can't go on any more; None where it isn't ours to end.

        That is one that its parties have: a re-INVITE's, or one that the caller was told of. Raises `SipSyntaxError`.
        """
        if has_to_tag(self.sent) or tag in self.passed or (tag not in self.ended and len(self.ended) >= MOST_TAGS):
            return None
        routes, uri = routing.beyond_us(answer), address(answer, "contact").uri
        parse_uri(uri)
        ack, bye = (build_ending(method, answer, uri, routes) for method in ("ACK", "BYE"))
        routed = [routing.work_off(request, self.hop.side.other, in_dialog=True) for request in (ack, bye)]
        again = tag in self.ended
        self.ended.add(tag)
        return Unclaimed(ack, None if again else bye, routed[0].target, self.hop)


class GivenUp:
    """By their client transactions, which are over."""

    def __init__(self) -> None:
        self._branches: dict[ClientKey, Branch] = {}

    def __len__(self) -> int:
        return len(self._branches)

    def keep(self, branch: Branch, until: float) -> None:
        """Answers to it may still come until then (monotonic)."""
        self._branches.pop(branch.key, None)
        branch.until = until
        self._branches[branch.key] = branch
        if len(self._branches) > MOST:
            del self._branches[next(iter(self._branches))]

    def at(self, hop: Hop, context: ContextId) -> Branch | None:
        """One of the same call that the same neighbour has: not told to stop, and not waited for again yet."""
        for branch in self._branches.values():
            if branch.context == context and branch.hop.neighbour == hop.neighbour:
                return None if branch.cancelled or branch.resumed else branch
        return None

    def forget(self, now: float) -> None:
        """Those whose answers can't come any more."""
        while self._branches and next(iter(self._branches.values())).until <= now:
            del self._branches[next(iter(self._branches))]

    def of(self, key: ClientKey, now: float) -> Branch | None:
        """The branch that a response belongs to."""
        self.forget(now)
        return self._branches.get(key)
