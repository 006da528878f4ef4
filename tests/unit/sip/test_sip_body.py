"""SDP in plain and multipart bodies."""

from __future__ import annotations

import base64

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


INNER = b"--in\r\nContent-Type: text/plain\r\n\r\nhello\r\n--in\r\nContent-Type: application/sdp\r\n\r\n%s\r\n--in--"
NESTED = (
    b"--out\r\nContent-Type: multipart/alternative;\r\n boundary=in\r\n\r\n" + INNER + b"\r\n"
    b"--out\r\nContent-Type: application/resource-lists+xml\r\n\r\n<a/>\r\n--out--"
)
CODED = b"--b\r\nContent-Type: application/sdp\r\nContent-Transfer-Encoding: Base64\r\n\r\n%s\r\n--b--"
LONG = SDP + b"a=x-something:" + b"0123456789" * 12 + b"\r\n"


def test_a_multipart_within_another_is_read() -> None:
    made = message("multipart/mixed;boundary=out", NESTED % SDP)
    part = find_sdp(made)
    assert part is not None and part.data == SDP
    replace_sdp(made, part, LONG)
    assert made.body == NESTED % LONG


def test_base64_is_read_and_written_again() -> None:
    lines = base64.encodebytes(LONG).replace(b"\n", b"\r\n").rstrip()
    made = message("multipart/mixed;boundary=b", CODED % lines)
    part = find_sdp(made)
    assert part is not None and part.data == LONG
    replace_sdp(made, part, LONG)
    assert made.body.replace(b"\r\n", b"") == (CODED % lines).replace(b"\r\n", b"")
    assert max(map(len, made.body.split(b"\r\n"))) <= 76
    again = find_sdp(made)
    assert again is not None and again.data == LONG


def too_deep(levels: int) -> bytes:
    body = b"--d0\r\nContent-Type: application/sdp\r\n\r\n" + SDP + b"\r\n--d0--"
    for level in range(1, levels):
        body = b"--d%d\r\nContent-Type: multipart/mixed; boundary=d%d\r\n\r\n%s\r\n--d%d--" % (
            level,
            level - 1,
            body,
            level,
        )
    return body


@pytest.mark.parametrize(("levels", "found"), [(3, True), (4, False)])
def test_only_so_deep(levels: int, found: bool) -> None:
    made = message(f"multipart/mixed;boundary=d{levels - 1}", too_deep(levels))
    assert (find_sdp(made) is not None) == found


@pytest.mark.parametrize("coded", [b"not base64!", base64.b64encode(SDP)[:-1]])
@pytest.mark.parametrize("how", [b"base64", b"quoted-printable", b"x-unknown"])
def test_what_can_t_be_decoded_is_left_alone(coded: bytes, how: bytes) -> None:
    assert find_sdp(message("multipart/mixed;boundary=b", CODED.replace(b"Base64", how) % coded)) is None
