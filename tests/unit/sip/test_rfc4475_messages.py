"""Every RFC 4475 message through parser, validator and proxy core, against its expected result."""

from __future__ import annotations

import itertools

import pytest

from gateway.sip.errors import SipRefused, SipSyntaxError
from gateway.sip.hop import Hop, Side, Transport
from gateway.sip.message import Request, Response, parse_datagram
from gateway.sip.proxy_core import ProxyCore
from gateway.sip.proxy_events import Discarded, Output, RequestArrived, ResponseArrived, Transmit
from gateway.sip.routing import SideAddresses
from gateway.sip.timers import SipTimers
from gateway.sip.validate import validate_request, validate_response
from tests.peers.rfc4475 import Torture, torture_messages

SOURCE = Hop(Side.CALLER, Transport.UDP, "192.0.2.77", 5060)
NEXT = Hop(Side.AGENT, Transport.UDP, "10.0.0.5", 5060)


def read(data: bytes) -> Request | Response:
    message = parse_datagram(data)
    assert isinstance(message, (Request, Response))
    validate_request(message) if isinstance(message, Request) else validate_response(message)
    return message


def accepts(data: bytes) -> bool:
    try:
        read(data)
    except (SipSyntaxError, SipRefused):
        return False
    return True


def make_core() -> ProxyCore:
    ids = itertools.count()
    sides = {
        Side.CALLER: SideAddresses({Transport.UDP: ("198.51.100.20", 5060)}),
        Side.AGENT: SideAddresses({Transport.UDP: ("10.0.0.20", 5060)}),
    }
    return ProxyCore(sides, SipTimers.RFC3261, lambda: f"id{next(ids)}")


def send_in(core: ProxyCore, data: bytes) -> list[Output]:
    try:
        message = parse_datagram(data)
    except SipSyntaxError as error:
        return core.receive_error(error, SOURCE)
    assert isinstance(message, (Request, Response))
    return core.receive(message, SOURCE, 0.0)


def verdict_on_request(core: ProxyCore, data: bytes) -> str:
    outputs = send_in(core, data)
    for event in outputs:
        if isinstance(event, RequestArrived):
            sent = core.forward(event, NEXT, 0.0)
            assert isinstance(sent[0], Transmit) and isinstance(parse_datagram(sent[0].data), Request)
            return "forward"
    (answer,) = [event for event in outputs if isinstance(event, Transmit)]
    assert any(isinstance(event, Discarded) for event in outputs)
    response = parse_datagram(answer.data)
    assert isinstance(response, Response)
    return str(response.status)


def verdict_on_response(data: bytes) -> str:
    """The message as the answer to an INVITE that we forwarded: our Via is put above its own."""
    core = make_core()
    invite = (
        b"INVITE sip:user@example.edu SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.77;branch=z9hG4bKx\r\nMax-Forwards: 70\r\n"
        b"From: <sip:user@example.com>;tag=1\r\nTo: <sip:user@example.edu>\r\nCall-ID: x\r\nCSeq: 35 INVITE\r\n\r\n"
    )
    arrived = next(event for event in send_in(core, invite) if isinstance(event, RequestArrived))
    sent = core.forward(arrived, Hop(Side.CALLER, Transport.UDP, "10.0.0.5", 5060), 0.0)[0]
    assert isinstance(sent, Transmit)
    own_via = sent.data.split(b"\r\n")[1]
    start, _, rest = data.partition(b"\r\n")
    outputs = send_in(core, b"\r\n".join((start, own_via, rest)))
    if outputs and all(isinstance(event, Discarded) for event in outputs):
        return "discard"
    if any(isinstance(event, ResponseArrived) for event in outputs):
        return "forward"
    # RFC 3261 §16.7 step 5: a 100 is understood (it stops retransmission) and goes no further
    assert start.startswith(b"SIP/2.0 100") and core.next_timeout() == SipTimers.RFC3261.c
    return "forward"


@pytest.mark.parametrize("message", torture_messages())
def test_parser_and_validator(message: Torture) -> None:
    if message.parser == "reject":
        assert not accepts(message.data)
    elif message.parser == "accept":
        parse_datagram(message.data)
    if message.parser == "accept" and "forward" in message.inline_proxy:
        assert accepts(message.data)


@pytest.mark.parametrize("message", torture_messages())
def test_what_is_accepted_prints_back_alike(message: Torture) -> None:
    try:
        parsed = parse_datagram(message.data)
    except SipSyntaxError:
        assert message.parser != "accept"
        return
    assert isinstance(parsed, (Request, Response))
    assert message.data.startswith(parsed.to_bytes())
    assert len(message.data) == len(parsed.to_bytes()) or message.name in ("dblreq", "unreason", "bcast"), message.name


@pytest.mark.parametrize("message", torture_messages())
def test_inline_proxy(message: Torture) -> None:
    if message.kind == "request":
        assert verdict_on_request(make_core(), message.data) in message.inline_proxy
    else:
        assert verdict_on_response(message.data) in message.inline_proxy


@pytest.mark.parametrize("message", torture_messages())
def test_forwarding_changes_nothing_but_what_a_proxy_must(message: Torture) -> None:
    core = make_core()
    arrived = [event for event in send_in(core, message.data) if isinstance(event, RequestArrived)]
    if not arrived:
        assert "forward" not in message.inline_proxy or len(message.inline_proxy) > 1 or message.kind == "response"
        return
    sent = core.forward(arrived[0], NEXT, 0.0)[0]
    assert isinstance(sent, Transmit)
    before, after = parse_datagram(message.data), parse_datagram(sent.data)
    assert isinstance(before, Request) and isinstance(after, Request)
    ours = {"via", "max-forwards", "record-route"}
    if message.name == "mpart01":  # its Route has no `lr`: a strict router (RFC 3261 §16.6 step 6)
        assert (after.uri, after.get("route")) == ("sip:127.0.0.1:5080", "<sip:kumiko@example.org>")
        after.set_uri(before.uri)
        ours.add("route")
    assert after.start == before.start and after.body == before.body
    assert [f.raw for f in after.fields if f.name not in ours] == [f.raw for f in before.fields if f.name not in ours]
