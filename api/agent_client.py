"""An agent's client without a browser: does over HTTP all that the page does, with keys that never leave this process.

Enrols, signs in, claims the seat, answers, watches the light and acknowledges it, stops, fetches recordings.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final, Literal, Self

import httpx

from api.errors import ApiError
from crypto import sshsig
from crypto.ssh_key import SigningKey
from crypto.x25519 import Identity
from gateway.clock import Clock
from policy.statements import (
    CALL_CONSENT_NAMESPACE,
    CALLER_CONSENT_NAMESPACE,
    CONSENT_NAMESPACE,
    ENROLMENT_NAMESPACE,
    SEAT_NAMESPACE,
    CallConsent,
    CallerConsent,
    ConsentStatement,
    Enrolment,
    SeatClaim,
)
from policy.terms import Lane, Purpose

__all__ = ["AgentClient", "AgentKeys", "ClientProblem", "LiveEvent", "fetch_draws"]

LIT: Final = ("asking", "recording_agent", "recording_both", "paused")
_TYPE: Final = re.compile(r"[^:]+$")


class ClientProblem(ApiError):
    """The API refused: its problem's code, status and sentence."""

    def __init__(self, code: str, status: int, detail: str) -> None:
        super().__init__(f"{code} ({status}): {detail}")
        self.code = code
        self.status = status


@dataclass(frozen=True, slots=True)
class AgentKeys:
    """What an agent holds: an identity that opens recordings, an acting key that signs."""

    identity: Identity
    signing: SigningKey

    @classmethod
    def generate(cls) -> Self:
        """Fresh keys."""
        return cls(Identity.generate(), SigningKey.generate())


@dataclass(frozen=True, slots=True)
class LiveEvent:
    """One server-sent event: `snapshot`, `leg`, `heartbeat`, `recordings`, `unknown`, `alive`."""

    kind: str
    data: dict[str, Any]


class AgentClient:
    """One agent's session."""

    def __init__(self, http: httpx.AsyncClient, keys: AgentKeys, clock: Clock) -> None:
        """`http` has the API's `base_url`; its cookies are the session."""
        self._http = http
        self._keys = keys
        self._clock = clock
        self._origin = str(http.base_url).rstrip("/")
        self.page: str | None = None
        """Id of the live feed that is open."""

    async def enrol(self, code: str, login: str, password: str) -> None:
        """Spend a code: bind this client's keys to its agent, and be signed in."""
        await self._call("POST", "/session", {"code": code})
        me = await self.me()
        statement = Enrolment(me["id"], str(self._keys.identity.recipient), self._instant())
        body = {
            "login": login,
            "password": password,
            "signing_key": str(self._keys.signing.verify_key),
            "statement": self._sign(ENROLMENT_NAMESPACE, statement.canonical()),
        }
        await self._call("POST", "/agents/me/enrolment", body)

    async def sign_in(self, login: str, password: str) -> None:
        """Open a session."""
        await self._call("POST", "/session", {"login": login, "password": password})

    async def sign_out(self) -> None:
        """Leave the seat and end the session."""
        await self._call("DELETE", "/agents/me/seat")
        await self._call("DELETE", "/session")

    async def me(self) -> dict[str, Any]:
        """What the site holds of this agent."""
        return await self._call("GET", "/agents/me")

    async def agreement(self) -> dict[str, Any]:
        """The agreement in force, with the texts a yes is given to."""
        return await self._call("GET", "/agreements/current")

    async def claim_seat(self, extension: str, place: str = "site") -> dict[str, Any]:
        """Claim an extension, on `site` or at `home`, for as long as this client is signed in."""
        me = await self.me()
        claim = SeatClaim(me["id"], extension, me["session"], me["seat_seq"] + 1, place)
        return await self._call("PUT", "/agents/me/seat", {"statement": self._sign(SEAT_NAMESPACE, claim.canonical())})

    async def say_yes(self, purpose: Purpose, language: str = "en", home_office: bool = False) -> dict[str, Any]:
        """Sign a standing yes to the text in force."""
        me, agreement = await self.me(), await self.agreement()
        texts = {one["purpose"]: one["sha256"] for one in agreement["consents"]}
        if purpose.value not in texts:
            raise ApiError(f"the agreement in force has no purpose `{purpose.value}`")
        seq = me["consent_seqs"].get(purpose.value, 0) + 1
        said = ConsentStatement(
            me["id"], purpose, "yes", texts[purpose.value][language], language, home_office, seq, self._instant()
        )
        body = {"answer": "yes", "statement": self._sign(CONSENT_NAMESPACE, said.canonical())}
        return await self._call("PUT", f"/agents/me/consents/{purpose.value}", body)

    async def say_no(self, purpose: Purpose) -> dict[str, Any]:
        """A standing no; needs no key."""
        return await self._call("PUT", f"/agents/me/consents/{purpose.value}", {"answer": "no"})

    async def live(self, acknowledge: bool = True, shown: str = "visible") -> AsyncIterator[LiveEvent]:
        """The light's events; each is acknowledged before it is handed on, as a page does that shows it."""
        timeout = httpx.Timeout(10.0, read=5.0)
        async with self._http.stream("GET", "/v1/agents/me/live", timeout=timeout) as response:
            if response.status_code != 200:
                await response.aread()
                raise _problem(response)
            async for event in _events(response):
                if event.kind == "snapshot":
                    self.page = event.data["page"]
                if acknowledge:
                    for light in event.data.get("legs", [event.data]):
                        await self._show(light, shown)
                yield event
        self.page = None

    async def acknowledge(self, light: dict[str, Any], shown: str = "visible") -> None:
        """Tell that this very event was shown."""
        body = {name: light[name] for name in ("call", "seq", "state", "nonce")}
        await self._call("POST", "/agents/me/live/ack", {**body, "shown": shown, "page": self.page})

    async def stop(self, call: str) -> dict[str, Any]:
        """Stop recording this call."""
        return await self._call("POST", f"/agents/me/calls/{call}/stop")

    async def caller_refused(self, call: str) -> dict[str, Any]:
        """The caller said no."""
        return await self._call("POST", f"/agents/me/calls/{call}/caller-refused")

    async def request_record(self, call: str, lane: Lane = Lane.CUSTOMER_REQUEST) -> dict[str, Any]:
        """Have this call recorded for the caller, or for oneself; the caller is asked."""
        purpose = (await self.agreement())["asked_for"].get(lane.value)
        if purpose is None:
            raise ApiError(f"the agreement in force has no lane `{lane.value}`")
        body = {"lane": lane.value, "statement": await self._yes_in_call(call, Purpose(purpose))}
        return await self._call("POST", f"/agents/me/calls/{call}/request-record", body)

    async def read_code(self, call: str) -> None:
        """Have the record code read to the caller, twice."""
        await self._call("POST", f"/agents/me/calls/{call}/read-code")

    async def stop_reading(self, call: str) -> None:
        """Be heard by the caller again."""
        await self._call("DELETE", f"/agents/me/calls/{call}/read-code")

    async def answer_in_call(self, call: str, purpose: Purpose, answer: Literal["yes", "no"]) -> dict[str, Any]:
        """This agent's own answer for this call."""
        body: dict[str, Any] = {"purpose": purpose.value, "answer": answer}
        if answer == "yes":
            body["statement"] = await self._yes_in_call(call, purpose)
        return await self._call("POST", f"/agents/me/calls/{call}/consent", body)

    async def _yes_in_call(self, call: str, purpose: Purpose) -> dict[str, str]:
        said = CallConsent((await self.me())["id"], call, purpose, "yes")
        return self._sign(CALL_CONSENT_NAMESPACE, said.canonical())

    async def caller_agreed(self, call: str, purpose: Purpose, language: str = "en") -> dict[str, Any]:
        """The caller said yes, to the agent in person."""
        said = CallerConsent((await self.me())["id"], call, purpose, language)
        statement = self._sign(CALLER_CONSENT_NAMESPACE, said.canonical())
        body = {"purpose": purpose.value, "statement": statement}
        return await self._call("POST", f"/agents/me/calls/{call}/caller-agreed", body)

    async def pause(self, call: str) -> dict[str, Any]:
        """Pause the recording, as for card data."""
        return await self._call("POST", f"/calls/{call}/pause")

    async def resume(self, call: str) -> dict[str, Any]:
        """Go on after a pause."""
        return await self._call("POST", f"/calls/{call}/resume")

    async def black_out(self, on: bool) -> dict[str, Any]:
        """Nothing of this agent's is recorded until further notice."""
        return await self._call("PUT", "/agents/me/blackout", {"on": on})

    async def explain(self, call: str) -> dict[str, Any]:
        """Why that call was (not) recorded."""
        return await self._call("GET", f"/calls/{call}/explain")

    async def recordings(self) -> list[dict[str, Any]]:
        """This agent's newest recordings."""
        items: list[dict[str, Any]] = (await self._call("GET", "/recordings"))["items"]
        return items

    async def fetch(self, recording: str, side: str, seg: int) -> bytes:
        """One segment as an age file."""
        response = await self._http.get(f"/v1/recordings/{recording}/sides/{side}/{seg}.age")
        if response.status_code != 200:
            raise _problem(response)
        return response.content

    async def _show(self, light: dict[str, Any], shown: str) -> None:
        if light.get("state") not in LIT or "nonce" not in light:
            return
        try:
            await self.acknowledge(light, shown)
        except ClientProblem as problem:
            # the leg moved on meanwhile: its next event is acknowledged instead
            if problem.status not in (404, 409):
                raise

    async def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        headers = {"Origin": self._origin}
        if method == "POST" and not path.endswith("/ack"):
            headers["Idempotency-Key"] = secrets.token_hex(16)
        response = await self._http.request(method, "/v1" + path, json=body, headers=headers)
        if response.status_code >= 400:
            raise _problem(response)
        answer: dict[str, Any] = response.json() if response.content else {}
        return answer

    def _sign(self, namespace: str, document: bytes) -> dict[str, str]:
        return {"document": document.decode(), "signature": sshsig.sign(self._keys.signing, namespace, document)}

    def _instant(self) -> str:
        return self._clock.wallclock().strftime("%Y-%m-%dT%H:%M:%SZ")


async def fetch_draws(http: httpx.AsyncClient, login: str, password: str) -> dict[str, Any]:
    """Everything of `GET /v1/agents/me/draws`, for whoever signs in with this password, as one page."""
    headers = {"Origin": str(http.base_url).rstrip("/")}
    signed_in = await http.post("/v1/session", json={"login": login, "password": password}, headers=headers)
    if signed_in.status_code >= 400:
        raise _problem(signed_in)
    items: list[Any] = []
    epochs: dict[str, Any] = {}
    cursor: int | None = 0
    while cursor is not None:
        response = await http.get("/v1/agents/me/draws", params={"cursor": cursor, "limit": 100})
        if response.status_code != 200:
            raise _problem(response)
        page = response.json()
        items += page["items"]
        epochs |= {one["name"]: one for one in page["epochs"]}
        cursor = page["next"]
    await http.delete("/v1/session", headers=headers)
    return {"items": items, "epochs": list(epochs.values()), "next": None}


async def _events(response: httpx.Response) -> AsyncIterator[LiveEvent]:
    kind, data = "message", ""
    async for line in response.aiter_lines():
        if line.startswith("event: "):
            kind = line[7:]
        elif line.startswith("data: "):
            data = line[6:]
        elif not line and data:
            yield LiveEvent(kind, json.loads(data))
            kind, data = "message", ""


def _problem(response: httpx.Response) -> ClientProblem:
    try:
        body = response.json()
        match = _TYPE.search(body["type"])
        return ClientProblem(match[0] if match else "?", response.status_code, body["detail"])
    except (ValueError, KeyError, TypeError):
        return ClientProblem("unreadable", response.status_code, "the answer isn't a problem")
