"""Acts as signed bytes: strict reading, real signatures, and a chain that can't be replayed, forked or cut."""

import json
from dataclasses import replace

import pytest

from crypto.jcs import canonical
from policy.acts import (
    MAX_ACT,
    Act,
    ActType,
    Evaluation,
    Narrow,
    NewAgreement,
    NewKey,
    Rates,
    Resume,
    Suspend,
    parse_act,
    type_of,
)
from policy.agreement.load import AgreementRefused, load
from policy.chain import Posted, fold, signers, take
from policy.errors import ActFault, BadSignature, MalformedAct, StaleAct, WrongDocument
from policy.messages import say
from policy.state import State
from tests.unit.policy.parties import (
    BOTH,
    ID,
    NOW,
    RESOLUTION,
    SIGNED_AT,
    anchors,
    document,
    key,
    post,
    posted,
    recipient,
)

DIGEST = "c" * 64
BODIES = [
    NewAgreement(DIGEST),
    Narrow(DIGEST, "d" * 64),
    Rates({"sample/team-a/regular": 25_000, "campaign/tarifwechsel-april": 0}, RESOLUTION, "DSB-2"),
    Rates({"sample/a.b/onboarding": 1}),
    Suspend(),
    Resume(),
    Evaluation(RESOLUTION.day),
    NewKey("council", str(key("x").verify_key), recipient("x"), RESOLUTION),
    NewKey("employer", str(key("x").verify_key), None),
]


def signed(state: State, body, by=BOTH, **more) -> Posted:
    return posted(state.draft(ID, body), by, **more)


def beginning() -> tuple[State, Posted]:
    """The example put into force, and the act that did it."""
    empty = State(anchors())
    put = signed(empty, NewAgreement(load(document()).digest), at=SIGNED_AT, document=document())
    return take(empty, put), put


@pytest.mark.parametrize("body", BODIES, ids=lambda body: type_of(body).value)
def test_an_act_reads_back_as_it_prints(body):
    for act in (Act(type_of(body), ID, 1, None, body), Act(type_of(body), ID, 7, DIGEST, body)):
        assert parse_act(act.canonical()) == act
        assert json.loads(act.canonical())["type"] == act.type.value


def changed(**changes) -> bytes:
    fields = json.loads(Act(ActType.SUSPEND, ID, 2, DIGEST, Suspend()).canonical())
    return canonical({name: value for name, value in {**fields, **changes}.items() if value is not Ellipsis})


MALFORMED = [
    (b"", "json"),
    (b"[]", "json"),
    (b"{}", "json"),
    (changed() + b" ", "json"),
    (changed().replace(b'"v":1', b'"v":1,"v":1'), "json"),
    (changed().replace(b'"v":1', b'"v":1.0'), "json"),
    (b" " * (MAX_ACT + 1), "json"),
    (changed(more=1), "json"),
    (changed(body=...), "json"),
    (changed(v=True), "v"),
    (changed(v=2), "v"),
    (changed(type="hold"), "type"),
    (changed(type=["suspend"]), "type"),
    (changed(type=None), "type"),
    (changed(agreement=""), "agreement"),
    (changed(agreement="a/b"), "agreement"),
    (changed(agreement="a" * 65), "agreement"),
    (changed(seq=0), "seq"),
    (changed(seq=True), "seq"),
    (changed(seq="2"), "seq"),
    (changed(seq=1), "prev"),
    (changed(prev=None), "prev"),
    (changed(prev="C" * 64), "prev"),
    (changed(body=None), "body"),
    (changed(body=[]), "body"),
    (changed(body={"why": ""}), "body"),
    (changed(type="agreement", body={"digest": "x"}), "body.digest"),
    (changed(type="narrow", body={"digest": DIGEST}), "body"),
    (changed(type="narrow", body={"digest": DIGEST, "narrows": 1}), "body.narrows"),
    (changed(type="evaluation", body={"date": "2026-02-30"}), "body.date"),
    (changed(type="evaluation", body={"date": "20260201"}), "body.date"),
]


@pytest.mark.parametrize(("data", "field"), MALFORMED)
def test_what_is_no_act_is_refused_by_field(data, field):
    with pytest.raises(MalformedAct) as error:
        parse_act(data)
    assert error.value.values == {"field": field}


def rates(**changes) -> bytes:
    body = {"rates": {"sample/team-a/regular": "2"}, "resolution": None, "opinion_ref": None}
    return changed(type="rates", body={**body, **changes})


@pytest.mark.parametrize(
    ("data", "field"),
    [
        (rates(rates={}), "body.rates"),
        (rates(rates={f"sample/g{n}/regular": "1" for n in range(257)}), "body.rates"),
        (rates(rates={"lanes.sample": "1"}), "body.rates"),
        (rates(rates={"sample/team-a/later": "1"}), "body.rates"),
        (rates(rates={"sample/team-a/regular": 2}), "body.rates"),
        (rates(rates={"sample/team-a/regular": "2.0"}), "body.rates"),
        (rates(rates={"sample/team-a/regular": "101"}), "body.rates"),
        (rates(resolution={}), "body.resolution"),
        (rates(resolution={"date": "2026-03-03", "minutes_sha256": "b"}), "body.resolution.minutes_sha256"),
        (rates(opinion_ref=""), "body.opinion_ref"),
        (rates(opinion_ref="a\nb"), "body.opinion_ref"),
    ],
)
def test_rates_are_exact_texts(data, field):
    with pytest.raises(MalformedAct) as error:
        parse_act(data)
    assert error.value.values == {"field": field}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"role": "admin"}, "role"),
        ({"key": "ssh-ed25519 AAAA"}, "key"),
        ({"key": str(key("x").verify_key) + " comment"}, "key"),
        ({"recipient": "age1x"}, "recipient"),
        ({"recipient": 1}, "recipient"),
    ],
)
def test_keys_are_what_they_say(change, field):
    body = {"role": "dpo", "key": str(key("x").verify_key), "recipient": recipient("x"), "resolution": None}
    with pytest.raises(MalformedAct) as error:
        parse_act(changed(type="key", body={**body, **change}))
    assert error.value.values == {"field": f"body.{field}"}


# -- signatures


def test_signatures_hold_for_these_bytes_and_these_keys_only():
    state, put = beginning()
    assert signers(put.act, put.signatures, state.anchors) == set(BOTH)
    other = signed(state, Suspend())
    with pytest.raises(BadSignature):
        signers(other.act, put.signatures, state.anchors)
    swapped = {"employer": put.signatures["council"], "council": put.signatures["employer"]}
    with pytest.raises(BadSignature):
        signers(put.act, swapped, state.anchors)
    with pytest.raises(BadSignature) as error:
        signers(put.act, {**put.signatures, "admin": put.signatures["council"]}, state.anchors)
    assert error.value.values == {"role": "unknown"}
    with pytest.raises(BadSignature):
        signers(put.act, {"council": "-----BEGIN SSH SIGNATURE-----"}, state.anchors)


def test_one_signature_that_does_not_hold_refuses_an_act_that_others_signed():
    state, _ = beginning()
    put = signed(state, Rates({"sample/team-a/regular": 20_000}), ("council",))
    foreign = posted(put.act, ("x",)).signatures["x"]
    with pytest.raises(BadSignature):
        take(state, replace(put, signatures={**put.signatures, "employer": foreign}))


# -- the chain


def test_a_replayed_act_is_stale():
    state, put = beginning()
    with pytest.raises(StaleAct) as error:
        take(state, put)
    assert error.value.fault is ActFault.STALE and error.value.values == {"next": "2"}
    lowered = post(state, Rates({"sample/team-a/regular": 20_000}), ("council",))
    with pytest.raises(StaleAct):
        take(lowered, put)
    again = signed(state, Rates({"sample/team-a/regular": 30_000}, RESOLUTION, "DSB-2"))
    with pytest.raises(StaleAct):
        take(lowered, again)


def test_a_forked_chain_is_stale():
    state, _ = beginning()
    left, right = post(state, Suspend(), ("council",)), post(state, Suspend(), ("employer",), at=NOW)
    assert left.seq == right.seq and left.digest == right.digest  # the same bytes, whoever signed
    left = post(state, Rates({"sample/team-a/regular": 20_000}), ("council",))
    with pytest.raises(StaleAct):
        take(left, signed(right, Resume(), ("council",)))
    ahead = Act(ActType.SUSPEND, ID, left.seq + 2, left.digest, Suspend()).canonical()
    with pytest.raises(StaleAct):
        take(left, posted(ahead, ("council",)))


def test_an_act_for_another_agreement_or_document():
    state, put = beginning()
    other = posted(Act(ActType.SUSPEND, "bv-sued", 2, state.digest, Suspend()).canonical(), ("council",))
    with pytest.raises(WrongDocument) as error:
        take(state, other)
    assert error.value.fault is ActFault.UNKNOWN_AGREEMENT
    with pytest.raises(WrongDocument) as error:
        take(State(anchors()), replace(put, document=document(version=2)))
    assert error.value.fault is ActFault.DOCUMENT_DIFFERS
    with pytest.raises(AgreementRefused):
        take(State(anchors()), replace(put, document=b"{}"))


def test_the_whole_chain_folds_to_what_it_was_and_one_changed_act_breaks_it():
    state, put = beginning()
    posts = [put]
    for body, by in (
        (Rates({"sample/team-a/regular": 20_000}), ("council",)),
        (Suspend(), ("employer",)),
        (NewKey("council", str(key("next").verify_key), recipient("next")), ("council",)),
        (Resume(), ("employer",)),
    ):
        posts.append(signed(state, body, by, at=NOW))
        state = take(state, posts[-1])
    assert fold(anchors(), posts) == state and state.seq == 5
    for place in range(len(posts)):
        with pytest.raises((StaleAct, BadSignature)):
            fold(anchors(), [*posts[:place], *posts[place + 1 :], signed(state, Suspend(), ("employer",))])
        changed = replace(posts[place], act=posts[place].act.replace(ID.encode(), b"bv-aufzeichnung-sued"))
        with pytest.raises(BadSignature):
            fold(anchors(), [*posts[:place], changed, *posts[place + 1 :]])
    with pytest.raises(BadSignature):  # the replaced key signs nothing any more
        take(state, signed(state, Suspend(), ("council",)))
    suspended = replace(posted(state.draft(ID, Suspend()), (), at=NOW), session="council")
    assert fold(anchors(), [*posts, suspended]).suspended(NOW)


def test_refusals_are_told_in_the_readers_language():
    state, put = beginning()
    with pytest.raises(StaleAct) as error:
        take(state, put)
    assert "Nummer 2" in say(error.value, "de") and "number 2" in say(error.value, "en")
    assert "nummer 2" in say(error.value, "nb") and say(error.value, "fr") == say(error.value, "en")
