"""Fetches a recording's sides to be heard: an agent's own, or what was released to a coach. Nothing is written."""

from __future__ import annotations

import contextlib
from datetime import datetime
from typing import Any, Final

import httpx

from api.errors import CommandError
from api.evidence_fetch import sign_in
from api.evidence_files import MAX_PAYLOAD
from api.keyed_client import problem_of
from api.listen import SideFile

__all__ = ["fetch_sides"]

MAX_SIDES: Final = 2 * 200


async def fetch_sides(client: httpx.AsyncClient, who: tuple[str, str], recording: str) -> list[SideFile]:
    """Every side of a recording that this login may fetch. Raises CommandError."""
    async with client as http:
        await sign_in(http, *who)
        try:
            told = (await _answer(http, f"/v1/recordings/{recording}")).json()
            sides = [one for one in told["sides"] if one.get("state", "sealed") == "sealed"][:MAX_SIDES]
            return [await _side(http, recording, one) for one in sides]
        except httpx.HTTPError as error:
            raise CommandError(f"the site can't be reached, or doesn't answer: {type(error).__name__}") from None
        except (KeyError, TypeError, ValueError):
            raise CommandError("the site's answer isn't a recording") from None
        finally:
            with contextlib.suppress(httpx.HTTPError):
                await http.delete("/v1/session")


async def _side(http: httpx.AsyncClient, recording: str, one: dict[str, Any]) -> SideFile:
    side, seg, started = str(one["side"]), int(one["seg"]), one.get("started")
    answer = await _answer(http, f"/v1/recordings/{recording}/sides/{side}/{seg}.age")
    return SideFile(side, seg, answer.content, started=None if started is None else datetime.fromisoformat(started))


async def _answer(http: httpx.AsyncClient, path: str) -> httpx.Response:
    answer = await http.get(path)
    if answer.status_code != 200:
        raise CommandError(str(problem_of(answer)))
    if len(answer.content) > MAX_PAYLOAD:
        raise CommandError("the site's answer is larger than any such file")
    return answer
