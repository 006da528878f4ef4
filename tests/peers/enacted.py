"""A house in which an agreement is in force and agents sit at their extensions, all of it in the database."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime

from crypto.ssh_key import SigningKey
from crypto.sshsig import sign
from crypto.x25519 import Identity
from demo.agreement import sign_first
from gateway.engine.protected import ProtectedParties
from gateway.engine.site import Site
from policy.agreement.load import load
from policy.chain import Posted
from policy.statements import (
    CONSENT_NAMESPACE,
    ENROLMENT_NAMESPACE,
    SEAT_NAMESPACE,
    ConsentStatement,
    Enrolment,
    SeatClaim,
)
from policy.terms import ConsentState, Purpose
from policy.texts import consent_text, text_sha256
from storage.acts import Acts, Anchor
from storage.consents import Consents, Statement
from storage.names import AgentId
from storage.roster import NewAgent
from tests.peers.askable import askable
from tests.peers.manual_clock import ManualClock
from tests.peers.opened_epoch import OpenBook
from tests.peers.stored import Folder
from tests.unit.policy.green import edited

KEYS = {role: SigningKey.generate() for role in ("employer", "council", "dpo")}
DEMO = edited({"demo": "yes", "lanes/campaigns": []})
ANCHORS = [Anchor(role, key.verify_key.line()) for role, key in KEYS.items()]


@dataclass
class House:
    """The data folder, and a site that mirrors it."""

    folder: Folder
    clock: ManualClock
    acts: Acts
    consents: Consents
    site: Site
    signers: dict[str, SigningKey] = field(default_factory=dict)
    """The agents' own keys."""

    @classmethod
    def over(cls, folder: Folder, *, protected: ProtectedParties | None) -> "House":
        clock = ManualClock()
        acts, consents = Acts(folder.database), Consents(folder.database)
        site = Site(
            clock, folder.roster, consents, acts, askable(load(DEMO).consent.prompts), protected, book=OpenBook(),
        )  # fmt: skip
        return cls(folder, clock, acts, consents, site)

    @property
    def at(self) -> datetime:
        return self.clock.wallclock()

    async def enact(
        self, document: bytes = DEMO, signers: Iterable[str] = ("employer", "council"), anchors: list[Anchor] = ANCHORS
    ) -> None:
        """Anchor the parties and put a document into force with these signatures."""
        made = sign_first(document.decode(), {role: KEYS[role] for role in signers})
        await self.acts.set_anchors(anchors, self.at)
        await self.acts.append(Posted(made.act.encode(), made.signatures, self.at, document))
        await self.site.load()

    async def hire(
        self,
        extension: str | None = None,
        *,
        group: str = "team-a",
        onboarding_from: date | None = None,
        key: Identity | None = None,
    ) -> AgentId:
        """One more agent: enrolled where a key or an extension is given, seated where an extension is."""
        new = NewAgent("Alma Beispiel", group, "hamburg", onboarding_from)
        agent = await self.folder.roster.add(new, self.at)
        if key is not None or extension is not None:
            await self.enrol(agent, key or Identity.generate())
        if extension is not None:
            await self.sit(agent, extension)
        await self.site.load_agent(agent)
        return agent

    async def enrol(self, agent: AgentId, key: Identity) -> None:
        signer = self.signers[agent] = SigningKey.generate()
        said = Enrolment(agent, str(key.recipient), "2026-03-01T09:30:00Z").canonical()
        await self.folder.roster.enrol(
            agent,
            recipient=str(key.recipient),
            signing_key=signer.verify_key.line(),
            statement=said.decode(),
            signature=sign(signer, ENROLMENT_NAMESPACE, said),
            at=self.at,
        )

    async def sit(self, agent: AgentId, extension: str, seq: int = 1, place: str | None = None) -> None:
        said = SeatClaim(agent, extension, "session-1", seq, place).canonical()
        await self.folder.roster.claim(
            agent,
            extension=extension,
            session="session-1",
            seq=seq,
            statement=said.decode(),
            signature=sign(self.signers[agent], SEAT_NAMESPACE, said),
            at=self.at,
        )

    async def say(
        self, agent: AgentId, purpose: Purpose, answer: ConsentState, *, text: str | None = None, seq: int = 1
    ) -> None:
        """A standing answer; a yes is to the text in force unless another is named."""
        statement = None
        if answer is ConsentState.YES:
            shown = text_sha256(consent_text(load(DEMO), purpose, "de") if text is None else text)
            said = ConsentStatement(agent, purpose, "yes", shown, "de", False, seq, "2026-03-01T09:30:00Z").canonical()
            signature = sign(self.signers[agent], CONSENT_NAMESPACE, said)
            statement = Statement(said.decode(), signature, shown, "de", seq)
        await self.consents.set(agent, purpose, answer, self.at, statement=statement)
        await self.site.load_agent(agent)
