"""Header values one by one, and lists over several lines."""

from __future__ import annotations

import pytest

from gateway.sip.errors import SipSyntaxError
from gateway.sip.headers import (
    append_last,
    first_value,
    list_values,
    option_tags,
    parse_cseq,
    parse_name_addr,
    parse_number,
    parse_uri,
    parse_via,
    pop_first,
    pop_last,
    replace_first,
    split_list,
    uri_scheme,
)
from gateway.sip.message import Request, parse_datagram


def message(*lines: str) -> Request:
    parsed = parse_datagram("\r\n".join(["INVITE sip:a SIP/2.0", *lines, "", ""]).encode())
    assert isinstance(parsed, Request)
    return parsed


def test_via_parts() -> None:
    via = parse_via("SIP / 2.0 / udp  Host.Example : 5062 ; rport ; branch = z9hG4bKx ;received=192.0.2.9; ttl=3")
    assert (via.transport, via.host, via.port, via.branch, via.unique) == (
        "UDP",
        "Host.Example",
        5062,
        "z9hG4bKx",
        True,
    )
    assert via.sent_by == ("host.example", 5062)
    assert via.reply_address == ("192.0.2.9", 5062)
    assert str(via) == "SIP/2.0/UDP Host.Example:5062;rport;branch=z9hG4bKx;received=192.0.2.9;ttl=3"


@pytest.mark.parametrize("branch", ["", ";branch=old", ";branch=z9hG4bK"])
def test_branches_of_old_peers_are_not_unique(branch: str) -> None:
    assert not parse_via(f"SIP/2.0/UDP 192.0.2.1{branch}").unique


def test_stamps() -> None:
    via = parse_via("SIP/2.0/UDP 192.0.2.1;rport;received=6.6.6.6;branch=z9hG4bKx")
    stamped = via.stamped("192.0.2.1", 4000)
    assert str(stamped) == "SIP/2.0/UDP 192.0.2.1;rport=4000;branch=z9hG4bKx;received=192.0.2.1"
    assert stamped.reply_address == ("192.0.2.1", 4000)
    plain = parse_via("SIP/2.0/UDP pbx.example:5070;branch=z9hG4bKx").stamped("192.0.2.1", 4000)
    assert plain.reply_address == ("192.0.2.1", 5070), "without rport the sent-by port counts"
    lying = parse_via("SIP/2.0/UDP 192.0.2.1;received=6.6.6.6")
    assert lying.stamped("192.0.2.1", 5060).reply_address == ("192.0.2.1", 5060)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "SIP/2.0/UDP",
        "SIP/1.0/UDP a",
        "SIP/2.0/UDP a:0",
        "SIP/2.0/UDP a:65536",
        "SIP/2.0/UDP a;;b",
        "SIP/2.0/UDP a b",
        "x",
    ],
)
def test_broken_vias(value: str) -> None:
    with pytest.raises(SipSyntaxError):
        parse_via(value)


@pytest.mark.parametrize(
    ("value", "display", "uri", "tag"),
    [
        ("sip:a@b", "", "sip:a@b", None),
        ("sip:a@b ; tag = x", "", "sip:a@b", "x"),
        ("<sip:a@b;lr?h=1>;TAG=x;y", "", "sip:a@b;lr?h=1", "x"),
        ('"A, <B>; \\"C" <sip:a@b>;tag=x', '"A, <B>; \\"C"', "sip:a@b", "x"),
        ("A B<tel:+49>", "A B", "tel:+49", None),
        ('<sip:a@b>;p="x;tag=no";tag=yes', "", "sip:a@b", "yes"),
    ],
)
def test_addresses(value: str, display: str, uri: str, tag: str | None) -> None:
    found = parse_name_addr(value)
    assert (found.display, found.uri, found.tag) == (display, uri, tag)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "a@b",
        "<a@b>",
        '"A <sip:a@b>',
        "<sip:a@b",
        "<sip:a b>",
        "<>",
        '"A" sip:a@b',
        'A "B" <sip:a@b>',
        "<sip:a@b>;;x",
        "sip:a@b,sip:c",
    ],
)
def test_broken_addresses(value: str) -> None:
    with pytest.raises(SipSyntaxError):
        parse_name_addr(value)


def test_uris() -> None:
    uri = parse_uri("SIPS:u;p=1:pw@Host:5071;transport=TCP;lr;maddr=x?a=b")
    assert (uri.scheme, uri.user, uri.host, uri.port, uri.headers) == ("sips", "u;p=1:pw", "Host", 5071, "a=b")
    assert (uri.transport, uri.loose, uri.hostport) == ("TLS", True, ("host", 5071))
    assert parse_uri("sip:h;transport=tcp").transport == "TCP" and parse_uri("sip:h").hostport == ("h", 5060)
    for broken in ("tel:1", "sip:", "sip:@h", "sip:a@b@c", "sip:h:99999", "sip:h:", "sip:a b", "sip:h/x"):
        with pytest.raises(SipSyntaxError):
            parse_uri(broken)
    assert [uri_scheme(text) for text in ("SIP:a", "soap.beep://x", "nothing", "a b:c")] == ["sip", "soap.beep", "", ""]


def test_numbers() -> None:
    assert parse_cseq("0009  INVITE") == (9, "INVITE")
    assert parse_number("0068", "Max-Forwards", 255) == 68
    for value in ("", "-1", "1x", "256", "9" * 5000, "٣"):
        with pytest.raises(SipSyntaxError):
            parse_number(value, "Max-Forwards", 255)
    for value in ("", "INVITE", "1", "9" * 5000 + " INVITE", "1 IN VITE"):
        with pytest.raises(SipSyntaxError):
            parse_cseq(value)


def test_splitting_respects_quotes_and_brackets() -> None:
    assert split_list('"a,\\",b" <sip:x,y>, <sip:z>') == ['"a,\\",b" <sip:x,y>', "<sip:z>"]
    for broken in ("a,", ",a", "a,,b", '"a,b', "<a,b"):
        with pytest.raises(SipSyntaxError):
            split_list(broken)


def test_lists_over_several_lines() -> None:
    request = message("Route: <sip:a>, <sip:b>", "To: x", "Route: <sip:c>")
    assert list_values(request, "route") == ["<sip:a>", "<sip:b>", "<sip:c>"]
    assert pop_first(request, "route") == "<sip:a>"
    replace_first(request, "route", "<sip:B>")
    append_last(request, "route", "<sip:d>")
    assert [field.raw for field in request.fields] == [
        b"Route: <sip:B>",
        b"To: x",
        b"Route: <sip:c>",
        b"Route: <sip:d>",
    ]
    assert pop_last(request, "route") == "<sip:d>" and pop_last(request, "route") == "<sip:c>"
    assert pop_first(request, "route") == "<sip:B>" and first_value(request, "route") is None


def test_option_tags() -> None:
    request = message("Supported: 100rel, Timer", "k: Path", "Supported:")
    assert option_tags(request, "supported") == ["100rel", "timer", "path"]
