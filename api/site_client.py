"""A session at a site over HTTP: signing in by password or anchored key, asking, fetching; it ends with its block."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, Self

import httpx

from api.errors import ApiError, CommandError
from crypto.jcs import canonical
from crypto.ssh_key import SigningKey
from crypto.sshsig import sign

__all__ = ["ClientProblem", "SiteClient", "private_file", "problem_of"]

MOST_WAIT_S: Final = 60.0
_TYPE: Final = re.compile(r"[^:]+$")


class ClientProblem(ApiError):
    """The API refused: its problem's code, status and sentence."""

    def __init__(self, code: str, status: int, detail: str) -> None:
        super().__init__(f"{code} ({status}): {detail}")
        self.code = code
        self.status = status
        self.detail = detail


class SiteClient:
    """See the module."""

    def __init__(self, http: httpx.AsyncClient, wait: Callable[[float], Awaitable[object]] | None = None) -> None:
        """`http` has the API's `base_url`; its cookies are the session.

        With `wait` (seconds) a site that has been asked too often is read again when it says so.
        """
        self._http = http
        self._wait = wait
        self._origin = str(http.base_url).rstrip("/")

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._http.cookies:
            with contextlib.suppress(httpx.HTTPError, ClientProblem):
                await self.ask("DELETE", "/session")
        await self._http.__aexit__(kind, error, trace)

    async def sign_in(self, login: str, password: str) -> None:
        """Open a session of an agent or a coach."""
        await self.ask("POST", "/session", {"login": login, "password": password})

    async def sign_in_by_key(self, role: str, key: SigningKey) -> None:
        """Open a session of council, employer or officer, by signing a challenge with the role's anchored key."""
        asked = await self.ask("GET", "/session/challenge")
        told = {"challenge": asked["challenge"], "role": role}
        signature = sign(key, asked["namespace"], canonical({**told, "site": asked["site"]}))
        await self.ask("POST", "/session", {**told, "signature": signature})

    async def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """One request under `/v1`; its answer, `{}` where it has none. Raises ClientProblem."""
        headers = {"Origin": self._origin}
        if method == "POST" and not path.endswith("/ack"):
            headers["Idempotency-Key"] = secrets.token_hex(16)
        response = await self._http.request(method, "/v1" + path, json=body, headers=headers)
        while method == "GET" and await self._waited(response):
            response = await self._http.request(method, "/v1" + path, headers=headers)
        if response.status_code >= 400:
            raise problem_of(response)
        answer: dict[str, Any] = response.json() if response.content else {}
        return answer

    async def items(self, path: str, cursor: str) -> list[dict[str, Any]]:
        """All of a list that comes in pages, the first of which `cursor` names."""
        found: list[dict[str, Any]] = []
        asked: list[str] = []
        while cursor not in asked:
            asked.append(cursor)
            page = await self.ask("GET", f"{path}?cursor={cursor}&limit=100")
            found += page["items"]
            if page["next"] is None:
                return found
            cursor = str(page["next"])
        raise ApiError("the site's list goes round")

    async def fetch(self, recording: str, side: str, seg: int) -> bytes:
        """One segment as an age file."""
        response = await self._http.get(f"/v1/recordings/{recording}/sides/{side}/{seg}.age")
        if response.status_code != 200:
            raise problem_of(response)
        return response.content

    async def save(self, path: str, target: Path, limit: int) -> bool:
        """Write at most `limit` bytes to a file of its owner's; False: there is no such thing. No part of it stays."""
        while True:
            async with self._http.stream("GET", "/v1" + path) as answer:
                if answer.status_code == 200:
                    await _write(answer, target, limit)
                    return True
                if answer.status_code == 404:
                    return False
                await answer.aread()
            if not await self._waited(answer):
                raise problem_of(answer)

    async def _waited(self, answer: httpx.Response) -> bool:
        """Whether the site may be asked again now."""
        if answer.status_code != 429 or self._wait is None:
            return False
        said = answer.headers.get("Retry-After", "")
        await self._wait(min(float(said), MOST_WAIT_S) if said.isdecimal() else MOST_WAIT_S)
        return True


async def _write(answer: httpx.Response, target: Path, limit: int) -> None:
    try:
        with private_file(target) as file:
            async for piece in answer.aiter_bytes():
                limit -= file.write(piece)
                if limit < 0:
                    raise CommandError(f"`{target.name}` is larger than any such file")
    except BaseException:
        os.unlink(target)
        raise


def private_file(path: Path) -> BinaryIO:
    """To be written, readable by its owner only."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")


def problem_of(response: httpx.Response) -> ClientProblem:
    """What a refusal says."""
    try:
        body = response.json()
        match = _TYPE.search(body["type"])
        return ClientProblem(match[0] if match else "?", response.status_code, body["detail"])
    except (ValueError, KeyError, TypeError):
        return ClientProblem("unreadable", response.status_code, "the answer isn't a problem")
