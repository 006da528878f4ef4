"""Acts, a clock that is set and a slow disk: a suspension waits for neither; other acts do, and recording too."""

import asyncio

import pytest

from crypto.sshsig import sign
from gateway.call.stage import Stage
from gateway.control import protocol as p
from gateway.engine.commands import Commands
from gateway.engine.epoch_commands import EpochCommands
from gateway.engine.errors import Refused
from gateway.media.plane import Stop
from policy.acts import ACT_NAMESPACE, Body, NewAgreement, Rates, Suspend
from policy.agreement.load import load
from policy.decision import Purpose, Reason
from policy.state import State
from storage.acts import Anchor
from tests.unit.policy.green import edited
from tests.unit.policy.parties import BOTH, ID, anchors, key

DEMO = edited({"demo": "yes", "lanes/campaigns": []})
HOUR_S = 3600.0


class Parties:
    """Employer and council at a gateway in which their agreement is in force."""

    def __init__(self, bench) -> None:
        self.bench, self.site = bench, bench.site
        self.commands = Commands(bench.engine, EpochCommands(bench.epochs, bench.folder.epochs))

    async def agree(self) -> None:
        keys = [Anchor(one.role, one.key, one.recipient) for one in anchors()]
        await self.site.acts.set_anchors(keys, self.bench.clock.wallclock())
        self.site.enact(State(anchors()))
        await self.post(NewAgreement(load(DEMO).digest), BOTH, DEMO)
        self.bench.say_yes()

    async def post(self, body: Body, by, document: bytes | None = None):
        act = self.site.state.draft(ID, body)
        signatures = {role: sign(key(role), ACT_NAMESPACE, act) for role in by}
        carried = None if document is None else document.decode()
        return await self.commands.command(p.PostAct(act.decode(), signatures, carried, "en"))

    async def refused(self, body: Body, by, document: bytes | None = None) -> str:
        act = self.site.state.draft(ID, body)
        signatures = {role: sign(key(role), ACT_NAMESPACE, act) for role in by}
        carried = None if document is None else document.decode()
        with pytest.raises(Refused) as refused:
            await self.commands.command(p.PostAct(act.decode(), signatures, carried, "de"))
        return refused.value.refusal.message

    async def lower(self, percent: int):
        return await self.post(Rates({"sample/team-a/regular": percent * 10_000}), ("council",))

    async def suspend(self):
        return await self.commands.command(p.SuspendRecording(ID, "council"))

    def pass_time(self, seconds: int) -> None:
        for _ in range(seconds):
            self.bench.clock.advance(1)
            self.bench.engine.beat()


@pytest.fixture
async def parties(bench):
    made = Parties(bench)
    await made.agree()
    return made


async def test_a_clock_set_back_behind_an_act_lets_nobody_record_and_a_party_suspend(bench, parties):
    bench.clock.step(HOUR_S)
    parties.pass_time(61)  # long enough ahead to be believed
    await parties.lower(2)
    bench.clock.step(-HOUR_S)
    live = await bench.answered()  # its entry is durable, at the earlier time
    parties.pass_time(120)
    assert live.call.leg.entry is not None and bench.stage(live) is Stage.IDLE
    assert Reason.CLOCK_UNTRUSTED in bench.site.reasons(bench.clock.wallclock())
    with pytest.raises(Refused) as refused:
        await parties.lower(1)
    assert "clock" in str(refused.value.refusal.message)
    assert (await parties.suspend())["suspended_by"] == ["council"]
    await bench.site.load()
    assert bench.site.state.suspended_by == {"council"} and not bench.site.unreadable


async def test_while_the_clock_is_jumping_only_a_suspension_is_taken(bench, parties):
    live = await bench.opened()
    bench.clock.step(HOUR_S)
    with pytest.raises(Refused) as refused:
        await parties.lower(2)
    assert refused.value.refusal.code == "stale_act"
    await parties.suspend()
    assert bench.stage(live) is Stage.CLOSED


async def test_a_clock_that_is_set_by_a_second_delays_no_act(bench, parties):
    await parties.lower(2)
    bench.clock.step(-1.5)
    await parties.lower(1)
    assert bench.site.state.seq == 3


async def test_a_suspension_stops_what_is_recorded_before_the_disk_has_it(bench, parties, monkeypatch):
    live, slow, append = await bench.opened(), asyncio.Event(), bench.site.acts.append

    async def late(posted) -> None:
        await slow.wait()
        await append(posted)

    monkeypatch.setattr(bench.site.acts, "append", late)
    stopped = bench.worker.expect(Stop)
    asked = asyncio.create_task(parties.suspend())
    async with asyncio.timeout(5):
        await stopped.wait()
    assert bench.stage(live) is Stage.CLOSED and not asked.done()
    slow.set()
    assert (await asked)["suspended_by"] == ["council"]


async def test_a_session_stops_what_runs_while_the_disk_keeps_another_act_waiting(bench, parties, monkeypatch):
    live, slow, begun, append = await bench.opened(), asyncio.Event(), asyncio.Event(), bench.site.acts.append

    async def late(posted) -> None:
        begun.set()
        await slow.wait()
        await append(posted)

    monkeypatch.setattr(bench.site.acts, "append", late)
    lowering = asyncio.create_task(parties.lower(2))
    async with asyncio.timeout(5):
        await begun.wait()
    stopped = bench.worker.expect(Stop)
    asked = asyncio.create_task(parties.suspend())
    async with asyncio.timeout(5):
        await stopped.wait()
    assert bench.stage(live) is Stage.CLOSED and Reason.SUSPENDED in bench.site.reasons(bench.clock.wallclock())
    slow.set()
    # the act that came first took the number for which the suspension would have been drafted
    assert ((await lowering)["seq"], (await asked)["seq"]) == (2, 3)
    assert bench.site.state.suspended_by == {"council"}


async def test_who_suspended_already_adds_no_act(bench, parties):
    """Each would make stale what others are signing."""
    await parties.suspend()
    assert await parties.suspend() == await parties.suspend()
    assert bench.site.state.seq == 2
    assert "ändert nichts" in await parties.refused(Suspend(), ("council",))
    await parties.post(Suspend(), ("employer",))
    assert bench.site.state.suspended_by == {"council", "employer"}


async def test_a_session_that_may_not_suspend_stops_nothing(bench, parties):
    live = await bench.opened()
    with pytest.raises(Refused) as refused:
        await parties.commands.command(p.SuspendRecording("another", "council", "de"))
    assert refused.value.refusal.code == "wrong_document" and "Vereinbarung" in refused.value.refusal.message
    assert bench.stage(live) is Stage.OPEN


async def test_a_suspension_that_the_disk_refuses_is_none_and_what_it_stopped_stays_stopped(bench, parties):
    live, mend = await bench.opened(), bench.break_database()
    with pytest.raises(Refused) as refused:
        await parties.suspend()
    assert refused.value.refusal.status == 503
    assert bench.stage(live) is Stage.CLOSED and not bench.site.state.suspended_by
    mend()
    assert (await parties.suspend())["seq"] == 2


async def test_a_yes_to_a_question_that_the_successor_doesnt_name_is_proof_no_more(bench):
    live = await bench.opened()
    bench.enact(version=2, demo="yes", consent__prompts__0__sha256="f" * 64)
    bench.say_yes()
    bench.engine.reconsider_all()
    assert bench.stage(live) is Stage.CLOSED
    assert live.call.leg.told_reasons() == (Reason.CONSENT_UNPROVEN,)


async def test_a_successor_with_the_same_questions_keeps_what_runs(bench):
    live = await bench.opened()
    bench.enact(version=2, demo="yes")
    bench.say_yes()
    bench.engine.reconsider_all()
    assert bench.stage(live) is Stage.OPEN


async def test_a_standing_no_stops_what_is_recorded_also_where_the_disk_refuses_it(bench, parties):
    live, mend = await bench.opened(), bench.break_database()
    stopped = bench.worker.expect(Stop)
    with pytest.raises(Refused) as refused:
        await parties.commands.command(p.SetConsent(live.agent, Purpose.COACHING.value, "no"))
    assert refused.value.refusal.status == 503
    assert stopped.is_set() and bench.stage(live) is Stage.CLOSED
    mend()
    await bench.engine.finished()


async def test_an_act_a_document_and_a_draft_are_refused_in_the_language_of_the_request(parties):
    faulty = DEMO.replace(b"PT10M", b"PT90M")
    assert faulty != DEMO
    assert "Zeile" in await parties.refused(NewAgreement("a" * 64), BOTH, faulty)
    assert "noch unterschreiben: Arbeitgeber" in await parties.refused(
        NewAgreement(load(DEMO).digest), ("council",), DEMO
    )
    with pytest.raises(Refused) as refused:
        await parties.commands.command(p.DraftAct("rates", ID, {}, "nb"))
    assert "kan ikke leses" in refused.value.refusal.message


async def test_where_a_demo_may_not_record_a_suspension_is_taken_all_the_same(bench, parties):
    bench.site.draw_ready = False
    assert "von außen" in await parties.refused(Rates({"sample/team-a/regular": 20_000}), ("council",))
    assert (await parties.suspend())["suspended_by"] == ["council"]
