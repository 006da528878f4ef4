"""`python -m demo`: the whole story over loopback, with real SIP, RTP, HTTP and speech; ends by itself (rc 0, 1, 2)."""

import argparse
import asyncio
import secrets
import shutil
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

import httpx

from api.agent_client import ClientProblem
from api.errors import CommandError
from demo import opening, report, softphone, staff
from demo.agents import Desk
from demo.control import find_call
from demo.council_tool import Checked, CouncilFailed, CouncilTool
from demo.g711 import Samples
from demo.house import House, HouseFailed, find_addresses, own_environment
from demo.keys import PARTIES, new_keys
from demo.link import Hop
from demo.pbx import Pbx
from demo.phone import NoAnswer, Phone, Refused
from demo.report import CallTold, Teller
from demo.staff import Office, OfficeRefused
from demo.stories import Director
from gateway.clock import SystemClock
from gateway.media.prompts.sounds import Catalogue

AGENTS = 8
EPOCH = ("epoch: PT10M", "epoch: PT1M")
"""So short that a whole one is over, and revealed, before the demo ends."""
EPOCH_OVER_S = 90
PROMPT = "ask-de-2"
INTERRUPTED = 130
EXPECTED = (
    HouseFailed,
    OfficeRefused,
    CouncilFailed,
    ClientProblem,
    CommandError,
    NoAnswer,
    Refused,
    OSError,
    TimeoutError,
)


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="./run demo", description="Plays the whole story on embedded defaults.")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="keep results here: var/, keys/, council/, *.wav (else nothing stays)"
    )
    parser.add_argument("--keep", action="store_true", help="go on serving after the story, until Ctrl-C")
    parser.add_argument("--phone", action="store_true", help="as --keep, and say how to register your own softphone")
    parser.add_argument("--json", action="store_true", help="print one summary object last (all else goes to stderr)")
    return parser.parse_args(words)


def main(words: list[str] | None = None) -> int:
    """Run in the folder that was named, or in one that goes at the end."""
    options = arguments(words)
    own_environment()
    if options.out is None:
        return _in_passing(options)
    folder = options.out.absolute()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        sys.stderr.write(f"demo: `{options.out}` isn't an empty folder; name another one\n")
        return 2
    folder.mkdir(parents=True, exist_ok=True)
    return _run(folder, options)


def _in_passing(options: argparse.Namespace) -> int:
    """In a folder that goes at the end, unless something went wrong."""
    folder = Path(tempfile.mkdtemp(prefix="fairtap-demo-"))
    rc = _run(folder, options)
    if rc in (0, INTERRUPTED):
        shutil.rmtree(folder)
    else:
        sys.stderr.write(f"demo: what is there for looking into it is kept in {folder}\n")
    return rc


def _run(folder: Path, options: argparse.Namespace) -> int:
    try:
        return asyncio.run(Demo(folder, options).run())
    except KeyboardInterrupt:
        return INTERRUPTED


class Demo:
    """One run."""

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        self._folder = folder
        self._stays: bool = options.keep or options.phone
        self._kept: bool = options.out is not None
        self._own_phone: bool = options.phone
        self._teller = Teller(options.json)
        self._at = find_addresses()
        self._clock = SystemClock()
        self._calls: list[CallTold] = []
        self._checked: Checked | None = None

    async def run(self) -> int:
        """All of it; the exit status."""
        faults: list[str] = []
        try:
            async with AsyncExitStack() as stack:
                faults = await self._play(stack)
        except* EXPECTED as group:
            faults = [f"{type(error).__name__}: {error}" for error in leaves(group)]
        for fault in faults:
            sys.stderr.write(f"demo: {fault}\n")
        self._teller.summary(self._calls, self._checked, self._at.base_url)
        return 1 if faults else 0

    async def _play(self, stack: AsyncExitStack) -> list[str]:
        say = self._teller.say
        self._teller.title("keys for employer, council, DPO and 8 agents; nothing of this is real")
        parties = {role: new_keys(self._folder / "keys", role) for role in PARTIES}
        placed: list[Director] = []
        pbx = await stack.enter_async_context(
            Pbx((self._at.pbx, 5060), lambda number, invite: placed[0].place(number, invite) if placed else None)
        )
        pbx.gateway = Hop("udp", self._at.gateway_caller, 5060)
        pbx.trunk = Hop("udp", self._at.trunk, 5060)
        house = House(self._folder, self._at, own_phone=self._own_phone)
        await house.init(parties)
        await stack.enter_async_context(house)
        say(f"gateway, media workers and API run; console {self._at.base_url}")
        desks = await self._open_desks(stack, pbx)
        http = await stack.enter_async_context(httpx.AsyncClient(base_url=self._at.base_url, timeout=20))
        office = Office(http, house.admin_token, parties, self._clock)
        await self._first_day(office, desks)
        council = CouncilTool(self._folder / "council", house.log_key)
        await council.set_up(self._at.base_url, parties)
        await council.open_epochs()
        say("fairtap-council committed to its share of the draw, cosigned the log, and only then handed the share over")
        stack.push_async_callback(council.close)
        await council.watch()
        trunk = await stack.enter_async_context(Phone((self._at.trunk, 5060), user="trunk"))
        socket = self._folder / "var" / "run" / "control.sock"
        prompt = Catalogue().samples(PROMPT)
        director = Director(desks, trunk, pbx, lambda call_id: find_call(socket, call_id), prompt, self._teller)
        placed.append(director)
        self._teller.title("calls from the trunk through PBX and gateway to the phones")
        await director.run()
        self._calls = director.told
        faults = await self._open_recordings(desks, director)
        faults += [f"this story didn't happen: {story.value}" for story in report.missing(director.told)]
        faults += await self._check_log(office, council)
        self._teller.told(director.told)
        for line in report.where_to_look(self._folder, self._at.base_url, self._kept, self._stays):
            say(line)
        if self._stays:
            await self._stay(office, trunk, prompt)
        return faults

    async def _check_log(self, office: Office, council: CouncilTool) -> list[str]:
        """Once the epoch of the last call is over and revealed: what the council's tool says of the whole log."""
        self._teller.title("the council verifies the log; the epoch has to be over and revealed")
        now = self._clock.wallclock().isoformat(timespec="seconds")
        last = [one["epoch"] for one in (await office.ask("GET", "/epochs"))["epochs"] if one["start"] <= now][-1]
        for _ in range(EPOCH_OVER_S):
            if last not in {one["epoch"] for one in (await office.ask("GET", "/epochs"))["epochs"]}:
                break
            await asyncio.sleep(1)
        checked = self._checked = await council.check()
        self._teller.say(f"fairtap-council verify: {checked.size} entries, root {checked.root}, {checked.told}")
        changed = await council.check_with_one_byte_changed()
        found = changed.findings[0] if changed.findings else "NOTHING"
        self._teller.say(f"the same with one byte changed in a copy: {len(changed.findings)} findings; {found}")
        faults = [f"fairtap-council verify: {finding}" for finding in checked.findings]
        return faults + ([] if changed.findings else ["a changed byte of the log was not found"])

    async def _stay(self, office: Office, trunk: Phone, prompt: Samples) -> None:
        if self._own_phone:
            await softphone.invite_softphone(office, self._at, self._teller)
        outside = asyncio.create_task(softphone.answer_for_ever(trunk, prompt[-len(prompt) // 4 :]))
        self._teller.say("serving until Ctrl-C")
        await softphone.until_interrupted()
        outside.cancel()

    async def _open_desks(self, stack: AsyncExitStack, pbx: Pbx) -> list[Desk]:
        desks = []
        for number in range(1, AGENTS + 1):
            extension = str(10 + number)
            phone = await stack.enter_async_context(Phone((self._at.phone(number), 5060), user=extension))
            keys = new_keys(self._folder / "keys", f"agent-{number}")
            desks.append(await stack.enter_async_context(Desk(self._at.base_url, keys, extension, phone, self._clock)))
            await phone.register(pbx.link.uri(), via=(self._at.gateway_agent, 5060))
        self._teller.say(f"{AGENTS} phones are registered at the PBX, by way of the gateway")
        return desks

    async def _first_day(self, office: Office, desks: list[Desk]) -> None:
        await office.sign_in_council()
        document = await office.activate(Catalogue().sound(PROMPT), lambda text: text.replace(*EPOCH))
        (self._folder / "agreement.yaml").write_text(document, encoding="utf-8")
        self._teller.say("a works agreement (demo) is signed by employer and council, and in force")
        agents = await office.add_agents([f"DEMO agent {number}" for number in range(1, AGENTS + 1)])
        codes = [await office.enrolment_code(agent) for agent in agents]
        await staff.seat_all(desks, codes, [secrets.token_urlsafe(16) for _ in desks])
        self._teller.say(
            f"{AGENTS} agents enrolled with keys of their own, said yes, claimed seats, opened their pages"
        )

    async def _open_recordings(self, desks: list[Desk], director: Director) -> list[str]:
        self._teller.title("recordings, opened with their agents' keys")
        calls = {call.call: call for call in director.told}
        faults = []
        for desk in desks:
            for ref, path in (await opening.open_recordings(desk, calls, self._folder)).items():
                self._teller.say(f"{path}: opened with {desk.keys.identity_file.name}, agent left, caller right")
                if ref in director.spoken:
                    checked = opening.check(path, director.spoken[ref])
                    self._teller.say(f"  compared with what was said: {checked}")
                    if not checked.good:
                        faults.append(f"{path.name} doesn't hold the speech that was sent: {checked}")
        return faults


def leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    """The exceptions within groups of groups."""
    found: list[BaseException] = []
    for error in group.exceptions:
        found += leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found


if __name__ == "__main__":
    sys.exit(main())
