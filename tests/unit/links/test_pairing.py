"""Who talks to whom, from a PBX's events: exactly two, or nobody."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.links.pairing import Pairing

TRUNK, AGENT, OTHER = "PJSIP/trunk-1", "PJSIP/7001-2", "PJSIP/7002-3"


@pytest.fixture
def pairing():
    made = Pairing()
    made.trunk(TRUNK, "call@carrier")
    made.extension(AGENT, "7001")
    made.extension(OTHER, "7002")
    return made


def talks(pairing):
    return pairing.talking()["call@carrier"]


def test_two_in_a_bridge_talk(pairing):
    pairing.entered("b1", TRUNK)
    assert talks(pairing) is None
    pairing.entered("b1", AGENT)
    assert talks(pairing) == "7001"


def test_a_third_party_makes_it_nobody_and_its_leaving_makes_it_the_agent_again(pairing):
    for channel in (TRUNK, AGENT, OTHER):
        pairing.entered("b1", channel)
    assert talks(pairing) is None
    pairing.left(OTHER)
    assert talks(pairing) == "7001"


def test_a_transfer_is_another_agent(pairing):
    pairing.entered("b1", TRUNK)
    pairing.entered("b1", AGENT)
    pairing.left(AGENT)
    assert talks(pairing) is None
    pairing.entered("b1", OTHER)
    assert talks(pairing) == "7002"


def test_an_end_that_nobody_knows_is_nobody(pairing):
    pairing.entered("b1", TRUNK)
    pairing.entered("b1", "PJSIP/another-trunk-9")
    assert talks(pairing) is None


def test_a_queue_rings_through_a_local_channel(pairing):
    pairing.local("Local/7001@queue;1", "Local/7001@queue;2")
    pairing.entered("b1", TRUNK)
    pairing.entered("b1", "Local/7001@queue;1")
    assert talks(pairing) is None
    pairing.entered("b2", "Local/7001@queue;2")
    pairing.entered("b2", AGENT)
    assert talks(pairing) == "7001"
    pairing.entered("b2", OTHER)
    assert talks(pairing) is None


def test_a_hangup_and_a_destroyed_bridge_are_the_end(pairing):
    pairing.entered("b1", TRUNK)
    pairing.entered("b1", AGENT)
    pairing.destroyed("b1")
    assert talks(pairing) is None
    pairing.entered("b2", TRUNK)
    pairing.entered("b2", AGENT)
    pairing.renamed(AGENT, "PJSIP/7001-9")
    assert talks(pairing) == "7001"
    pairing.hung_up(TRUNK)
    assert pairing.talking() == {}


channels = st.sampled_from([TRUNK, AGENT, OTHER, "L;1", "L;2", "x"])
steps = st.one_of(
    st.tuples(st.just("entered"), st.sampled_from("ab"), channels),
    st.tuples(st.sampled_from(["left", "hung_up"]), channels),
    st.tuples(st.just("destroyed"), st.sampled_from("ab")),
    st.tuples(st.just("renamed"), channels, channels),
    st.tuples(st.just("local"), channels, channels),
)


@given(st.lists(steps, max_size=30))
def test_whatever_comes_an_answer_is_an_extension_or_nobody(given_steps):
    made = Pairing()
    made.trunk(TRUNK, "call@carrier")
    made.extension(AGENT, "7001")
    made.extension(OTHER, "7002")
    for name, *arguments in given_steps:
        getattr(made, name)(*arguments)
        assert set(made.talking().values()) <= {"7001", "7002", None}
