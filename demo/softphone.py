"""What `--keep` and `--phone` do after the story: go on serving until Ctrl-C, and let an own phone join."""

import asyncio
import contextlib
import signal

from demo.agreement import CONSENT_KEY
from demo.g711 import Samples
from demo.house import Addresses
from demo.phone import Call, Phone
from demo.report import Teller
from demo.speech import speech
from demo.staff import Office

EXTENSION = "30"
LONGEST_CALL_S = 300.0


async def until_interrupted() -> None:
    """Until SIGINT or SIGTERM."""
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, over.set)
    await over.wait()


async def invite_softphone(office: Office, at: Addresses, teller: Teller) -> None:
    """A roster line and a code for the softphone's owner, and how to register."""
    (agent,) = await office.add_agents(["DEMO own softphone"])
    for line in how_to_register(at, await office.enrolment_code(agent)):
        teller.say(line)


def how_to_register(at: Addresses, code: str) -> list[str]:
    """The lines for an own softphone."""
    return [
        "your own softphone, on this machine:",
        f"  registrar {at.pbx}:5060, outbound proxy {at.gateway_agent}:5060, UDP or TCP",
        f"  user {EXTENSION}, any password, codec G.711 (PCMA or PCMU)",
        f"  your page: {at.base_url}/agent, enrolment code {code}, extension {EXTENSION}",
        "  call any number: the trunk answers, talks, and says yes when it is asked",
    ]


async def answer_for_ever(trunk: Phone, prompt_end: Samples) -> None:
    """The outside world: picks up, talks, agrees."""
    async with asyncio.TaskGroup() as group:
        while True:
            group.create_task(_answer(await trunk.incoming.get(), prompt_end))


async def _answer(call: Call, prompt_end: Samples) -> None:
    call.answer()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LONGEST_CALL_S):
            talking = asyncio.create_task(_talk(call, prompt_end))
            await call.ended.wait()
            talking.cancel()
            return
    await call.bye()


async def _talk(call: Call, prompt_end: Samples) -> None:
    call.play(speech("caller"))
    await call.hears(prompt_end)
    call.press(CONSENT_KEY, ms=120)
    while True:
        await call.play(speech("caller")).done.wait()
