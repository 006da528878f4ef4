"""Records on request, from the command to the order to record: with certainty, counted, each with its own entry."""

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import select

from crypto.ssh_key import SigningKey
from crypto.sshsig import sign
from crypto.x25519 import Identity
from gateway.call.model import SipCallId
from gateway.call.stage import Stage
from gateway.control import protocol as p
from gateway.engine.commands import Commands
from gateway.engine.epoch_commands import EpochCommands
from gateway.engine.errors import Refused
from gateway.media.plane import DigitHeard, FlowId, PlayEnded, Quorum, Record
from policy.decision import ConsentState, Purpose
from policy.state import Anchor
from policy.statements import CALL_CONSENT_NAMESPACE, CallConsent
from policy.terms import Lane
from storage.consents import StandingConsent
from storage.tables import legs
from tests.peers.askable import question
from tests.peers.engine_bench import EXTENSION, PAGE
from tests.unit.policy.green import DELETED, plain_example

COUNCIL, OFFICER = (str(Identity.generate().recipient) for _ in range(2))
ASK = plain_example()["consent"]["prompts"][0]
PROMPTS = [ASK, {**ASK, "id": "ask-dispute-de-2", "sha256": "d" * 64}]
LANES = {Lane.CUSTOMER_REQUEST: Purpose.DISPUTE, Lane.AGENT_REQUEST: Purpose.COACHING}


class Requests:
    """The engine, its commands, and an agent who signs."""

    def __init__(self, bench) -> None:
        self.bench, self.key = bench, SigningKey.generate()
        self.commands = Commands(bench.engine, EpochCommands(bench.epochs, bench.folder.epochs))
        object.__setattr__(bench.site.agents[bench.agent], "signing_key", self.key.verify_key.line())
        self.agree()
        bench.ledger.drawn = False
        bench.engine.lights.open_page(bench.agent, PAGE)

    def agree(self, **edits) -> None:
        site = self.bench.site
        self.bench.enact(**({"consent__prompts": PROMPTS, "lanes__customer_request": {"purpose": "dispute"}} | edits))
        parties = (Anchor("council", "k", COUNCIL), Anchor("dpo", "k", OFFICER))
        site.enact(replace(site.state, anchors=parties))
        coaching, dispute = site.agreements[0].consent.prompts
        questions = {coaching.id: question(coaching), dispute.id: question(dispute, Purpose.DISPUTE)}
        site.announcements.questions = questions

    def signed(self, call: str, purpose: Purpose, text: str | None = None) -> p.Signed:
        said = CallConsent(self.bench.agent, call, purpose, "yes", text).canonical()
        return p.Signed(said.decode(), sign(self.key, CALL_CONSENT_NAMESPACE, said))

    async def press(
        self, live, lane: Lane = Lane.CUSTOMER_REQUEST, purpose: Purpose | None = None, text: str | None = None
    ) -> dict:
        statement = self.signed(live.call.ref, purpose or LANES[lane], text)
        return await self.commands.command(
            p.RequestRecord(self.bench.agent, live.call.ref, lane.value, statement)  # type: ignore[arg-type]  # asked for
        )

    async def refused(
        self, live, lane: Lane = Lane.CUSTOMER_REQUEST, purpose: Purpose | None = None, text: str | None = None
    ) -> str:
        with pytest.raises(Refused) as refused:
            await self.press(live, lane, purpose, text)
        return refused.value.refusal.code

    async def say_yes(self, live) -> None:
        """The caller hears the question out and says yes, the page shows the light: up to the open tap."""
        bench, leg = self.bench, live.call.leg
        caller, agent = (FlowId(f"{live.call.ref}/{side}/0") for side in ("caller", "agent"))
        turn = f"-{len(leg.earlier) + 1}"
        bench.clock.advance(8)
        bench.engine.reports.take(0, PlayEnded(f"ask{turn}", caller, True, bench.clock.now()))
        bench.clock.advance(1)
        bench.engine.reports.take(0, DigitHeard(caller, "1", 100, bench.clock.now(), "rfc4733"))
        await bench.engine.finished()
        bench.engine.reports.take(0, PlayEnded(f"tone{turn}", agent, True, bench.clock.now()))
        bench.engine.reports.take(0, PlayEnded(f"notice{turn}", caller, True, bench.clock.now()))
        bench.acknowledge(live)
        await bench.engine.finished()

    async def entries(self) -> list[tuple[str, str | None, int | None, str | None]]:
        query = select(legs.c.kind, legs.c.k, legs.c.n, legs.c.o).where(legs.c.kind == "wish").order_by(legs.c.id)
        rows = await self.bench.folder.database.read(lambda connection: connection.execute(query).all())
        return [tuple(row) for row in rows]

    @property
    def records(self) -> list[Record]:
        return [order for order in self.bench.worker.orders if isinstance(order, Record)]


@pytest.fixture
def requests(bench) -> Requests:
    return Requests(bench)


@pytest.mark.parametrize("lane", LANES)
async def test_both_want_it_and_it_is_recorded_in_its_own_lane(bench, requests, lane):
    live = await bench.answered()
    assert await requests.press(live, lane) == {
        "state": "prompting", "lane": lane.value, "purpose": LANES[lane].value,
    }  # fmt: skip
    await requests.say_yes(live)
    assert bench.stage(live) is Stage.OPEN
    (order,) = requests.records
    assert order.quorum == (Quorum((COUNCIL,), OFFICER) if lane is Lane.CUSTOMER_REQUEST else None)
    row = await bench.folder.recordings.row(order.recording)
    assert (row.lane, row.purpose, len(row.consents)) == (lane.value, LANES[lane].value, 3)
    kept = await bench.site.consents.receipts(recording=order.recording)
    assert [one.digest for one in kept] == [row.consents[1]], "the agent's own yes in the call, beside the recording"
    assert row.recipients == [bench.site.agents[bench.agent].recipient]
    shown = live.call.leg.indicator.shown
    assert (shown.lane, shown.purpose) == (lane.value, LANES[lane].value)
    bench.engine.hang_up(live.call.new.call_id)
    await bench.engine.finished()
    assert await requests.entries() == [("wish", lane.value, 1, "wish")]


@pytest.mark.parametrize("answer", [ConsentState.NO, ConsentState.UNSET])
async def test_who_said_no_to_everything_may_ask_for_a_record_having_read_its_text(bench, requests, answer):
    """A standing yes is no price for it; the signed wish names the text that stood on the page."""
    at = bench.clock.wallclock()
    bench.site.standing[bench.agent] = {one: StandingConsent(one, answer, 1, False, None, at) for one in Purpose}
    live = await bench.answered()
    assert await requests.refused(live) == "agent_not_informed"
    assert await requests.refused(live, text="0" * 64) == "agent_not_informed"
    await requests.press(live, text=min(bench.site.texts[Purpose.DISPUTE]))
    await requests.say_yes(live)
    assert bench.stage(live) is Stage.OPEN
    # the next call's text is to be read anew
    assert await requests.refused(await bench.answered("call-2")) == "agent_not_informed"


async def test_a_hundred_of_a_hundred(bench, requests):
    """Nobody is drawn; every call of which both want a record is recorded, and each has its entry and its `out`."""
    for number in range(100):
        live = await bench.answered(f"call-{number}")
        await requests.press(live)
        await requests.say_yes(live)
        assert bench.stage(live) is Stage.OPEN, number
        bench.engine.hang_up(SipCallId(f"call-{number}"))
        await bench.engine.finished()
    assert len({order.recording for order in requests.records}) == 100
    assert await requests.entries() == [("wish", "customer_request", n + 1, "wish") for n in range(100)]


@pytest.mark.parametrize(
    "edits",
    [{"demo": "no"}, {"scope__groups": {"team-a": {"min_agents": 500}, "team-b": {"min_agents": 500}}}],
    ids=["dark", "small"],
)
async def test_neither_a_dark_epoch_nor_a_small_group_keeps_it_away(bench, requests, edits):
    requests.agree(**edits)
    live = await bench.answered()
    await requests.press(live)
    await requests.say_yes(live)
    assert bench.stage(live) is Stage.OPEN
    bench.engine.hang_up(live.call.new.call_id)
    await bench.engine.finished()
    assert await requests.entries() == [("wish", "customer_request", 1, "wish")]
    said = bench.engine.memory.get(live.call.ref)
    assert said is not None


async def test_the_entry_is_durable_before_anybody_is_asked(bench, requests, monkeypatch):
    live = await bench.answered()
    before, go, reached = list(bench.worker.orders), asyncio.Event(), asyncio.Event()
    whole = bench.ledger.wish

    async def held(*args, **more):
        reached.set()
        await go.wait()
        return await whole(*args, **more)

    monkeypatch.setattr(bench.ledger, "wish", held)
    pressing = asyncio.create_task(requests.press(live))
    await reached.wait()
    bench.engine.beat()
    assert bench.worker.orders == before
    assert await requests.refused(live) == "already_asked_for"
    go.set()
    await pressing
    assert bench.worker.orders != before


async def test_a_disk_that_fails_asks_nobody_and_the_call_goes_on(bench, requests):
    live = await bench.answered()
    mend = bench.break_database()
    assert await requests.refused(live) == "storage_unavailable"
    assert bench.stage(live) is Stage.IDLE
    mend()
    bench.site.storage_available = True
    await requests.press(live)
    assert bench.stage(live) is Stage.PROMPTING


async def test_the_weeks_count_holds_over_days_as_epochs_and_for_the_agent_alone(bench, requests):
    requests.agree(lanes__customer_request={"purpose": "dispute", "per_agent": {"P1W": 2}}, draw__epoch="P1D",
                   lanes__sample__caps={"per_agent": {"P1D": 2}})  # fmt: skip
    for number in range(2):
        live = await bench.answered(f"call-{number}")
        await requests.press(live)
        bench.engine.hang_up(SipCallId(f"call-{number}"))
        await bench.engine.finished()
        bench.clock.advance(24 * 3600)
    live = await bench.answered("call-3")
    assert await requests.refused(live) == "agent_cap"
    await requests.press(live, Lane.AGENT_REQUEST)
    assert [(lane, n) for _, lane, n, _ in await requests.entries()] == [
        ("customer_request", 1), ("customer_request", 1), ("agent_request", 1),
    ]  # fmt: skip
    bench.engine.hang_up(SipCallId("call-3"))
    await bench.engine.finished()
    bench.clock.advance(7 * 24 * 3600)
    await requests.press(await bench.answered("call-4"))


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda bench: bench.site.enact(replace(bench.site.state, anchors=())), "key_unavailable"),
        (lambda bench: bench.site.announcements.questions.pop("ask-dispute-de-2"), "question_missing"),
        (lambda bench: bench.site.seats.update({"+4940111222": bench.site.seats[EXTENSION]}), "party_internal"),
        (lambda bench: setattr(bench.site, "storage_available", False), "storage_unavailable"),
        (lambda bench: setattr(bench.site, "protected", None), "protected_party"),
        (lambda bench: setattr(bench.site, "unreadable", True), "signature_invalid"),
    ],
    ids=["no quorum", "no question", "a colleague", "disk", "protected", "signatures"],
)
async def test_in_vain_is_said_before_anything_is_written(bench, requests, spoil, code):
    live = await bench.answered()
    spoil(bench)
    assert await requests.refused(live) == code
    assert await requests.entries() == [] and requests.records == []


async def test_a_lane_that_is_not_agreed_on_is_none(bench, requests):
    requests.agree(lanes__agent_request=DELETED)
    live = await bench.answered()
    assert await requests.refused(live, Lane.AGENT_REQUEST) == "lane_not_agreed"


async def test_the_press_is_the_agents_own_signed_yes_for_this_purpose(bench, requests):
    live = await bench.answered()
    assert await requests.refused(live, purpose=Purpose.COACHING) == "statement_differs"
    requests.key = SigningKey.generate()
    with pytest.raises(Refused):
        await requests.press(live)
    assert await requests.entries() == []


async def test_a_no_in_this_call_closes_that_lane(bench, requests):
    live = await bench.answered()
    await requests.press(live)
    await requests.commands.command(p.ConsentInCall(bench.agent, live.call.ref, "dispute", "no"))
    assert bench.stage(live) is Stage.CLOSED and requests.records == []
    assert await requests.refused(live) == "no_is_final"


@pytest.mark.parametrize("how", [p.StopRecording, p.CallerRefused])
@pytest.mark.parametrize("lane", LANES)
async def test_stop_and_the_callers_no_work_in_every_lane_at_once(bench, requests, lane, how, monkeypatch):
    monkeypatch.setattr("gateway.engine.custody.DISCARD_WAIT_S", 0.0)
    live = await bench.answered()
    await requests.press(live, lane)
    await requests.say_yes(live)
    await requests.commands.command(how(bench.agent, live.call.ref))
    kinds = bench.worker.kinds()
    assert "stop" in kinds[kinds.index("record") :]
    await bench.engine.finished()
    assert [one.state.value for one in await bench.folder.recordings.of_agent(bench.agent)] == ["discarded"]
    assert await requests.refused(live, lane) == "stop_is_final"


async def test_a_drawn_recording_ends_cleanly_and_both_are_kept_apart(bench, requests):
    bench.ledger.drawn = True
    live = await bench.opened()
    await requests.press(live)
    await requests.say_yes(live)
    assert bench.stage(live) is Stage.OPEN
    first, second = requests.records
    assert first.recording != second.recording and first.quorum is None and second.quorum is not None
    rows = [await bench.folder.recordings.row(order.recording) for order in (first, second)]
    assert [(row.lane, row.purpose) for row in rows] == [("sample", "coaching"), ("customer_request", "dispute")]
    bench.engine.hang_up(live.call.new.call_id)
    await bench.engine.finished()
    assert sorted(bench.ledger.outs) == ["not_recorded", "not_recorded"], "the double's worker hears no media"
    assert [one.state.value for one in await bench.folder.recordings.of_agent(bench.agent)] == ["failed", "failed"]
    assert await requests.entries() == [("wish", "customer_request", 1, "wish")]


async def test_the_agents_pages_know_of_a_call_that_nobody_drew(bench, requests):
    events: list = []
    bench.bus.publish = events.append
    live = await bench.answered()
    assert [(event.call, event.state.value, event.connected) for event in events] == [(live.call.ref, "off", True)]
    bench.engine.hang_up(live.call.new.call_id)
    assert events[1].connected is False


@pytest.mark.parametrize(
    ("gate", "standing", "asked_before", "asked_after"),
    [
        ("per_call", ConsentState.UNSET, False, True),
        ("standing_and_per_call", ConsentState.YES, False, True),
        ("standing_and_per_call", ConsentState.UNSET, False, False),
        ("standing", ConsentState.NO, False, True),
        ("standing", ConsentState.YES, True, True),
    ],
)
async def test_the_agents_yes_in_the_call_opens_the_gate_that_asks_for_it(
    bench, requests, gate, standing, asked_before, asked_after
):
    requests.agree(consent__agent__gate=gate)
    bench.say_yes()
    kept = bench.site.standing[bench.agent]
    kept[Purpose.COACHING] = replace(kept[Purpose.COACHING], answer=standing)
    bench.ledger.drawn = True
    live = await bench.answered()
    assert (bench.stage(live) is Stage.PROMPTING) == asked_before
    yes = p.ConsentInCall(
        bench.agent, live.call.ref, "coaching", "yes", requests.signed(live.call.ref, Purpose.COACHING)
    )
    await requests.commands.command(yes)
    assert (bench.stage(live) is Stage.PROMPTING) == asked_after
    await requests.commands.command(p.ConsentInCall(bench.agent, live.call.ref, "coaching", "no"))
    assert bench.stage(live) in (Stage.CLOSED, Stage.IDLE) and requests.records == []
