"""The gateway's end of the control port, with a steward that does as told: answers, refusals, events, broken ends."""

import asyncio
import contextlib
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.control import protocol as p
from gateway.control.protocol import MAX_LINE, Answer, Command, Request, Told, decode, encode
from gateway.control.server import ControlServer
from gateway.engine.errors import Refused
from gateway.event_bus import BACKLOG, EventBus
from gateway.events import CallEnded


class Steward:
    """Remembers every command; `does` answers a kind."""

    def __init__(self) -> None:
        self.commands: list[Command] = []
        self.does: dict[str, Callable[[Any], Awaitable[dict[str, Any]]]] = {}
        self._changed = asyncio.Event()

    async def command(self, command: Command) -> dict[str, Any]:
        self.commands.append(command)
        self._changed.set()
        does = self.does.get(command.kind)
        return await does(command) if does is not None else {"kind": command.kind}

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not holds():
                self._changed.clear()
                await self._changed.wait()


class Api:
    """The other end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, path: Path) -> "Api":
        return cls(*await asyncio.open_unix_connection(str(path), limit=MAX_LINE))

    def ask(self, number: int, command: Command) -> None:
        self.writer.write(encode(Request(number, command)))

    async def told(self) -> Answer | Told:
        async with asyncio.timeout(5):
            found = decode(await self.reader.readline(), "reply")
        assert isinstance(found, Answer | Told)
        return found

    async def over(self) -> None:
        """Until the gateway hangs up."""
        async with asyncio.timeout(5):
            with contextlib.suppress(ConnectionError):
                assert await self.reader.read() == b""

    def close(self) -> None:
        self.writer.close()


class House:
    """A control server on a socket of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.steward, self.bus = Steward(), EventBus()
        self.server = ControlServer(path, self.steward, self.bus)

    async def connect(self) -> Api:
        return await Api.connect(self.path)


@pytest.fixture
async def house(tmp_path) -> AsyncIterator[House]:
    here = House(tmp_path / "run" / "control.sock")
    await here.server.start()
    yield here
    await here.server.close()


async def test_a_command_is_done_and_answered_under_its_number(house):
    api = await house.connect()
    api.ask(7, p.Status())
    api.ask(9, p.FindCall("x"))
    answers = [await api.told(), await api.told()]
    assert answers == [Answer(7, ok={"kind": "status"}), Answer(9, ok={"kind": "find_call"})]
    assert house.steward.commands == [p.Status(), p.FindCall("x")]


async def test_a_slow_command_holds_up_no_other(house):
    go = asyncio.Event()

    async def slow(command):
        await go.wait()
        return {"slow": True}

    house.steward.does["enrol"] = slow
    api = await house.connect()
    api.ask(1, p.Enrol("a", "k", p.Signed("{}", "s")))
    api.ask(2, p.Status())
    assert await api.told() == Answer(2, ok={"kind": "status"})
    go.set()
    assert await api.told() == Answer(1, ok={"slow": True})


async def test_a_refusal_is_told_with_its_code(house):
    async def refuse(command):
        raise Refused("no_such_call", "this call isn't running", 404)

    house.steward.does["explain"] = refuse
    api = await house.connect()
    api.ask(1, p.Explain("c"))
    assert await api.told() == Answer(1, error=p.Refusal("no_such_call", "this call isn't running", 404))


async def test_a_fault_of_ours_is_told_without_its_text_and_the_connection_goes_on(house):
    async def fail(command):
        raise ValueError("+4940123456")

    house.steward.does["explain"] = fail
    api = await house.connect()
    api.ask(1, p.Explain("c"))
    answer = await api.told()
    assert isinstance(answer, Answer) and answer.error is not None
    assert (answer.error.code, answer.error.status) == ("internal", 500)
    assert "4940123456" not in answer.error.message
    api.ask(2, p.Status())
    assert await api.told() == Answer(2, ok={"kind": "status"})


async def test_events_come_only_to_who_watches(house):
    watching, other = await house.connect(), await house.connect()
    watching.ask(1, p.Watch())
    assert await watching.told() == Answer(1, ok={})
    house.bus.publish(CallEnded("c1"))
    house.bus.publish(CallEnded("c2"))
    assert [await watching.told(), await watching.told()] == [Told(CallEnded("c1")), Told(CallEnded("c2"))]
    other.ask(2, p.Status())
    assert await other.told() == Answer(2, ok={"kind": "status"})
    assert house.steward.commands == [p.Status()]


async def test_who_can_t_follow_the_events_is_hung_up_on(house):
    api = await house.connect()
    api.ask(1, p.Watch())
    await api.told()
    for _ in range(BACKLOG + 1):
        house.bus.publish(CallEnded("c"))
    async with asyncio.timeout(5):
        lines = (await api.reader.read()).splitlines()
    assert [decode(line, "reply") for line in lines] == [Told(CallEnded("c"))] * BACKLOG


@pytest.mark.parametrize(
    "line",
    [
        b"garbage\n",
        b"{}\n",
        b'{"id":1,"ok":{}}\n',
        b"\xff\n",
        b"x" * (MAX_LINE + 10),
        b'{"id":1,"command":{"kind":"no"}}\n',
    ],
    ids=lambda line: line[:20].decode("latin1").strip(),
)
async def test_a_line_that_isn_t_a_command_ends_this_connection_only(house, line):
    other, api = await house.connect(), await house.connect()
    api.writer.write(line)
    await api.over()
    other.ask(1, p.Status())
    assert await other.told() == Answer(1, ok={"kind": "status"})


async def test_pages_of_a_broken_connection_are_closed(house):
    api, other = await house.connect(), await house.connect()
    for number, page in enumerate(("p1", "p2", "p3")):
        api.ask(number, p.PageOpened("a", page))
        await api.told()
    other.ask(1, p.PageOpened("b", "q"))
    await other.told()
    api.ask(9, p.PageClosed("a", "p2"))
    await api.told()
    house.steward.commands.clear()
    api.close()
    await house.steward.until(lambda: len(house.steward.commands) == 2)
    closed = sorted((command.agent, command.page) for command in house.steward.commands)
    assert closed == [("a", "p1"), ("a", "p3")]


async def test_garbage_closes_the_pages_too(house):
    api = await house.connect()
    api.ask(1, p.PageOpened("a", "p1"))
    await api.told()
    api.writer.write(b"garbage\n")
    await house.steward.until(lambda: p.PageClosed("a", "p1") in house.steward.commands)


async def test_a_page_that_can_t_be_closed_leaves_none_open(house):
    async def refuse(command):
        raise Refused("no", "no")

    house.steward.does["page_closed"] = refuse
    api = await house.connect()
    for number, page in enumerate(("p1", "p2", "p3")):
        api.ask(number, p.PageOpened("a", page))
        await api.told()
    api.close()
    closed = {p.PageClosed("a", page) for page in ("p1", "p2", "p3")}
    await house.steward.until(lambda: closed <= set(house.steward.commands))


async def test_a_command_that_was_begun_is_done_although_nobody_waits_for_its_answer(house):
    go, done = asyncio.Event(), asyncio.Event()

    async def slow(command):
        await go.wait()
        done.set()
        return {}

    house.steward.does["set_consent"] = slow
    api = await house.connect()
    api.ask(1, p.PageOpened("a", "p1"))
    api.ask(2, p.SetConsent("a", "coaching", "no"))
    await house.steward.until(lambda: len(house.steward.commands) == 2)
    api.close()
    await house.steward.until(lambda: p.PageClosed("a", "p1") in house.steward.commands)
    go.set()
    async with asyncio.timeout(5):
        await done.wait()


async def test_a_page_that_was_just_opening_is_closed_after_it(house):
    go = asyncio.Event()
    open_pages: set[str] = set()

    async def opened(command):
        await go.wait()
        open_pages.add(command.page)
        return {}

    async def closed(command):
        open_pages.discard(command.page)
        return {}

    house.steward.does |= {"page_opened": opened, "page_closed": closed}
    api = await house.connect()
    api.ask(1, p.PageOpened("a", "p1"))
    await house.steward.until(lambda: len(house.steward.commands) == 1)
    api.close()
    await house.steward.until(lambda: len(house.steward.commands) == 2)
    go.set()
    await house.steward.until(lambda: len(house.steward.commands) == 3)
    await asyncio.sleep(0)
    assert open_pages == set()


async def test_only_this_account_may_open_the_socket(house):
    mode = house.path.stat().st_mode
    assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o600
    assert stat.S_IMODE(house.path.parent.stat().st_mode) == 0o700


async def test_a_socket_left_behind_is_replaced(house):
    again = House(house.path)
    await again.server.start()
    api = await again.connect()
    api.ask(1, p.Status())
    await api.told()
    assert again.steward.commands == [p.Status()] and house.steward.commands == []
    await again.server.close()


async def test_closing_ends_every_connection_and_its_pages(house):
    api = await house.connect()
    api.ask(1, p.PageOpened("a", "p1"))
    await api.told()
    await house.server.close()
    await api.over()
    assert house.steward.commands[-1] == p.PageClosed("a", "p1")
    assert not house.path.exists()
    with pytest.raises(OSError):
        await house.connect()
