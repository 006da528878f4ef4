"""Lossless messages: what is read, kept, changed and refused."""

from __future__ import annotations

import pytest

from gateway.sip.build import REASONS, build_ack, build_cancel, build_response, strip_private_headers
from gateway.sip.errors import SipSyntaxError
from gateway.sip.message import (
    MAX_FIELDS,
    MAX_LINE,
    Keepalive,
    Request,
    Response,
    new_message,
    parse_datagram,
)

INVITE = (
    b"INVITE sip:b@example.com SIP/2.0\r\n"
    b"v: SIP/2.0/UDP 192.0.2.1 ;branch=z9hG4bKa\r\n"
    b"VIA:SIP/2.0/UDP 192.0.2.2\r\n"
    b'f: "A \\" B"\r\n\t <sip:a@example.com>;tag=1\r\n'
    b"t: <sip:b@example.com>\r\n"
    b"i: abc\r\n"
    b"CSEQ: 1 INVITE\r\n"
    b"X-Raw: \xff\xfe\r\n"
    b"X-Fairtap-Call: secret\r\n"
    b"x-fairtap-queue: q\r\n"
    b"l: 4\r\n\r\nbody"
)


def parse(data: bytes) -> Request:
    message = parse_datagram(data)
    assert isinstance(message, Request)
    return message


def test_reads_and_prints_the_same_bytes() -> None:
    message = parse(INVITE)
    assert message.to_bytes() == INVITE
    assert (message.method, message.uri, message.version) == ("INVITE", "sip:b@example.com", "2.0")
    assert message.all("via") == ["SIP/2.0/UDP 192.0.2.1 ;branch=z9hG4bKa", "SIP/2.0/UDP 192.0.2.2"]
    assert message.get("from") == '"A \\" B" <sip:a@example.com>;tag=1'
    assert message.get("contact") is None and message.count("via") == 2


def test_only_touched_lines_are_made_anew() -> None:
    message = parse(INVITE)
    message.set("cseq", "2 INVITE")
    message.insert("via", "SIP/2.0/UDP 192.0.2.9")
    message.set("max-forwards", "70")
    message.set_body(b"longer body")
    expected = INVITE.replace(b"CSEQ: 1", b"CSEQ: 2").replace(b"v: SIP", b"Via: SIP/2.0/UDP 192.0.2.9\r\nv: SIP", 1)
    expected = expected.replace(b"l: 4\r\n\r\nbody", b"l: 11\r\nMax-Forwards: 70\r\n\r\nlonger body")
    assert message.to_bytes() == expected


def test_copies_are_independent() -> None:
    message = parse(INVITE)
    other = message.copy()
    other.remove("via")
    other.set_uri("sip:c@example.com")
    assert message.to_bytes() == INVITE and message != other
    assert other.start == b"INVITE sip:c@example.com SIP/2.0"


def test_private_headers_are_stripped() -> None:
    message = parse(INVITE)
    strip_private_headers(message)
    assert b"airtap" not in message.to_bytes() and len(message.fields) == 8


def test_repr_shows_nobody() -> None:
    assert "example" not in repr(parse(INVITE))


def test_no_header_injection() -> None:
    message = parse(INVITE)
    with pytest.raises(ValueError, match="line break"):
        message.set("subject", "a\r\nVia: b")
    with pytest.raises(ValueError, match="line break"):
        message.set_uri("sip:a\nb")


@pytest.mark.parametrize("data", [b"\r\n\r\n", b"\r\n", b"", b"\0\0\0\0", b"\r\n\r\n\r\n"])
def test_keepalives(data: bytes) -> None:
    assert parse_datagram(data) == Keepalive(ping=data == b"\r\n\r\n")


def test_leading_line_ends_are_skipped() -> None:
    assert parse(b"\r\n\r\n" + INVITE).to_bytes() == INVITE


def test_datagram_is_cut_at_content_length() -> None:
    assert parse(INVITE + b"trailing").to_bytes() == INVITE
    assert parse(INVITE.replace(b"l: 4\r\n", b"")).body == b"body", "without a length the datagram ends the body"


HEAD = INVITE.partition(b"\r\n\r\n")[0] + b"\r\n"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (INVITE.replace(b"l: 4", b"l: 5"), 400),
        (INVITE.replace(b"l: 4", b"l: -4"), 400),
        (INVITE.replace(b"l: 4", b"l: 4\r\nContent-Length: 4"), 400),
        (INVITE.replace(b"l: 4", b"l: 99999999999999999999"), 400),
        (INVITE.replace(b"i: abc", b"i abc"), 400),
        (INVITE.replace(b"i: abc", b"i\x01: abc"), 400),
        (INVITE.replace(b"i: abc", b"i: a\nbc"), 400),
        (INVITE.replace(b"i: abc", b"i: a\rbc"), 400),
        (INVITE.replace(b"2.0\r\nv", b"2.0\r\n v"), 400),
        (INVITE.replace(b"SIP/2.0\r\nv", b"SIP/2.0 \r\nv"), 400),
        (INVITE.replace(b"INVITE sip", b"INVITE  sip"), 400),
        (INVITE.replace(b"sip:b@example.com SIP", b"<sip:b@example.com> SIP"), 400),
        (INVITE.replace(b"sip:b@", b"sip:" + b"b" * MAX_LINE + b"@", 1), 414),
        (INVITE.replace(b"i: abc", b"i: " + b"c" * MAX_LINE), 400),
        (INVITE.replace(b"i: abc", b"i: abc" + b"\r\nX: y" * MAX_FIELDS), 400),
        (INVITE.replace(b"body", b"b" * 70_000), 513),
        (HEAD, 400),
    ],
)
def test_broken_requests_can_be_answered(data: bytes, status: int) -> None:
    with pytest.raises(SipSyntaxError) as caught:
        parse_datagram(data)
    error = caught.value
    assert (error.status, error.answerable, error.fatal) == (status, True, False)
    assert error.request is not None
    answer = build_response(error.request, error.status, "", "tag")
    assert isinstance(parse_datagram(answer.to_bytes()), Response)
    assert answer.all("via") and answer.get("to") == "<sip:b@example.com>;tag=tag"


@pytest.mark.parametrize(
    "data",
    [
        b"hello",
        b"\x16\x03\x01\x02\x00",
        b"SIP/2.0 99 Low\r\nVia: SIP/2.0/UDP 192.0.2.1\r\n\r\n",
        b"SIP/2.0 700 High\r\nVia: SIP/2.0/UDP 192.0.2.1\r\n\r\n",
        b"SIP/2.0 20 Short\r\nVia: SIP/2.0/UDP 192.0.2.1\r\n\r\n",
        INVITE.replace(b"INVITE", b"ACK").replace(b"l: 4", b"l: x"),
    ],
)
def test_noise_responses_and_acks_are_never_answered(data: bytes) -> None:
    with pytest.raises(SipSyntaxError) as caught:
        parse_datagram(data)
    assert not caught.value.answerable


def test_responses() -> None:
    message = parse_datagram(b"SIP/2.0 180 Ringing a b\r\nVia: SIP/2.0/UDP 192.0.2.1\r\n\r\n")
    assert isinstance(message, Response)
    assert (message.status, message.reason, message.version) == (180, "Ringing a b", "2.0")
    empty = parse_datagram(b"SIP/2.0 100\r\nVia: SIP/2.0/UDP 192.0.2.1\r\n\r\n")
    assert isinstance(empty, Response) and (empty.status, empty.reason) == (100, "")


def test_build_response_copies_the_lines_and_tags_to() -> None:
    answer = build_response(parse(INVITE), 486, "Busy", "xyz", [("Retry-After", "3")])
    assert answer.to_bytes() == (
        b"SIP/2.0 486 Busy\r\nv: SIP/2.0/UDP 192.0.2.1 ;branch=z9hG4bKa\r\nVIA:SIP/2.0/UDP 192.0.2.2\r\n"
        b'f: "A \\" B"\r\n\t <sip:a@example.com>;tag=1\r\nt: <sip:b@example.com>;tag=xyz\r\ni: abc\r\n'
        b"CSEQ: 1 INVITE\r\nRetry-After: 3\r\nContent-Length: 0\r\n\r\n"
    )


def test_build_response_keeps_a_tag_and_leaves_100_without() -> None:
    tagged = parse(INVITE.replace(b"t: <sip:b@example.com>", b"t: <sip:b@example.com>; tag = old"))
    assert build_response(tagged, 200, "", "new").get("to") == "<sip:b@example.com>; tag = old"
    assert build_response(parse(INVITE), 100, "", "new").get("to") == "<sip:b@example.com>"
    assert build_response(parse(INVITE), 404).reason == REASONS[404]


def test_cancel_and_ack_stay_on_the_hop() -> None:
    sent = parse(INVITE.replace(b"t: <", b"Route: <sip:p;lr>\r\nt: <"))
    final = build_response(sent, 486, "", "xyz")
    cancel, ack = build_cancel(sent), build_ack(sent, final)
    for message, method in ((cancel, "CANCEL"), (ack, "ACK")):
        assert message.start == f"{method} sip:b@example.com SIP/2.0".encode()
        assert message.all("via") == ["SIP/2.0/UDP 192.0.2.1 ;branch=z9hG4bKa"], "the top Via alone"
        assert message.get("cseq") == f"1 {method}" and message.get("route") == "<sip:p;lr>"
        assert message.get("call-id") == "abc"
    assert cancel.get("to") == "<sip:b@example.com>" and ack.get("to") == "<sip:b@example.com>;tag=xyz"


def test_new_message_states_its_length() -> None:
    made = new_message("MESSAGE sip:a SIP/2.0", [("Call-ID", "x"), ("cseq", "1 MESSAGE")], b"hi")
    assert made.to_bytes() == b"MESSAGE sip:a SIP/2.0\r\nCall-ID: x\r\nCSeq: 1 MESSAGE\r\nContent-Length: 2\r\n\r\nhi"
