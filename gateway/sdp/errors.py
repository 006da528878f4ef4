"""Errors of the SDP editor; all are the peer's fault."""

from gateway.errors import GatewayError


class SdpError(GatewayError):
    """Bytes that aren't a session description; the only error that the SDP parser raises."""

    status = 488
    """What an offer gets as its answer, if the call can't go on without anchoring."""
