"""Errors of the SIP core: a peer's syntax error and a refusal with its SIP status; both are the peer's fault."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.errors import GatewayError

if TYPE_CHECKING:
    from gateway.sip.message import Request


class SipError(GatewayError):
    """Root of the SIP errors."""


class SipSyntaxError(SipError):
    """Bytes that aren't a SIP message (RFC 3261 §7); the only error that a SIP parser raises."""

    def __init__(self, text: str, *, status: int = 400, request: Request | None = None, fatal: bool = False) -> None:
        super().__init__(text)
        self.status = status
        """What a request gets as its answer."""
        self.request = request
        """Only the fields that an answer copies (Via, From, To, Call-ID, CSeq), as received; None: drop."""
        self.fatal = fatal
        """True: the stream can't be read on; answer if possible, then close it."""

    @property
    def answerable(self) -> bool:
        """Whether a response may be sent: never to responses, noise or ACK (RFC 3261 §17.1.1.3)."""
        return self.request is not None and self.request.method != "ACK"


class BodyError(SipError):
    """A part of a body that can't be read with certainty: the message goes on, its description untouched."""


class SipRefused(SipError):
    """A well-framed message that must not go on; carries the status and headers of the answer."""

    def __init__(self, status: int, text: str, extra: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(text)
        self.status = status
        self.extra = extra
        """Header fields that the answer needs, such as `Unsupported` for 420."""
