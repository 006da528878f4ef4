"""The steps of the draw's epochs: what the council hands over, and what the clock makes due (crypto.md §4).

Each is durable and in the log before it is in the book, and the log is published at once, so that the council can
cosign it. A step that fails is tried again with the next turn; an epoch that isn't opened stays dark.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from crypto.checkpoint import open_checkpoint
from crypto.commitment import pseudonym
from crypto.cosignature import cosignatures
from crypto.signed_note import NoteSignature, SignedNote
from crypto.ssh_key import VerifyKey
from crypto.sshsig import Signature
from gateway.clock import Clock
from gateway.engine.epoch_book import EpochBook, pseudonym_of
from gateway.engine.errors import Refused
from gateway.engine.site import Site
from policy.agreement.schema import Agreement, StatisticsTerms
from policy.draw_rules import Epoch, epoch_of
from policy.epoch_statement import CouncilCommitment
from policy.epochs import LEGS_TO_COUNT, NEXT, EpochState, RosterLeaf, Step, commit_due, day_index, horizon, step_due
from policy.intersection import epoch_for, phase_for
from policy.log_block import first_day
from policy.statistics import strictest
from storage.epochs import Cosigned, Epochs, StoredEpoch
from storage.errors import StorageError
from storage.recordings import Recordings

__all__ = ["EpochSteps"]

log = structlog.get_logger()
COUNCIL: Final = frozenset({"council", "council2", "council3"})
TOLD_FOR: Final = timedelta(days=35)
"""How long an epoch that is over stays in the list: a council back from its holidays still finds it."""
Publish = Callable[[str], Awaitable[object]]
"""Publishes the checkpoint of a log, by its origin."""


class EpochSteps:
    """See the module. `name` is the site's."""

    def __init__(
        self,
        epochs: Epochs,
        *,
        book: EpochBook,
        site: Site,
        clock: Clock,
        name: str,
        key: VerifyKey,
        publish: Publish,
        recordings: Recordings,
    ) -> None:
        self._epochs = epochs
        self._book = book
        self._site = site
        self._clock = clock
        self._name = name
        self._key = key
        self._publish = publish
        self._recordings = recordings
        self._turning = asyncio.Lock()
        self._virgin = True
        """No epoch was ever committed here."""

    async def load(self) -> None:
        """On start: what stands."""
        self._book.rows = await self._epochs.live()
        restored, newest = await self._epochs.restored(), await self._epochs.newest_cosignature()
        self._virgin = not restored and not await self._epochs.any_committed()
        self._book.cosigned_at = newest.at if newest is not None else None
        await self._count()
        self._book.unconfirmed = restored and newest is None

    # --- what the council hands over ---------------------------------------------------------------------------------

    async def promise(self, name: str, c: str, csig: str) -> StoredEpoch:
        """The council's signed commitment to its share of an epoch. Raises `Refused`, `StorageError`."""
        epoch = next((one for one in self.horizon() if one.name == name), None)
        if epoch is None:
            raise Refused("epoch_unknown", "no such epoch can be committed to now", 404)
        said = CouncilCommitment((await self.origins([name]))[name], name, c)
        armored = str(Signature.parse(csig))
        if not said.signed_by(armored, self._council()):
            raise Refused("bad_signature", "the commitment isn't signed by an anchored key of the council", 422)
        await self._epochs.promise(epoch, said.origin, first_day(name), bytes.fromhex(c), armored)
        await self._reread(name)
        await self.turn()
        return await self._epochs.get(name)

    async def share(self, name: str, share: bytes) -> StoredEpoch:
        """The council's share, after a cosigned checkpoint holds the epoch's `ecommit`. Raises `StorageError`."""
        row = await self._epochs.get(name)
        day, agreement = 0, self._calendar(row)
        if agreement is not None and self._clock.wallclock() >= row.start:
            day = day_index(agreement, Epoch(name, row.start, row.end), self._clock.wallclock())
        await self._epochs.open(name, share, day)
        await self._reread(name)
        await self._tell(row.origin)
        return await self._epochs.get(name)

    async def cosign(self, note: str) -> Cosigned:
        """A checkpoint of ours under the council's cosignature. Raises `CryptoError`, `Refused`, `StorageError`."""
        data = note.encode()
        origin = SignedNote.parse(data).text.partition("\n")[0]
        checkpoint, parsed = open_checkpoint(data, origin, self._key)
        found = self._line(parsed)
        if found is None:
            raise Refused("bad_signature", "no cosignature of an anchored key of the council is under it", 422)
        line, at = found
        cosigned = Cosigned(origin, checkpoint.size, str(line), min(at, self._clock.wallclock()))
        if not await self._epochs.cosigned(cosigned):
            return cosigned
        self._book.unconfirmed = False
        self._book.cosigned_at = max(self._book.cosigned_at or cosigned.at, cosigned.at)
        self._site.watch.written(cosigned.at)
        return cosigned

    def horizon(self) -> tuple[Epoch, ...]:
        """The current epoch and those that can be committed to ahead."""
        agreement = self._site.agreement
        return horizon(agreement, self._clock.wallclock()) if agreement is not None else ()

    async def known(self) -> dict[str, StoredEpoch]:
        """Epochs that something still happens to, and for a while those that are over, by name."""
        over = await self._epochs.over_since(self._clock.wallclock() - TOLD_FOR)
        return over | await self._epochs.live()

    async def origins(self, names: Sequence[str]) -> dict[str, str]:
        """The logs that epochs belong to."""
        return await self._epochs.origins(self._name, names)

    # --- what the clock makes due ------------------------------------------------------------------------------------

    async def turn(self) -> None:
        """Take every step that is due now. Raises `StorageError`, and is called again then.

        An epoch that the disk refuses a step holds up no other.
        """
        failed: StorageError | None = None
        async with self._turning:
            for row in tuple(self._book.rows.values()):
                try:
                    await self._take(row)
                except StorageError as error:
                    failed = failed or error
                    with contextlib.suppress(StorageError):
                        await self._reread(row.name)  # a part of the step may be durable
        if failed is not None:
            raise failed

    async def _take(self, row: StoredEpoch) -> None:
        wallclock, agreement = self._clock.wallclock(), self._calendar(row)
        if row.state is EpochState.PROMISED and agreement is not None:
            epoch = Epoch(row.name, row.start, row.end)
            if commit_due(agreement, epoch, wallclock, first=self._virgin):
                await self._commit(epoch, row, wallclock)
                return
        halted = row.state is EpochState.OPENED and self._superseded(row, wallclock)
        shares = row.host is not None and row.council is not None
        step = step_due(row.state, row.start if halted else row.end, row.closed_at, wallclock, shares=shares)
        if step is None:
            await self._turn_day(row, wallclock)
        elif await self._do(step, row, wallclock, halted):
            await self._reread(row.name)
            await self._tell(row.origin)

    async def _do(self, step: Step, row: StoredEpoch, wallclock: datetime, halted: bool) -> bool:
        """Whether the step was taken."""
        match step:
            case Step.CLOSE:
                if not await self._epochs.close(row.name, self._limits(), wallclock, halted=halted):
                    return False  # a leg of it goes on
                await self._count()
                await self._epochs.reveal(row.name)
            case Step.REVEAL:
                await self._epochs.reveal(row.name)
            case Step.FREEZE:
                log.error("an epoch's reveal is missing: its recordings are not served", epoch=row.name)
                await self._epochs.move(row.name, EpochState.FROZEN)
            case Step.SHRED:
                for recording in await self._epochs.drawn_recordings(row.name):
                    await self._recordings.erase(recording)
                await self._epochs.move(row.name, EpochState.SHREDDED)
            case Step.GIVE_UP:
                await self._epochs.move(row.name, EpochState.DARK)
        return True

    async def _commit(self, epoch: Epoch, row: StoredEpoch, wallclock: datetime) -> None:
        policy, at = self._site.state.digest, max(wallclock, epoch.start)
        if policy is None:
            return  # nothing is in force
        agents = [agent for agent in self._site.agents.values() if not agent.disabled]
        agreements, leaves = self._site.state.in_force(at), []
        for agent in agents:
            phase = phase_for(agreements, site=agent.site, group=agent.group, since=agent.onboarding_from, wallclock=at)
            leaves.append(RosterLeaf(pseudonym_of(agent.salt, row), agent.group, phase))
        await self._epochs.commit(row.name, leaves, [agent.name for agent in agents], policy)
        await self._reread(row.name)
        self._virgin = False
        await self._tell(row.origin)

    async def _turn_day(self, row: StoredEpoch, wallclock: datetime) -> None:
        agreement = self._calendar(row)
        if row.state is not EpochState.OPENED or agreement is None or wallclock < row.start:
            return
        day = day_index(agreement, Epoch(row.name, row.start, row.end), wallclock)
        if day > row.day:
            await self._epochs.turn_day(row.name, day)
            await self._reread(row.name)

    def _calendar(self, row: StoredEpoch) -> Agreement | None:
        """One of the agreements in force that count this epoch: they have its days in common."""
        middle = row.start + (row.end - row.start) / 2
        return next((one for one in self._site.agreements if epoch_of(one, middle).name == row.name), None)

    def _superseded(self, row: StoredEpoch, wallclock: datetime) -> bool:
        """The agreements in force count epochs of another length by now, so that this one can't go on."""
        if not row.start <= wallclock < row.end or not self._site.agreements:
            return False
        epoch = epoch_for(self._site.agreements, wallclock)
        return epoch is None or epoch.name != row.name

    # --- parts -------------------------------------------------------------------------------------------------------

    async def _count(self) -> None:
        """Know whose legs in the last closed epoch are enough to count towards a `min_agents`."""
        last = await self._epochs.last_worked()
        if last is None:
            return
        own = {pseudonym(one.salt, last.origin, last.name).hex(): one.id for one in self._site.agents.values()}
        legs = {own[a]: by_queue for a, by_queue in last.legs.items() if a in own}
        self._site.counting = frozenset(one for one, found in legs.items() if sum(found.values()) >= LEGS_TO_COUNT)
        self._book.working = Counter(queue for one in legs.values() for queue, n in one.items() if n >= LEGS_TO_COUNT)

    async def _reread(self, name: str) -> None:
        row = await self._epochs.get(name)
        if NEXT[row.state]:
            self._book.rows[name] = row
        else:
            self._book.rows.pop(name, None)

    async def _tell(self, origin: str) -> None:
        """Publish; what fails here is published by the minute."""
        try:
            await self._publish(origin)
        except StorageError as error:
            log.error("a checkpoint could not be published", fault=type(error).__name__)

    def _council(self) -> list[VerifyKey]:
        anchors = self._site.state.anchors_at(self._clock.wallclock())
        return [VerifyKey.parse(anchor.key) for anchor in anchors if anchor.role in COUNCIL]

    def _line(self, note: SignedNote) -> tuple[NoteSignature, datetime] | None:
        """The first line under a checkpoint that a key of the council made, and its time."""
        for line, at in cosignatures(note, self._council()):
            with contextlib.suppress(OverflowError):
                if at is not None:
                    return line, datetime.fromtimestamp(at, UTC)
        return None

    def _limits(self) -> StatisticsTerms:
        return strictest(one.statistics for one in self._site.agreements)
