"""The errors of `api`: what a client is told (`Problem`), and what goes wrong on the way to the gateway."""

from __future__ import annotations

from http import HTTPStatus


class ApiError(Exception):
    """Root of everything that `api` raises on purpose."""


class Problem(ApiError):
    """An answer in problem+json (RFC 9457): a stable code, the HTTP status, one sentence for this very case."""

    def __init__(self, code: str, status: int, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.code = code
        self.status = HTTPStatus(status)
        self.detail = detail
        self.headers = headers or {}


class GatewayAway(Problem):
    """The gateway can't be reached: nothing was queued, nothing was done."""

    def __init__(self) -> None:
        super().__init__(
            "gateway-away", 503, "the gateway isn't there; nothing was done, try again", {"Retry-After": "1"}
        )


class GatewaySilent(Problem):
    """The gateway took the command and didn't answer in time: it may have been done."""

    def __init__(self) -> None:
        super().__init__("gateway-silent", 504, "the gateway didn't answer in time; look before you try again")


class Refused(Problem):
    """The gateway refused a command, with its own code and status."""


class CommandError(ApiError):
    """A command line that can't be done: one sentence that says what to do, and the return code."""

    def __init__(self, message: str, rc: int = 1) -> None:
        super().__init__(message)
        self.rc = rc
