"""What the control port gets out of the engine: nothing of one leg for anybody but its agent, no statement twice."""

from dataclasses import replace
from typing import Any

import pytest

from crypto.ssh_key import SigningKey
from crypto.sshsig import sign
from gateway.call.stage import Stage
from gateway.control import protocol as p
from gateway.engine.commands import Commands
from gateway.engine.epoch_commands import EpochCommands
from gateway.engine.errors import Refused
from policy.decision import ConsentState, Purpose, Reason, Side
from policy.state import State
from policy.statements import CALL_CONSENT_NAMESPACE, CALLER_CONSENT_NAMESPACE, CallConsent, CallerConsent
from storage.consents import StandingConsent
from tests.peers.engine_bench import PAGE


@pytest.fixture
def commands(bench) -> Commands:
    return Commands(bench.engine, EpochCommands(bench.epochs, bench.folder.epochs))


async def told_to_others(bench, commands, how) -> list[dict]:
    """What `explain` says to everybody else of a leg that went that way: while it runs, and afterwards."""
    live = await bench.opened()
    how(bench, live)
    running = await commands.command(p.Explain(live.call.ref))
    bench.engine.hang_up(live.call.new.call_id)
    await bench.engine.finished()
    past = await commands.command(p.Explain(live.call.ref))
    return [{key: value for key, value in said.items() if key != "call"} for said in (running, past)]


@pytest.mark.parametrize(
    "how",
    [
        lambda bench, live: None,
        lambda bench, live: live.call.leg.withdraw(Side.AGENT) or bench.engine.reconsider(live),
        lambda bench, live: bench.engine.referred(live.call.new.call_id),
    ],
    ids=["recorded", "stopped by the agent", "transferred"],
)
async def test_others_cannot_tell_a_recorded_leg_from_any_other(bench, commands, how):
    running, past = await told_to_others(bench, commands, how)
    assert running["reasons"] == past["reasons"] == ["NOT_SELECTED_OR_NOT_PERMITTED"]
    assert set(running) == set(past) == {"running", "reasons", "note"}


async def silent_caller(bench, call_id: str):
    """A call whose caller was asked and said nothing."""
    bench.engine.lights.open_page(bench.agent, PAGE)
    live = await bench.answered(call_id)
    bench.clock.advance(60)
    bench.engine.reconsider(live)
    await bench.engine.finished()
    assert live.call.leg.told_reasons() == (Reason.CALLER_UNSET,)
    return live


async def test_a_suspension_shows_nobody_who_was_recorded_asked_or_vetoing(bench, commands):
    """What ended a leg stays its own: while suspended, after resuming, and when it is over, all are told alike."""
    silent = await silent_caller(bench, "call-2")
    recorded = await bench.opened()
    bench.ledger.drawn = False
    other = await bench.answered("call-3")
    calls, term = (recorded, silent, other), bench.site.state.terms
    told = []
    for state in (State((), terms=term, suspended_by=frozenset({"council"})), State((), terms=term)):
        bench.site.enact(state)
        bench.engine.reconsider_all()
        told.append([(await commands.command(p.Explain(live.call.ref)))["reasons"] for live in calls])
    assert recorded.call.leg.told_reasons() == (Reason.SUSPENDED,)
    for live in calls:
        bench.engine.hang_up(live.call.new.call_id)
    # at once: only a leg that was recorded waits for its file
    told.append([(await commands.command(p.Explain(live.call.ref)))["reasons"] for live in calls])
    await bench.engine.finished()
    told.append([(await commands.command(p.Explain(live.call.ref)))["reasons"] for live in calls])
    assert told == [[["SUSPENDED"]] * 3, *([[["NOT_SELECTED_OR_NOT_PERMITTED"]] * 3] * 3)]


async def test_the_status_for_admins_has_no_figure_of_answers_or_lights(bench, commands):
    before = await commands.command(p.Status())
    await bench.opened()
    after = await commands.command(p.Status())
    assert {key for key in after if after[key] != before[key]} == {"calls"}


async def test_who_paused_must_resume(bench, commands):
    live = await bench.opened()
    ref = live.call.ref
    await commands.command(p.PauseCall(ref, "pbx", True))
    await commands.command(p.PauseCall(ref, f"agent:{bench.agent}", True))
    assert await commands.command(p.PauseCall(ref, f"agent:{bench.agent}", False)) == {"paused": True}
    assert bench.stage(live) is Stage.PAUSED
    assert await commands.command(p.PauseCall(ref, "pbx", False)) == {"paused": False}
    assert bench.stage(live) is Stage.LIT


async def test_a_yes_that_was_taken_back_cannot_be_replayed(bench, commands):
    live = await bench.answered()
    key = SigningKey.generate()
    object.__setattr__(bench.site.agents[bench.agent], "signing_key", key.verify_key.line())
    said = CallConsent(bench.agent, live.call.ref, Purpose.COACHING, "yes").canonical()
    signed = p.Signed(said.decode(), sign(key, CALL_CONSENT_NAMESPACE, said))
    yes = p.ConsentInCall(bench.agent, live.call.ref, "coaching", "yes", signed)
    no = p.ConsentInCall(bench.agent, live.call.ref, "coaching", "no")
    await commands.command(no)
    await commands.command(yes)
    await commands.command(yes)
    await commands.command(no)
    with pytest.raises(Refused) as refused:
        await commands.command(yes)
    assert refused.value.refusal.code == "no_is_final"


async def test_a_yes_in_the_call_beats_a_standing_no(bench, commands):
    """agreement.md §4: standing no, per-call yes unprompted."""
    at = bench.clock.wallclock()
    no = StandingConsent(Purpose.COACHING, ConsentState.NO, 1, False, None, at)
    bench.site.standing[bench.agent] = {Purpose.COACHING: no}
    bench.engine.lights.open_page(bench.agent, PAGE)
    live = await bench.answered()
    reasons = {Reason.AGENT_NOT_INFORMED, Reason.AGENT_NO_OR_UNSET}
    assert reasons <= set(bench.engine.reasons(live))
    key = SigningKey.generate()
    object.__setattr__(bench.site.agents[bench.agent], "signing_key", key.verify_key.line())
    text = min(bench.site.texts[Purpose.COACHING])
    said = CallConsent(bench.agent, live.call.ref, Purpose.COACHING, "yes", text).canonical()
    signed = p.Signed(said.decode(), sign(key, CALL_CONSENT_NAMESPACE, said))
    await commands.command(p.ConsentInCall(bench.agent, live.call.ref, "coaching", "yes", signed))
    assert reasons.isdisjoint(bench.engine.reasons(live)) and bench.stage(live) is Stage.PROMPTING


@pytest.mark.parametrize("by", ["somebody", "agent:somebody"])
async def test_only_its_agent_or_the_pbx_pauses_a_call(bench, commands, by):
    live = await bench.answered()
    with pytest.raises(Refused):
        await commands.command(p.PauseCall(live.call.ref, by, True))


async def test_another_agents_page_acknowledges_nothing(bench, commands):
    live = await bench.lit()
    shown = live.call.leg.indicator.shown
    other = "f" * 32
    await commands.command(p.PageOpened(other, "page-2"))
    for agent, page in ((other, "page-2"), (other, "page-1"), (bench.agent, "page-2"), (bench.agent, "page-3")):
        ack = p.Acknowledge(agent, page, live.call.ref, shown.seq, shown.nonce, shown.state.value, "visible")
        assert await commands.command(ack) == {"counted": False}
    assert bench.stage(live) is Stage.LIT


async def test_a_call_with_a_protected_party_leaves_no_entry_of_its_agent(bench):
    bench.site.protected = type("Everybody", (), {"__contains__": lambda self, number: True})()
    await bench.answered()
    assert (bench.ledger.entered, [kind.value for kind in bench.ledger.x]) == ([], ["protected"])


# --- machines --------------------------------------------------------------------------------------------------------


def answered(bench, call: str, answer: str = "yes", **more: str) -> p.CallerAnswered:
    prompt, at = bench.site.agreement.consent.prompts[0], bench.clock.wallclock().isoformat()
    times = {"prompt_sha256": prompt.sha256, "prompt_end": at, "answered_at": at} if answer == "yes" else {}
    return p.CallerAnswered(call, "front", "coaching", answer, **(times | more))  # type: ignore[arg-type]  # yes, no


async def test_an_ivr_names_a_call_by_its_call_id_and_hears_once_the_receipt_is_durable(bench, commands):
    await bench.offer()
    (live,) = bench.engine.calls.values()
    assert await commands.command(answered(bench, "call-1")) == {"call": live.call.ref}
    assert len(await bench.site.consents.receipts(call_ref=live.call.ref)) == 1
    assert await commands.command(answered(bench, live.call.ref, "silence")) == {"call": live.call.ref}
    assert await commands.command(answered(bench, live.call.ref, "no")) == {"call": live.call.ref}
    assert live.call.said.refused(Purpose.COACHING)


async def test_a_receipt_that_is_not_durable_is_told(bench, commands):
    await bench.offer()
    bench.break_database()
    with pytest.raises(Refused) as refused:
        await commands.command(answered(bench, "call-1"))
    assert refused.value.refusal.status == 503


@pytest.mark.parametrize("time", ["2026-03-02T09:00:00", "yesterday", ""])
async def test_a_time_that_is_none_proves_nothing(bench, commands, time):
    await bench.offer()
    with pytest.raises(Refused) as refused:
        await commands.command(answered(bench, "call-1", prompt_end=time))
    assert refused.value.refusal.code == "consent_unproven"


async def test_of_a_call_that_does_not_run_nothing_is_taken(bench, commands):
    for command in (answered(bench, "call-9"), p.AgentOnCall("call-9", "200", 5), p.PauseCall("call-9", "pbx", True)):
        with pytest.raises(Refused) as refused:
            await commands.command(command)
        assert (refused.value.refusal.code, refused.value.refusal.status) == ("call_unknown", 404)


async def test_a_lease_is_answered_alike_whoever_has_that_seat(bench, commands):
    live = await bench.answered()
    answers = [await commands.command(p.AgentOnCall("call-1", extension, 5)) for extension in ("200", "299")]
    assert answers == [{"call": live.call.ref}] * 2


async def test_a_pause_by_api_has_to_be_agreed_and_a_resume_never(bench, commands):
    live = await bench.answered()
    await commands.command(p.PauseCall(live.call.ref, "pbx", True))
    bench.enact(pause__triggers=["dtmf"])
    with pytest.raises(Refused) as refused:
        await commands.command(p.PauseCall(live.call.ref, "pbx", True))
    assert refused.value.refusal.code == "pause_not_agreed"
    assert await commands.command(p.PauseCall(live.call.ref, "pbx", False)) == {"paused": False}


# --- the agent's word about the caller -------------------------------------------------------------------------------


async def told(bench, commands, live, **more: Any) -> dict:
    key = SigningKey.generate()
    object.__setattr__(bench.site.agents[bench.agent], "signing_key", key.verify_key.line())
    said = CallerConsent(bench.agent, live.call.ref, Purpose.COACHING, "de")
    document = replace(said, **more).canonical()
    signed = p.Signed(document.decode(), sign(key, CALLER_CONSENT_NAMESPACE, document))
    return await commands.command(p.CallerAgreed(bench.agent, live.call.ref, "coaching", signed))


async def test_the_agents_signed_word_is_durable_before_it_is_answered(bench, commands):
    live = await bench.answered()
    await told(bench, commands, live)
    assert len(await bench.site.consents.receipts(call_ref=live.call.ref)) == 1


@pytest.mark.parametrize("more", [{"call": "0" * 16}, {"purpose": Purpose.DISPUTE}, {"agent": "another"}])
async def test_a_word_about_another_call_purpose_or_by_another_agent_is_none(bench, commands, more):
    live = await bench.answered()
    with pytest.raises(Refused) as refused:
        await told(bench, commands, live, **more)
    assert refused.value.refusal.code == "statement_differs"
    assert await bench.site.consents.receipts(call_ref=live.call.ref) == []
