"""What each act does and whose signatures it takes (agreement.md §3), with the fault that refuses it."""

from datetime import date, timedelta

import pytest

from policy.act_effects import apply, who_signs
from policy.acts import Evaluation, Narrow, NewAgreement, NewKey, Rates, Resume, Suspend, parse_act
from policy.agreement.load import load
from policy.errors import ActError, ActFault, NotPermitted, StaleAct, WrongDocument
from policy.state import State, rates_of
from tests.unit.policy.green import DELETED
from tests.unit.policy.parties import (
    BOTH,
    EDGE,
    ID,
    NEW_MINUTES,
    NOW,
    RESOLUTION,
    SIGNED_AT,
    act,
    anchors,
    document,
    first,
    key,
    recipient,
)

REGULAR_A = "sample/team-a/regular"
SECOND = timedelta(seconds=1)


def rate(state: State, at=NOW, rule=REGULAR_A) -> int:
    return rates_of(state.in_force(at)[0])[rule]


def refused(fault: ActFault, state: State, body, by, **more) -> ActError:
    with pytest.raises(ActError) as error:
        act(state, body, by, **more)
    assert error.value.fault is fault
    return error.value


def new(**edits):
    """A successor and the act's body for it."""
    agreement = load(document(version=2, **edits))
    return agreement, NewAgreement(agreement.digest)


def narrow(state: State, by, at=NOW, version=2, **edits) -> State:
    agreement = load(document(version=version, **edits))
    return act(state, Narrow(agreement.digest, state.terms[0].agreement.digest), by, at=at, document=agreement)


# -- agreements


def test_an_agreement_takes_both_signatures_and_the_document_that_was_signed():
    agreement, empty = load(document()), State(anchors())
    body = NewAgreement(agreement.digest)
    for by in ({"employer"}, {"council"}, {"employer", "dpo"}, {"council", "council2"}):
        refused(ActFault.MUST_SIGN_TOO, empty, body, by, document=agreement)
    refused(ActFault.NOBODY_SIGNED, empty, body, (), document=agreement)
    refused(ActFault.DOCUMENT_MISSING, empty, body, BOTH)
    refused(ActFault.DOCUMENT_DIFFERS, empty, body, BOTH, document=load(document(version=9)))
    refused(ActFault.DOCUMENT_DIFFERS, empty, body, BOTH, document=agreement, agreement="another")
    refused(ActFault.ANCHOR_UNKNOWN, State(anchors()[:2]), body, BOTH, document=agreement)
    swapped = load(document(parties__employer__anchor="council", parties__council__anchor="employer"))
    refused(ActFault.ANCHOR_UNKNOWN, empty, NewAgreement(swapped.digest), BOTH, document=swapped)
    refused(ActFault.ENDED, empty, body, BOTH, document=agreement, at=agreement.validity.end)


def test_any_key_of_the_council_signs_for_the_council():
    agreement = load(document())
    state = act(
        State(anchors("council2")), NewAgreement(agreement.digest), ("employer", "council2"), document=agreement
    )
    assert state.in_force(NOW) == (agreement,)


def test_before_its_start_an_agreement_is_shown_and_outside_its_validity():
    state = first()
    (agreement,) = state.in_force(SIGNED_AT)
    assert agreement.validity.start > SIGNED_AT and not state.current(ID, SIGNED_AT)
    assert state.next_change(SIGNED_AT) == agreement.validity.start


def test_a_successor_signed_ahead_starts_when_its_time_comes():
    start = {"validity__start": "2026-09-01T00:00:00", "validity__end": "2027-03-01T00:00:00"}
    agreement, body = new(**NEW_MINUTES, **start, validity__evaluation__next_due="2026-12-01")
    state = act(first(), body, BOTH, document=agreement)
    edge = agreement.validity.start
    assert state.in_force(edge - SECOND)[0].version == 1
    assert state.in_force(edge) == (agreement,)
    assert state.ahead(NOW) == (state.terms[1],) and state.ahead(edge) == ()


def test_a_raise_waits_for_the_epochs_edge_a_narrowing_does_not():
    wider, body = new(**NEW_MINUTES, lanes__sample__rates__1__percent="4")
    state = act(first(), body, BOTH, document=wider)
    assert rate(state, EDGE - SECOND) == 30_000 and rate(state, EDGE) == 40_000
    less, body = new(lanes__sample__rates__1__percent="2")
    assert rate(act(first(), body, BOTH, document=less)) == 20_000


def test_a_raise_needs_a_new_resolution_and_whoever_the_agreement_names():
    agreement, body = new(lanes__sample__rates__1__percent="4")
    error = refused(ActFault.RESOLUTION_OLD, first(), body, BOTH, document=agreement)
    assert "lanes.sample.rates[team-a/regular].percent" in error.values["fields"]
    strict = load(document(change__raise__signatures=["employer", "council", "dpo"]))
    state = act(State(anchors()), NewAgreement(strict.digest), BOTH, at=SIGNED_AT, document=strict)
    edits = {"change__raise__signatures": ["employer", "council", "dpo"], "scope__queues": ["service-strom", "x"]}
    agreement, body = new(**NEW_MINUTES, **edits, lanes__sample__rates__1__percent="4")
    assert refused(ActFault.MUST_SIGN_TOO, state, body, BOTH, document=agreement).values["missing"] == ("dpo",)
    assert act(state, body, (*BOTH, "dpo"), document=agreement).terms[-1].agreement == agreement


def test_a_successor_has_a_higher_version():
    same = load(document(legal__dpia_ref="DPIA-2"))
    refused(ActFault.VERSION_NOT_NEWER, first(), NewAgreement(same.digest), BOTH, document=same)


def test_what_is_signed_later_replaces_what_was_signed_ahead():
    ahead, body = new(**NEW_MINUTES, validity__start="2026-08-01T00:00:00", validity__end="2027-03-01T00:00:00")
    state = act(first(), body, BOTH, document=ahead)
    later = load(document(version=3, legal__dpia_ref="DPIA-2"))
    state = act(state, NewAgreement(later.digest), BOTH, document=later)
    assert [term.agreement.version for term in state.terms] == [1, 3]


# -- narrowing


@pytest.mark.parametrize(
    ("by", "edits"),
    [
        ("council", {"lanes__sample__rates__1__percent": "2"}),
        ("council", {"lanes__sample__caps__per_agent__P1D": 1}),
        ("council", {"lanes__campaigns__0__max_recordings": 0}),
        ("council", {"evaluations__per_agent_per_year": 5}),
        ("employer", {"validity__end": "2026-08-01T00:00:00"}),
        ("employer", {"validity__start": "2026-03-10T00:00:00"}),
    ],
)
def test_one_party_alone_may_narrow_what_is_its_business(by, edits):
    other = "employer" if by == "council" else "council"
    state = narrow(first(), (by,), **edits)
    assert state.in_force(NOW)[0] != first().in_force(NOW)[0]
    with pytest.raises(NotPermitted) as error:
        narrow(first(), (other, "dpo"), **edits)
    assert error.value.fault is ActFault.MUST_SIGN_TOO and error.value.values["missing"] == (by,)
    assert narrow(first(), BOTH, **edits).in_force(NOW) == state.in_force(NOW)


HALF = {
    "lanes__sample__rates__0__percent": "10",
    "lanes__sample__rates__1__percent": "1.5",
    "lanes__sample__rates__2__percent": "2.5",
    "lanes__campaigns__0__percent": "5",
    "lanes__campaigns__0__max_recordings": 30,
}


def test_the_employer_alone_lowers_by_one_factor_only():
    assert rate(narrow(first(), ("employer",), **HALF)) == 15_000
    for name in HALF:
        fewer = {field: value for field, value in HALF.items() if field != name}
        with pytest.raises(NotPermitted):
            narrow(first(), ("employer",), **fewer)


def test_a_narrowing_only_narrows_and_names_the_document_it_narrows():
    with pytest.raises(NotPermitted) as error:
        narrow(first(), BOTH, lanes__sample__rates__1__percent="2", lanes__sample__rates__2__percent="6")
    assert error.value.fault is ActFault.NOT_NARROWER
    assert error.value.values["fields"] == ("lanes.sample.rates[team-b/regular].percent",)
    agreement = load(document(version=2))
    refused(ActFault.NARROWS_ANOTHER, first(), Narrow(agreement.digest, "0" * 64), BOTH, document=agreement)
    body = Narrow(agreement.digest, first().terms[0].agreement.digest)
    refused(ActFault.UNCHANGED, first(), body, BOTH, document=agreement)


def test_id_and_version_name_one_document_also_after_a_narrowing():
    old = first().terms[0].agreement
    shorter = load(document(validity__end="2026-08-01T00:00:00"))
    assert shorter.version == old.version
    said = refused(ActFault.VERSION_NOT_NEWER, first(), Narrow(shorter.digest, old.digest), BOTH, document=shorter)
    assert said.values == {"version": "1"}
    state = narrow(first(), BOTH, validity__end="2026-08-01T00:00:00")
    agreement, body = new(lanes__campaigns=[])
    refused(ActFault.VERSION_NOT_NEWER, state, body, BOTH, document=agreement)


def test_a_narrowing_does_not_bring_a_waiting_raise_forward():
    state = act(first(), Rates({REGULAR_A: 50_000}, RESOLUTION, "DSB-2"), BOTH)
    state = narrow(state, ("employer",), lanes__sample__rates__1__percent="5", validity__end="2026-08-01T00:00:00")
    assert rate(state) == 30_000 and rate(state, EDGE) == 50_000


def test_an_end_that_one_party_shortened_keeps_closing_the_scope():
    state = narrow(first(), ("employer",), validity__end="2026-08-01T00:00:00")
    other = load(document(id="bv-konzern", version=1))
    state = act(state, NewAgreement(other.digest), BOTH, document=other, agreement="bv-konzern")
    agreed, shortened = first().terms[0].agreed_end, state.terms[0].agreement.validity.end
    assert [one.id for one in state.in_force(NOW)] == [ID, "bv-konzern"]
    assert [one.id for one in state.in_force(shortened)] == [ID, "bv-konzern"]
    assert [one.id for one in state.in_force(agreed - SECOND)] == [ID, "bv-konzern"]


# -- who signs


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (Suspend(), [{"council"}, {"employer"}]),
        (Rates({REGULAR_A: 20_000}), [{"council"}]),
        (Rates({REGULAR_A: 40_000}, RESOLUTION, "DSB-2"), [{"council", "employer"}]),
        (Evaluation(date(2026, 3, 3)), [{"council", "employer"}]),
        (NewKey("dpo", str(key("new").verify_key), recipient("new")), [{"dpo"}]),
        (NewKey("council2", str(key("new").verify_key), recipient("new")), [{"council"}]),
        (NewKey("council", str(key("new").verify_key), recipient("new"), RESOLUTION), [{"dpo", "employer"}]),
    ],
    ids=["suspend", "lower", "raise", "evaluation", "own key", "second key", "lost key"],
)
def test_whose_signatures_would_do_is_what_the_rules_take(body, wanted):
    parsed = parse_act(first().draft(ID, body))
    assert [set(one) for one in who_signs(first(), parsed, NOW)] == wanted
    for some in wanted:
        apply(first(), parsed, frozenset(some), NOW)


def test_what_nobodys_signatures_would_help_is_refused():
    with pytest.raises(ActError) as error:
        who_signs(first(), parse_act(first().draft(ID, Resume())), NOW)
    assert error.value.fault is ActFault.NOT_SUSPENDED


# -- rates


def test_the_council_lowers_at_once_and_in_what_was_signed_ahead():
    ahead, body = new(**NEW_MINUTES, validity__start="2026-08-01T00:00:00", validity__end="2027-03-01T00:00:00")
    state = act(first(), body, BOTH, document=ahead)
    state = act(state, Rates({REGULAR_A: 20_000}), ("council",))
    assert rate(state) == 20_000 and rate(state, ahead.validity.start) == 20_000


def test_what_the_council_lowers_by_a_document_stays_lowered_in_what_was_signed_ahead_too():
    ahead, body = new(**NEW_MINUTES, validity__start="2026-08-01T00:00:00", validity__end="2027-03-01T00:00:00")
    state = act(first(), body, BOTH, document=ahead)
    state = narrow(state, ("council",), version=3, lanes__sample__rates__1__percent="1")
    assert rate(state) == 10_000 and rate(state, ahead.validity.start) == 10_000
    assert rates_of(state.in_force(ahead.validity.start)[0])["sample/team-b/regular"] == 50_000
    assert rate(state, rule="sample/team-b/regular") == 50_000


def test_nobody_raises_alone_and_a_raise_starts_with_the_next_epoch():
    body = Rates({REGULAR_A: 40_000}, RESOLUTION, "DSB-2")
    for by, missing in (({"employer"}, "council"), ({"council"}, "employer")):
        assert refused(ActFault.MUST_SIGN_TOO, first(), body, by).values["missing"] == (missing,)
    state = act(first(), body, BOTH)
    assert rate(state) == rate(state, EDGE - SECOND) == 30_000 and rate(state, EDGE) == 40_000
    assert state.next_change(NOW) == EDGE


def test_a_raise_needs_its_papers_and_stays_under_the_ceiling():
    refused(ActFault.RESOLUTION_MISSING, first(), Rates({REGULAR_A: 40_000}, None, "DSB-2"), BOTH)
    refused(ActFault.OPINION_MISSING, first(), Rates({REGULAR_A: 40_000}, RESOLUTION), BOTH)
    refused(ActFault.RATE_REFUSED, first(), Rates({REGULAR_A: 210_000}, RESOLUTION, "DSB-2"), BOTH)
    raised = act(first(), Rates({REGULAR_A: 40_000}, RESOLUTION, "DSB-2"), BOTH)
    refused(ActFault.RESOLUTION_OLD, raised, Rates({REGULAR_A: 50_000}, RESOLUTION, "DSB-2"), BOTH)


def test_the_council_takes_a_waiting_raise_back():
    state = act(first(), Rates({REGULAR_A: 50_000}, RESOLUTION, "DSB-2"), BOTH)
    lower = act(state, Rates({REGULAR_A: 40_000}), ("council",))
    assert rate(lower) == 30_000 and rate(lower, EDGE) == 40_000
    back = act(lower, Rates({REGULAR_A: 30_000}), ("council",))
    assert rate(back) == rate(back, EDGE) == 30_000
    refused(ActFault.UNCHANGED, back, Rates({REGULAR_A: 30_000}), ("council",))


def test_a_later_raise_of_the_same_epoch_counts_from_its_own_edge():
    state = act(first(), Rates({REGULAR_A: 50_000}, RESOLUTION, "DSB-2"), BOTH)
    state = act(state, Rates({"sample/team-b/regular": 20_000}), ("council",), at=EDGE)
    assert rate(state, EDGE) == 50_000 and state.terms[0].raises == ()


def test_the_employer_needs_every_rate_for_a_common_factor():
    halves = {rule: ppm // 2 for rule, ppm in rates_of(first().terms[0].agreement).items()}
    refused(ActFault.MUST_SIGN_TOO, first(), Rates(halves), ("employer",))  # the campaign's count stays
    plain = load(document(lanes__campaigns=[]))
    state = act(State(anchors()), NewAgreement(plain.digest), BOTH, at=SIGNED_AT, document=plain)
    halves = {rule: ppm // 2 for rule, ppm in rates_of(plain).items()}
    assert rate(act(state, Rates(halves), ("employer",))) == 15_000
    refused(ActFault.MUST_SIGN_TOO, state, Rates({REGULAR_A: 15_000}), ("employer",))


def test_a_rate_that_the_agreement_does_not_have():
    refused(ActFault.UNKNOWN_RULE, first(), Rates({"sample/team-c/regular": 1}), BOTH)
    refused(ActFault.UNKNOWN_AGREEMENT, first(), Rates({REGULAR_A: 1}), BOTH, agreement="bv-sued")


def test_without_the_power_the_council_lowers_and_suspends_with_the_employer_only():
    powerless = load(document(council_powers=DELETED))
    state = act(State(anchors()), NewAgreement(powerless.digest), BOTH, at=SIGNED_AT, document=powerless)
    refused(ActFault.MUST_SIGN_TOO, state, Rates({REGULAR_A: 20_000}), ("council",))
    refused(ActFault.NOT_ALONE, state, Suspend(), ("council",))
    assert act(state, Suspend(), BOTH).suspended(NOW)
    assert rate(act(state, Rates({REGULAR_A: 20_000}), BOTH)) == 20_000


# -- suspension


@pytest.mark.parametrize("by", ["employer", "council"])
def test_whoever_suspended_resumes_and_the_council_always_may(by):
    state = act(first(), Suspend(), (by,))
    assert state.suspended(NOW) and state.suspended_by == {by}
    if by == "council":
        refused(ActFault.SUSPENDED_BY_OTHERS, state, Resume(), ("employer",))
        assert act(act(state, Suspend(), ("employer",)), Resume(), ("employer",)).suspended_by == {"council"}
    else:
        assert not act(state, Resume(), ("employer",)).suspended(NOW)
    assert not act(state, Resume(), ("council",)).suspended(NOW)
    refused(ActFault.NOT_SUSPENDED, first(), Resume(), ("council",))


def test_a_session_suspends_without_a_key_and_does_nothing_else_without_one():
    assert act(first(), Suspend(), (), session="council").suspended_by == {"council"}
    for session in ("admin", "agent", "dpo", "coach"):
        refused(ActFault.NOT_ALONE, first(), Suspend(), (), session=session)
    refused(ActFault.NOBODY_SIGNED, act(first(), Suspend(), ("council",)), Resume(), (), session="council")
    refused(ActFault.NOBODY_SIGNED, first(), Rates({REGULAR_A: 1}), (), session="council")


# -- evaluation


def test_an_evaluation_is_signed_off_by_both_and_moves_the_due_day():
    due = first().terms[0].agreement.validity.evaluation.next_due
    overdue = first().next_change(EDGE)
    assert overdue is not None and overdue.date() == date(2026, 6, 2) and due == date(2026, 6, 1)
    assert first().overdue(overdue) and not first().overdue(overdue - SECOND)
    for by in ("employer", "council"):
        refused(ActFault.MUST_SIGN_TOO, first(), Evaluation(date(2026, 3, 4)), (by,))
    state = act(first(), Evaluation(date(2026, 5, 28)), BOTH, at=overdue)
    assert not state.overdue(overdue) and state.overdue(overdue + timedelta(days=90))
    refused(ActFault.DAY_AHEAD, first(), Evaluation(date(2026, 3, 5)), BOTH)
    refused(ActFault.DAY_NOT_NEWER, state, Evaluation(date(2026, 5, 28)), BOTH, at=overdue)


# -- anchors


def new_key(role: str, owner: str, resolution=None) -> NewKey:
    return NewKey(role, str(key(owner).verify_key), None if role == "employer" else recipient(owner), resolution)


def held(state: State, role: str, at=NOW) -> str:
    return next(anchor.key for anchor in state.anchors_at(at) if anchor.role == role)


def test_a_key_is_replaced_under_its_own_signature():
    state = act(first(), new_key("employer", "other"), ("employer",))
    assert held(state, "employer") == str(key("other").verify_key) and not state.suspended(NOW)
    refused(ActFault.MUST_SIGN_TOO, first(), new_key("employer", "other"), ("council", "dpo"))
    refused(ActFault.KEY_KNOWN, first(), new_key("employer", "dpo"), ("employer",))
    refused(ActFault.UNCHANGED, first(), new_key("council", "council"), ("council",))
    bare = NewKey("dpo", str(key("other").verify_key), None)
    refused(ActFault.KEY_NEEDS_RECIPIENT, first(), bare, ("dpo",))


@pytest.mark.parametrize(
    ("role", "by"), [("council", ("employer", "dpo")), ("employer", ("council", "dpo")), ("dpo", BOTH)]
)
def test_a_lost_key_takes_the_others_a_resolution_and_14_days_without_recording(role, by):
    for fewer in by:
        refused(ActFault.MUST_SIGN_TOO, first(), new_key(role, "other", RESOLUTION), (fewer,))
    state = act(first(), new_key(role, "other", RESOLUTION), by)
    effective = NOW + timedelta(days=14)
    assert state.suspended(NOW) and state.suspended(effective - SECOND) and not state.suspended(effective)
    assert held(state, role, effective - SECOND) == str(key(role).verify_key)
    assert held(state, role, effective) == str(key("other").verify_key)
    assert held(act(state, Suspend(), ("employer",), at=effective), role) == str(key("other").verify_key)


def test_the_holder_of_a_key_called_lost_objects_with_it():
    state = act(first(), new_key("council", "other", RESOLUTION), ("employer", "dpo"))
    state = act(state, new_key("council", "council"), ("council",))
    assert not state.suspended(NOW)
    assert held(state, "council", NOW + timedelta(days=15)) == str(key("council").verify_key)


def test_the_council_adds_keys_of_its_own_up_to_three():
    state = act(first(), new_key("council2", "council2"), ("council",))
    assert held(state, "council2") == str(key("council2").verify_key)
    assert rate(act(state, Rates({REGULAR_A: 20_000}), ("council2",))) == 20_000
    refused(ActFault.MUST_SIGN_TOO, first(), new_key("council3", "other"), ("employer",))
    refused(ActFault.KEY_UNKNOWN_ROLE, first(), new_key("council3", "other", RESOLUTION), ("employer", "dpo"))


# -- the chain


def test_the_clock_never_goes_back_in_the_chain():
    state = act(first(), Suspend(), ("employer",))
    refused(ActFault.CLOCK_BACK, state, Resume(), ("employer",), at=NOW - SECOND)


def test_stale_and_wrong_documents_have_errors_of_their_own():
    with pytest.raises(StaleAct):
        act(act(first(), Suspend(), ("employer",)), Resume(), ("employer",), at=SIGNED_AT)
    with pytest.raises(WrongDocument):
        act(first(), Suspend(), ("employer",), agreement="another")
