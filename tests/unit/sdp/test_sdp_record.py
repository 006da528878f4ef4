"""`a=record` in descriptions that pass: where it stands, what it changes, and what another recorder said before."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sdp.errors import SdpError
from gateway.sdp.record import RecordState, declines, with_record
from gateway.sdp.session import parse_session

HEAD = "v=0|o=- 1 2 IN IP4 192.0.2.1|s=-|c=IN IP4 192.0.2.1|t=0 0|"
AUDIO = "m=audio 4000 RTP/AVP 8|a=rtpmap:8 PCMA/8000|"
VIDEO = "m=video 5000 RTP/AVP 96|"


def marked(text: str, state: RecordState, end: str = "\r\n") -> str:
    return with_record(text.replace("|", end).encode(), state).decode().replace(end, "|")


@pytest.mark.parametrize("state", ["on", "off", "paused"])
def test_each_audio_line_is_marked_and_nothing_else_changes(state):
    assert marked(HEAD + AUDIO + VIDEO, state) == f"{HEAD}{AUDIO}a=record:{state}|{VIDEO}"
    assert marked(HEAD + AUDIO, state, end="\n") == f"{HEAD}{AUDIO}a=record:{state}|"
    assert marked((HEAD + AUDIO)[:-1], state) == f"{HEAD}{AUDIO}a=record:{state}|", "a last line without its end"
    refused = HEAD + AUDIO.replace("4000", "0") + VIDEO
    assert marked(refused, state) == refused


@pytest.mark.parametrize(
    ("before", "state", "after"),
    [("off", "on", "on"), ("on", "off", "on"), ("paused", "off", "paused"), ("off", "off", "off"), ("on", "on", "on")],
)
def test_what_another_recorder_said_is_never_made_less(before, state, after):
    assert marked(f"{HEAD}{AUDIO}a=record:{before}|", state) == f"{HEAD}{AUDIO}a=record:{after}|"
    whole = marked(f"{HEAD}a=record:{before}|{AUDIO}", state)
    assert whole.startswith(f"{HEAD}a=record:{before}|")
    assert (f"{AUDIO}a=record:{after}|" in whole) == (before != after)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"{HEAD}a=recordpref:off|{AUDIO}", True),
        (f"{HEAD}{AUDIO}a=recordpref:off|", True),
        (f"{HEAD}{AUDIO}a=recordpref:on|", False),
        (f"{HEAD}{AUDIO}a=recordpref:nopreference|a=record:off|", False),
        (f"{HEAD}i=a=recordpref:off|{AUDIO}", False),
    ],
)
def test_only_a_preference_of_its_own_declines(text, said):
    for end in ("\r\n", "\n"):
        assert declines(text.replace("|", end).encode()) is said


@given(st.lists(st.sampled_from([*(HEAD + AUDIO + VIDEO).split("|"), "a=record:on", "a=record:", "a=recordpref:off"])))
def test_what_can_be_read_can_be_marked_and_read_again(lines):
    body = "\r\n".join(lines).encode()
    try:
        before = parse_session(body)
    except SdpError:
        return
    after = parse_session(with_record(body, "on"))
    assert len(after.media) == len(before.media)
    for media in after.media:
        said = after.attributes(media, "record") or after.attributes(None, "record")
        assert not media.is_live_audio or "on" in said
