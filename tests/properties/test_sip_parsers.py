"""Any bytes are read or refused with the declared error; what is read prints back alike."""

from __future__ import annotations

import contextlib

import sipmessage
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.sip import headers
from gateway.sip.body import find_sdp, replace_sdp
from gateway.sip.build import build_ack, build_cancel, build_response, has_to_tag, strip_private_headers
from gateway.sip.errors import BodyError, SipRefused, SipSyntaxError
from gateway.sip.framer import StreamFramer
from gateway.sip.hop import Hop, Side, Transport
from gateway.sip.message import Keepalive, Request, Response, parse_datagram
from gateway.sip.proxy_core import ProxyCore
from gateway.sip.proxy_events import AckArrived, RequestArrived, ResponseArrived
from gateway.sip.routing import SideAddresses
from gateway.sip.timers import SipTimers
from gateway.sip.transfer_encoding import IDENTITY, transfer_encoding
from gateway.sip.validate import validate_forwarding, validate_request, validate_response

TOKEN = st.text("abcXYZ019-.!%*_+`'~", min_size=1, max_size=12)
SPACE = st.sampled_from(["", " ", "  ", "\t", "\r\n ", "\r\n\t "])
SCRAPS = st.sampled_from(
    [
        "sip:",
        "sips:",
        "tel:",
        "@",
        ";",
        ",",
        "<",
        ">",
        '"',
        "\\",
        "=",
        ":",
        "[",
        "]",
        "::1",
        "192.0.2.1",
        "SIP/2.0/UDP ",
        "z9hG4bK",
        "branch=",
        "tag=",
        "rport",
        "received=",
        "lr",
        " ",
        "\t",
        "\r\n ",
        "1",
        "4294967296",
        "INVITE",
        "a",
        "\x00",
        "é",
        "fairtap=agent",
        "10.0.0.20",
        "%00",
        "?",
        "maddr=",
        "transport=tcp",
    ]
)
GARBLED = st.lists(SCRAPS, max_size=14).map("".join)
NAMES = st.sampled_from(
    [
        "Via",
        "v",
        "From",
        "f",
        "To",
        "t",
        "Call-ID",
        "i",
        "CSeq",
        "Max-Forwards",
        "Route",
        "Record-Route",
        "Contact",
        "m",
        "Content-Length",
        "l",
        "Content-Type",
        "Proxy-Require",
        "Require",
        "X-Fairtap-Call",
        "X-Other",
        "Bad Name",
        "",
    ]
)


@st.composite
def plausible(draw: st.DrawFn) -> bytes:
    """A request or response that is right but for what hypothesis garbles."""
    method = draw(st.sampled_from(["INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "REGISTER", "odd!"]))
    uri = draw(st.sampled_from(["sip:b@198.51.100.20", "sip:10.0.0.20;lr;fairtap=agent", "tel:1"]) | GARBLED)
    start = f"{method} {uri} SIP/2.0" if draw(st.booleans()) else f"SIP/2.0 {draw(st.integers(0, 800))} Reason"
    lines = [
        ("Via", "SIP/2.0/UDP 10.0.0.20;branch=z9hG4bKid1.x"),
        ("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa"),
        ("From", "<sip:a@b>;tag=1"),
        ("To", "<sip:b@b>"),
        ("Call-ID", "x"),
        ("CSeq", f"1 {method}"),
        ("Max-Forwards", "7"),
        ("Route", "<sip:198.51.100.20;lr;fairtap=caller>, <sip:10.0.0.20;lr;fairtap=agent>"),
    ]
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(lines) - 1))
        lines[at : at + draw(st.integers(0, 1))] = [(draw(NAMES), draw(GARBLED))]
    text = "\r\n".join([start, *(f"{name}: {value}" for name, value in lines), "", draw(GARBLED)])
    return text.encode("utf-8")


WIRE = st.one_of(st.binary(max_size=200), plausible())


@given(WIRE)
@example(b"INVITE sip:a SIP/2.0\r\n\r\n")
@example(b"SIP/2.0 200\r\n\r\n")
def test_datagrams(data: bytes) -> None:
    try:
        message = parse_datagram(data)
    except SipSyntaxError as error:
        if error.request is not None:
            build_response(error.request, error.status, "", "tag")
        return
    if isinstance(message, Keepalive):
        return
    assert data.lstrip(b"\r\n").startswith(message.to_bytes())
    assert message.copy() == message
    with contextlib.suppress(SipRefused):
        if isinstance(message, Response):
            validate_response(message)
            return
        validate_request(message)
        has_to_tag(message)
        build_ack(message, build_response(message, 486, "", "tag"))
        build_cancel(message)
        validate_forwarding(message, frozenset(), False)
    strip_private_headers(message)
    assert b"\r\nX-Fairtap" not in message.to_bytes().partition(b"\r\n\r\n")[0]


@given(st.lists(WIRE, max_size=4), st.integers(1, 40))
def test_streams_in_any_cut(chunks: list[bytes], size: int) -> None:
    data = b"".join(chunks)
    whole, cut = StreamFramer(), StreamFramer()
    items = whole.feed(data)
    pieces = [item for i in range(0, len(data), size) for item in cut.feed(data[i : i + size])]
    assert [type(item) for item in items] == [type(item) for item in pieces]
    assert [str(i) for i in items if isinstance(i, SipSyntaxError)] == [
        str(i) for i in pieces if isinstance(i, SipSyntaxError)
    ]
    assert sum(isinstance(item, SipSyntaxError) and item.fatal for item in items) <= 1


@given(GARBLED | st.text(max_size=60))
def test_header_readers(text: str) -> None:
    readers = (
        headers.parse_via,
        headers.parse_uri,
        headers.parse_name_addr,
        headers.parse_cseq,
        headers.split_list,
        lambda value: headers.parse_number(value, "x", 255),
    )
    for read in readers:
        with contextlib.suppress(SipSyntaxError):
            read(text)
    headers.uri_scheme(text)


@given(TOKEN, SPACE, SPACE, st.integers(1, 65535))
def test_vias_print_what_they_read(branch: str, before: str, after: str, port: int) -> None:
    text = f"SIP/2.0/UDP{before or ' '}192.0.2.1{before}:{after}{port}{before};{after}branch{before}={after}{branch}"
    via = headers.parse_via(text.replace("\r\n", ""))
    assert (via.port, via.branch) == (port, branch)
    assert headers.parse_via(str(via)) == via


@given(WIRE, WIRE, st.sampled_from(Side), st.sampled_from(["192.0.2.9", "2001:db8::9"]))
def test_the_proxy_core_survives_everything(first: bytes, second: bytes, side: Side, host: str) -> None:
    ids = iter(f"id{n}" for n in range(1000))
    sides = {
        Side.CALLER: SideAddresses({Transport.UDP: ("198.51.100.20", 5060)}),
        Side.AGENT: SideAddresses({Transport.UDP: ("10.0.0.20", 5060)}),
    }
    core = ProxyCore(sides, SipTimers.RFC3261, lambda: next(ids))
    source = Hop(side, Transport.UDP, host, 5060)
    for data in (first, second, first):
        try:
            message = parse_datagram(data)
        except SipSyntaxError as error:
            core.receive_error(error, source)
            continue
        if isinstance(message, Keepalive):
            continue
        for event in core.receive(message, source, 0.0):
            if isinstance(event, RequestArrived):
                core.forward(event, Hop(event.to_side, Transport.TCP, "10.0.0.5", 5060), 0.0)
            elif isinstance(event, AckArrived):
                core.forward_ack(event, Hop(event.to_side, Transport.UDP, "10.0.0.5", 5060))
            elif isinstance(event, ResponseArrived):
                core.forward_response(event, 0.0)
    now = 0.0
    while (due := core.next_timeout()) is not None:
        now = due
        for event in core.advance(now):
            if isinstance(event, ResponseArrived):
                core.forward_response(event, now)
    assert len(core) == 0, "whatever came in, everything ends"


@given(
    st.binary(max_size=300),
    st.sampled_from(["application/sdp", "multipart/mixed;boundary=a", 'multipart/x; boundary="-"']),
)
def test_sdp_in_bodies(body: bytes, content_type: str) -> None:
    message = Request(b"INVITE sip:a SIP/2.0", [], body)
    message.set("content-type", content_type)
    try:
        part = find_sdp(message)
    except BodyError:
        return
    if part is not None:
        assert body[part.start : part.end] == part.data
        replace_sdp(message, part, part.data)
        assert message.body == body


@given(
    st.sampled_from([b"base64", b"quoted-printable", b"8bit", b'"7bit"', b"x"]),
    st.binary(max_size=300) | st.text("=0AaF -\r\n\t", max_size=300).map(str.encode),
)
def test_transfer_encodings(name: bytes, octets: bytes) -> None:
    with contextlib.suppress(BodyError):
        encoding = transfer_encoding(name)
        written = encoding.encode(octets)
        assert encoding.decode(written) == octets
        assert b"\n--" not in b"\n" + written or encoding is IDENTITY
        with contextlib.suppress(BodyError):
            encoding.decode(octets)


HOSTS = st.sampled_from(["192.0.2.1", "pbx.example.com", "[2001:db8::1]"])


WORD = st.text("abcXYZ019-.!*_+'~", min_size=1, max_size=12)
"""Without `%`, which the other reader takes for an escape also where it is a plain token character."""


@given(WORD, WORD, HOSTS, st.integers(1, 2**31 - 1), st.sampled_from(["INVITE", "BYE", "INFO"]), st.binary(max_size=40))
def test_an_independent_reader_agrees(user: str, tag: str, host: str, number: int, method: str, body: bytes) -> None:
    uri = f"sip:{user}@{host}"
    data = (
        f"{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {host}:5070;branch=z9hG4bK{tag};rport\r\n"
        f"From: <{uri}>;tag={tag}\r\nTo: <{uri}>\r\nCall-ID: {tag}@x\r\nCSeq: {number} {method}\r\nMax-Forwards: 70\r\n"
        f"Contact: <{uri}>\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body
    ours = parse_datagram(data)
    assert isinstance(ours, Request)
    (via,) = validate_request(ours)
    theirs = sipmessage.Message.parse(data)
    assert isinstance(theirs, sipmessage.Request)
    assert (ours.method, ours.uri, ours.body) == (theirs.method, str(theirs.uri), theirs.body)
    assert headers.parse_cseq(ours.get("cseq") or "") == (theirs.cseq.sequence, theirs.cseq.method)
    assert headers.address(ours, "from").tag == theirs.from_address.parameters.get("tag")
    their_via = theirs.via[0]
    assert (via.host, via.port, via.branch) == (their_via.host, their_via.port, their_via.parameters.get("branch"))
