"""A house in which an agreement is in force and agents sit at their extensions, all of it in the database."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from crypto.ssh_key import SigningKey
from crypto.x25519 import Identity
from demo.agreement import sign_first
from gateway.engine.protected import ProtectedParties
from gateway.engine.site import Site
from policy.agreement.load import load
from policy.chain import Posted
from policy.terms import ConsentState, Purpose
from policy.texts import consent_text, text_sha256
from storage.acts import Acts, Anchor
from storage.consents import Consents, Statement
from storage.names import AgentId
from storage.roster import NewAgent
from tests.peers.manual_clock import ManualClock
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

    @classmethod
    def over(cls, folder: Folder, *, protected: ProtectedParties | None) -> "House":
        clock = ManualClock()
        acts, consents = Acts(folder.database), Consents(folder.database)
        sounds = {prompt.id: prompt.sha256 for prompt in load(DEMO).consent.prompts}
        site = Site(clock, folder.roster, consents, acts, sounds, protected)
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
        """One more agent: enrolled where a key is given, seated where an extension is."""
        new = NewAgent("Alma Beispiel", group, "hamburg", onboarding_from)
        agent = await self.folder.roster.add(new, self.at)
        if key is not None:
            await self.folder.roster.enrol(
                agent,
                recipient=str(key.recipient),
                signing_key="ssh-ed25519 x",
                statement="{}",
                signature="s",
                at=self.at,
            )
        if extension is not None:
            await self.sit(agent, extension)
        await self.site.load_agent(agent)
        return agent

    async def sit(self, agent: AgentId, extension: str, seq: int = 1) -> None:
        await self.folder.roster.claim(
            agent, extension=extension, session="s", seq=seq, statement="{}", signature="s", at=self.at
        )

    async def say(
        self, agent: AgentId, purpose: Purpose, answer: ConsentState, *, text: str | None = None, seq: int = 1
    ) -> None:
        """A standing answer; a yes is to the text in force unless another is named."""
        said = None
        if answer is ConsentState.YES:
            shown = consent_text(load(DEMO), purpose, "de") if text is None else text
            said = Statement("{}", "s", text_sha256(shown), "de", seq)
        await self.consents.set(agent, purpose, answer, self.at, statement=said)
        await self.site.load_agent(agent)
