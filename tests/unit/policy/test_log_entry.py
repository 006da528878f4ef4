"""Log entries: every type there and back, what each field refuses, and that nothing else ever parses."""

import contextlib
import dataclasses
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.ssh_key import SigningKey
from crypto.sshsig import sign
from policy.errors import LogEntryError
from policy.log_entry import KINDS, Anchor, Call, Counted, EClose, ECommit, encode, parse
from tests.peers.log_samples import D1, EPOCH, SAMPLES, A

WRONG: list[object] = [..., True, 1.5, -1, "", "Erika Mustermann", "+4940123456", [], {}, {"a": 1}, "0A" * 32, "٣"]
IDS = [f"{type(sample).__name__}{place}" for place, sample in enumerate(SAMPLES)]


def leaf(entry, **changes):
    """The entry's JSON with some members changed; None of `...` drops one."""
    members = {**json.loads(encode(entry)), **changes}
    kept = {name: value for name, value in members.items() if value is not ...}
    return json.dumps(kept, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def test_every_type_has_a_sample():
    assert {type(sample) for sample in SAMPLES} == set(KINDS.values())
    assert len(KINDS) == 21


@pytest.mark.parametrize("entry", SAMPLES, ids=IDS)
def test_there_and_back(entry):
    data = encode(entry)
    assert parse(data) == entry
    assert encode(parse(data)) == data


def test_the_bytes_of_a_call_by_hand():
    call = Call(EPOCH, A, 7, "other", 2, D1)
    assert encode(call) == (
        b'{"a":"%s","c":"%s","e":"2026-W47","n":7,"q":"other","r":2,"t":"call","v":1}' % (A.encode(), D1.encode())
    )


@pytest.mark.parametrize("entry", SAMPLES, ids=IDS)
def test_no_field_takes_another_kind_of_value(entry):
    for name in (field.name for field in dataclasses.fields(entry)):
        for wrong in WRONG:
            if (name, wrong) in (("groups", {}), ("q", "0A" * 32)):
                continue
            with pytest.raises(LogEntryError):
                parse(leaf(entry, **{name: wrong}))


@pytest.mark.parametrize("entry", SAMPLES, ids=IDS)
def test_nothing_more_fits_in(entry):
    for change in ({"v": 2}, {"v": True}, {"v": ...}, {"t": "calls"}, {"t": ...}, {"t": None}, {"name": "x"}):
        with pytest.raises(LogEntryError):
            parse(leaf(entry, **change))


@pytest.mark.parametrize("entry", SAMPLES, ids=IDS)
def test_only_the_one_form_parses(entry):
    data = encode(entry)
    spaced = json.dumps(json.loads(data), sort_keys=True).encode()
    doubled = data[:-1] + b',"v":1}'
    for wrong in (spaced, doubled, data + b"\n", b" " + data, data[:-1], b"[" + data + b"]"):
        with pytest.raises(LogEntryError):
            parse(wrong)


@pytest.mark.parametrize("place", [0, 1, 4, 7, 13])
def test_a_flipped_bit_never_reads_as_the_same_entry(place):
    data = encode(SAMPLES[place])
    for at in range(len(data) * 8):
        wrong = bytearray(data)
        wrong[at // 8] ^= 1 << at % 8
        with contextlib.suppress(LogEntryError):
            assert parse(bytes(wrong)) != SAMPLES[place]


def test_fields_that_contradict_one_another_are_refused():
    x = {"protected": 0, "unknown": 0, "unclaimed": 0}
    council, employer = _anchors()
    for wrong in (
        EClose(EPOCH, {}, 5, D1, x),
        EClose(EPOCH, {}, -1, D1, x),
        EClose(EPOCH, {"team": Counted(1, 2)}, 3, D1, x),
        EClose(EPOCH, {}, 3, D1, {"protected": 0}),
        dataclasses.replace(council, seq=2),
        dataclasses.replace(employer, prev=None),
        dataclasses.replace(employer, rkey=council.rkey),
    ):
        with pytest.raises(LogEntryError):
            encode(wrong)


def _anchors() -> list[Anchor]:
    return [entry for entry in SAMPLES if isinstance(entry, Anchor)]


def test_a_commitment_signed_for_something_else_is_refused():
    [commit] = [entry for entry in SAMPLES if isinstance(entry, ECommit)]
    with pytest.raises(LogEntryError):
        encode(dataclasses.replace(commit, csig=sign(SigningKey.generate(), "fairtap-act@v1", b"")))


def test_an_entry_has_a_limit():
    groups = {f"group-{place}": Counted(1, 1) for place in range(513)}
    with pytest.raises(LogEntryError):
        encode(EClose(EPOCH, groups, 3, D1, {"protected": 0, "unknown": 0, "unclaimed": 0}))
    with pytest.raises(LogEntryError):
        parse(b" " * 70_000)


objects: st.SearchStrategy[object] = st.dictionaries(
    st.sampled_from(["v", "t", "e", "a", "n", "q", "r", "c", "m", "o", "k", "i", "h", "x", "groups"]),
    st.sampled_from([1, 0, None, "call", "out", "day", EPOCH, A, D1, "hit", "other", [], {}, "\ud800"]),
)


@given(objects | st.recursive(st.none() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=5))
@settings(max_examples=150)
def test_any_json_is_an_entry_or_refused(value):
    data = json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
    try:
        entry = parse(data)
    except LogEntryError:
        return
    assert encode(entry) == data


@given(st.binary(max_size=80))
@settings(max_examples=60)
def test_any_bytes_are_an_entry_or_refused(data):
    with pytest.raises(LogEntryError):
        parse(data)
