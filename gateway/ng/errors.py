"""What can be wrong with an ng message."""

from gateway.errors import GatewayError

__all__ = ["BencodeError", "NgError"]


class NgError(GatewayError):
    """A request that is answered with `result: error`; the text is its `error-reason`."""


class BencodeError(GatewayError):
    """Bytes that are no bencoded value, or more than the limits allow."""
