"""Chains of acts at random: whatever comes in is taken or refused, and no chain records more than both once signed."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from crypto.jcs import canonical
from policy.acts import Act, ActType, Evaluation, Narrow, NewAgreement, Rates, Resume, Suspend, parse_act
from policy.agreement.load import load
from policy.errors import ActError, MalformedAct
from policy.messages import say
from policy.narrowing import PARTIES, compare
from policy.state import State, rates_of
from tests.unit.policy.parties import ID, NOW, RESOLUTION, act, document, first

DOCUMENTS = [
    load(document(**edits))
    for edits in (
        {"version": 2, "lanes__sample__rates__1__percent": "2"},
        {"version": 3, "validity__end": "2026-08-01T00:00:00"},
        {"version": 4, "scope__queues": ["service-strom"]},
        {"version": 5, "lanes__sample__rates__1__percent": "4", "lanes__campaigns": []},
        {"version": 6, "validity__start": "2026-04-01T00:00:00", "validity__end": "2026-12-01T00:00:00"},
    )
]
RULES = ["sample/team-a/regular", "sample/team-b/regular", "campaign/tarifwechsel-april", "sample/team-z/regular"]
roles = st.sets(st.sampled_from(["employer", "council", "council2", "dpo"]), max_size=3)
resolutions = st.sampled_from([None, RESOLUTION])
percents = st.sampled_from([0, 10_000, 20_000, 30_000, 40_000, 50_000, 210_000])
rates = st.builds(
    Rates,
    st.dictionaries(st.sampled_from(RULES), percents, min_size=1, max_size=3),
    resolutions,
    st.sampled_from([None, "DSB-2"]),
)
bodies = (
    rates
    | st.sampled_from([Suspend(), Resume(), Evaluation(NOW.date())])
    | st.sampled_from([NewAgreement(one.digest) for one in DOCUMENTS])
    | st.builds(
        Narrow,
        st.sampled_from([one.digest for one in DOCUMENTS]),
        st.sampled_from([one.digest for one in (*DOCUMENTS, first().terms[0].agreement)]),
    )
)
steps = st.tuples(bodies, roles, st.integers(0, 20), st.sampled_from([None, "employer", "council", "admin"]))
BY_DIGEST = {one.digest: one for one in DOCUMENTS}


def moments(state: State, start) -> list:
    """Instants at which something may be another than before."""
    found = [start]
    while (later := state.next_change(found[-1])) is not None and len(found) < 30:
        found.append(later)
    return found


def attempt(state: State, step, at) -> State:
    body, by, _, session = step
    try:
        return act(state, body, by, at=at, document=BY_DIGEST.get(getattr(body, "digest", "")), session=session)
    except ActError as error:
        for language in ("de", "en", "nb"):
            assert "{" not in say(error, language)
        return state


@given(st.lists(steps, max_size=8))
def test_only_what_both_signed_ever_widens(given_steps):
    """After each act of one party, at every instant to come, every field is as before or narrower."""
    state, at = first(), NOW
    for step in given_steps:
        at += timedelta(days=step[2])
        before, state = state, attempt(state, step, at)
        parties = {role.rstrip("23") for role in step[1]}
        if parties >= PARTIES or state is before:
            continue
        for moment in {*moments(before, at), *moments(state, at)}:
            old, new = before.in_force(moment), state.in_force(moment)
            assert [one.id for one in old] == [one.id for one in new]
            for one, other in zip(old, new, strict=True):
                assert compare(one, other).only_narrows
                assert all(ppm <= rates_of(one)[rule] for rule, ppm in rates_of(other).items())
            lifted = before.suspended(moment) and not state.suspended(moment)
            assert not lifted or isinstance(step[0], Resume)


@given(st.lists(steps, min_size=1, max_size=8))
def test_an_act_taken_once_is_stale_ever_after(given_steps):
    state, at, taken = first(), NOW, []
    for step in given_steps:
        at += timedelta(days=step[2])
        data, before = state.draft(ID, step[0]), state
        state = attempt(state, step, at)
        if state is not before:
            taken.append((data, step))
            assert state.seq == before.seq + 1 and state.digest == parse_act(data).digest
    for data, step in taken:
        parsed = parse_act(data)
        assert (parsed.seq, parsed.prev) != (state.seq + 1, state.digest)
        assert parsed.body == step[0]


@given(st.binary(max_size=200))
def test_any_bytes_are_no_act(data):
    try:
        parse_act(data)
    except MalformedAct:
        return
    raise AssertionError(data)


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=70),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=5,
)
SOME_ACT = Act(ActType.RATES, ID, 2, "a" * 64, Rates({RULES[0]: 5})).canonical()


@given(st.sampled_from(["v", "type", "agreement", "seq", "prev", "body"]), values, st.sampled_from(ActType))
def test_any_value_in_any_field_is_read_or_refused(name, value, kind):
    fields = {"v": 1, "type": kind.value, "agreement": ID, "seq": 2, "prev": "a" * 64, "body": {}, name: value}
    data = canonical(fields)
    try:
        parsed = parse_act(data)
    except MalformedAct as error:
        assert set(error.values) == {"field"}
    else:
        assert parsed.canonical() == data


@given(st.integers(0, len(SOME_ACT) - 1), st.binary(min_size=1, max_size=3))
def test_a_changed_byte_is_another_act_or_none(at, data):
    changed = SOME_ACT[:at] + data + SOME_ACT[at + 1 :]
    try:
        parsed = parse_act(changed)
    except MalformedAct:
        return
    assert parsed.canonical() == changed
