"""Messages out of a byte stream, however it is cut."""

from __future__ import annotations

import pytest

from gateway.sip.errors import SipSyntaxError
from gateway.sip.framer import StreamFramer
from gateway.sip.message import Keepalive, Request

ONE = (
    b"OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.1;branch=z9hG4bKa\r\n"
    b"Call-ID: 1\r\nContent-Length: 4\r\n\r\n\r\nb\r"
)
TWO = b"OPTIONS sip:b SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.1;branch=z9hG4bKb\r\nCall-ID: 2\r\nl: 0\r\n\r\n"
BAD = TWO.replace(b"Call-ID", b"Call ID")


def wire(item: object) -> bytes | str:
    if isinstance(item, Keepalive):
        return "ping"
    return item.to_bytes() if isinstance(item, Request) else f"{item.status} {item.fatal}"  # type: ignore[attr-defined]  # errors have both


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50, 10_000])
def test_any_cut_gives_the_same_messages(size: int) -> None:
    stream = ONE + b"\r\n\r\n" + TWO + b"\r\n" + BAD + ONE + b"\r\n\r\n\r\n" + TWO
    framer = StreamFramer()
    items = [item for i in range(0, len(stream), size) for item in framer.feed(stream[i : i + size])]
    assert [wire(item) for item in items] == [ONE, "ping", TWO, "400 False", ONE, "ping", TWO]
    assert framer.pending == 0 and not framer.broken


def test_pending_tells_a_half_message() -> None:
    framer = StreamFramer()
    assert framer.feed(ONE[:-1]) == [] and framer.pending == len(ONE) - 1
    assert [wire(item) for item in framer.feed(ONE[-1:] + b"OPT")] == [ONE]
    assert framer.pending == 3


def test_a_line_end_alone_is_no_half_message() -> None:
    """Some keep a connection alive with one; it must not be closed for a message that never gets whole."""
    framer = StreamFramer()
    assert framer.feed(ONE + b"\r\n")[1:] == [] and framer.pending == 0
    assert framer.feed(b"\r") == [] and framer.pending == 0
    assert [wire(item) for item in framer.feed(b"\n" + TWO + b"O")] == ["ping", TWO] and framer.pending == 1


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (TWO.replace(b"l: 0\r\n", b""), 400),
        (TWO.replace(b"l: 0", b"l: -1"), 400),
        (TWO.replace(b"l: 0", b"l: 0\r\nl: 1"), 400),
        (TWO.replace(b"l: 0", b"l: 70000"), 513),
        (TWO.replace(b"Call-ID: 2", b"Call-ID: \n2"), 400),
        (b"OPTIONS sip:" + b"a" * 9000, 513),
        (b"OPTIONS sip:a SIP/2.0\r\n" + b"X: y\r\n" * 12_000, 513),
        (b"\x16\x03\x01\x02\x00\x01\x00" * 2000, 513),
    ],
)
def test_what_cannot_be_framed_breaks_the_stream(data: bytes, status: int) -> None:
    framer = StreamFramer()
    *good, error = framer.feed(ONE + data + ONE)
    assert [wire(item) for item in good] == [ONE]
    assert isinstance(error, SipSyntaxError) and (error.status, error.fatal) == (status, True)
    assert framer.broken and framer.feed(ONE) == [] and framer.pending == 0


def test_a_broken_message_that_says_its_length_costs_only_itself() -> None:
    framer = StreamFramer()
    items = framer.feed(BAD + TWO)
    assert [wire(item) for item in items] == ["400 False", TWO]
    assert isinstance(items[0], SipSyntaxError) and items[0].answerable
