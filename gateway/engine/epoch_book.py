"""What the engine knows of the draw's epochs, in memory: in which one legs may be entered, and who has seen the log.

A mirror like `Site`: first durable, then here. Steps are `epoch_steps`'.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from crypto.commitment import pseudonym
from policy.agreement.schema import Agreement
from policy.epochs import EpochState, witnessed
from policy.intersection import epoch_for
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
