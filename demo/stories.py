"""Places calls from the trunk through PBX and gateway to the desks, several at once, until each story has happened.

A story is chosen only once a caller is asked: nobody here knows which call is drawn. The outcome is always the one
that the agent's own view tells afterwards.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from api.agent_client import ClientProblem
from demo.agents import Desk
from demo.agreement import QUEUE
from demo.g711 import RATE, Samples
from demo.pbx import Pbx, Placed
from demo.phone import Call, NoAnswer, Phone, Refused
from demo.report import CallTold, Teller, missing
from demo.talk import Conversation, Spoken, Story
from gateway.sip.message import Request

SERVICE = "4930231250"
"""A number that is kept for fiction, as are those of the callers."""
MOST_CALLS = 60
AT_ONCE = 4
MOST_FAILURES = 6
CONNECT_S = 10.0
SETTLE_S = 10.0
"""How long sealing and writing may take after a call."""

FindCall = Callable[[str], Awaitable[str | None]]
"""Our reference of a running call, by its SIP Call-ID."""


class Director:
    """Runs the calls and keeps what they told."""

    def __init__(
        self, desks: Sequence[Desk], trunk: Phone, pbx: Pbx, find: FindCall, prompt: Samples, teller: Teller
    ) -> None:
        self.told: list[CallTold] = []
        self.spoken: dict[str, Spoken] = {}
        """By call reference, where both said all they had to say while recorded."""
        self._trunk = trunk
        self._pbx = pbx
        self._find = find
        self._prompt_end = prompt[-RATE:]
        self._teller = teller
        self._free: asyncio.Queue[Desk] = asyncio.Queue()
        for desk in desks:
            self._free.put_nowait(desk)
        self._placed: dict[str, Placed] = {}
        self._playing: set[Story] = set()
        self._changed = asyncio.Condition()
        """A story began or ended."""
        self._count = 0
        self._failures = 0

    def place(self, number: str, invite: Request) -> Placed | None:
        """The PBX asks who gets a call: by the caller, since the desk was chosen when the call was made."""
        return self._placed.get(invite.get("from") or "") if number == SERVICE else None

    async def run(self) -> None:
        """Until every story was told, or the calls are used up."""
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(self._keep_calling())

    async def _keep_calling(self) -> None:
        while await self._worth_calling():
            desk = await self._free.get()
            self._count += 1
            number = self._count
            try:
                await self._one_call(desk, number)
            except (TimeoutError, Refused, NoAnswer, ClientProblem) as error:
                self._failures += 1
                self._teller.say(f"call {number}: failed: {type(error).__name__} {error}".rstrip())
            finally:
                self._free.put_nowait(desk)
                async with self._changed:
                    self._changed.notify_all()

    async def _worth_calling(self) -> bool:
        """Whether a story is still to be found; waits while those that are missing are being played."""
        async with self._changed:
            while missing(self.told) and self._playing.issuperset(missing(self.told)):
                await self._changed.wait()
        return bool(missing(self.told)) and self._count < MOST_CALLS and self._failures < MOST_FAILURES

    async def _one_call(self, desk: Desk, number: int) -> None:
        await desk.be_ready()
        caller, agent = await self._connect(desk, number)
        ref = await self._find(caller.dialog.call_id)
        if ref is None:
            raise NoAnswer("the gateway doesn't know the call")
        conversation = Conversation(desk, caller, agent, self._prompt_end)
        try:
            await self._live_through(conversation, number)
            told = await self._ask_agent(desk, ref)
            self.told.append(told)
        finally:
            self._playing -= {conversation.story}
        if conversation.spoken is not None:
            self.spoken[ref] = conversation.spoken
        self._say_outcome(number, conversation.story, told)

    async def _connect(self, desk: Desk, number: int) -> tuple[Call, Call]:
        caller_uri = f"sip:49302312550{number:02d}@{self._trunk.address[0]}"
        call = await self._trunk.call(f"sip:{SERVICE}@{self._pbx.address[0]}", via=self._pbx.address, caller=caller_uri)
        self._placed[call.dialog.local] = Placed(desk.extension, QUEUE)
        try:
            async with asyncio.timeout(CONNECT_S):
                taken = await _pick_up(desk, call.dialog.call_id)
                await asyncio.gather(call.answered, taken.answered)
        except (TimeoutError, Refused, NoAnswer):
            await call.close()
            raise
        return call, taken

    async def _live_through(self, conversation: Conversation, number: int) -> None:
        try:
            if await conversation.is_asked():
                story = conversation.story = self._choose()
                self._teller.say(f"call {number}: drawn, the caller is asked; plan: {story.value}")
                await conversation.play_out(story)
        finally:
            await conversation.hang_up()

    def _choose(self) -> Story:
        open_ones = [story for story in missing(self.told) if story is not Story.NOT_DRAWN]
        story = next((one for one in open_ones if one not in self._playing), Story.REFUSED)
        self._playing.add(story)
        return story

    async def _ask_agent(self, desk: Desk, ref: str) -> CallTold:
        """What the agent's own view says once the leg is over and all of it is durable."""
        async with asyncio.timeout(SETTLE_S):
            while True:
                said = await _explained(desk, ref)
                if said is not None:
                    return CallTold(ref, bool(said["drawn"]), said["outcome"], tuple(said["reasons"]))
                await asyncio.sleep(0.1)

    def _say_outcome(self, number: int, story: Story | None, told: CallTold) -> None:
        reasons = f" ({', '.join(told.reasons)})" if told.reasons else ""
        self._teller.say(f"call {number}: {told.outcome}{reasons}")
        if story is not None and told.story is not story:
            self._teller.say(f"call {number}: that isn't what was planned: {story.value}")


async def _pick_up(desk: Desk, call_id: str) -> Call:
    """The agent takes this call; what rang before it and was given up is refused."""
    while (taken := await desk.phone.incoming.get()).dialog.call_id != call_id:
        if not taken.answered.done():
            taken.refuse()
    taken.ring()
    await asyncio.sleep(0.3)
    taken.answer()
    return taken


async def _explained(desk: Desk, ref: str) -> dict[str, Any] | None:
    """The explanation of a leg that is over; None while it isn't, or isn't settled."""
    try:
        said = await desk.client.explain(ref)
    except ClientProblem as problem:
        if problem.status == 404:
            return None
        raise
    return None if said["running"] else said
