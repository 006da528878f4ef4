"""The session of somebody with keys of their own, over HTTP: enrolling, signing in, signing; keys never leave here.

`agent_client` and `coach_client` say what an agent and a coach can do with it.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Self

import httpx

from api.errors import ApiError
from crypto import sshsig
from crypto.ssh_key import SigningKey
from crypto.x25519 import Identity
from gateway.clock import Clock
from policy.statements import ENROLMENT_NAMESPACE, Enrolment

__all__ = ["ClientKeys", "ClientProblem", "KeyedClient", "problem_of"]

_TYPE: Final = re.compile(r"[^:]+$")


class ClientProblem(ApiError):
    """The API refused: its problem's code, status and sentence."""

    def __init__(self, code: str, status: int, detail: str) -> None:
        super().__init__(f"{code} ({status}): {detail}")
        self.code = code
        self.status = status


@dataclass(frozen=True, slots=True)
class ClientKeys:
    """What an agent or a coach holds: an identity that opens recordings, an acting key that signs."""

    identity: Identity
    signing: SigningKey

    @classmethod
    def generate(cls) -> Self:
        """Fresh keys."""
        return cls(Identity.generate(), SigningKey.generate())


class KeyedClient:
    """See the module."""

    ROOM: ClassVar[str]
    """Where the site speaks of this person."""

    def __init__(self, http: httpx.AsyncClient, keys: ClientKeys, clock: Clock) -> None:
        """`http` has the API's `base_url`; its cookies are the session."""
        self._http = http
        self._keys = keys
        self._clock = clock
        self._origin = str(http.base_url).rstrip("/")

    async def enrol(self, code: str, login: str, password: str) -> None:
        """Spend a code: bind this client's keys to its person, and be signed in."""
        await self.spend(code)
        await self.bind(login, password)

    async def spend(self, code: str) -> dict[str, Any]:
        """Open the session of a code, in which keys can be bound; whose it is."""
        return await self._call("POST", "/session", {"code": code})

    async def bind(self, login: str, password: str) -> None:
        """Bind this client's keys in the session of a spent code."""
        me = await self.me()
        statement = Enrolment(me["id"], str(self._keys.identity.recipient), self._instant())
        body = {
            "login": login,
            "password": password,
            "signing_key": str(self._keys.signing.verify_key),
            "statement": self._sign(ENROLMENT_NAMESPACE, statement.canonical()),
        }
        await self._call("POST", f"{self.ROOM}/enrolment", body)

    async def sign_in(self, login: str, password: str) -> None:
        """Open a session."""
        await self._call("POST", "/session", {"login": login, "password": password})

    async def me(self) -> dict[str, Any]:
        """What the site holds of this person."""
        return await self._call("GET", self.ROOM)

    async def fetch(self, recording: str, side: str, seg: int) -> bytes:
        """One segment as an age file."""
        response = await self._http.get(f"/v1/recordings/{recording}/sides/{side}/{seg}.age")
        if response.status_code != 200:
            raise problem_of(response)
        return response.content

    async def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        headers = {"Origin": self._origin}
        if method == "POST" and not path.endswith("/ack"):
            headers["Idempotency-Key"] = secrets.token_hex(16)
        response = await self._http.request(method, "/v1" + path, json=body, headers=headers)
        if response.status_code >= 400:
            raise problem_of(response)
        answer: dict[str, Any] = response.json() if response.content else {}
        return answer

    def _sign(self, namespace: str, document: bytes) -> dict[str, str]:
        return {"document": document.decode(), "signature": sshsig.sign(self._keys.signing, namespace, document)}

    def _instant(self) -> str:
        return self._clock.wallclock().strftime("%Y-%m-%dT%H:%M:%SZ")


def problem_of(response: httpx.Response) -> ClientProblem:
    """What a refusal says."""
    try:
        body = response.json()
        match = _TYPE.search(body["type"])
        return ClientProblem(match[0] if match else "?", response.status_code, body["detail"])
    except (ValueError, KeyError, TypeError):
        return ClientProblem("unreadable", response.status_code, "the answer isn't a problem")
