"""What the engine knows about its site, in memory: agreement, roster, seats, consents, clock, storage.

The gateway is the only writer, so this mirror is the truth as long as every change goes through it: first durable,
then here. Gathering for a decision reads only this and never waits.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime

import structlog

from crypto.errors import CryptoError
from crypto.jcs import parse
from crypto.ssh_key import VerifyKey
from crypto.sshsig import verify
from gateway.call.model import Circumstances, NewCall, Private
from gateway.clock import Clock, ClockWatch
from gateway.engine.protected import ProtectedParties
from policy.agreement.load import load
from policy.agreement.schema import Agreement, Prompt
from policy.decision import ConsentState, Facts, Phase, Purpose, Reason, StandingAnswer
from policy.draw_rules import epoch_of, phase_in_epoch
from policy.errors import PolicyError
from policy.texts import current_texts
from policy.validity import evaluation_overdue, in_validity
from storage.acts import Act, Acts, Anchor
from storage.consents import Consents, StandingConsent
from storage.errors import StorageError
from storage.roster import Agent, Roster, Seat

__all__ = ["ACT_NAMESPACE", "Site", "agreement_of", "verify_act"]

log = structlog.get_logger()
ACT_NAMESPACE = "fairtap-act@v1"
SIGNERS = ("employer", "council")
"""Who must have signed the act that puts an agreement into force."""


class SignatureMissing(PolicyError):
    """An act lacks a signature of a party's anchored key."""


class DocumentDiffers(PolicyError):
    """The signed act is about another document than the one it came with."""


def verify_act(act: Act, anchors: list[Anchor]) -> None:
    """Every required party's anchored key signed these bytes; raises `PolicyError` or `CryptoError`."""
    keys = {anchor.role: anchor.key for anchor in anchors}
    for role in SIGNERS:
        if role not in keys:
            raise SignatureMissing(f"no key is anchored for `{role}`")
        if role not in act.signatures:
            raise SignatureMissing(f"the signature of `{role}` is missing")
        verify(VerifyKey.parse(keys[role]), ACT_NAMESPACE, act.act, act.signatures[role])


def agreement_of(act: Act) -> Agreement:
    """The agreement that an act puts into force: its document, if it is the one that was signed."""
    agreement = load(act.document or b"")
    said = parse(act.act)
    body = said["body"] if isinstance(said, dict) else None
    if not isinstance(body, dict) or body.get("digest") != agreement.digest or act.agreement != agreement.id:
        raise DocumentDiffers("the act's body names another document")
    return agreement


@dataclass(slots=True)
class Site:
    """See the module. `sounds` maps the catalogue's ids to their SHA-256."""

    clock: Clock
    roster: Roster
    consents: Consents
    acts: Acts
    sounds: dict[str, str]
    protected: ProtectedParties | None
    draw_ready: bool = True
    """A demo's draw may be used here: every listener is on loopback."""
    storage_available: bool = True
    watch: ClockWatch = field(default_factory=ClockWatch)
    agreement: Agreement | None = None
    signatures_valid: bool = False
    unreadable: bool = False
    """There is an act, but its signatures or its document don't hold."""
    agents: dict[str, Agent] = field(default_factory=dict)
    seats: dict[str, Seat] = field(default_factory=dict)
    """By extension."""
    standing: dict[str, dict[Purpose, StandingConsent]] = field(default_factory=dict)
    texts: dict[Purpose, frozenset[str]] = field(default_factory=dict)
    """Hashes of the consent texts in force, in every language."""

    async def load(self) -> None:
        """Read everything; an agreement whose signatures don't hold is not in force."""
        await self.load_agreement()
        for agent in await self.roster.list():
            await self.load_agent(agent.id)

    async def load_agreement(self) -> None:
        """Read the agreement in force anew; what held before holds until that is done."""
        agreement, unreadable = None, False
        try:
            act = await self.acts.in_force(verify_act)
            agreement = agreement_of(act) if act is not None else None
        except (CryptoError, PolicyError, StorageError) as error:
            unreadable = True
            log.error("the agreement in force doesn't hold", fault=type(error).__name__)
        self.agreement, self.signatures_valid, self.unreadable = agreement, agreement is not None, unreadable
        if agreement is None:
            return
        self.texts = {purpose: current_texts(agreement, purpose) for purpose in agreement.purposes}

    async def load_agent(self, agent: str) -> None:
        """Read one agent's roster line, seat and consents anew."""
        self.agents[agent] = await self.roster.get(agent)
        self.standing[agent] = await self.consents.standing(agent)
        self.seats = {seat.extension: seat for seat in await self.roster.seats(self.clock.wallclock())}

    def holder(self, extension: Private | None) -> str | None:
        """The agent whose own claim holds this extension now."""
        seat = self.seats.get(extension.value) if extension is not None else None
        if seat is None or seat.expires_at <= self.clock.wallclock():
            return None
        return seat.agent

    def gather(self, agent: str, new: NewCall, pages: int, now: float, wallclock: datetime) -> Circumstances:
        """Facts about site and agent for one decision, and what asking and recording would use."""
        agreement, line = self.agreement, self.agents.get(agent)
        facts = Facts(
            wallclock=wallclock,
            clock_trusted=self.watch.observe(now, wallclock),
            agreements=(agreement,) if agreement is not None else (),
            signatures_valid=self.signatures_valid,
            suspended=False,
            evaluation_overdue=evaluation_overdue(agreement, wallclock) if agreement is not None else None,
            epoch_dark=False,
            draw_authority_ready=self.draws(agreement),
            log_unwitnessed=False,
            storage_available=self.storage_available,
            queue=new.queue,
            protected_party=self.is_protected(new.outside),
            party_internal=new.outside is not None and new.outside.value in self.seats,
        )
        if line is None:
            return Circumstances(facts, agreement, None, (), pages)
        return Circumstances(
            facts=self._with_agent(facts, line, new, wallclock),
            agreement=agreement,
            prompt=self._prompt(agreement),
            recipients=(line.recipient,) if line.recipient is not None else (),
            pages=pages,
        )

    def reasons(self, wallclock: datetime) -> list[Reason]:
        """Why nothing is recorded at this site now, whoever calls."""
        if self.agreement is None:
            return [Reason.SIGNATURE_INVALID if self.unreadable else Reason.NO_AGREEMENT]
        found = {
            Reason.CLOCK_UNTRUSTED: not self.watch.observe(self.clock.now(), self.clock.wallclock()),
            Reason.OUTSIDE_VALIDITY: not in_validity(self.agreement, wallclock),
            Reason.EVALUATION_OVERDUE: evaluation_overdue(self.agreement, wallclock),
            Reason.EPOCH_DARK: not self.draws(self.agreement),
            Reason.STORAGE_UNAVAILABLE: not self.storage_available,
        }
        return [reason for reason, holds in found.items() if holds]

    def draws(self, agreement: Agreement | None) -> bool:
        """Whether a leg can be drawn: in this version only under a demo's agreement."""
        return self.draw_ready and agreement is not None and agreement.demo

    def phase(self, agent: str, wallclock: datetime) -> Phase:
        """Onboarding or regular, for the whole epoch."""
        line = self.agents[agent]
        if line.onboarding_from is None or self.agreement is None:
            return Phase.REGULAR
        epoch = epoch_of(self.agreement, wallclock)
        return phase_in_epoch(self.agreement, line.group, Phase.ONBOARDING, line.onboarding_from, epoch)

    def _with_agent(self, facts: Facts, line: Agent, new: NewCall, wallclock: datetime) -> Facts:
        answers = self._answers(line.id)
        return replace(
            facts,
            site=line.site,
            group=line.group,
            phase=self.phase(line.id, wallclock),
            group_size=sum(1 for other in self.agents.values() if other.group == line.group and not other.disabled),
            campaign_agents=sum(1 for other in self.agents.values() if not other.disabled),
            seat_bound=not line.disabled and self.holder(new.extension) == line.id,
            key_available=line.recipient is not None,
            blackout=line.blackout,
            agent_informed=any(
                said.statement is not None and said.statement.text_sha256 in self.texts.get(purpose, ())
                for purpose, said in self.standing.get(line.id, {}).items()
            ),
            home_office=line.home_office,
            agent_standing=answers,
        )

    def _answers(self, agent: str) -> dict[Purpose, StandingAnswer]:
        """Standing answers as they count now: a yes to a text that is no longer in force is unset."""
        found = {}
        for purpose, said in self.standing.get(agent, {}).items():
            answer = said.answer
            if answer is ConsentState.YES and (
                said.statement is None or said.statement.text_sha256 not in self.texts.get(purpose, ())
            ):
                answer = ConsentState.UNSET
            found[purpose] = StandingAnswer(answer, said.home_office)
        return found

    def _prompt(self, agreement: Agreement | None) -> Prompt | None:
        if agreement is None:
            return None
        prompts = agreement.consent.prompts
        return next((prompt for prompt in prompts if self.sounds.get(prompt.id) == prompt.sha256), None)

    def is_protected(self, outside: Private | None) -> bool | None:
        """None, which denies, where the list can't be read or the number is withheld."""
        if self.protected is None or outside is None:
            return None
        return outside in self.protected
