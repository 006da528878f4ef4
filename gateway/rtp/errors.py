"""Errors of the RTP core: always the peer's fault, always answered by dropping the packet and counting it."""

from gateway.errors import GatewayError


class RtpError(GatewayError):
    """Bytes that aren't what RFC 3550 or RFC 4733 describe."""
