"""IPv6 in SIP, after the ideas of RFC 5118 §4; the messages are our own."""

from __future__ import annotations

import pytest

from gateway.sip.errors import SipRefused
from gateway.sip.headers import parse_uri, parse_via, top_via
from gateway.sip.message import Request, parse_datagram
from gateway.sip.validate import validate_request


def request(
    uri: str = "sip:[2001:db8::10]", via: str = "SIP/2.0/UDP [2001:db8::9:1]", to: str = "<sip:b@[2001:db8::10]>"
) -> Request:
    text = (
        f"REGISTER {uri} SIP/2.0\r\nVia: {via};branch=z9hG4bKas3-111\r\nMax-Forwards: 70\r\n"
        f"From: <sip:b@[2001:db8::10]>;tag=81x2\r\nTo: {to}\r\nCall-ID: SSG9559905523997077@[2001:db8::9:1]\r\n"
        "CSeq: 98176 REGISTER\r\nContact: <sip:b@[2001:db8::1]>\r\n\r\n"
    )
    message = parse_datagram(text.encode())
    assert isinstance(message, Request)
    return message


@pytest.mark.parametrize(
    "uri",
    [
        "sip:[2001:db8::10]",
        "sip:u@[2001:DB8::10]:5070",
        "sip:[::ffff:192.0.2.10]",
        "sip:[2001:db8::10:5070]",
        "sip:[2001:db8::192.0.2.1]",
    ],
)
def test_valid_references(uri: str) -> None:
    message = request(uri)
    validate_request(message)
    assert str(parse_uri(uri)).lower() == uri.lower()


def test_port_inside_and_outside_the_brackets() -> None:
    assert parse_uri("sip:[2001:db8::10:5070]").hostport == ("2001:db8::10:5070", 5060)
    assert parse_uri("sip:[2001:db8::10]:5070").hostport == ("2001:db8::10", 5070)


@pytest.mark.parametrize(
    "uri", ["sip:2001:db8::10", "sip:[2001:db8:::192.0.2.1]", "sip:[2001:db8::10", "sip:[2001:db8::10]:"]
)
def test_invalid_references_get_400(uri: str) -> None:
    with pytest.raises(SipRefused) as caught:
        validate_request(request(uri))
    assert caught.value.status == 400


@pytest.mark.parametrize("received", ["[2001:db8::9:255]", "2001:db8::9:255"])
def test_received_with_and_without_brackets(received: str) -> None:
    message = request(via=f"SIP/2.0/UDP [2001:db8::9:1];received={received}")
    validate_request(message)
    assert top_via(message).reply_address == ("2001:db8::9:255", 5060)


@pytest.mark.parametrize("sent_by", ["[2001:db8::9:1]", "2001:db8::9:1", "[2001:DB8:0::9:1]:5060"])
def test_sent_by_is_one_host_in_every_spelling(sent_by: str) -> None:
    message = request(via=f"SIP/2.0/UDP {sent_by}")
    validate_request(message)
    assert top_via(message).sent_by == ("2001:db8::9:1", 5060)
    assert top_via(message).stamped("2001:db8::9:1", 5060) == top_via(message), "no `received` where none is needed"


def test_mixed_families_in_the_vias() -> None:
    message = request(
        via="SIP/2.0/UDP [2001:db8::9:1]:6050;branch=z9hG4bKa, SIP/2.0/UDP 192.0.2.1;received=192.0.2.254"
    )
    vias = validate_request(message)
    assert [via.host for via in vias] == ["[2001:db8::9:1]", "192.0.2.1"]


@pytest.mark.parametrize("via", ["SIP/2.0/UDP [2001:db8:::1]", "SIP/2.0/UDP 2001:db8::9:g", "SIP/2.0/UDP [2001:db8::1"])
def test_broken_sent_by(via: str) -> None:
    with pytest.raises(SipRefused):
        validate_request(request(via=via))


def test_via_prints_brackets() -> None:
    assert str(parse_via("SIP/2.0/UDP 2001:db8::1;branch=z9hG4bKq")) == "SIP/2.0/UDP [2001:db8::1];branch=z9hG4bKq"
