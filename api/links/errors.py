"""What can be wrong with a link to a PBX."""

from api.errors import ApiError

__all__ = ["LinkError"]


class LinkError(ApiError):
    """The PBX isn't what was expected, or refused: one line that says what to check."""
