"""An act travels as one file: prints, reads back, folds to the same state; anything else is refused."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.jcs import canonical, parse
from policy.act_file import parse_act_file, print_act
from policy.chain import Posted, fold
from policy.errors import MalformedAct
from tests.peers.log_world import Host
from tests.unit.policy.green import EXAMPLE

POSTED = Posted(b"{}", {"council": "sig"}, datetime(2026, 3, 4, 9, tzinfo=UTC), EXAMPLE.read_bytes(), "council")


def test_a_chain_folds_the_same_from_files():
    host = Host(1, legs=1)
    world = host.run()
    again = [parse_act_file(print_act(posted)) for posted in world.acts]
    assert fold(host.state.anchors, again) == host.state


def test_the_document_travels_as_canonical_json():
    read = parse_act_file(print_act(POSTED))
    assert read.document is not None
    assert canonical(parse(read.document)) == read.document
    assert (read.act, read.signatures, read.at, read.session) == (b"{}", {"council": "sig"}, POSTED.at, "council")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("act", 1),
        ("signatures", {"admin": "x"}),
        ("signatures", {"council": 1}),
        ("at", "2026-03-04"),
        ("at", "2026-13-04T09:00:00+00:00"),
        ("document", 1),
        ("session", "admin"),
        ("more", 1),
    ],
)
def test_anything_else_is_refused(field, value):
    told = parse(print_act(POSTED))
    assert isinstance(told, dict)
    with pytest.raises(MalformedAct):
        parse_act_file(canonical({**told, field: value}))


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_cleanly(data):
    with pytest.raises(MalformedAct):
        parse_act_file(data)
