"""Keeps telling the gateway who is on each trunk call: at once when it changes, and again before it runs out.

Whatever fails (the PBX away, the API away) ends in silence, and silence ends the recording within ten seconds.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Final, Protocol
from urllib.parse import quote

import httpx
import structlog

from api.links.errors import LinkError

__all__ = ["Link", "Pbx", "keep_linked"]

log = structlog.get_logger()
TTL_S: Final = 6
RENEW_S: Final = 2.0
RETRY_S: Final = 2.0


class Pbx(Protocol):
    """A connection to a PBX."""

    def follow(self) -> AsyncIterator[dict[str, str | None]]:
        """By SIP Call-ID the extension that talks to it, None for nobody; again after every change."""
        ...


async def keep_linked(
    make: Callable[[], Pbx], http: httpx.AsyncClient, queue: str | None, retry_s: float = RETRY_S
) -> None:
    """Connect again whenever the PBX went away, with nothing left of what was true before; raises `LinkError`."""
    while True:
        try:
            await Link(make(), http, queue).run()
        except OSError as error:
            log.warning("the PBX is away: nothing is recorded meanwhile", fault=type(error).__name__)
        await asyncio.sleep(retry_s)


class Link:
    """One connection to a PBX, one gateway."""

    def __init__(self, pbx: Pbx, http: httpx.AsyncClient, queue: str | None = None) -> None:
        self._pbx = pbx
        self._http = http
        self._queue = queue
        self._talking: dict[str, str | None] = {}
        self._told: dict[str, str | None] = {}
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Until the PBX hangs up; raises `LinkError`, OSError."""
        working = [asyncio.create_task(self._listen()), asyncio.create_task(self._keep_telling())]
        try:
            done, _ = await asyncio.wait(working, return_when=asyncio.FIRST_COMPLETED)
            for ended in done:
                ended.result()
        finally:
            for task in working:
                task.cancel()
            await asyncio.gather(*working, return_exceptions=True)

    async def _listen(self) -> None:
        async for talking in self._pbx.follow():
            if talking != self._talking:
                self._talking = dict(talking)
                self._changed.set()

    async def _keep_telling(self) -> None:
        while True:
            self._changed.clear()
            await self._tell_all()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), RENEW_S)

    async def _tell_all(self) -> None:
        for call_id in [gone for gone in self._told if gone not in self._talking]:
            del self._told[call_id]
        for call_id, extension in tuple(self._talking.items()):
            # that nobody is on a call is said once; that somebody is, again and again
            if extension is None and self._told.get(call_id) is None:
                continue
            await self._tell(call_id, extension)
            self._told[call_id] = extension

    async def _tell(self, call_id: str, extension: str | None) -> None:
        body = {"extension": extension, "ttl_s": TTL_S, "queue": self._queue}
        try:
            answer = await self._http.post(f"/v1/calls/{quote(call_id, safe='')}/agent", json=body)
        except httpx.HTTPError as error:
            log.warning("the gateway doesn't answer: nothing is recorded meanwhile", fault=type(error).__name__)
            return
        if answer.status_code in (401, 403):
            raise LinkError("the gateway refused the token: make one with `fairtap token create --role pbx`")
        if answer.status_code not in (200, 404):  # 404: a call that doesn't come through the gateway
            log.warning("the gateway refused to hear who is on a call", status=answer.status_code)
