"""What the engine knows about its site, in memory: agreement, roster, seats, consents, clock, storage.

The gateway is the only writer, so this mirror is the truth as long as every change goes through it: first durable,
then here. Gathering for a decision reads only this and never waits.
"""

import asyncio
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, tzinfo

import structlog

from crypto.errors import CryptoError
from gateway.call.model import Circumstances, NewCall, Private
from gateway.clock import Clock, ClockWatch
from gateway.config import AnnouncementsConfig, InternalNumbers
from gateway.engine.announcements import Announcements
from gateway.engine.epoch_book import EpochBook
from gateway.engine.proofs import proven_agent, proven_answer, proven_seat, seated_at_home
from gateway.engine.protected import ProtectedParties, is_emergency
from gateway.media.plane import Quorum
from policy.agreement.schema import Agreement, Prompt
from policy.chain import history
from policy.consent import standing_answer
from policy.decision import Facts, Phase, Purpose, Reason
from policy.draw_rules import rules
from policy.errors import PolicyError
from policy.intersection import Terms, combined, covering, phase_for
from policy.state import Anchor, State
from policy.terms import ASKED_LANES
from policy.texts import current_texts
from policy.validity import in_validity
from storage.acts import Acts
from storage.consents import Consents, StandingConsent
from storage.errors import StorageError
from storage.roster import Agent, Roster, Seat

__all__ = ["Site"]

log = structlog.get_logger()
COUNCILS = ("council", "council2", "council3")


@dataclass(slots=True)
class Site:
    """See the module. `announcements` are the questions that callers can be asked."""

    clock: Clock
    roster: Roster
    consents: Consents
    acts: Acts
    announcements: Announcements
    protected: ProtectedParties | None
    internal: tuple[InternalNumbers, ...] = ()
    """Numbers of the house, beside the seats' extensions."""
    draw_ready: bool = True
    """A demo's agreement may be drawn under here: every listener is on loopback."""
    spoken: AnnouncementsConfig = field(default_factory=AnnouncementsConfig)
    """Which language a caller is asked in."""
    storage_available: bool = True
    watch: ClockWatch = field(default_factory=ClockWatch)
    book: EpochBook = field(default_factory=EpochBook)
    """The draw's epochs."""
    acts_ahead: int = 0
    """An act of this number was in the log before an older database was put back: nothing is recorded without it."""
    codes_ready: bool = True
    """False: the key of record codes can't be used, so no record can be promised to a caller."""
    state: State = field(default_factory=lambda: State(()))
    """What the chain of acts has made of the agreements."""
    stopping: Counter[str] = field(default_factory=Counter)
    """Parties whose suspension is being taken: nothing is recorded meanwhile."""
    unreadable: bool = False
    """The chain can't be read: a signature or a document in it doesn't hold."""
    agreements: tuple[Agreement, ...] = ()
    """Those that bind now, at the rates of now."""
    agents: dict[str, Agent] = field(default_factory=dict)
    at_home: dict[str, bool] = field(default_factory=dict)
    """By agent: whether they work at home now."""
    seats: dict[str, Seat] = field(default_factory=dict)
    """By extension."""
    standing: dict[str, dict[Purpose, StandingConsent]] = field(default_factory=dict)
    counting: frozenset[str] | None = None
    """Agents who had enough legs in the last closed epoch to count towards `min_agents`; None before there was one."""
    _loading: dict[str, asyncio.Lock] = field(default_factory=dict)
    """By agent."""
    _texts: tuple[dict[Purpose, frozenset[str]], ...] = ()
    """Of each agreement: hashes of its consent texts, in every language."""
    _from: datetime | None = None
    """Between these two instants `agreements` holds without an act."""
    _until: datetime | None = None

    async def load(self) -> None:
        """Read everything; a chain whose signatures don't hold permits nothing."""
        try:
            anchors = [Anchor(one.role, one.key, one.recipient) for one in await self.acts.anchors()]
            for state in history(anchors, await self.acts.chain()):
                self.book.enact(state)
            self.enact(self.book.states[-1])
        except (CryptoError, PolicyError, StorageError) as error:
            self.unreadable = True
            self.enact(State(()))
            log.error("the chain of acts doesn't hold", fault=type(error).__name__)
        for agent in await self.roster.list():
            await self.load_agent(agent.id)

    def enact(self, state: State) -> None:
        """The chain has come to this state."""
        self.state = state
        self.book.enact(state)
        self._hold(self.clock.wallclock())

    @property
    def agreement(self) -> Agreement | None:
        """Of those that bind now the one that is valid the longest, the first of several: it names the epochs ahead."""
        return max(self.agreements, key=lambda one: one.validity.end, default=None)

    def zone(self, document: str) -> tzinfo:
        """The calendar that a document's recordings go by, also after it was replaced."""
        known = (*(term.agreement for term in self.state.terms), *self.agreements)
        signed = next((one for one in known if one.digest == document), self.agreement)
        return signed.validity.zone if signed is not None else UTC

    def turn(self, wallclock: datetime) -> bool:
        """Let the clock bring what it brings (a successor, a raise, an end); whether anything changed."""
        if self._from is not None and self._until is not None and self._from <= wallclock < self._until:
            return False
        before = self.agreements
        self._hold(wallclock)
        return self.agreements != before

    def _hold(self, wallclock: datetime) -> None:
        self.agreements = self.state.in_force(wallclock)
        self._from, self._until = wallclock, self.state.next_change(wallclock) or wallclock + timedelta(days=1)
        self._texts = tuple(
            {purpose: frozenset(current_texts(one, purpose)) for purpose in one.purposes} for one in self.agreements
        )

    @property
    def texts(self) -> dict[Purpose, frozenset[str]]:
        """Hashes of all consent texts in force."""
        return self._texts_of(self.agreements)

    def about(self, agent: str, queue: str | None) -> tuple[Agreement, ...]:
        """The agreements whose scope holds an agent's leg from this queue."""
        line = self.agents.get(agent)
        if line is None:
            return ()
        return covering(self.agreements, site=line.site, queue=queue or "", group=line.group)

    async def load_agent(self, agent: str) -> None:
        """Read one agent's roster line, seat and consents anew; what isn't the agent's own word counts for nothing."""
        # one after the other: of two at once, the one that read before a no could be the last to write it here
        async with self._loading.setdefault(agent, asyncio.Lock()):
            keys = await self.roster.keys(agent)
            line = proven_agent(await self.roster.get(agent), keys[-1] if keys else None)
            self.agents[agent] = line
            answers = await self.consents.standing(agent)
            self.standing[agent] = {purpose: proven_answer(line, one) for purpose, one in answers.items()}
            seat = proven_seat(line, await self.roster.seat(agent, self.clock.wallclock()))
            self.at_home[agent] = seated_at_home(line, seat)
            others = {one.extension: one for one in self.seats.values() if one.agent != agent}
            self.seats = others if seat is None else others | {seat.extension: seat}

    def holder(self, extension: Private | None) -> str | None:
        """The agent whose own claim holds this extension now."""
        seat = self.seats.get(extension.value) if extension is not None else None
        if seat is None or seat.expires_at <= self.clock.wallclock():
            return None
        return seat.agent

    def claimant(self, new: NewCall) -> str | None:
        """Whose leg a call is; None also where what was said of the extension names two agents' seats."""
        agent = self.holder(new.extension)
        others = {self.holder(one) for one in new.also_said} - {None}
        return agent if others <= {agent} else None

    def gather(
        self,
        agent: str,
        new: NewCall,
        pages: int,
        now: float,
        wallclock: datetime,
        *,
        entered: bool = False,
        read: Collection[str] = (),
    ) -> Circumstances:
        """Facts about site and agent for one decision, and what asking and recording would use.

        A leg that was `entered` belongs to the epoch of its entry, whatever became of that epoch since. `read`: hashes
        of texts that the agent has read in this call.
        """
        self.turn(wallclock)
        line, scoped = self.agents.get(agent), self.about(agent, new.queue)
        terms = combined(scoped) if scoped else None
        facts = Facts(
            wallclock=wallclock,
            clock_trusted=self.watch.observe(now, wallclock),
            agreements=self.agreements,
            signatures_valid=not self.unreadable and self._genuine,
            suspended=self._suspended(wallclock),
            evaluation_overdue=self.state.overdue(wallclock),
            epoch_dark=not entered and self.book.open_for(self.agreements, wallclock) is None,
            draw_authority_ready=self._genuine,
            log_unwitnessed=not self.book.witnessed(self.agreements, wallclock),
            restored=self.restored,
            storage_available=self.storage_available,
            queue=new.queue,
            protected_party=self.is_protected(new.outside),
            party_internal=self.is_internal(new.outside),
            quorum_ready=(quorum := self._quorum(wallclock)) is not None,
        )
        if line is None:
            return Circumstances(facts, terms, {}, (), pages)
        return Circumstances(
            facts=self._with_agent(facts, line, new, scoped or self.agreements, wallclock, read),
            terms=terms,
            prompts=self._prompts(terms, self._language(new)),
            recipients=(line.recipient,) if line.recipient is not None else (),
            pages=pages,
            one_sided=frozenset(id for id, one in self.announcements.questions.items() if one.one_sided),
            quorum=quorum,
        )

    def reasons(self, wallclock: datetime) -> list[Reason]:
        """Why nothing is recorded at this site now, whoever calls."""
        if not self.agreements:
            return [Reason.SIGNATURE_INVALID if self.unreadable else Reason.NO_AGREEMENT]
        found = {
            Reason.CLOCK_UNTRUSTED: not self.watch.observe(self.clock.now(), self.clock.wallclock()),
            Reason.OUTSIDE_VALIDITY: not any(in_validity(one, wallclock) for one in self.agreements),
            Reason.EVALUATION_OVERDUE: self.state.overdue(wallclock),
            Reason.SUSPENDED: self._suspended(wallclock),
            Reason.EPOCH_DARK: not self.draws(wallclock),
            Reason.LOG_UNWITNESSED: self.restored or not self.book.witnessed(self.agreements, wallclock),
            Reason.STORAGE_UNAVAILABLE: not self.storage_available,
        }
        return [reason for reason, holds in found.items() if holds]

    @property
    def restored(self) -> bool:
        """An older state was put back, which acts may be missing from: nothing is recorded until the council looked."""
        return self.book.unconfirmed or self.state.seq < self.acts_ahead

    def _suspended(self, wallclock: datetime) -> bool:
        return self.state.suspended(wallclock) or bool(self.stopping.total())

    @property
    def _genuine(self) -> bool:
        """A demo's keys are nobody's where others than this machine can call."""
        return self.draw_ready or not any(one.demo for one in self.agreements)

    def draws(self, wallclock: datetime) -> bool:
        """Whether a leg can be entered and drawn: the epoch is open."""
        return self._genuine and self.book.open_for(self.agreements, wallclock) is not None

    def phase(self, agent: str, wallclock: datetime) -> Phase:
        """Onboarding or regular, for the whole epoch."""
        line = self.agents[agent]
        since = line.onboarding_from
        return phase_for(self.agreements, site=line.site, group=line.group, since=since, wallclock=wallclock)

    def _with_agent(
        self,
        facts: Facts,
        line: Agent,
        new: NewCall,
        agreements: tuple[Agreement, ...],
        wallclock: datetime,
        read: Collection[str],
    ) -> Facts:
        texts = self._texts_of(agreements)
        return replace(
            facts,
            site=line.site,
            group=line.group,
            phase=self.phase(line.id, wallclock),
            group_size=sum(1 for other in self.agents.values() if other.group == line.group and self._counts(other)),
            campaign_agents=sum(1 for other in self.agents.values() if self._counts(other)),
            seat_bound=not line.disabled and self.claimant(new) == line.id,
            key_available=line.recipient is not None,
            blackout=line.blackout,
            agent_informed=any(
                said.statement is not None and said.statement.text_sha256 in texts.get(purpose, ())
                for purpose, said in self.standing.get(line.id, {}).items()
            )
            or any(not hashes.isdisjoint(read) for hashes in texts.values()),
            home_office=self.at_home.get(line.id),
            agent_standing={
                purpose: standing_answer(
                    said.answer,
                    said.home_office,
                    said.statement.text_sha256 if said.statement is not None else None,
                    texts.get(purpose, ()),
                )
                for purpose, said in self.standing.get(line.id, {}).items()
            },
        )

    def _counts(self, line: Agent) -> bool:
        """Whether an agent counts towards `min_agents`: who works, not who is entered. A demo is too short for it."""
        if line.disabled or self.counting is None or any(one.demo for one in self.agreements):
            return not line.disabled
        return line.id in self.counting

    def _texts_of(self, agreements: tuple[Agreement, ...]) -> dict[Purpose, frozenset[str]]:
        """Hashes of these agreements' texts: a yes to one about other legs says nothing about this one."""
        found: dict[Purpose, frozenset[str]] = {}
        for one, texts in zip(self.agreements, self._texts, strict=True):
            if one in agreements:
                for purpose, hashes in texts.items():
                    found[purpose] = found.get(purpose, frozenset()) | hashes
        return found

    def _prompts(self, terms: Terms | None, language: str | None = None) -> dict[Purpose, Prompt]:
        """Of the common prompts that can be played as they are named: for each purpose the first in that language, else
        the first of all."""
        found: dict[Purpose, Prompt] = {}
        named = terms.prompts if terms is not None else ()
        for prompt in sorted(named, key=lambda prompt: prompt.language != language):
            purpose = self.announcements.asks_for(prompt)
            if purpose is not None:
                found.setdefault(purpose, prompt)
        return found

    def _language(self, new: NewCall) -> str | None:
        return self.spoken.language(new.queue, new.called.value if new.called is not None else None)

    def unplayable(self) -> list[str]:
        """What is wrong with the announcements that agreements in force name, one line each."""
        named: dict[Prompt, None] = {}
        for one in self.agreements:
            # an IVR's own question isn't expected here
            elsewhere = any(channel.startswith("ivr:") for channel in one.consent.caller.channels)
            prompts = one.consent.prompts
            named |= dict.fromkeys(p for p in prompts if not elsewhere or self.announcements.known(p.id))
        return [fault for prompt in named if (fault := self.announcements.fault(prompt)) is not None]

    def unaskable(self) -> list[Purpose]:
        """Purposes of lanes in force for which nobody can be asked: a prompt, or a party's key, is missing."""
        found: set[Purpose] = set()
        for one in self.agreements:
            wanted = {rule.purpose for rule in rules(one)} | {one.lanes.purpose(lane) for lane in ASKED_LANES}
            found |= {purpose for purpose in wanted if purpose and purpose not in self._prompts(combined((one,)))}
            if one.lanes.customer_request is not None and self._quorum(self.clock.wallclock()) is None:
                found.add(one.lanes.customer_request.purpose)
        return sorted(found)

    def _quorum(self, wallclock: datetime) -> Quorum | None:
        """Council and data-protection officer as they are anchored now; None too where no code can be issued."""
        if not self.codes_ready:
            return None
        council, dpo = self.council_recipients(wallclock), self._recipients(("dpo",), wallclock)
        return Quorum(council, dpo[0]) if council and dpo else None

    def council_recipients(self, wallclock: datetime) -> tuple[str, ...]:
        """Of every key of the council that is anchored now and can be encrypted to (`age1…`)."""
        return self._recipients(COUNCILS, wallclock)

    def _recipients(self, roles: Collection[str], wallclock: datetime) -> tuple[str, ...]:
        anchors = self.state.anchors_at(wallclock)
        return tuple(one.recipient for role in roles for one in anchors if one.role == role and one.recipient)

    def is_internal(self, outside: Private | None) -> bool:
        """Staff among themselves: an extension of a seat, or a number that the configuration calls the house's own."""
        number = outside.value if outside is not None else ""
        return bool(number) and (number in self.seats or any(number in one for one in self.internal))

    def is_protected(self, outside: Private | None) -> bool | None:
        """None, which denies, where the list can't be read or the number is withheld."""
        if outside is not None and is_emergency(outside.value):
            return True
        if self.protected is None or outside is None:
            return None
        return outside in self.protected
