"""Errors of the media plane that are ours or the machine's; a peer's bad packets are counted, never raised."""

from gateway.errors import GatewayError


class MediaError(GatewayError):
    """Root of the media plane's errors."""


class OutOfPorts(MediaError):
    """No free pair of ports on that address; worded as ng says it."""


class UnknownFlow(MediaError):
    """An order for a flow that isn't reserved here."""


class OrderRefused(MediaError):
    """An order whose values can't be carried out, such as a target that isn't an IP literal."""


class SoundError(MediaError):
    """A sound isn't in the catalogue, or its file isn't the one that was shipped."""
