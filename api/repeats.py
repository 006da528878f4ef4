"""`Idempotency-Key` on POST: the same key and body of the same sender get the same answer, done once.

Answers that hold a secret aren't kept; repeating such a request is refused. Kept for a day.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.database import Database, answers
from api.problems import problem_response
from gateway.clock import Clock

__all__ = ["Repeats", "keeps_secret"]

KEPT_S: Final = 86400
MAX_KEY: Final = 128
MAX_ANSWER: Final = 64 * 1024
_SECRET: Final = "fairtap.secret-answer"


def keeps_secret(scope: Scope) -> None:
    """Mark this request's answer as one that must not be stored."""
    scope[_SECRET] = True


class Repeats:
    """Wraps the application inside the shield."""

    def __init__(self, app: ASGIApp, *, database: Database, clock: Clock) -> None:
        self._app = app
        self._database = database
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        headers = Headers(scope=scope) if scope["type"] == "http" else None
        if headers is None or scope["method"] != "POST" or "idempotency-key" not in headers:
            await self._app(scope, receive, send)
            return
        key = headers["idempotency-key"]
        if not 1 <= len(key) <= MAX_KEY:
            await problem_response("idempotency-key", 400, f"the key has 1 to {MAX_KEY} characters")(
                scope, receive, send
            )
            return
        first = await receive()
        body = first.get("body", b"")
        sender = headers.get("authorization", "") + "\n" + headers.get("cookie", "")
        name = _hash(sender.encode(), scope["path"].encode(), key.encode())
        # by the key, which isn't stored: a password or a name in the body can't be tried out on what is
        kept = await self._claim(name, _hash(key.encode(), body))
        if kept is not None:
            await kept(scope, receive, send)
            return
        await self._do(name, scope, _given(first, receive), send)

    async def _claim(self, name: str, request: str) -> Response | None:
        now = int(self._clock.wallclock().timestamp())
        async with self._database.begin() as connection:
            await connection.execute(delete(answers).where(answers.c.expires <= now))
        try:
            async with self._database.begin() as connection:
                await connection.execute(insert(answers).values(key=name, request=request, expires=now + KEPT_S))
            return None
        except IntegrityError:
            async with self._database.begin() as connection:
                row = (await connection.execute(select(answers).where(answers.c.key == name))).first()
        return _answer_again(row, request)

    async def _do(self, name: str, scope: Scope, receive: Receive, send: Send) -> None:
        status, media_type, body = 0, "", bytearray()

        async def noting(message: Message) -> None:
            nonlocal status, media_type
            if message["type"] == "http.response.start":
                status = message["status"]
                media_type = Headers(raw=message["headers"]).get("content-type", "")
            else:
                body.extend(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            await self._keep(name, status, media_type, bytes(body), bool(scope.get(_SECRET)))

    async def _keep(self, name: str, status: int, media_type: str, body: bytes, secret: bool) -> None:
        async with self._database.begin() as connection:
            if status == 0 or status >= 500 or status == 429:  # not done, or nobody knows: it may be tried again
                await connection.execute(delete(answers).where(answers.c.key == name))
            elif not secret and len(body) <= MAX_ANSWER:
                values: dict[str, Any] = {"status": status, "media_type": media_type, "body": body}
                await connection.execute(update(answers).where(answers.c.key == name).values(values))


def _answer_again(row: Any, request: str) -> Response:
    if row is None or (row.status is None and row.request == request):
        return problem_response("repeat-unanswered", 409, "this request was taken; its answer isn't (or not yet) kept")
    if row.request != request:
        return problem_response("idempotency-mismatch", 422, "this key was used for another request")
    return Response(row.body, row.status, {"Idempotent-Replayed": "true"}, row.media_type or None)


def _given(first: Message, receive: Receive) -> Receive:
    waiting: list[Message] = [first]

    async def give() -> Message:
        return waiting.pop() if waiting else await receive()

    return give


def _hash(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()
