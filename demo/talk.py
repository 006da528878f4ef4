"""One call of the demo: what the caller does, what the agent does, and when. The gateway decides what comes of it."""

import asyncio
from dataclasses import dataclass
from enum import StrEnum

from demo.agents import Desk
from demo.agreement import CONSENT_KEY, REFUSE_KEY, WITHDRAW_CODE
from demo.g711 import RATE, Samples
from demo.phone import Call
from demo.speech import speech

DECIDE_S = 3.0
"""How long after the answer the light may stay off before the call counts as not drawn."""
TALK_S = 3.0
THINK_S = 0.5
"""How long a caller thinks after the prompt: a key pressed before its end is no answer."""
PATIENCE_S = 75.0


class Story(StrEnum):
    """What has to happen at least once."""

    RECORDED = "recorded"
    LIGHT_CLOSED = "stopped because the light was closed"
    WITHDRAWN = "withdrawn mid-call"
    SILENT = "silent"
    REFUSED = "refused"
    NOT_DRAWN = "not drawn"


@dataclass(frozen=True, slots=True)
class Spoken:
    """What both said while the recording ran, and when they began (the loop's time)."""

    agent: Samples
    agent_at: float
    caller: Samples
    caller_at: float


@dataclass(slots=True)
class Conversation:
    """A call that stands, from both ends; `prompt_end` is the last second of the consent prompt."""

    desk: Desk
    caller: Call
    agent: Call
    prompt_end: Samples
    story: Story | None = None
    """What they act, once the caller is asked."""
    spoken: Spoken | None = None

    async def is_asked(self) -> bool:
        """Whether the caller is asked at all: with a not drawn leg, nothing happens."""
        self.agent.play(speech("agent")[: 2 * RATE])
        try:
            await asyncio.wait_for(self.desk.light("asking"), DECIDE_S)
        except TimeoutError:
            return False
        self.agent.line.hush()
        return True

    async def play_out(self, story: Story) -> None:
        """Behave as the story wants, until both are done talking."""
        async with asyncio.timeout(PATIENCE_S):
            await self.caller.hears(self.prompt_end)
            await asyncio.sleep(THINK_S)
            if story is Story.SILENT:
                await self.desk.light("off")
            elif story is Story.REFUSED:
                self.caller.press(REFUSE_KEY)
                await self.desk.light("off")
            else:
                await self._agree()
                await _WHEN_RECORDED[story](self)

    async def _agree(self) -> None:
        self.caller.press(CONSENT_KEY, ms=120)
        await self.desk.light("recording_both", "off")
        # the tap opens a moment after the light was acknowledged
        await asyncio.sleep(0.5)

    async def talk(self) -> None:
        """All they have to say: first the caller, then the agent."""
        his, hers = speech("caller"), speech("agent")
        asked = self.caller.play(his)
        await asked.done.wait()
        await asyncio.sleep(0.4)
        answered = self.agent.play(hers)
        await answered.done.wait()
        await asyncio.sleep(0.4)
        if asked.began_at is not None and answered.began_at is not None:
            self.spoken = Spoken(hers, answered.began_at, his, asked.began_at)

    async def withdraw(self) -> None:
        """After some seconds the caller presses the code."""
        self.caller.play(speech("caller"))
        await asyncio.sleep(TALK_S)
        self.caller.press(WITHDRAW_CODE)
        await self.desk.light("off")
        await asyncio.sleep(0.5)

    async def close_light(self) -> None:
        """After some seconds the agent closes the page; the call goes on."""
        self.caller.play(speech("caller"))
        self.agent.play(speech("agent"))
        await asyncio.sleep(TALK_S)
        await self.desk.close_page()
        await asyncio.sleep(1.5)

    async def hang_up(self) -> None:
        """The caller hangs up, and both phones are free."""
        await self.caller.bye()
        await asyncio.wait_for(self.agent.ended.wait(), 5)


_WHEN_RECORDED = {
    Story.RECORDED: Conversation.talk,
    Story.WITHDRAWN: Conversation.withdraw,
    Story.LIGHT_CLOSED: Conversation.close_light,
}
