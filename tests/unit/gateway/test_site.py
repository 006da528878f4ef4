"""What the site knows is what its database holds, verified anew; what it can't be sure of is missing or no."""

import asyncio
from dataclasses import replace
from datetime import date, timedelta

import pytest
from sqlalchemy import update

from crypto.ssh_key import SigningKey
from crypto.sshsig import sign
from crypto.x25519 import Identity
from demo.agreement import sign_first
from gateway.call.model import NewCall, Private, SipCallId
from gateway.config import InternalNumbers
from gateway.engine.epoch_book import EpochBook
from gateway.engine.protected import ProtectedParties, protect
from policy.acts import ACT_NAMESPACE, Resume, Suspend
from policy.agreement.load import Agreement, load
from policy.chain import Posted, take
from policy.decision import ConsentState, Facts, Outcome, Phase, Purpose, Reason, Side, StandingAnswer
from policy.evaluate import evaluate
from policy.state import State, Term
from policy.texts import consent_text
from storage.acts import Anchor
from storage.tables import acts, agents
from tests.peers.askable import askable
from tests.peers.enacted import ANCHORS, DEMO, KEYS, House
from tests.unit.policy.green import agreement, edited

OTHER = edited({"demo": "yes", "lanes/campaigns": [], "version": 4})


@pytest.fixture
def house(folder) -> House:
    protect(folder.root, ["+4940998877"])
    return House.over(folder, protected=ProtectedParties.load(folder.root))


def call(
    extension: str | None = "200", outside: str | None = "+4940111", queue: str | None = "service-strom"
) -> NewCall:
    def private(text: str | None) -> Private | None:
        return Private(text) if text is not None else None

    return NewCall(SipCallId("c"), "t", Side.CALLER, private(extension), queue, private(outside))


def facts(house: House, agent: str, new: NewCall | None = None) -> Facts:
    return house.site.gather(agent, new or call(), 1, house.clock.now(), house.at).facts


# --- the agreement ---------------------------------------------------------------------------------------------------


async def test_without_an_agreement_nothing_is_permitted(house):
    await house.site.load()
    assert house.site.agreement is None and not house.site.unreadable
    assert house.site.reasons(house.at) == [Reason.NO_AGREEMENT]
    agent = await house.hire("200", key=Identity.generate())
    decision = evaluate(facts(house, agent))
    assert decision.outcome is Outcome.NO and Reason.NO_AGREEMENT in decision.reasons


async def test_an_agreement_that_both_parties_signed_is_in_force(house):
    await house.enact()
    assert house.site.agreement is not None and not house.site.unreadable
    assert house.site.agreement.digest == load(DEMO).digest
    assert house.site.reasons(house.at) == []
    assert set(house.site.texts) == set(house.site.agreement.purposes)


@pytest.mark.parametrize("signers", [("employer",), ("council",), (), ("employer", "dpo")])
async def test_a_missing_signature_leaves_it_out_of_force(house, signers):
    await house.enact(signers=signers)
    assert house.site.agreement is None
    assert house.site.reasons(house.at) == [Reason.SIGNATURE_INVALID]


@pytest.mark.parametrize(
    "anchors",
    [
        [anchor for anchor in ANCHORS if anchor.role != "council"],
        [Anchor("council", SigningKey.generate().verify_key.line()), *[a for a in ANCHORS if a.role != "council"]],
        [Anchor("council", KEYS["employer"].verify_key.line()), *[a for a in ANCHORS if a.role != "council"]],
    ],
    ids=["no anchor", "another key", "the other party's key"],
)
async def test_a_signature_by_no_anchored_key_leaves_it_out_of_force(house, anchors):
    await house.enact(anchors=anchors)
    assert house.site.agreement is None


@pytest.mark.parametrize("column", ["document", "act", "signatures"])
async def test_what_somebody_changed_in_the_database_is_no_agreement(house, column):
    await house.enact()
    changed = {
        "document": OTHER,
        "act": (await house.acts.chain())[0].act.replace(load(DEMO).digest.encode(), load(OTHER).digest.encode()),
        "signatures": dict.fromkeys(("employer", "council"), sign(KEYS["employer"], ACT_NAMESPACE, b"{}")),
    }[column]
    await house.folder.database.write(
        lambda connection: connection.execute(update(acts).values({column: changed})).rowcount
    )
    await house.site.load()
    assert house.site.agreement is None and house.site.unreadable


async def test_an_agreement_that_falls_away_takes_the_mirror_with_it(house):
    await house.enact()
    agent = await house.hire("200", key=Identity.generate())
    await house.folder.database.write(
        lambda connection: connection.execute(update(acts).values(signatures={})).rowcount
    )
    await house.site.load()
    assert facts(house, agent).agreements == () and facts(house, agent).signatures_valid is False


async def test_a_signature_counts_in_its_own_namespace_only(house):
    made = sign_first(DEMO.decode(), {role: KEYS[role] for role in ("employer", "council")})
    wrong = {role: sign(KEYS[role], "fairtap-consent@v1", made.act.encode()) for role in ("employer", "council")}
    await house.acts.set_anchors(ANCHORS, house.at)
    await house.acts.append(Posted(made.act.encode(), wrong, house.at, DEMO))
    await house.site.load()
    assert house.site.agreement is None and house.site.unreadable


async def test_the_clock_alone_ends_what_was_in_force(house):
    await house.enact()
    agent, end = await house.hire("200"), house.site.agreement.validity.end
    assert house.site.turn(end) is False  # it still binds, which keeps its scope closed
    house.clock.step((end - house.at).total_seconds())
    assert Reason.OUTSIDE_VALIDITY in house.site.reasons(house.at)
    assert facts(house, agent).agreements == house.site.agreements


async def test_a_suspension_shows_in_facts_and_reasons_until_it_is_resumed(house):
    await house.enact()
    agent, name = await house.hire("200"), house.site.agreement.id
    for body, suspended in ((Suspend(), True), (Resume(), False)):
        act = house.site.state.draft(name, body)
        posted = Posted(act, {"council": sign(KEYS["council"], ACT_NAMESPACE, act)}, house.at)
        house.site.enact(take(house.site.state, posted))
        assert facts(house, agent).suspended is suspended
        assert (Reason.SUSPENDED in house.site.reasons(house.at)) is suspended


async def test_in_a_dark_epoch_nothing_is_drawn_and_what_was_entered_goes_on(house):
    await house.enact(edited({"lanes/campaigns": []}))
    agent = await house.hire("200")
    assert house.site.reasons(house.at) == [] and facts(house, agent).epoch_dark is False
    house.site.book = EpochBook({}, house.at)
    assert house.site.reasons(house.at) == [Reason.EPOCH_DARK]
    assert facts(house, agent).epoch_dark is True
    entered = house.site.gather(agent, call(), 1, house.clock.now(), house.at, entered=True).facts
    assert (entered.epoch_dark, entered.draw_authority_ready) == (False, True)


@pytest.mark.parametrize(("age", "witnessed"), [(timedelta(days=8, seconds=-1), True), (timedelta(days=8), False)])
async def test_a_log_that_nobody_cosigned_lately_closes_the_drawn_lanes(house, age, witnessed):
    await house.enact(edited({"lanes/campaigns": []}))
    agent = await house.hire("200")
    house.site.book = EpochBook({}, house.at - age)
    assert facts(house, agent).log_unwitnessed is not witnessed
    assert (Reason.LOG_UNWITNESSED in house.site.reasons(house.at)) is not witnessed


async def test_the_site_says_why_nothing_is_recorded_whoever_calls(house):
    await house.enact()
    house.site.storage_available = False
    assert house.site.reasons(house.at) == [Reason.STORAGE_UNAVAILABLE]
    house.site.storage_available, house.site.draw_ready = True, False
    assert house.site.reasons(house.at) == [Reason.EPOCH_DARK]
    agent = await house.hire("200")
    assert facts(house, agent).signatures_valid is False, "a demo's keys count on loopback only"
    house.site.draw_ready = True
    assert facts(house, agent).signatures_valid is True
    assert house.site.reasons(house.at + timedelta(days=100)) == [Reason.EVALUATION_OVERDUE]
    assert Reason.OUTSIDE_VALIDITY in house.site.reasons(house.at + timedelta(days=400))
    assert Reason.OUTSIDE_VALIDITY in house.site.reasons(house.at - timedelta(days=400))


# --- seats -----------------------------------------------------------------------------------------------------------


async def test_an_extension_is_its_claimant_s_for_twelve_hours(house):
    agent = await house.hire("200")
    assert house.site.holder(Private("200")) == agent
    assert house.site.holder(Private("201")) is None
    assert house.site.holder(None) is None
    house.clock.advance(12 * 3600 - 1)
    assert house.site.holder(Private("200")) == agent
    house.clock.advance(1)
    assert house.site.holder(Private("200")) is None


async def test_a_new_claim_moves_the_seat(house):
    agent = await house.hire("200")
    await house.sit(agent, "300", seq=2)
    await house.site.load_agent(agent)
    assert (house.site.holder(Private("200")), house.site.holder(Private("300"))) == (None, agent)


async def test_words_that_name_two_agents_seats_name_nobody(house):
    agent, other = await house.hire("200"), await house.hire("201")
    said = replace(call("200"), also_said=(Private("200"), Private("a-contact")))
    assert house.site.claimant(said) == agent and facts(house, agent, said).seat_bound is True
    for contradicted in (replace(said, also_said=(Private("201"),)), replace(call("201"), also_said=(Private("200"),))):
        assert house.site.claimant(contradicted) is None
        assert not any(facts(house, one, contradicted).seat_bound for one in (agent, other))


async def test_everything_is_there_again_after_a_restart(house):
    await house.enact()
    agent = await house.hire("200", key=Identity.generate())
    await house.say(agent, Purpose.COACHING, ConsentState.YES)
    again = House(house.folder, house.clock, house.acts, house.consents, house.site)
    again.site = type(house.site)(
        house.clock,
        house.folder.roster,
        house.consents,
        house.acts,
        house.site.announcements,
        house.site.protected,
        book=house.site.book,
    )
    await again.site.load()
    assert facts(again, agent) == facts(house, agent)
    assert again.site.agreement == house.site.agreement


# --- facts -----------------------------------------------------------------------------------------------------------


async def test_an_agent_s_facts(house):
    await house.enact()
    key = Identity.generate()
    agent = await house.hire("200", key=key)
    others = [await house.hire() for _ in range(2)]
    await house.hire(group="team-b")
    await house.folder.roster.disable(others[0])
    await house.site.load_agent(others[0])
    found = facts(house, agent)
    assert (found.site, found.group, found.queue, found.phase) == ("hamburg", "team-a", "service-strom", Phase.REGULAR)
    assert (found.group_size, found.campaign_agents) == (2, 3)
    assert found.seat_bound and found.key_available and found.clock_trusted and found.storage_available
    assert found.blackout is False and found.home_office is False and found.agent_informed is False
    assert (found.protected_party, found.party_internal) == (False, False)
    assert house.site.gather(agent, call(), 1, house.clock.now(), house.at).recipients == (str(key.recipient),)


async def test_only_who_had_enough_legs_counts_towards_the_least_number_of_agents_save_in_a_demo(house):
    await house.enact(edited({"lanes/campaigns": []}))
    agent, other, stranger = [await house.hire(str(200 + number)) for number in range(3)]
    assert facts(house, agent).group_size == 3, "before the first epoch is over, all who are employed"
    house.site.counting = frozenset({agent, other})
    assert (facts(house, stranger).group_size, facts(house, stranger).campaign_agents) == (2, 2)
    await house.folder.roster.disable(other)
    await house.site.load_agent(other)
    assert facts(house, agent).group_size == 1
    house.site.counting = frozenset()
    assert facts(house, agent).group_size == 0


async def test_a_demo_s_epochs_are_too_short_to_count_legs_in(house):
    await house.enact()
    agent = await house.hire("200")
    house.site.counting = frozenset()
    assert facts(house, agent).group_size == 1


async def test_what_the_leg_itself_must_say_is_left_open(house):
    await house.enact()
    found = facts(house, await house.hire("200", key=Identity.generate()))
    assert {found.rule, found.drawn, found.ceiling_ok, found.caller, found.ack_age_ms, found.paused} == {None}
    assert evaluate(found).outcome is Outcome.NO


async def test_a_seat_that_isn_t_this_agent_s_doesn_t_bind(house):
    agent, other = await house.hire("200"), await house.hire("201")
    assert facts(house, agent).seat_bound is True
    assert facts(house, agent, call("201")).seat_bound is False
    assert facts(house, other, call("200")).seat_bound is False
    assert facts(house, agent, call(None)).seat_bound is False
    house.clock.advance(12 * 3600)
    assert facts(house, agent).seat_bound is False


async def test_a_disabled_agent_is_bound_to_nothing(house):
    agent = await house.hire("200")
    await house.folder.roster.disable(agent)
    await house.site.load_agent(agent)
    assert facts(house, agent).seat_bound is False


async def test_without_a_key_there_is_nobody_to_encrypt_to(house):
    agent = await house.hire()
    given = house.site.gather(agent, call(), 1, house.clock.now(), house.at)
    assert given.facts.key_available is False and given.recipients == ()


async def test_somebody_unknown_has_no_facts(house):
    await house.enact()
    given = house.site.gather("ab" * 16, call(), 1, house.clock.now(), house.at)
    assert given.recipients == () and given.prompts == {}
    assert {given.facts.group, given.facts.seat_bound, given.facts.key_available, given.facts.blackout} == {None}


async def test_a_blackout_counts_as_soon_as_it_is_mirrored(house):
    agent = await house.hire("200")
    await house.folder.roster.set_blackout(agent, True)
    await house.site.load_agent(agent)
    assert facts(house, agent).blackout is True


async def test_a_yes_counts_to_the_text_in_force_only(house):
    await house.enact()
    agent = await house.hire("200")
    await house.say(agent, Purpose.COACHING, ConsentState.YES)
    await house.say(agent, Purpose.PROCESS_QUALITY, ConsentState.YES, text="another text")
    await house.say(agent, Purpose.DISPUTE, ConsentState.NO)
    found = facts(house, agent)
    assert found.agent_standing == {
        Purpose.COACHING: StandingAnswer(ConsentState.YES),
        Purpose.PROCESS_QUALITY: StandingAnswer(ConsentState.UNSET),
        Purpose.DISPUTE: StandingAnswer(ConsentState.NO),
    }
    assert found.agent_informed is True


async def test_a_yes_to_another_text_informs_nobody(house):
    await house.enact()
    agent = await house.hire("200")
    await house.say(agent, Purpose.COACHING, ConsentState.YES, text="another text")
    assert facts(house, agent).agent_informed is False


async def test_a_yes_without_an_agreement_is_unset(house):
    agent = await house.hire("200")
    await house.say(agent, Purpose.COACHING, ConsentState.YES)
    standing = facts(house, agent).agent_standing
    assert standing is not None and standing[Purpose.COACHING] == StandingAnswer(ConsentState.UNSET)


async def test_a_no_counts_as_soon_as_it_is_mirrored(house):
    await house.enact()
    agent = await house.hire("200")
    await house.say(agent, Purpose.COACHING, ConsentState.YES)
    await house.say(agent, Purpose.COACHING, ConsentState.NO, seq=2)
    standing = facts(house, agent).agent_standing
    assert standing is not None and standing[Purpose.COACHING] == StandingAnswer(ConsentState.NO)


async def test_onboarding_lasts_for_whole_epochs(house):
    await house.enact()
    began = house.at.date()
    agent = await house.hire("200", onboarding_from=began)
    assert house.site.phase(agent, house.at) is Phase.ONBOARDING
    assert house.site.phase(agent, house.at + timedelta(days=60)) is Phase.REGULAR
    assert house.site.phase(await house.hire(), house.at) is Phase.REGULAR
    assert (
        house.site.phase(await house.hire(group="team-b", onboarding_from=date(2026, 3, 1)), house.at) is Phase.REGULAR
    )


async def test_the_other_party_is_told_apart(house):
    agent = await house.hire("200")
    await house.hire("201")
    assert facts(house, agent, call(outside="004940998877")).protected_party is True
    assert facts(house, agent, call(outside=None)).protected_party is None
    assert facts(house, agent, call(outside="201")).party_internal is True
    assert facts(house, agent, call(outside=None)).party_internal is False
    assert facts(house, agent, call(outside="377")).party_internal is False
    house.site.internal = (InternalNumbers.parse("3xx"),)
    assert facts(house, agent, call(outside="377")).party_internal is True


async def test_without_a_list_everybody_may_be_protected(house):
    agent = await house.hire("200")
    house.site.protected = None
    assert facts(house, agent).protected_party is None


async def test_only_a_prompt_that_is_really_there_is_played(house):
    await house.enact()
    agent = await house.hire("200")
    prompt, *_ = load(DEMO).consent.prompts
    assert house.site.gather(agent, call(), 1, 1000.0, house.at).prompts == {Purpose.COACHING: prompt}
    house.site.announcements = askable([replace(prompt, sha256="0" * 64)])
    assert house.site.gather(agent, call(), 1, 1000.0, house.at).prompts == {}


# --- several agreements ----------------------------------------------------------------------------------------------


def enact_both(house: House, *documents: Agreement) -> None:
    terms = (Term(one, 1 + at, one.validity.start, one.validity.end) for at, one in enumerate(documents))
    house.site.enact(State((), terms=tuple(terms)))


FIRST = load(DEMO)
OF_GAS = agreement(demo="yes", id="bv-gas", lanes__campaigns=[], scope__queues=["service-gas"], pause__max="PT2M")
OF_ALL = agreement(demo="yes", id="bv-alle", lanes__campaigns=[], pause__max="PT3M", retention__coaching="P7D")
SHORTER = agreement(demo="yes", id="bv-gas", lanes__campaigns=[], validity__end="2026-08-01T00:00:00")


@pytest.mark.parametrize("order", [(FIRST, SHORTER), (SHORTER, FIRST)], ids=["shorter last", "shorter first"])
async def test_the_site_is_outside_validity_once_every_agreement_in_force_has_ended(house, order):
    enact_both(house, *order)
    for end, outside in ((SHORTER.validity.end, False), (FIRST.validity.end, True)):
        house.clock.step((end - house.at).total_seconds())
        house.site.turn(house.at)
        assert (Reason.OUTSIDE_VALIDITY in house.site.reasons(house.at)) is outside


async def test_a_leg_goes_by_the_agreements_that_are_about_it(house):
    agent = await house.hire("200", key=Identity.generate())
    enact_both(house, OF_GAS, FIRST, OF_ALL)
    at = house.clock.now()
    power, gas = (house.site.gather(agent, call(queue=queue), 1, at, house.at).terms for queue in FIRST.scope.queues)
    assert power is not None and power.agreements == (FIRST, OF_ALL) and power.pause_max.text == "PT3M"
    assert gas is not None and gas.agreements == (OF_GAS, FIRST, OF_ALL) and gas.pause_max.text == "PT2M"
    assert house.site.gather(agent, call(queue="elsewhere"), 1, at, house.at).terms is None


async def test_a_question_that_one_of_them_does_not_name_is_not_asked(house):
    agent = await house.hire("200", key=Identity.generate())
    enact_both(house, FIRST, OF_ALL)
    prompt, *_ = FIRST.consent.prompts
    assert house.site.gather(agent, call(), 1, house.clock.now(), house.at).prompts == {Purpose.COACHING: prompt}
    consent = replace(OF_ALL.consent, prompts=(replace(prompt, sha256="1" * 64),))
    enact_both(house, FIRST, replace(OF_ALL, consent=consent))
    assert house.site.gather(agent, call(), 1, house.clock.now(), house.at).prompts == {}


async def test_a_yes_to_an_agreement_about_other_legs_is_none_to_this_one(house):
    agent = await house.hire("200", key=Identity.generate())
    enact_both(house, FIRST, OF_GAS)
    await house.say(agent, Purpose.COACHING, ConsentState.YES, text=consent_text(OF_GAS, Purpose.COACHING, "de"))
    power, gas = (facts(house, agent, call(queue=queue)) for queue in FIRST.scope.queues)
    assert gas.agent_standing is not None and gas.agent_standing[Purpose.COACHING].answer is ConsentState.YES
    assert power.agent_standing is not None and power.agent_standing[Purpose.COACHING].answer is ConsentState.UNSET
    assert (gas.agent_informed, power.agent_informed) == (True, False)


async def test_the_one_that_is_valid_the_longest_names_the_epochs_and_each_document_its_own_days(house):
    west = agreement(demo="yes", id="bv-west", lanes__campaigns=[], validity__timezone="Europe/Lisbon")
    enact_both(house, SHORTER, west)
    assert house.site.agreement is west
    house.clock.step((SHORTER.validity.end - house.at).total_seconds())
    house.site.turn(house.at)
    assert [str(house.site.zone(one.digest)) for one in (SHORTER, west)] == ["Europe/Berlin", "Europe/Lisbon"]
    assert str(house.site.zone("0" * 64)) == "Europe/Lisbon"


# --- the site itself -------------------------------------------------------------------------------------------------


async def test_what_no_caller_can_be_asked_for_is_told(house):
    await house.enact()
    assert house.site.unaskable() == [Purpose.DISPUTE]
    house.site.announcements = askable(())
    assert house.site.unaskable() == [Purpose.COACHING, Purpose.DISPUTE]


async def test_a_clock_that_was_set_back_is_told(house):
    agent = await house.hire("200")
    assert facts(house, agent).clock_trusted is True
    house.clock.step(-3)
    assert facts(house, agent).clock_trusted is False


async def test_a_storage_that_failed_is_told(house):
    agent = await house.hire("200")
    house.site.storage_available = False
    assert facts(house, agent).storage_available is False


@pytest.mark.parametrize(
    ("roster", "place", "home"), [(False, "home", True), (True, "site", False), (True, None, True)]
)
async def test_where_an_agent_sits_their_own_claim_says(house, roster, place, home):
    agent = await house.hire("200")
    row = agents.update().where(agents.c.id == agent).values(home_office=roster)
    await house.folder.database.write(lambda connection: connection.execute(row).rowcount)
    await house.sit(agent, "200", seq=2, place=place)
    await house.site.load_agent(agent)
    assert facts(house, agent).home_office is home


async def test_a_no_isnt_undone_by_a_reading_that_began_before_it(house, monkeypatch):
    """Two commands of one agent at once: whichever reading comes back last, the newest answer stands."""
    await house.enact()
    agent = await house.hire("200", key=Identity.generate())
    await house.say(agent, Purpose.COACHING, ConsentState.YES)
    whole, began, back = house.consents.standing, asyncio.Event(), asyncio.Event()

    async def slow(of: str):
        found = await whole(of)
        if not began.is_set():
            began.set()
            await back.wait()
        return found

    monkeypatch.setattr(house.consents, "standing", slow)
    first = asyncio.create_task(house.site.load_agent(agent))
    await began.wait()
    second = asyncio.create_task(house.say(agent, Purpose.COACHING, ConsentState.NO))
    await asyncio.wait((second,), timeout=0.5)  # without an order of the two it is done by now
    back.set()
    await asyncio.gather(first, second)
    assert house.site.standing[agent][Purpose.COACHING].answer is ConsentState.NO
