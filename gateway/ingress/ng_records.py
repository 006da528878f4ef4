"""What only the ng way in knows of a call: whose it is, the names of its parties, its branches, what is withheld.

Forgotten with the call, whoever ended it. After a restart nobody's: any proxy that may ask at all may go on with it.
A call that came in by SIP is no proxy's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from gateway.call.model import DialogTag, SipCallId
from gateway.engine.live_call import LiveCall
from policy.decision import Side

__all__ = ["ProxyCall", "ProxyCalls", "Withheld"]

_SPARE: Final = 64
MOST_NAMES: Final = 64
"""Labels and branches of one call."""


@dataclass(slots=True)
class Withheld:
    """What a party says that the other one doesn't get."""

    keys: Literal["passed", "blocked"] = "passed"
    blocked: bool = False
    silenced: bool = False

    @property
    def audio(self) -> Literal["passed", "silenced", "blocked"]:
        """Whoever blocks and silences must undo both."""
        return "blocked" if self.blocked else "silenced" if self.silenced else "passed"


@dataclass(slots=True)
class ProxyCall:
    """See the module."""

    host: str | None = None
    """The proxy's; None: not known any more."""
    tags: dict[str, str] = field(default_factory=dict)
    """By label."""
    branches: set[str] = field(default_factory=set)
    """Via branches that were offered and not deleted."""
    branch_of: dict[DialogTag, str] = field(default_factory=dict)
    withheld: dict[Side, Withheld] = field(default_factory=dict)
    playing: dict[Side, str] = field(default_factory=dict)
    """What was played to a party last, by our reference."""

    def name(self, label: str | None, tag: str) -> None:
        """The proxy's name for whoever sent a description."""
        if label and len(self.tags) < MOST_NAMES:
            self.tags[label] = tag

    def offered(self, branch: str | None) -> None:
        """An offer went to one branch of a forked call."""
        if branch and len(self.branches) < MOST_NAMES:
            self.branches.add(branch)

    def answered(self, dialog: DialogTag | None, branch: str | None) -> None:
        """It has a tag now."""
        if dialog is not None and branch and len(self.branch_of) < MOST_NAMES:
            self.branch_of[dialog] = branch

    def lost_branch(self, branch: str, answered: DialogTag | None) -> bool:
        """A branch is over; True where the call goes on without it."""
        self.branches.discard(branch)
        if answered is not None:
            return self.branch_of.get(answered, branch) != branch
        return bool(self.branches)


class ProxyCalls:
    """By Call-ID; `alive` are the calls that there are."""

    def __init__(self, alive: Mapping[SipCallId, LiveCall]) -> None:
        self._alive = alive
        self._calls: dict[SipCallId, ProxyCall] = {}
        self._survey_at = _SPARE

    def begin(self, call_id: SipCallId, host: str) -> ProxyCall:
        """A proxy made a call."""
        if len(self._calls) >= self._survey_at:
            for gone in [known for known in self._calls if known not in self._alive]:
                del self._calls[gone]
            self._survey_at = 2 * len(self._calls) + _SPARE
        made = self._calls[call_id] = ProxyCall(host)
        return made

    def of(self, call_id: SipCallId) -> ProxyCall:
        """What is known of a call."""
        return self._calls.setdefault(call_id, ProxyCall())

    def is_of(self, call_id: SipCallId, host: str) -> bool:
        """Whether this proxy may go on with a call."""
        known, live = self._calls.get(call_id), self._alive.get(call_id)
        if known is not None and known.host is not None:
            return known.host == host
        return live is not None and live.call.adopted

    def forget(self, call_id: SipCallId) -> None:
        """The call is over."""
        self._calls.pop(call_id, None)
