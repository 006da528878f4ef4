"""What can be wrong with an ng message."""

from gateway.errors import GatewayError

__all__ = ["BencodeError", "LoadLimit", "NgError"]


class NgError(GatewayError):
    """A request that is answered with `result: error`; the text is its `error-reason`."""


class LoadLimit(NgError):
    """No further calls now. `understood`: the proxy knows a result of its own for that."""

    def __init__(self, words: str, *, understood: bool) -> None:
        super().__init__(words)
        self.understood = understood


class BencodeError(GatewayError):
    """Bytes that are no bencoded value, or more than the limits allow."""
