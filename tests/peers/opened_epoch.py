"""An epoch that council and gateway have committed to, cosigned and opened, as `storage.epochs` keeps it."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, time, timedelta

from crypto.checkpoint import Checkpoint
from crypto.cosignature import cosign
from crypto.ssh_key import SigningKey
from gateway.engine.epoch_book import EpochBook, pseudonym_of
from policy.agreement.schema import Agreement, StatisticsTerms
from policy.draw_rules import Epoch
from policy.epoch_statement import commit
from policy.epochs import EpochState, RosterLeaf
from policy.intersection import epoch_for
from policy.log_block import LogBlock, first_day
from policy.state import State, Term
from policy.terms import Phase
from storage.epochs import Cosigned, Epochs, StoredEpoch
from storage.errors import EpochUnknown
from storage.roster import Agent

SITE = "hamburg"
COUNCIL = SigningKey.generate()
SHARE = bytes(range(32))
POLICY = "a" * 64
LIMITS = StatisticsTerms(min_agents=5, min_calls=20)


def epoch_named(name: str) -> Epoch:
    """A day or an ISO week, as if its local time were UTC."""
    start = datetime.combine(first_day(name), time(), UTC)
    return Epoch(name, start, start + timedelta(days=7 if "W" in name else 1))


async def promise(epochs: Epochs, epoch: Epoch, share: bytes = SHARE) -> str:
    """The council's commitment; the log's origin."""
    origin = str(LogBlock.of_epoch(SITE, epoch.name))
    said, csig = commit(origin, epoch.name, share, COUNCIL)
    await epochs.promise(epoch, origin, first_day(epoch.name), bytes.fromhex(said.c), csig)
    return origin


async def cosigned(epochs: Epochs, origin: str, at: datetime, size: int = 1_000_000) -> None:
    """The council has cosigned a checkpoint of this size."""
    line = cosign(str(Checkpoint(origin, size, bytes(32))), "council", COUNCIL, int(at.timestamp()))
    await epochs.cosigned(Cosigned(origin, size, str(line), at))


async def open_epoch(epochs: Epochs, name: str, leaves: Sequence[RosterLeaf] = (), day: int = 0) -> StoredEpoch:
    """The epoch, opened with these leaves unless it is open."""
    try:
        found = await epochs.get(name)
    except EpochUnknown:
        epoch = epoch_named(name)
        origin = await promise(epochs, epoch)
        await epochs.commit(name, leaves, [f"Agent {number}" for number in range(len(leaves))], POLICY)
        await cosigned(epochs, origin, epoch.start)
        await epochs.open(name, SHARE, day)
        found = await epochs.get(name)
    assert found.state is EpochState.OPENED
    return found


def state_of(*agreements: Agreement) -> State:
    """These agreements as one act may have put them in force."""
    terms = (Term(one, 1, one.validity.start, one.validity.end) for one in agreements)
    return State((), seq=1, terms=tuple(terms))


async def opened_book(
    epochs: Epochs, name: str, agents: Iterable[Agent], phase: Phase = Phase.REGULAR, terms: Sequence[Agreement] = ()
) -> EpochBook:
    """The book with this one epoch open, these agents on its roster, and these agreements in force."""
    epoch = epoch_named(name)
    row = StoredEpoch(name, await promise(epochs, epoch), EpochState.PROMISED, epoch.start, epoch.end, b"", "")
    leaves = [RosterLeaf(pseudonym_of(agent.salt, row), agent.group, phase) for agent in agents]
    await epochs.commit(name, leaves, [], POLICY)
    await cosigned(epochs, row.origin, epoch.start)
    await epochs.open(name, SHARE, 0)
    return EpochBook(await epochs.live(), epoch.start, states=[state_of(*terms)])


class OpenBook(EpochBook):
    """In it every epoch is open, and the council has just cosigned."""

    def open_for(self, agreements: Sequence[Agreement], wallclock: datetime) -> StoredEpoch | None:
        epoch = epoch_for(agreements, wallclock) if agreements else None
        if epoch is None:
            return None
        origin = str(LogBlock.of_epoch(SITE, epoch.name))
        return StoredEpoch(epoch.name, origin, EpochState.OPENED, epoch.start, epoch.end, b"", "")

    def witnessed(self, agreements: Sequence[Agreement], wallclock: datetime) -> bool:
        return True
