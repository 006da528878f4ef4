"""SDP in plain and multipart bodies."""

from __future__ import annotations

import base64
import contextlib
import quopri
import time

import pytest

from gateway.sip.body import find_sdp, replace_sdp
from gateway.sip.errors import BodyError
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
        ("application/isup", SDP, {"Content_Encoding": "gzip"}),
        ("multipart/mixed;boundary=b+1", PARTS.replace(b"application/SDP", b"text/plain"), {}),
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


@pytest.mark.parametrize(
    ("content_type", "body", "extra"),
    [
        ("application/sdp", SDP, {"Content_Encoding": "gzip"}),
        ("multipart/mixed;boundary=b+1", PARTS, {"Content_Encoding": "gzip"}),
        ("multipart/mixed", PARTS, {}),
        ("multipart/mixed;boundary=other", PARTS, {}),
        ("multipart/mixed;boundary=b+1", PARTS.replace(b"Content-Disposition", b"Content-Encoding"), {}),
        ("multipart/mixed;boundary=b+1", b"--b+1\r\nContent-Type: application/sdp\r\n\r\nv=0 without an end", {}),
        ("multipart/mixed;boundary=b", b"--b\r\nContent-Type: text/plain\r\n\r\n\r\n" * 34 + b"--b--", {}),
        (
            "multipart/mixed;boundary=out",
            NESTED.replace(b"=in", b"=in\r\nContent-Transfer-Encoding: base64") % SDP,
            {},
        ),
    ],
)
def test_an_sdp_that_may_be_there_and_can_t_be_read(content_type: str, body: bytes, extra: dict[str, str]) -> None:
    with pytest.raises(BodyError):
        find_sdp(message(content_type, body, **extra))


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
    with contextlib.nullcontext() if found else pytest.raises(BodyError):
        assert find_sdp(made) is not None


@pytest.mark.parametrize(
    ("how", "coded"),
    [
        (b"base64", b"not base64!"),
        (b"base64", base64.b64encode(SDP)[:-1]),
        (b'"base64', base64.b64encode(SDP)),
        (b"base64\r\nContent-Transfer-Encoding: 7bit", base64.b64encode(SDP)),
        (b"x-unknown", SDP),
        (b"quoted-printable", b"v=3D0=\r\n=0"),
        (b"quoted-printable", b"v=0"),
        (b"quoted-printable", b"v=3D0="),
        (b"quoted-printable", b"v=3D0\rs=3D-"),
        (b"quoted-printable", "s=3Dgrüße".encode()),
        (b"quoted-printable", b"s=3D" + b"x" * 999),
        (b"7bit\r\nContent-Length: 10\r\nContent-Length: 11", SDP),
        (b"7bit\r\nContent-Length: -1", SDP),
        (b"7bit\r\nl: 12345678", SDP),
    ],
)
def test_what_can_t_be_read_with_certainty_is_left_alone(how: bytes, coded: bytes) -> None:
    with pytest.raises(BodyError):
        find_sdp(message("multipart/mixed;boundary=b", CODED.replace(b"Base64", how) % coded))


@pytest.mark.parametrize("how", [b'"base64"', b"BASE64 ", b'\r\n "Base64"'])
def test_quoted_names_of_encodings_mean_the_same(how: bytes) -> None:
    made = message("multipart/mixed;boundary=b", CODED.replace(b"Base64", how) % base64.b64encode(SDP))
    part = find_sdp(made)
    assert part is not None and part.data == SDP


@pytest.mark.parametrize(
    ("coded", "says"),
    [
        (b"v=3D0=0D=0As=3D-=0d=0a", SDP),
        (b"v=3D0\r\ns=3D-\r\n", SDP),
        (b"v=3D=  \r\n0\t \r\ns=3D-\n", b"v=0\r\ns=-\n"),
        (b"s=3Dgr=C3=BC=C3=9Fe =\r\n", "s=grüße ".encode()),
    ],
)
def test_quoted_printable_is_read_and_written_again(coded: bytes, says: bytes) -> None:
    made = message("multipart/mixed;boundary=b", CODED.replace(b"Base64", b"Quoted-Printable") % coded)
    part = find_sdp(made)
    assert part is not None and part.data == says
    said = LONG + b"s=a b \r\na=-tail\r\n--b--\r\n" + b"-" * 200 + "ü=\n".encode()
    replace_sdp(made, part, said)
    text = made.body.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n--b--")
    assert quopri.decodestring(text) == said, "as another reader has it"
    assert max(map(len, text.split(b"\r\n"))) <= 76 and text.isascii()
    again = find_sdp(made)
    assert again is not None and again.data == said


def test_the_length_that_a_part_has_follows_what_is_put_into_it() -> None:
    """Also that of the parts around it, whose own length may need a digit more."""
    inner = b"--in\r\nContent-Type: application/sdp\r\nContent-Length: 10\r\n\r\n%s\r\n--in--"
    outer = (
        b"--out\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi\r\n"
        b"--out\r\nl:\r\n 90 \r\nContent-Type: multipart/mixed; boundary=in\r\n\r\n%s\r\n--out--"
    )
    made = message("multipart/mixed;boundary=out", outer % (inner % SDP))
    part = find_sdp(made)
    assert part is not None and part.data == SDP
    replace_sdp(made, part, LONG)
    within = (inner % LONG).replace(b"Length: 10", b"Length: %d" % len(LONG))
    assert made.body == (outer % within).replace(b" 90 ", b" %d " % len(within))
    assert made.get("content-length") == str(len(made.body))
    again = find_sdp(made)
    assert again is not None and again.data == LONG


def test_a_length_is_of_what_is_written_not_of_what_it_says() -> None:
    body = CODED.replace(b"Base64", b"base64\r\nContent-Length: 16") % base64.b64encode(SDP)
    made = message("multipart/mixed;boundary=b", body)
    part = find_sdp(made)
    assert part is not None
    replace_sdp(made, part, LONG)
    content = made.body.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n--b--")
    assert b"Content-Length: %d\r\n" % len(content) in made.body and len(content) != len(LONG)


@pytest.mark.parametrize("end", [b"x", b"\rx", b"\t\r"])
def test_a_long_line_of_spaces_holds_nobody_up(end: bytes) -> None:
    """It is read where all calls are: what takes seconds for one message would cost everybody theirs."""
    length = b"Content-Length: 10" + b" " * 60_000 + end
    made = message("multipart/mixed;boundary=b+1", PARTS.replace(b"Content-Disposition: session", length))
    began = time.process_time()
    with contextlib.suppress(BodyError):
        find_sdp(made)
    assert time.process_time() - began < 1


def test_a_length_with_more_behind_it_is_none() -> None:
    for said in (b"10 x", b"10\rx", b"10 10", b""):
        body = PARTS.replace(b"Content-Disposition: session", b"Content-Length: " + said)
        with pytest.raises(BodyError):
            find_sdp(message("multipart/mixed;boundary=b+1", body))
