"""What the engine declares as going wrong towards those who command it."""

from gateway.control.protocol import Refusal
from gateway.errors import GatewayError

__all__ = ["Refused"]


class Refused(GatewayError):
    """A command that wasn't done, with what the asker is told."""

    def __init__(self, code: str, message: str, status: int = 409) -> None:
        super().__init__(message)
        self.refusal = Refusal(code, message, status)
