"""Static payload types and what rtpmap makes of the others."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.rtp.payload_types import encodings, laws, telephone_event


def test_static_types_need_no_rtpmap():
    assert laws([8, 0, 18], []) == {8: "PCMA", 0: "PCMU"}
    assert encodings([9, 13], []) == {9: "g722/8000", 13: "cn/8000"}


def test_an_rtpmap_overrules_and_ignores_case_and_one_channel():
    assert laws([96, 97, 0], [(96, "pcma/8000/1"), (97, "PCMU/16000"), (0, "L16/8000")]) == {96: "PCMA"}


def test_telephone_event_is_taken_at_8_khz_only():
    offered = [0, 110, 101]
    maps = [(110, "telephone-event/48000"), (101, "Telephone-Event/8000")]
    assert telephone_event(offered, maps) == 101
    assert telephone_event([0, 110], maps) is None
    # named, but not on the m-line
    assert telephone_event([0], maps) is None


@given(st.lists(st.integers()), st.lists(st.tuples(st.integers(), st.text())))
def test_any_values_give_a_map(offered, maps):
    found = encodings(offered, maps)
    assert set(found) <= set(offered)
    assert set(laws(offered, maps)) <= set(found)
