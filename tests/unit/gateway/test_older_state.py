"""An older database put back by hand: found at the start, and whatever it can't know any more counts as no."""

import shutil
from datetime import timedelta

import pytest

from crypto.cosignature import cosign
from crypto.draw import new_share
from crypto.signed_note import SignedNote
from crypto.sshsig import sign
from gateway.engine.epoch_book import EpochBook
from gateway.engine.epoch_steps import EpochSteps
from gateway.engine.log_keeper import LogKeeper
from gateway.event_bus import EventBus
from policy.acts import ACT_NAMESPACE, Suspend
from policy.chain import Posted, take
from policy.decision import Reason
from policy.epoch_statement import commit
from policy.epochs import EpochState
from policy.log_entry import Build
from policy.terms import ConsentState, Purpose
from storage.errors import EpochUnknown
from storage.log import wal
from storage.log.files import LocalLogFiles
from storage.log.publish import Publisher
from storage.stamp import Stamp
from tests.peers.enacted import KEYS, House
from tests.peers.stored import open_folder
from tests.unit.policy.green import edited

WEEKS = edited({"lanes/campaigns": []})
BUILD = Build("a" * 64, "b" * 64, "c" * 64)


class Gateway:
    """What a gateway does at its start, and what the council does with it."""

    def __init__(self, folder, before: House | None = None) -> None:
        self.folder = folder
        self.house = House.over(folder, protected=None)
        if before is not None:
            self.house.clock = self.house.site.clock = before.clock
            self.house.signers = before.signers
        self.house.site.book = self.book = EpochBook()
        self.files = LocalLogFiles(folder.root)
        self.publisher = Publisher(folder.database, self.files, folder.key)
        self.logs = LogKeeper(
            folder.database,
            self.publisher,
            Stamp(folder.database, folder.root),
            "hamburg",
            BUILD,
            self.house.clock,
            EventBus(),
        )
        self.steps = EpochSteps(
            folder.epochs, book=self.book, site=self.house.site, clock=self.house.clock, name="hamburg",
            key=folder.key.verify_key, publish=self.publisher.publish, recordings=folder.recordings,
        )  # fmt: skip

    async def start(self) -> None:
        await self.logs.begin()
        self.house.site.acts_ahead = self.logs.acts_ahead
        await self.house.site.load()
        await self.steps.load()

    async def cosign(self, origin: str) -> None:
        await self.publisher.publish(origin)
        note = SignedNote.parse(self.files.checkpoint(origin))
        line = cosign(note.text, "council", KEYS["council"], int(self.house.at.timestamp()))
        await self.steps.cosign(bytes(SignedNote(note.text, (*note.signatures, line))).decode())

    async def promise(self, name: str) -> bytes:
        share = new_share()
        said, csig = commit((await self.steps.origins([name]))[name], name, share, KEYS["council"])
        await self.steps.promise(name, said.c, csig)
        return share

    async def open(self, name: str) -> None:
        share = await self.promise(name)
        await self.cosign((await self.steps.origins([name]))[name])
        await self.steps.share(name, share)

    async def suspend(self) -> Posted:
        [agreement] = self.house.site.agreements
        act = self.house.site.state.draft(agreement.id, Suspend())
        return Posted(act, {"council": sign(KEYS["council"], ACT_NAMESPACE, act)}, self.house.at)

    async def post(self, posted: Posted) -> None:
        state = take(self.house.site.state, posted)
        await self.house.acts.append(posted)
        self.house.site.enact(state)

    def shut(self) -> bool:
        return self.house.site.restored

    def reasons(self) -> list[Reason]:
        return self.house.site.reasons(self.house.at)


@pytest.fixture
async def kept(folder):
    """A gateway in an open epoch, an agent who said yes, the next epoch opened ahead; and a copy of its database."""
    gateway = Gateway(folder)
    await gateway.house.enact(WEEKS)
    await gateway.start()
    agent = await gateway.house.hire("200")
    await gateway.house.say(agent, Purpose.COACHING, ConsentState.YES)
    for epoch in gateway.steps.horizon()[:2]:
        await gateway.open(epoch.name)
    assert gateway.reasons() == []
    await gateway.publisher.publish_all()
    await folder.database.close()
    shutil.copy(folder.root / "fairtap.db", folder.root / "older.db")
    return gateway, agent


async def put_back(gateway: Gateway) -> Gateway:
    """The older database in the newer one's place, under a gateway that starts."""
    await gateway.folder.database.close()
    for name in ("fairtap.db", "fairtap.db-wal", "fairtap.db-shm"):
        (gateway.folder.root / name).unlink(missing_ok=True)
    shutil.copy(gateway.folder.root / "older.db", gateway.folder.root / "fairtap.db")
    return await reopened(gateway)


async def reopened(gateway: Gateway) -> Gateway:
    again = Gateway(await open_folder(gateway.folder.root, migrate=False), gateway.house)
    await again.start()
    return again


async def test_nothing_that_was_withdrawn_or_left_since_comes_back(kept):
    gateway, agent = kept
    later = await reopened(gateway)
    await later.house.say(agent, Purpose.COACHING, ConsentState.YES, seq=2)
    stale = later.house.site.standing[agent][Purpose.COACHING].statement
    assert stale is not None
    await later.house.say(agent, Purpose.COACHING, ConsentState.NO)
    await later.publisher.publish_all()
    again = await put_back(later)
    standing = await again.house.consents.standing(agent)
    assert {said.answer for said in standing.values()} == {ConsentState.UNSET}
    assert standing[Purpose.COACHING].seq > stale.seq  # what was signed meanwhile can't be handed in again
    assert again.house.site.seats == {} and (await again.folder.roster.get(agent)).seat_seq > 1
    await again.folder.database.close()


async def test_nothing_is_recorded_before_the_council_has_cosigned_the_new_log(kept):
    gateway, _ = kept
    again = await put_back(await reopened(gateway))
    assert Reason.LOG_UNWITNESSED in again.reasons() and again.shut()
    older, fresh = "hamburg/fairtap/2026-01", "hamburg/fairtap/2026-01-r1"
    opened = await again.folder.database.read(wal.open_logs)
    assert fresh in opened and older not in opened
    await again.cosign(older)
    assert again.shut()  # of the log that ended
    await again.cosign(fresh)
    assert not again.shut() and again.reasons() == [Reason.EPOCH_DARK]
    await again.folder.database.close()
    once_more = await reopened(again)
    assert not once_more.shut()
    assert fresh in await once_more.folder.database.read(wal.open_logs)
    await once_more.folder.database.close()


async def test_it_is_dark_until_the_next_epoch_which_is_committed_to_anew(kept):
    gateway, _ = kept
    again = await put_back(await reopened(gateway))
    now, soon = again.steps.horizon()[:2]
    assert (await again.folder.epochs.get(now.name)).state is EpochState.DARK
    with pytest.raises(EpochUnknown):
        await again.folder.epochs.get(soon.name)
    await again.open(soon.name)
    assert (await again.folder.epochs.get(soon.name)).origin.endswith("-r1")
    again.house.clock.step((soon.start - again.house.at).total_seconds() + 1)
    await again.steps.turn()
    assert again.reasons() == []
    await again.folder.database.close()


async def test_an_act_that_the_logs_files_name_is_waited_for(kept):
    gateway, _ = kept
    later = await reopened(gateway)
    suspension = await later.suspend()
    await later.post(suspension)
    await later.publisher.publish_all()
    again = await put_back(later)
    await again.cosign("hamburg/fairtap/2026-01-r1")
    assert again.logs.acts_ahead == 2 and again.shut()  # whatever the council may have cosigned
    await again.folder.database.close()
    again = await reopened(again)
    assert again.shut()
    await again.post(suspension)
    assert not again.shut() and Reason.SUSPENDED in again.reasons()
    await again.folder.database.close()


async def test_an_epoch_that_was_revealed_meanwhile_stays_so(kept):
    gateway, _ = kept
    later = await reopened(gateway)
    first = later.steps.horizon()[0]
    later.house.clock.step((first.end - later.house.at).total_seconds() + 1)
    await later.steps.turn()
    revealed = await later.folder.epochs.get(first.name)
    assert revealed.state is EpochState.REVEALED
    again = await put_back(later)
    found = await again.folder.epochs.get(first.name)
    assert (found.state, found.revealed_index, found.host) == (EpochState.REVEALED, revealed.revealed_index, None)
    again.house.clock.step(timedelta(days=30).total_seconds())
    await again.steps.turn()
    await again.folder.database.close()
