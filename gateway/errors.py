"""The root of the gateway's errors; each folder has a tree of its own below it."""


class GatewayError(Exception):
    """Anything the gateway declares as going wrong."""


class AnchorError(GatewayError):
    """A KEYFILE that can't be anchored."""
