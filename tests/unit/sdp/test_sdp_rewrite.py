"""Anchoring: which bytes change, and that no other does."""

from __future__ import annotations

import pytest

from gateway.sdp.rewrite import Anchor, anchor
from gateway.sdp.session import parse_session

V4 = Anchor("198.51.100.20", 30000, 30001)
V6 = Anchor("2001:db8::20", 30000, 30001)
PLAIN = (
    "v=0|o=- 1 2 IN IP4 192.0.2.1|s=-|c=IN IP4 192.0.2.1|b=AS:100|t=0 0|a=x-odd:  1|m=audio 4000 RTP/AVP 8 101|"
    "a=rtpmap:101 telephone-event/8000|a=crypto:1 X inline:y|a=record:off|"
)


def rewrite(text: str, *anchors: tuple[int, Anchor], end: str = "\r\n") -> str:
    data = text.replace("|", end).encode()
    return anchor(parse_session(data), dict(anchors)).decode().replace(end, "|")


def test_one_audio_line() -> None:
    expected = PLAIN.replace("c=IN IP4 192.0.2.1", "c=IN IP4 198.51.100.20").replace("audio 4000", "audio 30000")
    assert rewrite(PLAIN, (0, V4)) == expected
    assert rewrite(PLAIN, (0, V4), end="\n") == expected


def test_nothing_to_anchor_changes_nothing() -> None:
    assert rewrite(PLAIN) == PLAIN
    refused = PLAIN.replace("audio 4000", "audio 0")
    assert rewrite(refused, (0, V4)) == refused
    assert rewrite(PLAIN, (7, V4)) == PLAIN


def test_the_origin_line_stays() -> None:
    assert "o=- 1 2 IN IP4 192.0.2.1|" in rewrite(PLAIN, (0, V4))


def test_address_family_changes_with_the_address() -> None:
    assert "c=IN IP6 2001:db8::20|" in rewrite(PLAIN, (0, V6))
    back = rewrite(PLAIN.replace("c=IN IP4 192.0.2.1", "c=IN  IP6\t2001:db8::9"), (0, V4))
    assert "c=IN  IP4\t198.51.100.20|" in back


def test_media_level_connection() -> None:
    own = "v=0|s=-|m=audio 4000 RTP/AVP 0|c=IN IP4 192.0.2.1/127|a=x|"
    assert rewrite(own, (0, V4)) == "v=0|s=-|m=audio 30000 RTP/AVP 0|c=IN IP4 198.51.100.20|a=x|"


def test_several_connection_lines_all_change() -> None:
    own = "v=0|s=-|m=audio 4000 RTP/AVP 0|c=IN IP4 224.2.1.1/127|c=IN IP4 224.2.1.2/127|"
    assert "224." not in rewrite(own, (0, V4))


def test_a_missing_connection_is_added_in_its_place() -> None:
    assert (
        rewrite("v=0|m=audio 4000 RTP/AVP 0|a=x|", (0, V4)) == "v=0|m=audio 30000 RTP/AVP 0|c=IN IP4 198.51.100.20|a=x|"
    )
    titled = "v=0|m=audio 4000 RTP/AVP 0|i=t|a=x|"
    assert rewrite(titled, (0, V4)) == "v=0|m=audio 30000 RTP/AVP 0|i=t|c=IN IP4 198.51.100.20|a=x|"


def test_direct_lines_get_the_old_address() -> None:
    text = PLAIN + "m=video 5000 RTP/AVP 31|a=y|m=image 6000 udptl t38|c=IN IP4 192.0.2.7|m=text 0 RTP/AVP 98|"
    expected = PLAIN.replace("c=IN IP4 192.0.2.1", "c=IN IP4 198.51.100.20").replace("audio 4000", "audio 30000")
    expected += (
        "m=video 5000 RTP/AVP 31|c=IN IP4 192.0.2.1|a=y|m=image 6000 udptl t38|c=IN IP4 192.0.2.7|m=text 0 RTP/AVP 98|"
    )
    assert rewrite(text, (0, V4)) == expected


def test_session_address_stays_when_no_anchored_line_uses_it() -> None:
    text = "v=0|c=IN IP4 192.0.2.1|m=audio 4000 RTP/AVP 0|c=IN IP4 192.0.2.2|m=video 5000 RTP/AVP 31|"
    assert rewrite(text, (0, V4)) == (
        "v=0|c=IN IP4 192.0.2.1|m=audio 30000 RTP/AVP 0|c=IN IP4 198.51.100.20|m=video 5000 RTP/AVP 31|"
    )


def test_two_anchored_lines_with_different_addresses() -> None:
    text = "v=0|c=IN IP4 192.0.2.1|m=audio 4000 RTP/AVP 0|m=audio 5000 RTP/AVP 0|"
    assert rewrite(text, (0, V4), (1, V6)) == (
        "v=0|c=IN IP4 198.51.100.20|m=audio 30000 RTP/AVP 0|m=audio 30000 RTP/AVP 0|c=IN IP6 2001:db8::20|"
    )


@pytest.mark.parametrize("null", ["IN IP4 0.0.0.0", "IN IP6 ::"])
def test_the_old_hold_stays_a_hold(null: str) -> None:
    by_session = PLAIN.replace("IN IP4 192.0.2.1|b", f"{null}|b")
    assert rewrite(by_session, (0, V4)) == by_session.replace("audio 4000", "audio 30000")
    by_media = f"v=0|c=IN IP4 192.0.2.1|m=audio 4000 RTP/AVP 0|c={null}|"
    assert rewrite(by_media, (0, V4)) == by_media.replace("audio 4000", "audio 30000")


@pytest.mark.parametrize(
    ("line", "place", "expected"),
    [
        ("a=rtcp:4001", V4, "a=rtcp:30001"),
        ("a=rtcp:4009 IN IP4 192.0.2.5", V4, "a=rtcp:30001 IN IP4 198.51.100.20"),
        ("a=rtcp:4009 IN IP4 192.0.2.5", V6, "a=rtcp:30001 IN IP6 2001:db8::20"),
        ("a=rtcp:4000", Anchor("198.51.100.20", 30000), "a=rtcp:30000"),
    ],
)
def test_rtcp_line(line: str, place: Anchor, expected: str) -> None:
    text = f"v=0|c=IN IP4 192.0.2.1|m=audio 4000 RTP/AVP 0|{line}|a=x|"
    assert rewrite(text, (0, place)).endswith(f"m=audio 30000 RTP/AVP 0|{expected}|a=x|")


def test_an_odd_rtcp_port_is_said() -> None:
    text = "v=0|c=IN IP4 192.0.2.1|m=audio 4000 RTP/AVP 0|a=x|m=video 5000 RTP/AVP 31|"
    assert "a=x|a=rtcp:31001|m=video" in rewrite(text, (0, Anchor("198.51.100.20", 30000, 31001)))
    assert "a=rtcp" not in rewrite(text, (0, V4)) and "a=rtcp" not in rewrite(text, (0, Anchor("198.51.100.20", 30000)))


ICE = (
    "v=0|c=IN IP4 192.0.2.1|a=ice-lite|a=ice-ufrag:s|m=audio 4000 RTP/SAVP 0|a=ice-ufrag:a|a=ice-pwd:b|"
    "a=candidate:1 1 UDP 1 192.0.2.1 4000 typ host|a=end-of-candidates|a=fingerprint:sha-1 A|"
)


def test_ice_goes_where_everything_is_anchored() -> None:
    assert rewrite(ICE, (0, V4)) == "v=0|c=IN IP4 198.51.100.20|m=audio 30000 RTP/SAVP 0|a=fingerprint:sha-1 A|"


def test_ice_of_direct_lines_stays() -> None:
    video = "m=video 5000 RTP/AVP 31|c=IN IP4 192.0.2.1|a=candidate:1 1 UDP 1 192.0.2.1 5000 typ host|"
    out = rewrite(ICE + video, (0, V4))
    assert "a=ice-lite|a=ice-ufrag:s|m=audio" in out and out.endswith(video)


def test_port_count_goes_with_the_port() -> None:
    assert "m=audio 30000 RTP/AVP" in rewrite(PLAIN.replace("4000", "4000/2"), (0, V4))


def test_description_without_a_last_line_end() -> None:
    cut = "v=0|c=IN IP4 192.0.2.1|m=audio 4000 RTP/AVP 0|m=video 5000 RTP/AVP 31"
    assert rewrite(cut, (0, V4)).endswith("m=video 5000 RTP/AVP 31|c=IN IP4 192.0.2.1|")
    assert rewrite(cut[:-24], (0, V4)).endswith("m=audio 30000 RTP/AVP 0")
