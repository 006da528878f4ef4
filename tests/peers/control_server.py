"""A gateway's control port for tests: same protocol, answers as told, remembers every command, sends events."""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from gateway.control.protocol import Answer, Command, PageOpened, Refusal, Request, Told, decode, encode
from gateway.events import Event, LegLight, LightState, Snapshot


class ControlServer:
    """Listens on a Unix socket between `start` and `stop`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.commands: list[Command] = []
        self.arrivals: list[float] = []
        self.answers: dict[str, dict[str, Any] | Refusal | Callable[[Any], dict[str, Any] | Refusal]] = {
            "list_announcements": {"announcements": [], "faults": []}
        }
        """Answer by `kind`: members, a refusal, or a function of the command."""
        self.silent: set[str] = set()
        self.legs: tuple[LegLight, ...] = ()
        self.seq = 0
        self._changed = asyncio.Condition()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, str(self.path), limit=1 << 20)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer in tuple(self._writers):
            writer.close()
        self.path.unlink(missing_ok=True)
        self._server = None

    def tell(self, event: Event) -> None:
        for writer in self._writers:
            writer.write(encode(Told(event)))

    def light(self, agent: str, state: str, call: str = "call-1", **more: Any) -> LegLight:
        """Make the next `leg` event, tell it, and keep it for snapshots."""
        self.seq += 1
        values = {"since": "2026-03-02T09:00:00.000Z", **more}
        leg = LegLight(agent, call, self.seq, f"nonce-{self.seq}", LightState(state), **values)
        self.legs = (leg,)
        self.tell(leg)
        return leg

    def of(self, kind: type[Any]) -> list[Any]:
        return [command for command in self.commands if isinstance(command, kind)]

    async def wait_for(self, kind: type[Any], count: int = 1, timeout: float = 5.0) -> Any:
        """The newest command of a kind, once there are so many."""
        async with asyncio.timeout(timeout), self._changed:
            await self._changed.wait_for(lambda: len(self.of(kind)) >= count)
        return self.of(kind)[-1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                request = decode(line, "request")
                assert isinstance(request, Request)
                async with self._changed:
                    self.commands.append(request.command)
                    self.arrivals.append(asyncio.get_running_loop().time())
                    self._changed.notify_all()
                if request.command.kind not in self.silent:
                    writer.write(encode(self._answer(request)))
        self._writers.discard(writer)
        writer.close()

    def _answer(self, request: Request) -> Answer:
        answer = self.answers.get(request.command.kind, {})
        if callable(answer):
            answer = answer(request.command)
        if isinstance(answer, Refusal):
            return Answer(request.id, error=answer)
        if isinstance(request.command, PageOpened) and not answer:
            agent = request.command.agent
            legs = tuple(leg for leg in self.legs if leg.agent == agent)
            snapshot = Snapshot(agent, self.seq, legs)
            answer = {"snapshot": TypeAdapter(Snapshot).dump_python(snapshot, mode="json")}
        return Answer(request.id, ok=answer)
