"""The live feed of an agent's pages: snapshot first, then each event of the gateway, in order, to that agent only.

Best effort by design: a page that doesn't keep up is dropped, a lost gateway makes every page *unknown*. The proof that
a light was seen isn't made here but by the acknowledgement, which the gateway judges.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.control_client import Control
from api.errors import Problem
from gateway.control.protocol import PageClosed, PageOpened
from gateway.events import Event, Heartbeat, LegLight, RecordCode, RecordingsChanged, Snapshot

__all__ = ["ALIVE_S", "LiveHub", "LiveResponse", "Page"]

BACKLOG: Final = 64
"""Events a page may be behind before it is dropped."""
ALIVE_S: Final = 1.5
"""A word at least this often, so that a page notices a dead connection within 5 s."""
PAGES_PER_AGENT: Final = 8
LAST_WORD_S: Final = 0.2
_EVENT: TypeAdapter[Event] = TypeAdapter(Event)
_SNAPSHOT: TypeAdapter[Snapshot] = TypeAdapter(Snapshot)


@dataclass(eq=False, slots=True)
class Page:
    """One open connection of an agent's page."""

    agent: str
    session: str
    id: str = ""
    """Changes with each gateway connection, so that an old acknowledgement can't pass for a new one."""
    seen: int = -1
    """`seq` of the snapshot: older events are part of it. Negative: no snapshot yet, events wait."""
    early: list[Event] = field(default_factory=list)
    backlog: asyncio.Queue[bytes] = field(default_factory=lambda: asyncio.Queue(BACKLOG))
    opening: asyncio.Task[None] | None = None
    dropped: asyncio.Event = field(default_factory=asyncio.Event)
    """Set: this connection ends, whether or not its client still reads."""

    def put(self, kind: str, payload: dict[str, Any]) -> None:
        """Queue one server-sent event; a page that is too far behind is dropped."""
        try:
            self.backlog.put_nowait(b"event: " + kind.encode() + b"\ndata: " + to_json(payload) + b"\n\n")
        except asyncio.QueueFull:
            self.dropped.set()


class LiveHub:
    """All open pages of all agents; listens to the control client."""

    def __init__(self) -> None:
        self._pages: dict[str, list[Page]] = {}
        self._control: Control | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    def attach(self, control: Control) -> None:
        """The control port that pages are announced on."""
        self._control = control

    @property
    def open_pages(self) -> int:
        """How many pages are connected."""
        return sum(len(pages) for pages in self._pages.values())

    def open(self, agent: str, session: str) -> Page:
        """Take a new connection in; its snapshot follows by itself. Raises `Problem` when there are too many."""
        pages = self._pages.setdefault(agent, [])
        if len(pages) >= PAGES_PER_AGENT:
            raise Problem("too-many-pages", 429, "this agent has too many pages open; close one")
        page = Page(agent, session)
        pages.append(page)
        self._announce(page)
        return page

    def close(self, page: Page) -> None:
        """That connection is gone: tell the gateway at once."""
        pages = self._pages.get(page.agent, [])
        if page in pages:
            pages.remove(page)
        if not pages:
            self._pages.pop(page.agent, None)
        if page.opening is not None:
            page.opening.cancel()
        if page.id:
            self._spawn(self._send_closed(page.agent, page.id))

    def end_session(self, session: str) -> None:
        """Signed out: its pages end."""
        for page in [page for pages in self._pages.values() for page in pages if page.session == session]:
            page.dropped.set()

    def end_agent(self, agent: str) -> None:
        """The agent was taken off the roster: their pages end."""
        for page in self._pages.get(agent, []):
            page.dropped.set()

    def page_of(self, agent: str, session: str, page: str | None) -> str:
        """The page id an acknowledgement is for: the named one of that session, else its newest. Raises `Problem`."""
        ids = [one.id for one in self._pages.get(agent, []) if one.session == session and one.seen >= 0]
        if not ids or (page is not None and page not in ids):
            raise Problem("page-unknown", 409, "this page isn't connected; nothing was acknowledged")
        return page or ids[-1]

    # --- what the control client tells ------------------------------------------------------------------------------

    def connected(self) -> None:
        """A gateway is there (again): each page gets a new id and a new snapshot."""
        for pages in self._pages.values():
            for page in pages:
                self._announce(page)

    def lost(self) -> None:
        """Nothing is known any more."""
        for pages in self._pages.values():
            for page in pages:
                self._forget(page)
                page.put("unknown", {"state": "unknown"})

    def told(self, event: Event) -> None:
        """Hand an event to the pages of its agent."""
        if isinstance(event, LegLight | Heartbeat | Snapshot | RecordCode | RecordingsChanged):
            for page in tuple(self._pages.get(event.agent, ())):
                self._deliver(page, event)

    def _deliver(self, page: Page, event: Event) -> None:
        if page.seen < 0:
            page.early.append(event)
            if len(page.early) > BACKLOG:
                page.dropped.set()
            return
        if isinstance(event, LegLight | Heartbeat) and event.seq <= page.seen:
            return
        payload = _plain(event)
        if isinstance(event, Snapshot):
            payload["page"] = page.id
            page.seen = event.seq
        page.put(event.kind, payload)

    # ----------------------------------------------------------------------------------------------------------------

    def _announce(self, page: Page) -> None:
        self._forget(page)
        if self._control is not None and self._control.connected:
            page.id = secrets.token_hex(16)
            page.opening = self._spawn(self._first_snapshot(page, page.id, self._control))
        else:
            page.put("unknown", {"state": "unknown"})

    def _forget(self, page: Page) -> None:
        if page.opening is not None:
            page.opening.cancel()
        page.id, page.seen, page.opening = "", -1, None
        page.early.clear()

    async def _first_snapshot(self, page: Page, page_id: str, control: Control) -> None:
        try:
            answer = await control.request(PageOpened(page.agent, page_id))
            snapshot = _SNAPSHOT.validate_python(answer.get("snapshot"))
        except (Problem, ValidationError):
            # no snapshot, no light: the page stays unknown and asks again by connecting again
            page.dropped.set()
            return
        early, page.early = page.early, []
        page.seen = snapshot.seq
        page.put("snapshot", {**_plain(snapshot), "page": page_id})
        for event in early:
            self._deliver(page, event)

    async def _send_closed(self, agent: str, page_id: str) -> None:
        if self._control is not None:
            # away: the gateway counts all pages of a broken control connection as closed
            with contextlib.suppress(Problem):
                await self._control.request(PageClosed(agent, page_id))

    def _spawn(self, work: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _plain(event: Event) -> dict[str, Any]:
    plain: dict[str, Any] = _EVENT.dump_python(event, mode="json")
    plain.pop("kind", None)
    plain.pop("agent", None)
    return plain


class LiveResponse(Response):
    """The answer of `GET /v1/agents/me/live`: streams until the client goes, which is noticed when TCP notices."""

    HEADERS: Final = [
        (b"content-type", b"text/event-stream; charset=utf-8"),
        (b"cache-control", b"no-store"),
        (b"x-accel-buffering", b"no"),
    ]

    def __init__(self, hub: LiveHub, agent: str, session: str, lasts_s: float, alive_s: float = ALIVE_S) -> None:
        """`lasts_s`: how long the session behind the page still lasts."""
        super().__init__()
        self._hub = hub
        self._agent = agent
        self._session = session
        self._lasts_s = lasts_s
        self._alive_s = alive_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send, and watch for the client's going and for our own dropping, side by side: the first to end ends all."""
        page = self._hub.open(self._agent, self._session)
        tasks: list[asyncio.Task[Any]] = []
        try:
            await send({"type": "http.response.start", "status": 200, "headers": list(self.HEADERS)})
            work = [self._send_all(page, send), _wait_for_disconnect(receive), page.dropped.wait()]
            tasks += [asyncio.create_task(one) for one in work]
            await asyncio.wait(tasks, timeout=self._lasts_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._hub.close(page)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        # a client that doesn't read would hold this up for ever
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORD_S):
                await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_all(self, page: Page, send: Send) -> None:
        await _chunk(send, b"retry: 500\n\n")
        while True:
            try:
                async with asyncio.timeout(self._alive_s):
                    part = await page.backlog.get()
            except TimeoutError:
                part = b"event: alive\ndata: {}\n\n"
            await _chunk(send, part)


async def _chunk(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
