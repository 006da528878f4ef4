"""The session of somebody with keys of their own, over HTTP: enrolling, signing; keys never leave here.

`agent_client` and `coach_client` say what an agent and a coach can do with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import httpx

from api.site_client import SiteClient
from crypto import sshsig
from crypto.ssh_key import SigningKey
from crypto.x25519 import Identity
from gateway.clock import Clock
from policy.statements import ENROLMENT_NAMESPACE, Enrolment

__all__ = ["ClientKeys", "KeyedClient"]


@dataclass(frozen=True, slots=True)
class ClientKeys:
    """What an agent or a coach holds: an identity that opens recordings, an acting key that signs."""

    identity: Identity
    signing: SigningKey

    @classmethod
    def generate(cls) -> Self:
        """Fresh keys."""
        return cls(Identity.generate(), SigningKey.generate())


class KeyedClient(SiteClient):
    """See the module."""

    ROOM: ClassVar[str]
    """Where the site speaks of this person."""

    def __init__(self, http: httpx.AsyncClient, keys: ClientKeys, clock: Clock) -> None:
        """`http` as `SiteClient` has it."""
        super().__init__(http)
        self._keys = keys
        self._clock = clock

    async def enrol(self, code: str, login: str, password: str) -> None:
        """Spend a code: bind this client's keys to its person, and be signed in."""
        await self.spend(code)
        await self.bind(login, password)

    async def spend(self, code: str) -> dict[str, Any]:
        """Open the session of a code, in which keys can be bound; whose it is."""
        return await self.ask("POST", "/session", {"code": code})

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
        await self.ask("POST", f"{self.ROOM}/enrolment", body)

    async def me(self) -> dict[str, Any]:
        """What the site holds of this person."""
        return await self.ask("GET", self.ROOM)

    def _sign(self, namespace: str, document: bytes) -> dict[str, str]:
        return {"document": document.decode(), "signature": sshsig.sign(self._keys.signing, namespace, document)}

    def _instant(self) -> str:
        return self._clock.wallclock().strftime("%Y-%m-%dT%H:%M:%SZ")
