"""Why a description can't be led through us."""

from gateway.errors import GatewayError


class NegotiationError(GatewayError):
    """SDP for flows that have no ports or name no place, a profile that can't be had: pass it on untouched."""


class NoOffer(NegotiationError):
    """An answer to nothing."""
