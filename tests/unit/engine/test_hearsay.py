"""What a PBX, an IVR and a header may say of a call: a no, a yes only as agreed and proven, a seat never."""

from datetime import timedelta

import pytest

from gateway.call.model import DialogTag, Private, SdpMessage, SipCallId
from gateway.call.stage import Stage
from gateway.engine.errors import Refused
from gateway.engine.hearsay import Spoken
from gateway.events import LightState
from gateway.media.plane import Stop
from policy.consent import parse_receipt
from policy.decision import Purpose, Side
from storage.legs import XKind
from storage.names import AgentId
from storage.roster import Seat
from tests.peers.engine_bench import EXTENSION, PAGE, sdp
from tests.unit.policy.green import plain_example

COACHING, DISPUTE = Purpose.COACHING, Purpose.DISPUTE


def spoken(bench, sha256: str | None = None, ended_ago: float = 5, answered_ago: float = 3) -> Spoken:
    """A yes to the agreement's own prompt, some seconds ago."""
    at = bench.clock.wallclock()
    prompt = bench.site.agreement.consent.prompts[0]
    return Spoken(sha256 or prompt.sha256, at - timedelta(seconds=ended_ago), at - timedelta(seconds=answered_ago))


async def offered(bench):
    await bench.offer()
    return bench.engine.calls[SipCallId("call-1")]


async def stands(bench):
    await bench.answer()
    bench.engine.lights.open_page(bench.agent, PAGE)
    bench.engine.answered(SipCallId("call-1"), "uas")
    bench.engine.confirmed(SipCallId("call-1"))
    await bench.engine.finished()


def reasons(bench, live) -> tuple[str, ...]:
    return bench.engine.reasons(live)


async def outcomes(bench, live) -> list[tuple[str, str, str]]:
    kept = [parse_receipt(one.document)[0] for one in await bench.site.consents.receipts(call_ref=live.call.ref)]
    return [(one.purpose.value, one.outcome, one.channel) for one in kept]


# --- an IVR ----------------------------------------------------------------------------------------------------------


async def test_a_yes_before_anybody_answered_leaves_only_the_notice_to_us(bench):
    live = await offered(bench)
    bench.engine.hearsay.ivr_agreed(live, "front", COACHING, spoken(bench))
    await bench.engine.finished()
    assert await outcomes(bench, live) == [("coaching", "yes", "ivr:front")]
    await stands(bench)
    assert bench.stage(live) is Stage.NOTICING
    assert [order.sound for order in bench.worker.orders if order.kind == "play"] == ["notice-de-1", "tone-start"]


async def test_a_receipt_says_which_prompt_and_when(bench):
    live = await offered(bench)
    bench.engine.hearsay.ivr_agreed(live, "front", COACHING, spoken(bench, ended_ago=60, answered_ago=58))
    await bench.engine.finished()
    (kept,) = await bench.site.consents.receipts(call_ref=live.call.ref)
    receipt, _ = parse_receipt(kept.document)
    prompt = bench.site.agreement.consent.prompts[0]
    assert (receipt.prompt_id, receipt.prompt_sha256, receipt.language) == (prompt.id, prompt.sha256, "de")
    assert (receipt.transport, receipt.detector) == ("api", "ivr")
    assert receipt.prompt_end is not None and receipt.prompt_end < receipt.answered_at


@pytest.mark.parametrize(
    "how",
    [
        lambda b: ("elsewhere", COACHING, spoken(b)),
        lambda b: ("front", COACHING, spoken(b, sha256="0" * 64)),
        lambda b: ("front", COACHING, None),
        lambda b: ("front", COACHING, spoken(b, ended_ago=2, answered_ago=4)),
        lambda b: ("front", COACHING, spoken(b, ended_ago=7200, answered_ago=7100)),
        lambda b: ("front", COACHING, spoken(b, ended_ago=-60, answered_ago=-60)),
    ],
    ids=["name", "prompt", "no prompt", "before the prompt ended", "another call's", "to come"],
)
async def test_a_yes_that_proves_nothing_is_refused_and_nothing_is_recorded(bench, how):
    live = await offered(bench)
    with pytest.raises(Refused) as refused:
        bench.engine.hearsay.ivr_agreed(live, *how(bench))
    assert refused.value.refusal.code == "consent_unproven"
    await stands(bench)
    assert bench.stage(live) is Stage.IDLE and "CONSENT_UNPROVEN" in reasons(bench, live)
    assert await outcomes(bench, live) == []


async def test_a_yes_to_one_purpose_is_none_to_another(bench):
    ours, *_ = plain_example()["consent"]["prompts"]
    bench.enact(consent__prompts=[ours, {**ours, "id": "ask-front", "sha256": "d" * 64}])
    bench.say_yes()
    live = await offered(bench)
    bench.engine.hearsay.ivr_agreed(live, "front", DISPUTE, spoken(bench, "d" * 64))
    await bench.engine.finished()
    await stands(bench)
    assert bench.stage(live) is Stage.PROMPTING


async def test_a_no_is_final_and_leaves_no_trace(bench):
    live = await offered(bench)
    bench.engine.hearsay.ivr_refused(live, "front", COACHING)
    with pytest.raises(Refused) as refused:
        bench.engine.hearsay.ivr_agreed(live, "front", COACHING, spoken(bench))
    assert refused.value.refusal.code == "no_is_final"
    await stands(bench)
    assert "CALLER_REFUSED" in reasons(bench, live) and bench.stage(live) is Stage.IDLE
    assert await outcomes(bench, live) == []


async def test_silence_is_a_no_that_nobody_asks_about_again(bench):
    live = await offered(bench)
    bench.engine.hearsay.ivr_heard_nothing(live, COACHING)
    await stands(bench)
    assert bench.stage(live) is Stage.CLOSED and reasons(bench, live) == ("CALLER_UNSET",)
    assert "play" not in bench.worker.kinds()


async def test_a_no_after_the_yes_withdraws_it_before_the_call_is_answered(bench):
    live = await offered(bench)
    bench.engine.hearsay.ivr_agreed(live, "front", COACHING, spoken(bench))
    await bench.engine.finished()
    bench.engine.hearsay.ivr_refused(live, "front", COACHING)
    await bench.engine.finished()
    assert await outcomes(bench, live) == [("coaching", "yes", "ivr:front"), ("coaching", "withdrawn", "ivr:front")]
    await stands(bench)
    assert "CALLER_REFUSED" in reasons(bench, live)


async def test_a_no_while_the_receipt_is_being_written_wins(bench):
    live = await offered(bench)
    bench.engine.hearsay.ivr_agreed(live, "front", COACHING, spoken(bench))
    bench.engine.hearsay.ivr_refused(live, "front", COACHING)
    await bench.engine.finished()
    await stands(bench)
    assert "CALLER_REFUSED" in reasons(bench, live)
    assert [outcome for _, outcome, _ in await outcomes(bench, live)] == ["yes", "withdrawn"]


@pytest.mark.parametrize("by", ["ivr", "header"])
async def test_a_no_in_the_recording_stops_and_discards_it(bench, by):
    live = await bench.opened()
    if by == "ivr":
        bench.engine.hearsay.ivr_refused(live, "front", COACHING)
    else:
        bench.engine.hearsay.caller_refused(SipCallId("call-1"))
    assert any(isinstance(order, Stop) for order in bench.worker.orders)
    await bench.engine.finished()
    assert bench.stage(live) is Stage.CLOSED and live.call.leg.way.discarded
    assert [outcome for _, outcome, _ in await outcomes(bench, live)] == ["yes", "withdrawn"]


async def test_a_receipt_that_cannot_be_written_is_no_yes(bench):
    live = await offered(bench)
    mend = bench.break_database()
    bench.engine.hearsay.ivr_agreed(live, "front", COACHING, spoken(bench))
    await bench.engine.finished()
    mend()
    bench.site.storage_available = True
    await stands(bench)
    assert bench.stage(live) is Stage.PROMPTING  # asked as if nobody had been


async def test_where_keys_are_no_agreed_channel_nobody_is_asked_in_vain(bench):
    bench.enact(consent__caller__channels=["ivr:front"])
    live = await offered(bench)
    await stands(bench)
    assert bench.stage(live) is Stage.IDLE and "play" not in bench.worker.kinds()
    bench.engine.hearsay.ivr_agreed(live, "front", COACHING, spoken(bench))
    await bench.engine.finished()
    assert bench.stage(live) is Stage.NOTICING


@pytest.mark.parametrize(("party", "means"), [(Side.CALLER, True), (Side.AGENT, False)])
async def test_only_the_callers_own_phone_can_refuse_in_its_description(bench, party, means):
    live = await offered(bench)
    body = sdp().rstrip() + b"\r\na=recordpref:off\r\n"
    said = SdpMessage(party, None if party is Side.CALLER else DialogTag("uas"), "offer" if means else "answer", body)
    await bench.engine.answer(SipCallId("call-1"), said)
    assert live.call.said.refused(COACHING) is means


# --- the agent's word ------------------------------------------------------------------------------------------------


async def test_the_agents_word_leaves_a_receipt_without_a_prompt_and_only_the_notice_to_us(bench):
    bench.enact(consent__caller__channels=["agent_key"])
    live = await offered(bench)
    await stands(bench)
    assert bench.stage(live) is Stage.IDLE and live.call.leg.indicator.state is LightState.ASKING
    bench.engine.hearsay.agent_told_yes(live, live.call.leg, COACHING, "nb")
    await bench.engine.finished()
    assert bench.stage(live) is Stage.NOTICING
    (kept,) = await bench.site.consents.receipts(call_ref=live.call.ref)
    receipt, _ = parse_receipt(kept.document)
    assert (receipt.channel, receipt.language, receipt.detector) == ("agent_key", "nb", "agent_key")
    assert (receipt.prompt_id, receipt.prompt_sha256, receipt.prompt_end) == (None, None, None)


async def test_the_agents_word_ends_the_question(bench):
    live = await offered(bench)
    await stands(bench)
    assert bench.stage(live) is Stage.PROMPTING
    bench.engine.hearsay.agent_told_yes(live, live.call.leg, COACHING, "de")
    await bench.engine.finished()
    assert bench.stage(live) is Stage.NOTICING
    assert [order.play for order in bench.worker.orders if order.kind == "stop_play"] == ["ask", "ask-agent"]


async def test_the_agents_word_counts_only_where_it_is_agreed(bench):
    bench.enact(consent__caller__channels=["dtmf", "ivr:front"])
    live = await offered(bench)
    await stands(bench)
    with pytest.raises(Refused) as refused:
        bench.engine.hearsay.agent_told_yes(live, live.call.leg, COACHING, "de")
    assert refused.value.refusal.code == "channel_not_agreed"


async def test_the_agents_word_is_worth_nothing_against_the_callers_no(bench):
    live = await offered(bench)
    await stands(bench)
    bench.engine.hearsay.caller_refused(SipCallId("call-1"))
    with pytest.raises(Refused) as refused:
        bench.engine.hearsay.agent_told_yes(live, live.call.leg, COACHING, "de")
    assert refused.value.refusal.code == "no_is_final"


async def test_a_light_that_asks_the_agent_goes_out_when_nothing_is_to_ask_any_more(bench):
    bench.enact(consent__caller__channels=["agent_key"])
    live = await offered(bench)
    await stands(bench)
    live.call.leg.paused_by_call = True
    bench.engine.reconsider(live)
    assert live.call.leg.indicator.state is LightState.OFF


# --- who is on it ----------------------------------------------------------------------------------------------------


async def leased(bench, extension: str = EXTENSION, ttl_s: float = 10):
    """A call over the trunk that stands, leased."""
    live = await bench.answered(extension="+494012340")
    bench.engine.lights.open_page(bench.agent, PAGE)
    bench.engine.hearsay.lease(live, extension, ttl_s)
    await bench.engine.finished()
    return live


async def test_the_agents_pages_know_of_a_call_once_the_pbx_says_who_is_on_it(trunk):
    told: list = []
    trunk.bus.publish = told.append
    live = await trunk.answered(extension=EXTENSION)
    assert told == []
    trunk.engine.hearsay.lease(live, EXTENSION, 10)
    assert [(event.call, event.connected) for event in told[:1]] == [(live.call.ref, True)]


async def test_without_a_lease_a_call_over_the_trunk_has_no_agent(trunk):
    live = await trunk.answered(extension=EXTENSION)
    assert live.call.leg is None and trunk.ledger.entered == []
    assert reasons(trunk, live) == ("PARTY_UNKNOWN",)
    trunk.engine.hang_up(live.call.new.call_id)
    await trunk.engine.finished()
    assert trunk.ledger.x == [XKind.UNCLAIMED]


async def test_a_lease_brings_the_leg_of_the_agent_who_claimed_that_seat(trunk):
    live = await leased(trunk)
    assert live.agent == trunk.agent and trunk.ledger.entered == [live.call.ref]
    assert trunk.stage(live) is Stage.PROMPTING
    trunk.engine.hang_up(live.call.new.call_id)
    await trunk.engine.finished()
    assert trunk.ledger.x == []


async def test_a_lease_makes_no_claim(trunk):
    live = await leased(trunk, extension="299")
    assert live.agent is None and live.call.leg is None and trunk.ledger.entered == []
    assert reasons(trunk, live) == ("LEG_UNBOUND",)


async def test_a_lease_before_the_answer_counts_once_it_is_answered(trunk):
    live = await offered(trunk)
    trunk.engine.hearsay.lease(live, EXTENSION, 10, "service-strom")
    assert live.call.leg is None
    await stands(trunk)
    assert live.agent == trunk.agent


async def test_a_lease_that_ran_out_before_the_answer_is_none(trunk):
    live = await offered(trunk)
    trunk.engine.hearsay.lease(live, EXTENSION, 1)
    trunk.clock.advance(1.0)
    await stands(trunk)
    assert live.call.leg is None


async def test_a_lease_lasts_ten_seconds_at_most_and_its_lapse_is_final(trunk):
    live = await leased(trunk, ttl_s=3600)
    assert live.call.next_timeout(trunk.clock.now(), trunk.clock.wallclock()) is not None
    trunk.clock.advance(9.9)
    trunk.engine.tick()
    assert not live.call.leg.party_changed
    trunk.clock.advance(0.1)
    trunk.engine.tick()
    assert trunk.stage(live) is Stage.CLOSED and "PARTY_UNKNOWN" in reasons(trunk, live)
    trunk.engine.hearsay.lease(live, EXTENSION, 10)
    assert trunk.stage(live) is Stage.CLOSED


@pytest.mark.parametrize("next_one", ["201", None])
async def test_another_extension_or_none_stops_the_leg_at_once(trunk, next_one):
    live = await leased(trunk)
    trunk.engine.hearsay.lease(live, EXTENSION, 10)
    assert trunk.stage(live) is Stage.PROMPTING
    trunk.engine.hearsay.lease(live, next_one, 10)
    assert trunk.stage(live) is Stage.CLOSED and "PARTY_UNKNOWN" in reasons(trunk, live)


async def test_between_pbx_and_phones_a_word_against_the_claim_stops_the_leg(bench):
    live = await bench.opened()
    bench.engine.hearsay.lease(live, EXTENSION, 10)
    assert bench.stage(live) is Stage.OPEN
    bench.clock.advance(1)
    bench.engine.hearsay.lease(live, "201", 10)
    assert bench.stage(live) is Stage.CLOSED and "LEG_UNBOUND" in reasons(bench, live)
    assert any(isinstance(order, Stop) for order in bench.worker.orders)


async def test_between_pbx_and_phones_no_lease_is_needed(bench):
    live = await bench.opened()
    assert live.call.lease is None and bench.stage(live) is Stage.OPEN


async def test_a_word_about_an_extension_gives_nobody_a_seat(bench):
    live = await bench.answered(extension="299")
    bench.engine.hearsay.lease(live, EXTENSION, 10)
    await bench.engine.finished()
    assert live.call.leg is None and live.call.new.extension == Private("299")


async def test_the_seat_of_a_leased_leg_is_the_agents_own(trunk):
    live = await leased(trunk)
    at = trunk.clock.wallclock()
    other = Seat(AgentId("colleague-1"), EXTENSION, "s", 1, at, at + timedelta(hours=1), "{}", "s")
    trunk.site.seats[EXTENSION] = other
    trunk.engine.reconsider(live)
    assert trunk.stage(live) is Stage.CLOSED and "LEG_UNBOUND" in reasons(trunk, live)
