"""What goes wrong in the council's tool itself, as against what it finds. One lower-case line each."""


class CouncilError(Exception):
    """Root of the folder's tree: wrong use, or a file or server that can't be read at all. The command ends with 2."""


class WrongUse(CouncilError):
    """An argument or a file of the council's own folder is missing or malformed."""


class CdrError(CouncilError):
    """The call records can't be read."""


class Unreachable(CouncilError):
    """The gateway's site doesn't answer, or not with what was asked for."""
