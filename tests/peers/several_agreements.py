"""Some agreements in force at one gateway, legs and acts in turn, a kill now and then; and what the log must then say.

`play` runs the product's own ledger over its own database and acts. `Counts` counts from the agreements' words alone.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import ceil
from pathlib import Path

from crypto.ssh_key import VerifyKey
from crypto.sshsig import sign
from gateway.engine.epoch_book import EpochBook, pseudonym_of
from gateway.engine.ledger import Ledger, SealedShare
from policy.acts import ACT_NAMESPACE, Act, Body, Narrow, NewAgreement, Rates, parse_act, type_of
from policy.agreement.load import canonical_document
from policy.chain import Posted, take
from policy.draw_rules import epoch_of
from policy.epochs import EpochState, RosterLeaf
from policy.log_entry import Call, Entry, Out, parse
from policy.terms import Phase
from storage.epochs import StoredEpoch
from storage.log.files import LocalLogFiles
from storage.log.publish import Publisher
from storage.log.reader import LogReader
from storage.names import AgentId
from storage.roster import Agent, NewAgent
from tests.peers.enacted import ANCHORS, KEYS, House
from tests.peers.opened_epoch import LIMITS, SHARE, cosigned, promise
from tests.peers.stored import Folder
from tests.unit.policy.green import edited

SITES = ("hamburg", "kiel")
QUEUES = ("service-strom", "service-gas", "service-wasser")
LINES = ("sample/team-a/onboarding", "sample/team-a/regular", "sample/team-b/regular")
STAFF = (
    ("team-a", Phase.ONBOARDING, "hamburg"),
    ("team-a", Phase.ONBOARDING, "kiel"),
    ("team-a", Phase.ONBOARDING, "hamburg"),
    ("team-b", Phase.REGULAR, "kiel"),
)
APRIL = "april"


@dataclass(frozen=True)
class Terms:
    """One agreement, as far as its rules go."""

    id: str
    sites: tuple[str, ...]
    queues: tuple[str, ...]
    excluded: tuple[str, ...]
    rates: Mapping[str, int]
    """Percent of the sample lines, in the document's order."""
    campaign: tuple[str, int, int] | None = None
    """Queue, percent, and how many at most."""
    per_week: int = 99

    def document(self, version: int = 1) -> bytes:
        """As it is signed."""
        lines = []
        for name, percent in self.rates.items():
            _, group, phase = name.split("/")
            line: dict[str, object] = {"group": group, "phase": phase, "percent": str(percent)}
            lines.append(line | ({"max_days": 42} if phase == "onboarding" else {}))
        campaigns = []
        if self.campaign is not None:
            queue, percent, most = self.campaign
            window = {"start": "2026-03-01T00:00:00", "end": "2026-03-30T00:00:00", "announced_at": "2026-02-10"}
            limits = {"max_recordings": most, "percent": str(percent), "min_eligible_agents": 8}
            campaigns.append({"id": APRIL, "purpose": "process_quality", "queue": queue, **window, **limits})
        edits = {
            "id": self.id,
            "version": version,
            "scope/sites": list(self.sites),
            "scope/queues": list(self.queues),
            "scope/excluded_queues": list(self.excluded),
            "lanes/sample/rates": lines,
            "lanes/sample/caps": {"per_agent": {"P1W": self.per_week}},
            "lanes/campaigns": campaigns,
        }
        return canonical_document(edited(edits))

    def rule(self, queue: str, line: str) -> tuple[str, int] | None:
        """Name and percent for a leg within its scope."""
        if self.campaign is not None and self.campaign[0] == queue:
            return f"campaign/{APRIL}", self.campaign[1]
        return (line, self.rates[line]) if line in self.rates else None


@dataclass(frozen=True)
class Step:
    """A leg of this agent from this queue; or an act on the agreement at `of`; or both around a kill."""

    kind: str
    """`leg`, `lower`, `drop`, or `kill`: the leg's draw dies, and the rate is lowered before it is drawn after all."""
    agent: int = 0
    queue: str = QUEUES[0]
    of: int = 0
    line: int = 0


@dataclass
class Played:
    """What is left: the log's entries, and beside it what the council has."""

    origin: str
    key: VerifyKey
    folder: Path
    posts: dict[str, Posted]
    roster: tuple[RosterLeaf, ...]
    entries: list[Entry] = field(default_factory=list)


class Gone(Exception):
    """The process died here."""


class Dying(SealedShare):
    async def draw(self, epoch: StoredEpoch, agent: str, n: int, entry_hash: bytes) -> bytes:
        raise Gone


class Play:
    """A gateway that can be killed."""

    def __init__(self, folder: Folder) -> None:
        self.folder, self.house = folder, House.over(folder, protected=None)
        self.site = self.house.site
        self.name, self.origin = "", ""
        self.hired: list[AgentId] = []

    def _ledger(self, share: SealedShare) -> Ledger:
        return Ledger("hamburg", self.folder.legs, self.folder.epochs, self.site.book, share)

    async def start(self, agreements: Sequence[Terms]) -> None:
        """Everything signed, everybody hired, the epoch opened."""
        await self.house.acts.set_anchors(ANCHORS, self.house.at)
        for group, _, site in STAFF:
            self.hired.append(await self.folder.roster.add(NewAgent("Alma Beispiel", group, site), self.house.at))
        await self.restart()
        for one in agreements:
            document = one.document()
            await self._act(NewAgreement(hashlib.sha256(document).hexdigest()), one.id, document)
        agreement = self.site.agreement
        assert agreement is not None and self.site.state.digest is not None
        epoch = epoch_of(agreement, self.house.at)
        self.name, self.origin = epoch.name, await promise(self.folder.epochs, epoch)
        row = StoredEpoch(self.name, self.origin, EpochState.PROMISED, epoch.start, epoch.end, b"", "")
        leaves = [
            RosterLeaf(pseudonym_of(agent.salt, row), group, phase)
            for agent, (group, phase, _) in zip(self.staff, STAFF, strict=True)
        ]
        await self.folder.epochs.commit(self.name, leaves, [], self.site.state.digest)
        await cosigned(self.folder.epochs, self.origin, epoch.start)
        await self.folder.epochs.open(self.name, SHARE, 0)
        self.site.book.rows = await self.folder.epochs.live()

    @property
    def staff(self) -> list[Agent]:
        """In the order of `STAFF`."""
        return [self.site.agents[one] for one in self.hired]

    async def restart(self) -> None:
        """A new process over the same folder."""
        self.site.book = EpochBook()
        await self.site.load()
        self.site.book.rows = await self.folder.epochs.live()
        self.ledger = self._ledger(SealedShare())
        await self.ledger.note_leftovers()

    async def _act(self, body: Body, agreement: str, document: bytes | None = None) -> None:
        self.house.clock.step(60)
        state = self.site.state
        act = Act(type_of(body), agreement, state.seq + 1, state.digest, body).canonical()
        signatures = {role: sign(KEYS[role], ACT_NAMESPACE, act) for role in ("employer", "council")}
        posted = Posted(act, signatures, self.house.at, document)
        new = take(state, posted)
        await self.house.acts.append(posted)
        self.site.enact(new)

    async def leg(self, step: Step, ledger: Ledger | None = None) -> None:
        """From the entry to its end."""
        self.house.clock.step(1800)
        agent, books = self.staff[step.agent], ledger or self.ledger
        self.site.turn(self.house.at)
        entered = await books.enter(
            agent,
            self.site.agreements,
            queue=step.queue,
            call="00112233aabbccdd",
            call_id="a84b@pbx",
            wallclock=self.house.at,
            acts=self.site.state.seq,
        )
        assert entered is not None
        await books.leave(entered, "not_recorded", (), ())

    async def act(self, now: Terms, after: Terms) -> None:
        """The two documents differ in a rate, or in a line that is dropped."""
        if now.rates.keys() == after.rates.keys():
            lowered = {name: ppm * 10_000 for name, ppm in after.rates.items() if ppm != now.rates[name]}
            await self._act(Rates(lowered), now.id)
        else:
            old = next(term.agreement.digest for term in self.site.state.terms if term.agreement.id == now.id)
            document = after.document(self.site.state.seq + 1)
            await self._act(Narrow(hashlib.sha256(document).hexdigest(), old), now.id, document)

    async def kill(self, step: Step, now: Terms, after: Terms | None) -> None:
        """The leg is entered, and its draw dies with the process; an act may be taken before anybody sees to it."""
        try:
            await self.leg(step, self._ledger(Dying()))
        except Gone:
            await self.restart()
        if after is not None:
            await self.act(now, after)
        await self.ledger.close_leftovers()

    async def end(self) -> Played:
        """The epoch is over and revealed, the log published."""
        epochs, at = self.folder.epochs, self.house.at
        roster = (await epochs.get(self.name)).roster
        assert await epochs.close(self.name, LIMITS, at)
        await epochs.reveal(self.name)
        files = LocalLogFiles(self.folder.root)
        size = (await Publisher(self.folder.database, files, self.folder.key).publish(self.origin)).size
        reader = LogReader(self.folder.database, files, self.folder.key.verify_key)
        leaves = await reader.entries(self.origin, 0, size)
        posts = {parse_act(post.act).digest: post for post in await self.house.acts.chain()}
        place = self.folder.root / "log" / self.origin
        return Played(self.origin, self.folder.key.verify_key, place, posts, roster, [parse(leaf) for leaf in leaves])


def acted(agreements: Sequence[Terms], step: Step) -> Terms | None:
    """What a step's act makes of its agreement; None where it can't be taken."""
    now = agreements[step.of % len(agreements)]
    names = list(now.rates)
    name = names[step.line % len(names)]
    if step.kind == "drop":
        rest = {line: rate for line, rate in now.rates.items() if line != name}
        return replace(now, rates=rest) if rest else None
    rate = now.rates[name] // 2
    return replace(now, rates={**now.rates, name: rate}) if rate else None


async def play(folder: Folder, agreements: Sequence[Terms], steps: Sequence[Step]) -> tuple[Played, "Counts"]:
    """Everything in turn; with it the count of what was to be counted, filled once the log is known."""
    one, counts, standing = Play(folder), Counts(), list(agreements)
    await one.start(agreements)
    for step in steps:
        place = step.of % len(standing)
        now = standing[place]
        after = acted(standing, step) if step.kind != "leg" else None
        if step.kind in ("leg", "kill"):
            group, phase, site = STAFF[step.agent]
            counts.legs.append((tuple(standing), site, step.queue, f"sample/{group}/{phase.value}", step.agent))
        if step.kind == "leg":
            await one.leg(step)
        elif step.kind == "kill":
            await one.kill(step, now, after)
        elif after is not None:
            await one.act(now, after)
        if after is not None:
            standing[place] = after
    return await one.end(), counts


@dataclass
class Counts:
    """Each leg in the order of the log, with the agreements of its moment."""

    legs: list[tuple[tuple[Terms, ...], str, str, str, int]] = field(default_factory=list)

    def exceeded(self, entries: Sequence[Entry]) -> Iterator[str]:
        """Hits at which a rule had more than its share, an agent or a campaign more than agreed, or no rule was."""
        outs = {(one.a, one.n): one.o for one in entries if isinstance(one, Out)}
        calls = [one for one in entries if isinstance(one, Call)]
        legs, hits = Counter[object](), Counter[object]()
        for (standing, site, queue, line, agent), call in zip(self.legs, calls, strict=True):
            hit = outs[call.a, call.n] == "hit"
            barred = any(site in one.sites and queue in one.excluded for one in standing)
            about = [one for one in standing if site in one.sites and queue in one.queues and not barred]
            rules = [(one, one.rule(queue, line)) for one in about]
            if not rules or any(rule is None or rule[0] != (rules[0][1] or ("",))[0] for _, rule in rules):
                if hit:
                    yield f"{call}: no rule"
                continue
            hits[agent] += hit
            for one, rule in rules:
                assert rule is not None
                key = (one.id, rule[0])
                legs[key] += 1
                hits[key] += hit
                over = hits[key] > ceil(Fraction(rule[1], 100) * legs[key])
                full = rule[0].startswith("campaign/") and one.campaign is not None and hits[key] > one.campaign[2]
                if hit and (over or full or hits[agent] > one.per_week):
                    yield f"{call}: {one.id} {rule[0]} has {hits[key]} of {legs[key]}"
