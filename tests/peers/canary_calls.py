"""A running site whose people, numbers and voices are canaries, and calls of all kinds through it.

What may never be recorded is said in the `hidden` voice: before the question, in pauses and holds, after a stop, in
every call that isn't recorded. The `kept` voice is used only while a recording surely runs.
"""

import asyncio
import itertools
import secrets
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

import httpx

from demo import staff
from demo.agents import Desk
from demo.agreement import CONSENT_KEY, GROUP, QUEUE, REFUSE_KEY, SITE, WITHDRAW_CODE
from demo.dialog import Dialog
from demo.house import Addresses
from demo.keys import new_keys
from demo.link import Hop
from demo.phone import Call, Phone, Refused, Wish
from gateway.engine.protected import protect
from gateway.sip.message import Response
from policy.terms import Purpose
from tests.peers.canary import KEY_MS, Canaries
from tests.peers.running_site import CONNECT_S, RunningSite, Talk, until

MAIN_DESKS = 12
SIDE_CALLS = 44
"""Those of `Calls._side_calls`."""
THINK_S = 0.4
WORDS_S = 0.96
PATIENCE_S = 45.0


class Kind(StrEnum):
    """What happens in a call."""

    RECORDED = "recorded"
    WITHDRAWN = "the caller's code withdraws"
    CALLER_REFUSED = "the agent says that the caller refuses"
    CARD = "card digits in a pause"
    HOLD = "hold and resume while recorded"
    REFUSED = "refused by the caller"
    SILENT = "silent caller"
    NOT_DRAWN = "not drawn"
    VETO = "the agent's standing answer is no"
    BLACKOUT = "blackout"
    PROTECTED = "protected party"
    NO_SEAT = "nobody's extension"
    CANCELLED = "cancelled"
    BUSY = "486"
    MALFORMED = "malformed SDP"


KEPT = (Kind.RECORDED, Kind.CARD, Kind.HOLD)
DISCARDED = (Kind.WITHDRAWN, Kind.CALLER_REFUSED)
PLOTS = (*KEPT, *DISCARDED, Kind.REFUSED, Kind.SILENT)
"""What can happen once a call is drawn and asked."""


@dataclass(slots=True)
class Told:
    """One call that is over."""

    kind: Kind
    ref: str | None
    tcp: bool
    in_band: bool
    agents: dict[str, Any] | None = None
    """What the agent's own view said at the end."""
    others: tuple[dict[str, Any], ...] = ()
    """What admin and council were told while it ran and afterwards."""


class CanarySite(RunningSite):
    """Desks for all stories, one whose agent says no, one in blackout, and a phone that nobody claims."""

    def __init__(self, folder: Path, at: Addresses, canaries: Canaries) -> None:
        super().__init__(folder, MAIN_DESKS + 2, at=at)
        self.canaries = canaries
        self._numbers = itertools.count(1)

    @property
    def veto(self) -> Desk:
        """Whose agent says no."""
        return self.desks[MAIN_DESKS]

    @property
    def blackout(self) -> Desk:
        """Whose agent wants nothing recorded for now."""
        return self.desks[MAIN_DESKS + 1]

    async def place(
        self, desk: Desk, *, tcp: bool = False, in_band: bool = False, number: str | None = None
    ) -> tuple[Call, Call]:
        """An INVITE full of canaries, arrived at a desk's phone: caller's end, agent's end."""
        made = await self._invite(desk.phone, desk.extension, tcp, in_band, number or self.canaries.number)
        async with asyncio.timeout(CONNECT_S):
            while (taken := await desk.phone.incoming.get()).dialog.call_id != made.dialog.call_id:
                await taken.close()
        return made, taken

    async def talk(self, desk: Desk, **how: Any) -> Talk:
        """A call that stands, in which both talk in the hidden voice from the first moment."""
        await desk.be_ready()
        return await self._stand(desk, *await self.place(desk, **how))

    async def talk_to_nobody(self) -> tuple[Call, Call]:
        """The same with a phone whose extension nobody claimed."""
        made = await self._invite(self.orphan, self.orphan.user, False, False, self.canaries.number)
        taken = await asyncio.wait_for(self.orphan.incoming.get(), CONNECT_S)
        await _pick_up(made, taken)
        return made, taken

    async def send_malformed(self) -> Response:
        """An INVITE whose SDP isn't one; the final answer to it."""
        phone, canaries = self.caller, self.canaries
        hop = Hop("udp", self.at.gateway_caller, 5060)
        uri = f"sip:{self.orphan.user}@{self.orphan.address[0]}:{self.orphan.address[1]}"
        local = f'"{canaries.display}" <sip:{canaries.number}@{self.at.trunk}>;tag={secrets.token_hex(6)}'
        dialog = Dialog(self.call_id(), local, f"<{uri}>", uri, f"<{phone.uri}>", hop)
        about = f"s={canaries.display}\r\nu=sip:{canaries.number}@{canaries.description}"
        body = f"v=0\r\no={canaries.description} x\r\n{about}\r\nm=audio none\r\na".encode()
        request = dialog.request("INVITE", phone.new_via(hop), self._headers(self.orphan.user), body)
        exchange = phone.exchange(request, hop)
        answering = asyncio.create_task(self._refuse_whatever_comes())
        try:
            return await asyncio.wait_for(exchange.final(), CONNECT_S)
        finally:
            answering.cancel()

    def call_id(self) -> str:
        """A Call-ID that was never there."""
        return f"{self.canaries.call_id}-{next(self._numbers)}@{self.at.pbx}"

    async def _refuse_whatever_comes(self) -> None:
        (await self.orphan.incoming.get()).refuse(488)

    async def _invite(self, phone: Phone, extension: str, tcp: bool, in_band: bool, number: str) -> Call:
        transport = "tcp" if tcp else "udp"
        uri = f"sip:{extension}@{phone.address[0]}:{phone.address[1]};transport={transport}"
        return await (self.tcp_caller if tcp else self.caller).call(
            uri,
            via=Hop(transport, self.at.gateway_caller, 5060),
            headers=self._headers(extension, number),
            wish=Wish(telephone_event=None) if in_band else None,
            caller=f"sip:{number}@{self.at.trunk}",
            display_name=f"{self.canaries.display.title()} Núñez",
            call_id=self.call_id(),
        )

    def _headers(self, extension: str, number: str = "") -> list[tuple[str, str]]:
        canaries = self.canaries
        asserted = f'"{canaries.display}" <sip:{number or canaries.number}@{self.at.trunk}>'
        return [
            ("X-Fairtap-Extension", extension),
            ("X-Fairtap-Queue", QUEUE),
            ("P-Asserted-Identity", asserted),
            ("Subject", canaries.description),
            ("User-Agent", canaries.description),
        ]

    async def _stand(self, desk: Desk, made: Call, taken: Call) -> Talk:
        await _pick_up(made, taken)
        for end in (made, taken):
            end.play(self.canaries.hidden.samples(20.0))
        return Talk(desk, made, taken, await self.ref(made.dialog.call_id))

    def _prepare(self) -> None:
        protect(self.data, [self.canaries.protected])

    async def _seat_agents(self) -> None:
        names = [f"{self.canaries.name.title()} O'Çelik-{number}" for number in range(1, MAIN_DESKS + 3)]
        agents = await self._add_agents(names)
        for number in range(1, MAIN_DESKS + 3):
            extension = f"{self.canaries.extension}{number:02d}"
            phone = await self._stack.enter_async_context(Phone((self.at.phone(number), 5060), user=extension))
            keys = new_keys(self.folder / "keys", f"agent-{number}")
            desk = Desk(self.at.base_url, keys, extension, phone, self._clock)
            self.desks.append(await self._stack.enter_async_context(desk))
        codes = [await self.office.enrolment_code(agent) for agent in agents]
        await staff.seat_all(self.desks, codes, [secrets.token_urlsafe(16) for _ in self.desks])
        await self.veto.client.say_no(Purpose.COACHING)
        await self.blackout.client.black_out(True)
        self.orphan = await self._stack.enter_async_context(
            Phone((self.at.phone(100), 5060), user=f"{self.canaries.extension}99")
        )
        self.tcp_caller = await self._stack.enter_async_context(
            Phone((self.at.pbx, 5072), user="caller", transport="tcp")
        )

    async def _add_agents(self, names: list[str]) -> list[str]:
        """As a careful client does it: with a key, so that a repeat does nothing."""
        began = (self._clock.wallclock().date() - timedelta(days=3)).isoformat()
        lines = [{"name": name, "group": GROUP, "site": SITE, "onboarding_from": began} for name in names]
        headers = {"Authorization": f"Bearer {self.house.admin_token}", "Idempotency-Key": secrets.token_hex(16)}
        async with httpx.AsyncClient(base_url=self.at.base_url, timeout=20) as http:
            added = await http.post("/v1/agents", json={"agents": lines}, headers=headers)
        assert added.status_code == 201, added.text
        return [one["id"] for one in added.json()["agents"]]


async def _pick_up(made: Call, taken: Call) -> None:
    taken.ring()
    taken.answer()
    async with asyncio.timeout(CONNECT_S):
        await asyncio.gather(made.answered, taken.answered)


class Calls:
    """Runs the calls, many at once, and keeps what became of them."""

    def __init__(self, site: CanarySite, count: int, http: httpx.AsyncClient) -> None:
        """`http` asks as the admin."""
        self.told: list[Told] = []
        self.recording_now = asyncio.Event()
        """Set once several calls are being recorded."""
        self._site = site
        self._canaries = site.canaries
        self._http = http
        self._wanted = count - SIDE_CALLS
        self._begun = 0
        self._playing: Counter[Kind] = Counter()
        self._ways: set[str] = set()
        self._open = 0

    async def run(self) -> None:
        """All of them: as many as wanted, and until each kind has happened."""
        site = self._site
        async with asyncio.TaskGroup() as group:
            for desk in site.desks[:MAIN_DESKS]:
                group.create_task(self._serve(desk))
            for desk, kind in ((site.veto, Kind.VETO), (site.blackout, Kind.BLACKOUT)):
                group.create_task(self._side_calls(desk, kind))
            group.create_task(self._orphan_calls())

    # --- calls that nobody is asked in -------------------------------------------------------------------------------

    async def _side_calls(self, desk: Desk, kind: Kind) -> None:
        for number in range(16):
            if number % 8 < 4:
                await self.unasked(kind, desk, tcp=number % 4 == 3, in_band=number % 4 == 2)
            elif number % 8 < 6:
                await self._cancelled(desk)
            else:
                await self._busy(desk)

    async def _orphan_calls(self) -> None:
        for _ in range(6):
            made, taken = await self._site.talk_to_nobody()
            ref = await self._site.ref(made.dialog.call_id)
            others = [await self._as_admin(ref)]
            await self._say_the_card(made, taken)
            await made.bye()
            self.told.append(Told(Kind.NO_SEAT, ref, False, False, None, (*others, await self._as_admin(ref))))
        for _ in range(6):
            answer = await self._site.send_malformed()
            assert answer.status >= 400
            self.told.append(Told(Kind.MALFORMED, None, False, False))

    async def _cancelled(self, desk: Desk) -> None:
        made, taken = await self._site.place(desk)
        taken.ring()
        await asyncio.wait_for(made.ringing.wait(), CONNECT_S)
        await made.cancel()
        await self._fails(made, 487)
        self.told.append(Told(Kind.CANCELLED, None, False, False))

    async def _busy(self, desk: Desk) -> None:
        made, taken = await self._site.place(desk)
        taken.refuse(486)
        await self._fails(made, 486)
        self.told.append(Told(Kind.BUSY, None, False, False))

    @staticmethod
    async def _fails(made: Call, status: int) -> None:
        try:
            await asyncio.wait_for(made.answered, CONNECT_S)
        except Refused as refused:
            assert refused.status == status
        else:
            raise AssertionError("the call stands")

    async def unasked(
        self, kind: Kind, desk: Desk, number: str | None = None, tcp: bool = False, in_band: bool = False
    ) -> None:
        """A call of which it is clear that nobody is asked in it."""
        talk = await self._site.talk(desk, number=number, tcp=tcp, in_band=in_band)
        while_running = await self._as_admin(talk.ref)
        await self._say_the_card(talk.caller, talk.agent)
        await self._finish(kind, talk, while_running, tcp, in_band)

    async def _say_the_card(self, made: Call, taken: Call) -> None:
        for end in (made, taken):
            end.line.hush()
            end.play(self._canaries.hidden.samples(0.24))
        made.press(self._canaries.card, ms=KEY_MS)
        if made.line.telephone_event is not None:
            await asyncio.wait_for(taken.hears_keys(self._canaries.card[-4:]), CONNECT_S)
        else:
            await asyncio.sleep(16 * 0.17)

    # --- calls in which somebody may be asked ------------------------------------------------------------------------

    async def _serve(self, desk: Desk) -> None:
        while self._begun < self._wanted or self._missing():
            number = self._begun
            self._begun += 1
            tcp, in_band = number % 5 == 4, number % 3 == 2
            if number % 8 == 7:
                await self.unasked(Kind.PROTECTED, desk, self._canaries.protected, tcp, in_band)
            else:
                await self.one(desk, None, tcp, in_band)

    def _missing(self) -> bool:
        return any(not self._playing[plot] for plot in PLOTS) or not {"card in-band", "kept over tcp"} <= self._ways

    def _choose(self, tcp: bool, in_band: bool) -> Kind:
        """What was played least; card digits in-band, and a recording over TCP, as soon as they can be."""
        first: tuple[Kind, ...] = PLOTS
        if in_band and "card in-band" not in self._ways:
            first = (Kind.CARD,)
        elif tcp and "kept over tcp" not in self._ways:
            first = KEPT
        chosen = min(first, key=lambda one: self._playing[one])
        self._playing[chosen] += 1
        self._ways |= {"card in-band"} if in_band and chosen is Kind.CARD else set()
        self._ways |= {"kept over tcp"} if tcp and chosen in KEPT else set()
        return chosen

    async def one(self, desk: Desk, plot: Kind | None = None, tcp: bool = False, in_band: bool = False) -> Kind:
        """One call; where it is drawn, it takes the plot, or the one that was played least."""
        talk = await self._site.talk(desk, tcp=tcp, in_band=in_band)
        drawn = await self._site.is_drawn(desk, talk.ref)
        while_running = await self._as_admin(talk.ref)
        kind = Kind.NOT_DRAWN
        if drawn:
            kind = plot or self._choose(tcp, in_band)
            try:
                async with asyncio.timeout(PATIENCE_S):
                    await self._play(kind, talk)
            except TimeoutError:
                said = await self._site.explained(desk, talk.ref)
                raise AssertionError(f"`{kind.value}` doesn't happen: {said}") from None
        else:
            await self._say_the_card(talk.caller, talk.agent)
        await self._finish(kind, talk, while_running, tcp, in_band)
        return kind

    async def _play(self, kind: Kind, talk: Talk) -> None:
        await talk.caller.hears(self._site.prompt_end)
        for end in (talk.caller, talk.agent):
            end.line.hush()
        await asyncio.sleep(THINK_S)
        if kind is Kind.SILENT:
            await self._shown(talk, "off")
        elif kind is Kind.REFUSED:
            talk.caller.press(REFUSE_KEY, ms=KEY_MS)
            await self._shown(talk, "off")
        else:
            await self._record(kind, talk)
        if kind not in KEPT:
            await self._speak(talk, hidden=True)

    async def _record(self, kind: Kind, talk: Talk) -> None:
        talk.caller.press(CONSENT_KEY, ms=120)
        await self._shown(talk, "recording_both")
        await self._site.tapped(talk.desk, talk.ref)
        self._open += 1
        if self._open >= 2:
            self.recording_now.set()
        await self._speak(talk)
        if kind is Kind.WITHDRAWN:
            talk.caller.press(WITHDRAW_CODE, ms=KEY_MS)
            await self._shown(talk, "off")
        elif kind is Kind.CALLER_REFUSED:
            await talk.desk.client.caller_refused(talk.ref)
            await self._shown(talk, "off")
        elif kind is Kind.CARD:
            await self._pause_for_card(talk)
        elif kind is Kind.HOLD:
            await self._hold(talk)
        self._open -= 1

    async def _pause_for_card(self, talk: Talk) -> None:
        await talk.desk.client.pause(talk.ref)
        await self._shown(talk, "paused")
        await asyncio.sleep(0.2)
        await self._say_the_card(talk.caller, talk.agent)
        await asyncio.sleep(0.3)
        await talk.desk.client.resume(talk.ref)
        await self._again(talk)

    async def _hold(self, talk: Talk) -> None:
        await talk.agent.hold()
        await self._shown(talk, "paused")
        await self._speak(talk, hidden=True)
        await talk.agent.resume()
        await self._again(talk)

    async def _again(self, talk: Talk) -> None:
        await self._shown(talk, "recording_both")
        # the tap opens a moment after the light was acknowledged
        await asyncio.sleep(0.4)
        await self._speak(talk)

    async def _speak(self, talk: Talk, hidden: bool = False) -> None:
        voice = self._canaries.hidden if hidden else self._canaries.kept
        said = [end.play(voice.samples(WORDS_S)) for end in (talk.caller, talk.agent) if end.line.speaking]
        for one in said:
            await asyncio.wait_for(one.done.wait(), CONNECT_S)
        await asyncio.sleep(0.1)

    @staticmethod
    async def _shown(talk: Talk, *states: str) -> None:
        async def this_one() -> bool:
            # the last light of the call before may come late
            return (await talk.desk.light(*states)).call == talk.ref

        await until(this_one, 30)

    # --- the end -----------------------------------------------------------------------------------------------------

    async def _finish(self, kind: Kind, talk: Talk, while_running: dict[str, Any], tcp: bool, in_band: bool) -> None:
        await talk.hang_up()
        agents = await self._site.outcome(talk.desk, talk.ref)
        others = (while_running, await self._as_admin(talk.ref))
        self.told.append(Told(kind, talk.ref, tcp, in_band, agents, others))

    async def _as_admin(self, ref: str) -> dict[str, Any]:
        answer = await self._http.get(f"/v1/calls/{ref}/explain")
        assert answer.status_code == 200, answer.text
        said: dict[str, Any] = answer.json()
        return said
