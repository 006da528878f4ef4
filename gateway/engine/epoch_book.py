"""What the engine knows of the draw's epochs, in memory: in which one legs may be entered, and who has seen the log.

A mirror like `Site`: first durable, then here. Steps are `epoch_steps`'.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from crypto.commitment import pseudonym
from policy.agreement.schema import Agreement
from policy.epoch_rules import EpochRules, since
from policy.epochs import EpochState, witnessed
from policy.intersection import epoch_for
from policy.state import State
from storage.epochs import StoredEpoch

__all__ = ["EpochBook"]


@dataclass(slots=True)
class EpochBook:
    """See the module."""

    rows: dict[str, StoredEpoch] = field(default_factory=dict)
    """Epochs that something still happens to, by name."""
    cosigned_at: datetime | None = None
    """Of the newest checkpoint that the council cosigned."""
    unconfirmed: bool = False
    """An older state of the site was put back, and the council hasn't cosigned a log begun since."""

    working: Mapping[str, int] | None = None
    """How many agents had enough legs from each queue in the last closed epoch; None before there was one."""
    states: list[State] = field(default_factory=list)
    """What the acts have made, act by act."""
    _rules: dict[str, EpochRules] = field(default_factory=dict)
    """By epoch."""

    def enact(self, state: State) -> None:
        """The chain has come to this state; or back to it, where an act couldn't be kept."""
        if self.states and self.states[-1].seq >= state.seq:
            self.states[:] = [one for one in self.states if one.seq < state.seq]
            self._rules.clear()
        self.states.append(state)

    def rules_of(self, epoch: StoredEpoch) -> EpochRules:
        """The rules of an epoch that was opened, as its log counts them."""
        if epoch.name not in self._rules:
            self._rules = {name: rules for name, rules in self._rules.items() if name in self.rows}
            self._rules[epoch.name] = EpochRules((epoch.start, epoch.end), self.states, since(self.states, epoch.acts))
        return self._rules[epoch.name]

    def state_after(self, acts: int | None) -> State | None:
        """The state after so many acts; None: the newest."""
        if acts is None or not self.states:
            return self.states[-1] if self.states else None
        return self.states[since(self.states, acts)]

    def open_for(self, agreements: Sequence[Agreement], wallclock: datetime) -> StoredEpoch | None:
        """The open epoch that all these agreements mean by `wallclock`; None: it is dark."""
        epoch = epoch_for(agreements, wallclock) if agreements else None
        found = self.rows.get(epoch.name) if epoch is not None else None
        return found if found is not None and found.state is EpochState.OPENED else None

    def witnessed(self, agreements: Sequence[Agreement], wallclock: datetime) -> bool:
        """Whether the council has cosigned the log lately enough."""
        return witnessed(agreements, self.cosigned_at, wallclock)


def pseudonym_of(salt: bytes, epoch: StoredEpoch) -> str:
    """An agent's pseudonym in an epoch, 32 hexadecimal characters."""
    return pseudonym(salt, epoch.origin, epoch.name).hex()
