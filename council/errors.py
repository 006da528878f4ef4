"""What goes wrong in the council's tool itself, as against what it finds. One lower-case line each."""

from collections.abc import Iterator
from contextlib import contextmanager

from crypto.errors import CryptoError


class CouncilError(Exception):
    """Root of the folder's tree: wrong use, or a file or server that can't be read at all. The command ends with 2."""


class WrongUse(CouncilError):
    """An argument or a file of the council's own folder is missing or malformed."""


class CdrError(CouncilError):
    """The call records can't be read."""


class Unreachable(CouncilError):
    """The gateway's site doesn't answer, or not with what was asked for."""


@contextmanager
def about(what: str, fault: type[CouncilError] = WrongUse) -> Iterator[None]:
    """What can't be read as what it must be is told as a fault of `what`."""
    try:
        yield
    except CryptoError as error:
        raise fault(f"{what}: {error}") from None
