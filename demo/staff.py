"""The first day of the demo's house: agreement signed by both parties and put into force, agents enrolled at desks."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import httpx

from crypto import sshsig
from crypto.jcs import canonical
from demo import agreement
from demo.agents import Desk
from demo.keys import Keys
from gateway.clock import Clock
from gateway.media.prompts.sound_file import Sound
from policy.terms import Purpose

SESSION_NAMESPACE = "fairtap-session@v1"
LANGUAGE = "de"


class Office:
    """The council's and the admin's requests to the API, before any call."""

    def __init__(self, http: httpx.AsyncClient, admin_token: str, parties: dict[str, Keys], clock: Clock) -> None:
        """`http` has the API's `base_url`; its cookies become the council's session."""
        self._http = http
        self._admin = {"Authorization": f"Bearer {admin_token}"}
        self._parties = parties
        self._clock = clock

    async def sign_in_council(self) -> None:
        """By a challenge, signed with the anchored key."""
        challenge = await self.ask("GET", "/session/challenge")
        message = canonical({"challenge": challenge["challenge"], "role": "council", "site": challenge["site"]})
        signature = sshsig.sign(self._parties["council"].keys.signing, SESSION_NAMESPACE, message)
        body = {"role": "council", "challenge": challenge["challenge"], "signature": signature}
        await self.ask("POST", "/session", body)

    async def activate(self, question: Sound, edit: Callable[[str], str] = str) -> str:
        """Sign the agreement, as `edit` leaves it, as employer and council and put it into force; its YAML."""
        words, today = question.words, self._clock.wallclock().date()
        document = edit(agreement.write(today, words.id, words.language, question.sha256))
        signers = {role: self._parties[role].keys.signing for role in ("employer", "council")}
        signed = agreement.sign_first(document, signers)
        body = {"document": signed.document, "act": signed.act, "signatures": signed.signatures}
        await self.ask("POST", "/acts", body)
        return document

    async def add_agents(self, names: Sequence[str]) -> list[str]:
        """Roster lines, all in their first weeks; their ids."""
        began = (self._clock.wallclock().date() - timedelta(days=3)).isoformat()
        line = {"group": agreement.GROUP, "site": agreement.SITE, "onboarding_from": began}
        body = {"agents": [{"name": name, **line} for name in names]}
        added = await self.ask("POST", "/agents", body, self._admin)
        return [one["id"] for one in added["agents"]]

    async def enrolment_code(self, agent: str) -> str:
        """A code of the council's, to be handed over in person."""
        code: str = (await self.ask("POST", f"/agents/{agent}/codes"))["code"]
        return code

    async def ask(
        self, method: str, path: str, body: dict[str, Any] | None = None, headers: dict[str, str] | None = None
    ) -> dict[str, Any]:
        """One request under `/v1`; raises `OfficeRefused`."""
        sent = headers or {"Origin": str(self._http.base_url).rstrip("/")}
        response = await self._http.request(method, f"/v1{path}", json=body, headers=sent)
        answer: dict[str, Any] = _accepted(response).json()
        return answer

    async def fetch(self, path: str) -> bytes:
        """The bytes under a path of `/v1`; raises `OfficeRefused`."""
        return _accepted(await self._http.get(f"/v1{path}")).content


class OfficeRefused(Exception):
    """The API refused a step of the house's people."""


def _accepted(response: httpx.Response) -> httpx.Response:
    if response.is_error:
        asked = f"{response.request.method} {response.request.url.path}"
        raise OfficeRefused(f"{asked}: {response.status_code} {response.text[:300]}")
    return response


async def seat(desk: Desk, code: str, password: str) -> None:
    """An agent enrols, says yes, claims the seat and opens the page with the light."""
    await desk.client.enrol(code, desk.keys.name, password)
    await desk.client.say_yes(Purpose.COACHING, LANGUAGE)
    await desk.client.claim_seat(desk.extension)
    await desk.open_page()


async def seat_all(desks: Sequence[Desk], codes: Sequence[str], passwords: Sequence[str]) -> None:
    """All of them, some at a time: each password is hashed, which is slow on purpose."""
    limit = asyncio.Semaphore(2)

    async def one(desk: Desk, code: str, password: str) -> None:
        async with limit:
            await seat(desk, code, password)

    async with asyncio.TaskGroup() as group:
        for desk, code, password in zip(desks, codes, passwords, strict=True):
            group.create_task(one(desk, code, password))
