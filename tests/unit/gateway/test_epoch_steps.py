"""The steps of an epoch as council and clock bring them, over a real database and a real log."""

from datetime import timedelta

import pytest
from sqlalchemy import update

from crypto.checkpoint import Checkpoint
from crypto.cosignature import cosign
from crypto.draw import new_share
from crypto.errors import NoteError
from crypto.signed_note import SignedNote
from crypto.ssh_key import SigningKey
from crypto.sshsig import sign
from gateway.engine.epoch_book import EpochBook, pseudonym_of
from gateway.engine.epoch_steps import EpochSteps
from gateway.engine.errors import Refused
from gateway.engine.ledger import Ledger, SealedShare
from policy.acts import ACT_NAMESPACE, NewAgreement
from policy.agreement.load import load
from policy.chain import Posted
from policy.epoch_statement import commit
from policy.epochs import LEGS_TO_COUNT, EpochState, following, preceding
from policy.log_entry import parse
from policy.terms import Phase
from storage.errors import EpochStep, StorageUnavailable, TermsChanged
from storage.log.files import LocalLogFiles
from storage.log.publish import Publisher
from storage.log.tiles import PublishedTree
from storage.tables import epochs as table
from tests.peers.enacted import KEYS, House
from tests.peers.opened_epoch import LIMITS
from tests.unit.policy.green import edited

SITE = "hamburg"
S = EpochState
WEEKS = edited({"lanes/campaigns": []})
MINUTES = edited({"demo": "yes", "lanes/campaigns": [], "draw/epoch": "PT10M", "lanes/sample/caps": {"per_agent": {}}})


class Draw:
    """A house with a log, and the council that deals with it."""

    def __init__(self, folder) -> None:
        self.house = House.over(folder, protected=None)
        self.house.site.book = self.book = EpochBook()
        self.files = LocalLogFiles(folder.root)
        self.publisher = Publisher(folder.database, self.files, folder.key)
        self.folder = folder
        self.shares: dict[str, bytes] = {}
        self.steps = EpochSteps(
            folder.epochs, book=self.book, site=self.house.site, clock=self.house.clock, name=SITE,
            key=folder.key.verify_key, publish=self.publisher.publish, recordings=folder.recordings,
        )  # fmt: skip

    async def start(self, document: bytes = WEEKS) -> None:
        await self.house.enact(document)
        for _ in range(3):
            await self.house.hire()
        await self.steps.load()

    async def also(self, document: bytes) -> None:
        """One more agreement, or a successor, signed by both."""
        found = load(document)
        act = self.house.site.state.draft(found.id, NewAgreement(found.digest))
        signatures = {role: sign(KEYS[role], ACT_NAMESPACE, act) for role in ("employer", "council")}
        await self.house.acts.append(Posted(act, signatures, self.house.at, document))
        await self.house.site.load()

    @property
    def current(self):
        return self.steps.horizon()[0]

    async def promise(self, name: str, key: SigningKey | None = None) -> EpochState:
        self.shares[name] = new_share()
        origin = (await self.steps.origins([name]))[name]
        said, csig = commit(origin, name, self.shares[name], key or KEYS["council"])
        return (await self.steps.promise(name, said.c, csig)).state

    async def note(self, name: str, key: SigningKey | None = None) -> str:
        origin = (await self.steps.origins([name]))[name]
        note = SignedNote.parse(self.files.checkpoint(origin))
        at = int(self.house.clock.wallclock().timestamp())
        line = cosign(note.text, "council", key or KEYS["council"], at)
        return bytes(SignedNote(note.text, (*note.signatures, line))).decode()

    async def open(self, name: str) -> EpochState:
        await self.promise(name)
        await self.steps.cosign(await self.note(name))
        return (await self.steps.share(name, self.shares[name])).state

    async def told(self) -> list[str]:
        """The types of what the log holds, published."""
        origin = (await self.steps.origins([self.current.name]))[self.current.name]
        checkpoint = await self.publisher.publish(origin)
        tree = PublishedTree(self.files, origin, checkpoint.size)
        return [parse(leaf).t for leaf in tree.entries(0, checkpoint.size)]

    def go_to(self, at) -> None:
        self.house.clock.step((at - self.house.at).total_seconds())


@pytest.fixture
async def draw(folder):
    made = Draw(folder)
    await made.start()
    return made


async def test_the_first_epoch_opens_while_it_goes_on_and_is_revealed_when_it_is_over(draw):
    epoch = draw.current
    assert draw.house.site.draws(draw.house.at) is False
    assert await draw.open(epoch.name) is S.OPENED
    assert draw.house.site.draws(draw.house.at) and draw.house.site.reasons(draw.house.at) == []
    row = draw.book.rows[epoch.name]
    assert len(row.roster) == len(await draw.folder.epochs.names(epoch.name)) == 3 and row.day == 2
    draw.go_to(epoch.end)
    await draw.steps.turn()
    assert draw.book.rows == {} and not draw.house.site.draws(draw.house.at)
    assert (await draw.told())[-4:] == ["ecommit", "eopen", "eclose", "reveal"]


async def test_who_had_too_few_legs_in_the_last_closed_epoch_counts_for_nobody(draw):
    """An epoch in which nobody had a call (a day off) says nothing; a restart knows the same."""
    first, site = draw.current, draw.house.site
    busy, lazy, _ = site.agents.values()
    await draw.open(first.name)
    following_one = following(site.agreement, first)
    await draw.open(following_one.name)
    ledger = Ledger(SITE, draw.folder.legs, draw.folder.epochs, draw.book, SealedShare())
    for agent, legs in ((busy, LEGS_TO_COUNT + 1), (lazy, LEGS_TO_COUNT - 1)):
        for number in range(legs):
            call, at = f"{number:016x}", draw.house.at
            queue = "service-gas" if number else None
            entered = await ledger.enter(agent, site.agreements, queue=queue, call=call, call_id="c", wallclock=at)
            assert entered is not None
            await ledger.leave(entered, "not_recorded", (), ())
    assert (site.counting, draw.book.working) == (None, None)
    for end in (first.end, following_one.end):
        draw.go_to(end)
        await draw.steps.turn()
        assert (site.counting, draw.book.working) == ({busy.id}, {"service-gas": 1})
    site.counting = draw.book.working = None
    await draw.steps.load()
    assert (site.counting, draw.book.working) == ({busy.id}, {"service-gas": 1})


async def test_later_ones_are_committed_from_the_start_of_the_epoch_before(draw):
    first = draw.current
    second = following(draw.house.site.agreement, first)
    third = following(draw.house.site.agreement, second)
    assert await draw.open(first.name) is S.OPENED
    assert [await draw.promise(one.name) for one in (second, third)] == [S.COMMITTED, S.PROMISED]
    draw.go_to(second.start)
    await draw.steps.turn()
    assert draw.book.rows[third.name].state is S.COMMITTED
    assert not draw.house.site.draws(draw.house.at)  # nobody handed the second one's share over
    draw.go_to(third.start)
    await draw.steps.turn()
    assert (await draw.folder.epochs.get(second.name)).state is S.DARK
    with pytest.raises(EpochStep):
        await draw.steps.share(second.name, draw.shares[second.name])


async def test_an_epoch_that_the_disk_refuses_a_step_holds_up_no_other(draw, monkeypatch):
    first = draw.current
    second = following(draw.house.site.agreement, first)
    third = following(draw.house.site.agreement, second)
    await draw.open(first.name)
    for one in (second, third):
        await draw.promise(one.name)
    draw.go_to(second.start)
    for step in ("close", "reveal"):

        async def refused(*_: object, **__: object) -> bool:
            raise StorageUnavailable("disk full")

        with monkeypatch.context() as patched:
            patched.setattr(draw.folder.epochs, step, refused)
            with pytest.raises(StorageUnavailable):
                await draw.steps.turn()
        assert draw.book.rows[third.name].state is S.COMMITTED
        assert draw.book.rows[first.name].state is {"close": S.OPENED, "reveal": S.CLOSED}[step]
    await draw.steps.turn()
    assert first.name not in draw.book.rows


async def test_a_leg_that_comes_as_its_epoch_closes_is_not_entered(draw):
    epoch = draw.current
    await draw.open(epoch.name)
    stale = EpochBook(dict(draw.book.rows), draw.house.at)
    assert await draw.folder.epochs.close(epoch.name, LIMITS, epoch.end)
    ledger = Ledger(SITE, draw.folder.legs, draw.folder.epochs, stale, SealedShare())
    agent = next(iter(draw.house.site.agents.values()))
    entered = await ledger.enter(
        agent, draw.house.site.agreements, queue="service-gas", call="c", call_id="a84b@pbx", wallclock=draw.house.at
    )
    assert entered is None


async def test_a_leg_is_entered_under_the_newest_act_or_not_at_all(draw):
    await draw.open(draw.current.name)
    ledger = Ledger(SITE, draw.folder.legs, draw.folder.epochs, draw.book, SealedShare())
    agent, seq = next(iter(draw.house.site.agents.values())), draw.house.site.state.seq
    how = {"queue": "service-gas", "call": "c", "call_id": "a84b@pbx", "wallclock": draw.house.at}
    with pytest.raises(TermsChanged):
        await ledger.enter(agent, draw.house.site.agreements, **how, acts=seq - 1)
    assert "call" not in await draw.told()
    entered = await ledger.enter(agent, draw.house.site.agreements, **how, acts=seq)
    assert entered is not None and entered.entry.n == 1


async def test_no_epoch_but_the_first_is_committed_once_it_has_begun(draw):
    first = draw.current
    await draw.open(first.name)
    draw.go_to(first.end + timedelta(hours=1))
    await draw.steps.turn()
    assert await draw.promise(draw.current.name) is S.PROMISED
    await draw.steps.turn()
    assert not draw.house.site.draws(draw.house.at)


async def test_under_two_agreements_onboarding_is_what_both_call_so(folder):
    """The roster's phase decides the rate: whichever ends it sooner holds, where both are about the group."""
    draw, shorter = Draw(folder), {"id": "bv-konzern", "lanes/campaigns": [], "lanes/sample/rates/0/max_days": 14}
    await draw.start()
    since = draw.house.at.date() - timedelta(days=12)
    new = await draw.house.hire(onboarding_from=since)
    await draw.also(edited(shorter))
    await draw.promise(draw.current.name)
    row, site = draw.book.rows[draw.current.name], draw.house.site
    leaves = {leaf.a: leaf for leaf in row.roster}
    assert leaves[pseudonym_of(site.agents[new].salt, row)].phase is site.phase(new, draw.house.at) is Phase.REGULAR


async def test_onboarding_is_the_groups_own_agreements_word_though_another_comes_first(folder):
    draw = Draw(folder)
    await draw.start(edited({"scope/sites": ["bremen"], "lanes/campaigns": [], "lanes/sample/rates/0/max_days": 1}))
    new = await draw.house.hire(onboarding_from=draw.house.at.date())
    await draw.also(edited({"id": "bv-konzern", "lanes/campaigns": []}))
    await draw.promise(draw.current.name)
    row = draw.book.rows[draw.current.name]
    leaves = {leaf.a: leaf for leaf in row.roster}
    assert leaves[pseudonym_of(draw.house.site.agents[new].salt, row)].phase is Phase.ONBOARDING


async def test_an_agreement_that_has_ended_leaves_the_draw_of_another_one_alone(folder):
    """It still closes its scope, and counts days where the other counts weeks."""
    draw = Draw(folder)
    caps = {"lanes/sample/caps": {"per_agent": {"P1D": 2}}}
    ends = {"validity/end": "2026-03-06T00:00:00", "validity/evaluation/next_due": "2026-03-05"}
    await draw.start(edited({**ends, **caps, "draw/epoch": "P1D", "lanes/campaigns": []}))
    await draw.also(edited({"id": "bv-konzern", "scope/sites": ["bremen"], "lanes/campaigns": []}))
    site = draw.house.site
    assert not site.draws(draw.house.at)
    draw.go_to(site.agreements[0].validity.end + timedelta(hours=1))
    site.turn(draw.house.at)
    assert [one.id for one in site.agreements] == ["bv-aufzeichnung-nord", "bv-konzern"]
    first, second = draw.steps.horizon()[:2]
    assert [await draw.open(one.name) for one in (first, second)] == [S.OPENED] * 2
    assert site.draws(draw.house.at) and site.reasons(draw.house.at) == []
    assert draw.book.rows[first.name].day == 4
    draw.go_to(draw.house.at + timedelta(days=1))
    await draw.steps.turn()
    assert draw.book.rows[first.name].day == 5


async def test_only_the_council_commits_and_cosigns(draw):
    name, stranger = draw.current.name, SigningKey.generate()
    for key in (stranger, KEYS["employer"], KEYS["dpo"]):
        with pytest.raises(Refused, match="council"):
            await draw.promise(name, key)
    with pytest.raises(Refused, match="no such epoch"):
        await draw.steps.promise(preceding(draw.house.site.agreement, draw.current).name, "0" * 64, "-")
    await draw.promise(name)
    with pytest.raises(Refused, match="council"):
        await draw.steps.cosign(await draw.note(name, stranger))
    assert draw.book.cosigned_at is None
    with pytest.raises(EpochStep, match="cosigned"):
        await draw.steps.share(name, draw.shares[name])


async def test_a_checkpoint_of_another_log_is_no_cosignature(draw):
    await draw.promise(draw.current.name)
    forged = Checkpoint("hamburg/fairtap/2026-01", 99, bytes(32)).signed(SigningKey.generate())
    line = cosign(forged.text, "council", KEYS["council"], 1)
    with pytest.raises(NoteError):
        await draw.steps.cosign(bytes(SignedNote(forged.text, (*forged.signatures, line))).decode())


async def test_a_cosignature_from_the_future_counts_from_now(draw):
    name = draw.current.name
    await draw.promise(name)
    note = SignedNote.parse((await draw.note(name)).encode())
    late = int((draw.house.at + timedelta(days=400)).timestamp())
    line = cosign(note.text, "council", KEYS["council"], late)
    found = await draw.steps.cosign(bytes(SignedNote(note.text, (note.signatures[0], line))).decode())
    assert found.at == draw.house.at == draw.book.cosigned_at


async def test_a_restart_finds_every_epoch_where_it_stood(draw):
    first = draw.current
    await draw.open(first.name)
    again = EpochBook()
    draw.house.site.book = again
    steps = EpochSteps(
        draw.folder.epochs, book=again, site=draw.house.site, clock=draw.house.clock, name=SITE,
        key=draw.folder.key.verify_key, publish=draw.publisher.publish, recordings=draw.folder.recordings,
    )  # fmt: skip
    await steps.load()
    assert again.rows == draw.book.rows and again.cosigned_at == draw.book.cosigned_at
    assert draw.house.site.draws(draw.house.at)


async def test_an_epoch_without_its_council_share_freezes_and_is_shredded(draw):
    epoch = draw.current
    await draw.open(epoch.name)
    assert await draw.folder.epochs.close(epoch.name, LIMITS, epoch.end)
    lost = update(table).values(council_secret=None)
    await draw.folder.database.write(lambda connection: connection.execute(lost).rowcount)
    await draw.steps.load()
    for after, state in ((23, S.CLOSED), (24, S.FROZEN), (24 * 14, S.SHREDDED)):
        draw.go_to(epoch.end + timedelta(hours=after))
        await draw.steps.turn()
        assert (await draw.folder.epochs.get(epoch.name)).state is state
    assert draw.book.rows == {}


async def test_minutes_of_a_demo_are_committed_ahead_at_once(folder):
    draw = Draw(folder)
    await draw.start(MINUTES)
    epochs = draw.steps.horizon()[:3]
    assert [await draw.open(epoch.name) for epoch in epochs] == [S.OPENED] * 3
    for epoch in epochs:
        draw.go_to(epoch.start + timedelta(seconds=1) if epoch != epochs[0] else draw.house.at)
        await draw.steps.turn()
        assert draw.house.site.draws(draw.house.at)
    draw.go_to(epochs[-1].end)
    await draw.steps.turn()
    assert draw.book.rows == {}
