"""Static payload types and what rtpmap makes of the others."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.rtp.payload_types import encodings, telephone_event


def test_static_types_need_no_rtpmap():
    assert encodings([8, 0, 9, 13], []) == {8: "pcma/8000", 0: "pcmu/8000", 9: "g722/8000", 13: "cn/8000"}


def test_an_rtpmap_overrules_and_ignores_case_and_one_channel():
    maps = [(96, "pcma/8000/1"), (97, "PCMU/16000"), (0, "L16/8000")]
    assert encodings([96, 97, 0], maps) == {96: "pcma/8000", 97: "pcmu/16000", 0: "l16/8000"}


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
    assert telephone_event(offered, maps) in {None, *found}
