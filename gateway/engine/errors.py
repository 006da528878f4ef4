"""What the engine declares as going wrong towards those who command it."""

from gateway.control.protocol import Refusal
from gateway.errors import GatewayError

__all__ = ["Refused", "code_of"]


class Refused(GatewayError):
    """A command that wasn't done, with what the asker is told."""

    def __init__(self, code: str, message: str, status: int = 409) -> None:
        super().__init__(message)
        self.refusal = Refusal(code, message, status)


def code_of(error: Exception) -> str:
    """The stable code of a refusal, by the name of its error: `StaleAct` is `stale_act`."""
    name = type(error).__name__
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).strip("_")
