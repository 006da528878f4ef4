"""A running site on loopback for tests: gateway, media workers and API as processes, agents at desks with open pages.

Built from the demo's house. Callers stand where the PBX is (`at.pbx`) and name extension and queue themselves; an
agent's phone is the desk's own, or any peer within `at.phone(...)` that a test starts there.
"""

import asyncio
import re
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from api.agent_client import ClientProblem
from api.listen import SideFile, open_side, write_wav
from demo import staff
from demo.agents import Desk
from demo.agreement import CONSENT_KEY, QUEUE
from demo.control import find_call
from demo.g711 import RATE, Samples
from demo.house import LOG, Addresses, House, find_addresses
from demo.keys import PARTIES, new_keys
from demo.link import Hop
from demo.opening import read_stereo
from demo.phone import Call, Phone
from demo.staff import Office
from demo.talk import THINK_S
from gateway.clock import SystemClock
from gateway.control.protocol import MAX_LINE, Answer, Command, Request, Status, decode, encode
from tests.peers import short_question
from tests.peers.council_desk import CouncilDesk
from tests.peers.short_question import QUESTION

SMALLEST_GROUP = 8
"""The demo's agreement draws in no smaller group."""
CALLER_PORT = 5070
EPOCHS_AHEAD = 2
"""This one and the next: no test outlasts both."""
MOST_TRIES = 16
FULL = frozenset({"CEILING", "AGENT_CAP"})
"""Reasons for which a leg that was drawn counts as not drawn."""
CONNECT_S = 10.0
SETTLE_S = 10.0
_T = TypeVar("_T")
_STARTED = re.compile(r"^(started|ended) process=(\S+)(?: pid=(\d+))?", re.MULTILINE)


@dataclass(slots=True)
class Talk:
    """A call that stands, from both ends."""

    desk: Desk
    caller: Call
    agent: Call
    ref: str
    """The gateway's own reference."""

    async def hang_up(self) -> None:
        """By the caller; returns once both ends are free."""
        await self.caller.bye()
        await asyncio.wait_for(self.agent.ended.wait(), CONNECT_S)


async def until(look: Callable[[], Awaitable[_T | None]], seconds: float = SETTLE_S, every: float = 0.03) -> _T:
    """Look again and again at what another process tells, until it tells something (true); raises `TimeoutError`."""
    async with asyncio.timeout(seconds):
        while True:
            if found := await look():
                return found
            await asyncio.sleep(every)


class RunningSite:
    """Use it as a context manager; everything of it ends with it."""

    def __init__(
        self,
        folder: Path,
        desks: int = 1,
        *,
        workers: int = 1,
        settings: str = "",
        transport: str = "udp",
        at: Addresses | None = None,
        placement: str = "phones",
        agreed: Callable[[str], str] = str,
    ) -> None:
        """`settings`: more TOML for `fairtap.toml`; `transport`: of the caller and the desks' phones.

        With placement `trunk` the caller stands for the carrier and the desks' phones for the PBX. `agreed` edits the
        agreement's YAML.
        """
        self.folder = folder
        self.at = at or find_addresses()
        self.desks: list[Desk] = []
        self.codes: list[str] = []
        """The desks' enrolment codes, all of them spent."""
        self.passwords: list[str] = []
        """The desks', who sign in by the names of their keys."""
        self.prompt_end: Samples = QUESTION.samples[-RATE:]
        """The last second of the question: once a caller heard it, a key is an answer."""
        self._wanted = desks
        self._more = f"[media]\nworkers = {workers}\n{settings}\n"
        self._transport = transport
        self._placement = placement
        self._agreed = agreed
        self._stack = AsyncExitStack()
        self._clock = SystemClock()

    async def __aenter__(self) -> Self:
        try:
            await self._open()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    # --- what a test asks it -----------------------------------------------------------------------------------------

    @property
    def data(self) -> Path:
        """The gateway's data folder."""
        return self.folder / "var"

    @property
    def processes(self) -> dict[str, int]:
        """Process ids of what runs now: `gateway`, `media-0`…, `api`; a child that ended is absent until it is back."""
        running: dict[str, int] = {}
        for what, name, pid in _STARTED.findall((self.folder / LOG).read_text(errors="replace")):
            if what == "started":
                running[name] = int(pid)
            else:
                running.pop(name, None)
        return running

    async def restarted(self, name: str, old: int) -> int:
        """Wait until a child runs as another process than `old`; its id."""

        async def other() -> int | None:
            pid = self.processes.get(name, old)
            return None if pid == old else pid

        return await until(other)

    async def command(self, command: Command) -> dict[str, Any]:
        """What one command on the control port gives; raises `OSError` while the gateway is away."""
        answer = await self.answer(command)
        assert answer.ok is not None, answer.error
        return answer.ok

    async def answer(self, command: Command) -> Answer:
        """The answer to one command, which may be a refusal; raises as `command`."""
        reader, writer = await asyncio.open_unix_connection(str(self.data / "run" / "control.sock"), limit=MAX_LINE)
        try:
            writer.write(encode(Request(1, command)))
            line = await reader.readline()
            if not line:
                raise ConnectionResetError("the gateway hung up")
            answer = decode(line, "reply")
            assert isinstance(answer, Answer), answer
            return answer
        finally:
            writer.close()

    async def status(self) -> dict[str, Any]:
        """Site state and health, as the control port tells them."""
        return await self.command(Status())

    async def counters(self) -> Counter[str]:
        """The gateway's counters; those that never counted are 0."""
        return Counter((await self.status())["counters"])

    async def quiet(self) -> None:
        """Wait until the gateway knows of no call."""

        async def idle() -> bool:
            return (await self.status())["calls"] == 0

        await until(idle)

    # --- calls -------------------------------------------------------------------------------------------------------

    def target(self, desk: Desk) -> str:
        """The request URI that leads to a desk's phone."""
        suffix = "" if desk.phone.transport == "udp" else f";transport={desk.phone.transport}"
        return f"sip:{desk.extension}@{desk.phone.address[0]}:{desk.phone.address[1]}{suffix}"

    def headers(self, desk: Desk, queue: str = QUEUE) -> list[tuple[str, str]]:
        """What the PBX says about a call to this agent; in a queue that the agreement does not name nobody is asked."""
        return [("X-Fairtap-Extension", desk.extension), ("X-Fairtap-Queue", queue)]

    @property
    def gateway(self) -> Hop:
        """The gateway as callers reach it."""
        return Hop(self._transport, self.at.gateway_caller, 5060)

    async def dial(self, desk: Desk, caller: Phone | None = None, queue: str = QUEUE, **how: Any) -> tuple[Call, Call]:
        """An INVITE that has arrived at the desk's phone: caller's end, agent's end. Nothing is answered yet."""
        number = f"sip:4930231255{secrets.randbelow(100):02d}@{self.at.trunk}"
        made = await (caller or self.caller).call(
            self.target(desk), via=self.gateway, headers=self.headers(desk, queue), caller=number, **how
        )
        async with asyncio.timeout(CONNECT_S):
            while (taken := await desk.phone.incoming.get()).dialog.call_id != made.dialog.call_id:
                await taken.close()
        return made, taken

    async def call(self, desk: Desk, caller: Phone | None = None, **how: Any) -> Talk:
        """A call that stands; whether it is drawn, nobody knows."""
        await desk.be_ready()
        made, taken = await self.dial(desk, caller, **how)
        taken.ring()
        taken.answer()
        async with asyncio.timeout(CONNECT_S):
            await asyncio.gather(made.answered, taken.answered)
        return Talk(desk, made, taken, await self.ref(made.dialog.call_id))

    async def ref(self, call_id: str) -> str:
        """The gateway's reference of a running call, by its SIP Call-ID."""
        found = await find_call(self.data / "run" / "control.sock", call_id)
        assert found is not None, "the gateway doesn't know the call"
        return found

    async def is_drawn(self, desk: Desk, ref: str) -> bool:
        """Whether a call that stands was drawn, under the ceiling, by its agent's own view."""

        async def entered() -> tuple[bool] | None:
            said = await self.explained(desk, ref)
            if said is None or said["drawn"] is None:
                return None
            return (said["drawn"] and not FULL.intersection(said["reasons"]),)

        return (await until(entered))[0]

    async def drawn_call(self, desk: Desk, drawn: bool = True, **how: Any) -> Talk:
        """A call that stands and is drawn (or isn't): calls are placed until there is one."""
        for _ in range(MOST_TRIES):
            talk = await self.call(desk, **how)
            if await self.is_drawn(desk, talk.ref) is drawn:
                return talk
            await talk.hang_up()
        raise AssertionError(f"none of {MOST_TRIES} calls was {'drawn' if drawn else 'left undrawn'}")

    async def recorded_call(self, desk: Desk, **how: Any) -> Talk:
        """A call whose caller was asked and said yes, with the light on and the tap open."""
        talk = await self.drawn_call(desk, **how)
        await self.agree(desk, talk.caller, talk.ref)
        return talk

    async def agree(self, desk: Desk, caller: Call, ref: str) -> None:
        """The caller of a drawn call hears the question out and says yes; returns once the tap is open."""
        async with asyncio.timeout(30):
            await caller.hears(self.prompt_end)
            await asyncio.sleep(THINK_S)
            caller.press(CONSENT_KEY, ms=120)
            await desk.light("recording_both")
        await self.tapped(desk, ref)

    async def tapped(self, desk: Desk, ref: str) -> None:
        """Wait until a call is being recorded: the light was acknowledged and the decision is durable."""

        async def recording() -> bool:
            said = await self.explained(desk, ref)
            return said is not None and said["outcome"] == "recording"

        await until(recording)

    async def outcome(self, desk: Desk, ref: str) -> dict[str, Any]:
        """What the agent's own view tells of a call that is over, once all of it is durable."""

        async def over() -> dict[str, Any] | None:
            said = await self.explained(desk, ref)
            return None if said is None or said["running"] else said

        return await until(over)

    async def explained(self, desk: Desk, ref: str) -> dict[str, Any] | None:
        """What the agent's own view tells of a call now; None while it knows of no such leg."""
        try:
            return await desk.client.explain(ref)
        except ClientProblem as problem:
            if problem.status == 404:
                return None
            raise

    async def opened(self, desk: Desk, ref: str) -> tuple[Samples, Samples]:
        """Left (agent) and right (caller) of a call's recording, opened with the agent's key."""
        recording = next(one for one in await desk.client.recordings() if one["call"] == ref)
        files = [
            SideFile(one["side"], one["seg"], await desk.client.fetch(recording["id"], one["side"], one["seg"]))
            for one in recording["sides"]
        ]
        path = self.folder / f"{ref}.wav"
        write_wav([open_side(file, [desk.keys.keys.identity]) for file in files], path)
        return read_stereo(path)

    # --- opening -----------------------------------------------------------------------------------------------------

    async def _open(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        parties = {role: new_keys(self.folder / "keys", role) for role in PARTIES}
        self.house = House(self.folder, self.at)
        file = self.folder / "fairtap.toml"
        written = file.read_text().replace('placement = "phones"', f'placement = "{self._placement}"')
        # whoever stands where the PBX is may be sipp, for which an unexpected OPTIONS is a failed call
        written = written.replace("[sip.caller_side]\n", "[sip.caller_side]\nprobe_s = 0\n")
        file.write_text(written + self._more)
        await self.house.init(parties)
        short_question.put(self.data)
        self._prepare()
        await self._stack.enter_async_context(self.house)
        http = await self._stack.enter_async_context(httpx.AsyncClient(base_url=self.at.base_url, timeout=20))
        self.office = Office(http, self.house.admin_token, parties, self._clock)
        self.caller = await self._stack.enter_async_context(
            Phone((self.at.pbx, CALLER_PORT), user="caller", transport=self._transport)
        )
        await self.office.sign_in_council()
        await self.office.activate(QUESTION, self._agreed)
        await self._seat_agents()
        self.council = CouncilDesk(self.office, parties["council"].keys.signing, self._clock)
        await self.council.open_epochs(EPOCHS_AHEAD)

    def _prepare(self) -> None:
        """Room for what has to stand before the gateway starts."""

    async def _seat_agents(self) -> None:
        names = [f"Test agent {number}" for number in range(1, max(SMALLEST_GROUP, self._wanted) + 1)]
        agents = await self.office.add_agents(names)
        for number in range(1, self._wanted + 1):
            extension = str(100 + number)
            phone = await self._stack.enter_async_context(
                Phone((self.at.phone(number), 5060), user=extension, transport=self._transport)
            )
            keys = new_keys(self.folder / "keys", f"agent-{number}")
            desk = Desk(self.at.base_url, keys, extension, phone, self._clock)
            self.desks.append(await self._stack.enter_async_context(desk))
        self.codes = [await self.office.enrolment_code(agent) for agent in agents[: self._wanted]]
        self.passwords = [secrets.token_urlsafe(16) for _ in self.desks]
        await staff.seat_all(self.desks, self.codes, self.passwords)
