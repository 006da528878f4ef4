"""Errors as RFC 9457 problem+json: every answer of 400 and above has this one shape, whatever went wrong.

The `type` is stable; nothing of what was sent is repeated, so that no answer or log carries personal data back.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from api.errors import Problem

__all__ = ["MEDIA_TYPE", "TYPE_PREFIX", "ProblemBody", "install", "problem_response"]

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:fairtap:problem:"

_log = structlog.get_logger("api")
_GENERIC = {
    400: ("malformed", "the request can't be read"),
    404: ("not-found", "there is nothing here for you"),
    405: ("method-not-allowed", "this method isn't offered here"),
}


class Fault(BaseModel):
    """One fault of a request: where, and what was expected there."""

    place: str
    said: str


class ProblemBody(BaseModel):
    """RFC 9457 §3."""

    type: str = Field(examples=[TYPE_PREFIX + "not-found"])
    title: str
    status: int
    detail: str
    faults: list[Fault] | None = None


def problem_response(
    code: str, status: int, detail: str, headers: dict[str, str] | None = None, **more: Any
) -> Response:
    """One problem+json answer; `more` are extension members."""
    kind = TYPE_PREFIX + code.lower().replace("_", "-")
    body = {"type": kind, "title": HTTPStatus(status).phrase, "status": status, "detail": detail, **more}
    return JSONResponse(body, status, headers, MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Make every error of `app` a problem."""
    app.add_exception_handler(Problem, _told)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _generic)
    app.add_exception_handler(Exception, _internal)


async def _told(_: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return problem_response(error.code, error.status, error.detail, error.headers)


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    faults = [{"place": ".".join(str(part) for part in one["loc"]), "said": one["msg"]} for one in error.errors()[:20]]
    return problem_response("invalid-request", 422, "the request isn't what this route takes", faults=faults)


async def _generic(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    code, detail = _GENERIC.get(error.status_code, ("refused", HTTPStatus(error.status_code).description))
    return problem_response(code, error.status_code, detail or HTTPStatus(error.status_code).phrase, headers)


async def _internal(request: Request, error: Exception) -> Response:
    # the text of an unexpected error may hold what was sent: its type and place are enough to find it
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else "?"
    _log.error("request failed", method=request.method, error=type(error).__name__, place=place)
    return problem_response("internal", 500, "something went wrong here; it was noted")
