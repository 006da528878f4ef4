"""SDP in plain and multipart bodies."""

from __future__ import annotations

import pytest

from gateway.sip.body import find_sdp, replace_sdp
from gateway.sip.message import Message, new_message

SDP = b"v=0\r\ns=-\r\n"
PARTS = (
    b"preamble\r\n--b+1\r\nContent-Type: application/pidf+xml\r\n\r\n<a/>\r\n"
    b"--b+1\r\ncontent-type:application/SDP;x=y\r\n"
    b"Content-Disposition: session\r\n\r\n" + SDP + b"\r\n--b+1--\r\nepilogue"
)


def message(content_type: str, body: bytes, **extra: str) -> Message:
    fields = [("Content-Type", content_type)] if content_type else []
    return new_message("INVITE sip:a SIP/2.0", [*fields, *((k.replace("_", "-"), v) for k, v in extra.items())], body)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/sdp", SDP),
        ("Application/SDP ; charset=utf-8", SDP),
        ('multipart/mixed; boundary="b+1"', PARTS),
        ("multipart/alternative;boundary=b+1", PARTS),
        ("multipart/mixed;boundary=b+1", PARTS.replace(b"type:application", b"type:\r\n application")),
    ],
)
def test_found_and_replaced(content_type: str, body: bytes) -> None:
    made = message(content_type, body)
    part = find_sdp(made)
    assert part is not None and part.data == SDP
    replace_sdp(made, part, b"v=0\r\nlonger\r\n")
    assert made.body == body.replace(SDP, b"v=0\r\nlonger\r\n")
    assert made.get("content-length") == str(len(made.body))


@pytest.mark.parametrize(
    ("content_type", "body", "extra"),
    [
        ("", SDP, {}),
        ("application/sdp", b"", {}),
        ("application/isup", SDP, {}),
        ("application/sdp", SDP, {"Content_Encoding": "gzip"}),
        ("multipart/mixed", PARTS, {}),
        ("multipart/mixed;boundary=other", PARTS, {}),
        ("multipart/mixed;boundary=b+1", PARTS.replace(b"application/SDP", b"text/plain"), {}),
        ("multipart/mixed;boundary=b+1", PARTS.replace(b"Content-Disposition", b"Content-Encoding"), {}),
        ("multipart/mixed;boundary=b+1", b"--b+1\r\nContent-Type: application/sdp\r\n\r\nv=0 without an end", {}),
    ],
)
def test_no_sdp(content_type: str, body: bytes, extra: dict[str, str]) -> None:
    assert find_sdp(message(content_type, body, **extra)) is None
