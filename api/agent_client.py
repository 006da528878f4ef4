"""An agent's client without a browser: does over HTTP all that the page does, with keys that never leave this process.

Enrols, signs in, claims the seat, answers, watches the light and acknowledges it, stops, fetches recordings.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

import httpx

from api.errors import ApiError
from api.keyed_client import ClientKeys, KeyedClient
from api.releasing import CheckedCoach, check_coach, release_sides
from api.site_client import ClientProblem, SiteClient, problem_of
from crypto.age import split_header
from crypto.signed_note import VerifierKey
from crypto.ssh_key import VerifyKey
from policy.statements import (
    CALL_CONSENT_NAMESPACE,
    CALLER_CONSENT_NAMESPACE,
    CONSENT_NAMESPACE,
    SEAT_NAMESPACE,
    CallConsent,
    CallerConsent,
    ConsentStatement,
    SeatClaim,
)
from policy.terms import Lane, Purpose, Side
from storage.manifest import Manifest

__all__ = ["AgentClient", "ClientKeys", "ClientProblem", "LiveEvent", "fetch_draws"]

MAX_HEADER: Final = 64 * 1024
"""Bytes that hold any header of ours."""
LIT: Final = ("asking", "recording_agent", "recording_both", "paused")


@dataclass(frozen=True, slots=True)
class LiveEvent:
    """One server-sent event: `snapshot`, `leg`, `heartbeat`, `recordings`, `unknown`, `alive`."""

    kind: str
    data: dict[str, Any]


class AgentClient(KeyedClient):
    """One agent's session."""

    ROOM = "/agents/me"

    page: str | None = None
    """Id of the live feed that is open."""

    async def sign_out(self) -> None:
        """Leave the seat and end the session."""
        await self.ask("DELETE", "/agents/me/seat")
        await self.ask("DELETE", "/session")

    async def agreement(self) -> dict[str, Any]:
        """The agreement in force, with the texts a yes is given to."""
        return await self.ask("GET", "/agreements/current")

    async def claim_seat(self, extension: str, place: str = "site") -> dict[str, Any]:
        """Claim an extension, on `site` or at `home`, for as long as this client is signed in."""
        me = await self.me()
        claim = SeatClaim(me["id"], extension, me["session"], me["seat_seq"] + 1, place)
        return await self.ask("PUT", "/agents/me/seat", {"statement": self._sign(SEAT_NAMESPACE, claim.canonical())})

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
        return await self.ask("PUT", f"/agents/me/consents/{purpose.value}", body)

    async def say_no(self, purpose: Purpose) -> dict[str, Any]:
        """A standing no; needs no key."""
        return await self.ask("PUT", f"/agents/me/consents/{purpose.value}", {"answer": "no"})

    async def live(self, acknowledge: bool = True, shown: str = "visible") -> AsyncIterator[LiveEvent]:
        """The light's events; each is acknowledged before it is handed on, as a page does that shows it."""
        timeout = httpx.Timeout(10.0, read=5.0)
        async with self._http.stream("GET", "/v1/agents/me/live", timeout=timeout) as response:
            if response.status_code != 200:
                await response.aread()
                raise problem_of(response)
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
        await self.ask("POST", "/agents/me/live/ack", {**body, "shown": shown, "page": self.page})

    async def stop(self, call: str) -> dict[str, Any]:
        """Stop recording this call."""
        return await self.ask("POST", f"/agents/me/calls/{call}/stop")

    async def caller_refused(self, call: str) -> dict[str, Any]:
        """The caller said no."""
        return await self.ask("POST", f"/agents/me/calls/{call}/caller-refused")

    async def request_record(self, call: str, lane: Lane = Lane.CUSTOMER_REQUEST) -> dict[str, Any]:
        """Have this call recorded for the caller, or for oneself; the caller is asked."""
        purpose = (await self.agreement())["asked_for"].get(lane.value)
        if purpose is None:
            raise ApiError(f"the agreement in force has no lane `{lane.value}`")
        body = {"lane": lane.value, "statement": await self._yes_in_call(call, Purpose(purpose))}
        return await self.ask("POST", f"/agents/me/calls/{call}/request-record", body)

    async def read_code(self, call: str) -> None:
        """Have the record code read to the caller, twice."""
        await self.ask("POST", f"/agents/me/calls/{call}/read-code")

    async def stop_reading(self, call: str) -> None:
        """Be heard by the caller again."""
        await self.ask("DELETE", f"/agents/me/calls/{call}/read-code")

    async def answer_in_call(self, call: str, purpose: Purpose, answer: Literal["yes", "no"]) -> dict[str, Any]:
        """This agent's own answer for this call."""
        body: dict[str, Any] = {"purpose": purpose.value, "answer": answer}
        if answer == "yes":
            body["statement"] = await self._yes_in_call(call, purpose)
        return await self.ask("POST", f"/agents/me/calls/{call}/consent", body)

    async def _yes_in_call(self, call: str, purpose: Purpose, language: str = "en") -> dict[str, str]:
        texts = {one["purpose"]: one["sha256"] for one in (await self.agreement())["consents"]}
        read = texts[purpose.value][language] if purpose.value in texts else None
        said = CallConsent((await self.me())["id"], call, purpose, "yes", read)
        return self._sign(CALL_CONSENT_NAMESPACE, said.canonical())

    async def caller_agreed(self, call: str, purpose: Purpose, language: str = "en") -> dict[str, Any]:
        """The caller said yes, to the agent in person."""
        said = CallerConsent((await self.me())["id"], call, purpose, language)
        statement = self._sign(CALLER_CONSENT_NAMESPACE, said.canonical())
        body = {"purpose": purpose.value, "statement": statement}
        return await self.ask("POST", f"/agents/me/calls/{call}/caller-agreed", body)

    async def pause(self, call: str) -> dict[str, Any]:
        """Pause the recording, as for card data."""
        return await self.ask("POST", f"/calls/{call}/pause")

    async def resume(self, call: str) -> dict[str, Any]:
        """Go on after a pause."""
        return await self.ask("POST", f"/calls/{call}/resume")

    async def black_out(self, on: bool) -> dict[str, Any]:
        """Nothing of this agent's is recorded until further notice."""
        return await self.ask("PUT", "/agents/me/blackout", {"on": on})

    async def explain(self, call: str) -> dict[str, Any]:
        """Why that call was (not) recorded."""
        return await self.ask("GET", f"/calls/{call}/explain")

    async def recordings(self) -> list[dict[str, Any]]:
        """This agent's newest recordings."""
        items: list[dict[str, Any]] = (await self.ask("GET", "/recordings"))["items"]
        return items

    async def coaches(self) -> list[dict[str, Any]]:
        """Whom this agent may release to, as the site says."""
        found: list[dict[str, Any]] = (await self.ask("GET", "/coaches"))["coaches"]
        return found

    async def coach(self, coach: str, gateway: VerifyKey) -> CheckedCoach:
        """One of them, the key checked against the log that `gateway` signs. Raises CoachDoubt."""
        told = next((one for one in await self.coaches() if one["id"] == coach), None)
        if told is None:
            raise ApiError("the site knows no such coach who has keys")
        return check_coach(told, gateway)

    async def gateway_key(self, recording: str) -> VerifyKey:
        """The key that the recording's own manifest names, for whoever has the gateway's from nowhere else."""
        told = await self.ask("GET", f"/recordings/{recording}")
        side = _sealed(told)[0]
        response = await self._http.get(f"/v1/recordings/{recording}/sides/{side[0].value}/{side[1]}.manifest.json")
        if response.status_code != 200:
            raise problem_of(response)
        return VerifierKey.parse(Manifest.parse(response.content).gateway).key

    async def release(self, recording: str, to: CheckedCoach, until: datetime) -> dict[str, Any]:
        """Let a coach hear all that is kept of a recording, as long as it is, for the purpose it was made for."""
        told = await self.ask("GET", f"/recordings/{recording}")
        if told["keep_until"] is not None:
            until = min(until, datetime.fromisoformat(told["keep_until"]))
        headers = {(side, seg): await self._header(recording, side, seg) for side, seg in _sealed(told)}
        keys = self._keys
        sides = release_sides(headers, recording, to, Purpose(told["purpose"]), until, [keys.identity], keys.signing)
        return await self.ask("POST", f"/recordings/{recording}/releases", {"sides": sides})

    async def releases(self, recording: str) -> list[dict[str, Any]]:
        """To whom a recording is or was released."""
        found: list[dict[str, Any]] = (await self.ask("GET", f"/recordings/{recording}/releases"))["releases"]
        return found

    async def revoke(self, recording: str, release: str) -> None:
        """Take a release back."""
        await self.ask("DELETE", f"/recordings/{recording}/releases/{release}")

    async def accesses(self, recording: str) -> list[dict[str, Any]]:
        """Who else fetched something of a recording."""
        found: list[dict[str, Any]] = (await self.ask("GET", f"/recordings/{recording}/accesses"))["accesses"]
        return found

    async def _header(self, recording: str, side: Side, seg: int) -> bytes:
        """The age header alone: the rest isn't read."""
        data = b""
        async with self._http.stream("GET", f"/v1/recordings/{recording}/sides/{side.value}/{seg}.age") as response:
            if response.status_code != 200:
                await response.aread()
                raise problem_of(response)
            async for piece in response.aiter_bytes(MAX_HEADER):
                data += piece
                break
        header, _ = split_header(data)
        return bytes(header)

    async def _show(self, light: dict[str, Any], shown: str) -> None:
        if light.get("state") not in LIT or "nonce" not in light:
            return
        try:
            await self.acknowledge(light, shown)
        except ClientProblem as problem:
            # the leg moved on meanwhile: its next event is acknowledged instead
            if problem.status not in (404, 409):
                raise


def _sealed(told: dict[str, Any]) -> list[tuple[Side, int]]:
    """What can be fetched of a recording."""
    found = [(Side(one["side"]), one["seg"]) for one in told["sides"] if one["state"] == "sealed"]
    if not found:
        raise ApiError("nothing of this recording is kept")
    return found


async def fetch_draws(site: SiteClient) -> dict[str, Any]:
    """Everything of `GET /v1/agents/me/draws`, for the agent who is signed in, as one page."""
    items: list[Any] = []
    epochs: dict[str, Any] = {}
    cursor: int | None = 0
    while cursor is not None:
        page = await site.ask("GET", f"/agents/me/draws?cursor={cursor}&limit=100")
        items += page["items"]
        epochs |= {one["name"]: one for one in page["epochs"]}
        cursor = page["next"]
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
