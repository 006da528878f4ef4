"""Messages of our own making: answers to requests (RFC 3261 §8.2.6), CANCEL and ACK of a proxy (§9.1, §17.1.1.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from gateway.sip.headers import address, bracketed, parse_cseq
from gateway.sip.hop import Hop
from gateway.sip.message import Field, Message, Request, Response, make_field
from gateway.sip.validate import MAX_CSEQ

REASONS = {
    100: "Trying", 200: "OK", 400: "Bad Request", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
    408: "Request Timeout", 413: "Request Entity Too Large", 414: "Request-URI Too Long", 416: "Unsupported URI Scheme",
    420: "Bad Extension", 480: "Temporarily Unavailable", 481: "Call/Transaction Does Not Exist",
    482: "Loop Detected", 483: "Too Many Hops", 487: "Request Terminated", 488: "Not Acceptable Here",
    500: "Server Internal Error", 501: "Not Implemented", 502: "Bad Gateway", 503: "Service Unavailable",
    505: "Version Not Supported", 513: "Message Too Large",
}  # fmt: skip
PRIVATE_PREFIX = "x-fairtap-"
_SKIPPED = 1000
"""CSeq numbers left to what the caller may have sent in the early dialog, such as PRACK."""
_COPIED = ("via", "from", "to", "call-id", "cseq")


def build_response(
    request: Request,
    status: int,
    reason: str = "",
    to_tag: str = "",
    extra: Iterable[tuple[str, str]] = (),
) -> Response:
    """An answer that copies what RFC 3261 §8.2.6.2 wants, byte for byte; `to_tag` is added where there is none."""
    fields = [field for field in request.fields if field.name in _COPIED]
    if status == 100:
        fields += [field for field in request.fields if field.name == "timestamp"]
    if to_tag and status > 100:
        fields = [_tagged(field, to_tag) if field.name == "to" else field for field in fields]
    fields += [make_field(name, value) for name, value in extra]
    fields.append(make_field("content-length", "0"))
    return Response(f"SIP/2.0 {status} {reason or REASONS.get(status, '')}".encode(), fields)


def build_cancel(sent: Request) -> Request:
    """The CANCEL for an INVITE as we sent it: its URI, top Via, Route set and CSeq number (RFC 3261 §9.1)."""
    cancel = _same_hop(sent, "CANCEL")
    cancel.fields += [field for field in sent.fields if field.name == "to"]
    return _closed(cancel)


def build_ack(sent: Request, final: Response) -> Request:
    """The ACK for a refusal, hop by hop: To from the response (RFC 3261 §17.1.1.3)."""
    ack = _same_hop(sent, "ACK")
    ack.fields += [field for field in final.fields if field.name == "to"][:1]
    return _closed(ack)


def build_ending(method: str, answer: Response, uri: str, routes: Iterable[str]) -> Request:
    """An ACK or BYE in the dialog of a 2xx, as the caller's own and without Via (RFC 3261 §13.2.2.4, §12.2.1.1)."""
    number, _ = parse_cseq(answer.get("cseq") or "")
    if method != "ACK":
        number = min(number + _SKIPPED, MAX_CSEQ)
    request = Request(f"{method} {uri} SIP/2.0".encode("utf-8", "surrogateescape"), [])
    request.fields += [make_field("route", route) for route in routes]
    request.fields.append(make_field("max-forwards", "70"))
    request.fields += [field for field in answer.fields if field.name in ("from", "to", "call-id")]
    request.fields.append(make_field("cseq", f"{number} {method}"))
    return _closed(request)


def build_probe(hop: Hop, name: tuple[str, int], new_id: Callable[[], str]) -> Request:
    """An OPTIONS of our own, without Via (RFC 3261 §11): to the neighbour itself, about nobody."""
    there, (host, port) = f"sip:{bracketed(hop.host)}:{hop.port}", name
    us = f"sip:{bracketed(host)}:{port}"
    fields = [
        ("Max-Forwards", "70"),
        ("From", f"<{us}>;tag={new_id()}"),
        ("To", f"<{there}>"),
        ("Call-ID", new_id()),
        ("CSeq", "1 OPTIONS"),
        ("Contact", f"<{us}>"),
        ("Accept", "application/sdp"),
    ]
    return _closed(Request(f"OPTIONS {there} SIP/2.0".encode(), [make_field(name, value) for name, value in fields]))


def strip_private_headers(message: Message) -> None:
    """Remove every `X-Fairtap-*` field."""
    message.fields = [field for field in message.fields if not field.name.startswith(PRIVATE_PREFIX)]


def has_to_tag(request: Request) -> bool:
    """Whether the request belongs to a dialog."""
    return address(request, "to").tag is not None


def _same_hop(sent: Request, method: str) -> Request:
    number, _ = parse_cseq(sent.get("cseq") or "")
    made = Request(sent.start, [make_field("via", sent.get("via") or "")])
    made.start = method.encode() + b" " + sent.start.partition(b" ")[2]
    made.fields += [field for field in sent.fields if field.name in ("route", "from", "call-id")]
    made.fields += [make_field("cseq", f"{number} {method}"), make_field("max-forwards", "70")]
    return made


def _closed(request: Request) -> Request:
    request.fields.append(make_field("content-length", "0"))
    return request


def _tagged(field: Field, to_tag: str) -> Field:
    holder = Message(b"", [field])
    if ";tag=" not in field.value.lower().replace(" ", "").rpartition(">")[2]:
        holder.replace_at(0, f"{field.value};tag={to_tag}")
    return holder.fields[0]
