"""What the API reads of the site's data, as values, behind one protocol. It never writes there: the gateway does.

`api.site` reads the real data folder; tests put a site in memory behind the same protocol.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from crypto.tlog_tiles import Tile
from policy.access_figures import AccessFigures
from policy.agreement.schema import StatisticsTerms
from policy.endings import Warned
from policy.epochs import RosterPlace
from policy.kept import BlockKept
from policy.month import Month
from policy.state import Anchor
from policy.statistics import Statistics

__all__ = [
    "AgentRow",
    "AgreementInForce",
    "CoachRow",
    "ConsentText",
    "EntryRow",
    "LogList",
    "MonthStatistics",
    "ObjectKind",
    "RecordingRow",
    "SideRow",
    "SiteReads",
]

ObjectKind = Literal["age", "manifest", "signature", "opening", "quorum"]


@dataclass(frozen=True, slots=True)
class AgentRow:
    """One line of the roster."""

    id: str
    name: str
    group: str
    site: str
    enabled: bool = True
    recipient: str | None = None
    """age recipient; `None`: not enrolled."""
    signing_key: str | None = None
    """`ssh-ed25519 …`."""
    extension: str | None = None
    """Of the seat that the agent has claimed."""
    seat_seq: int = 0
    """Number of the newest claim; the next one is higher."""
    blackout: bool = False
    consents: Mapping[str, str] = field(default_factory=dict)
    """Purpose to `yes`, `no` or `unset`."""
    consent_seqs: Mapping[str, int] = field(default_factory=dict)
    """Purpose to the number of its newest answer; the next one is higher."""
    ask_again_at: Mapping[str, str] = field(default_factory=dict)
    """Purpose that was refused to the instant from which the page may ask again."""
    enrolments: int = 0
    """How often keys were bound: each time after the first set every answer to unset."""
    enrolled_from: str | None = None
    """When the keys of now were bound."""


@dataclass(frozen=True, slots=True)
class ConsentText:
    """What an agent says yes to: one purpose, by language, and the hash of each text, which the yes names."""

    purpose: str
    text: Mapping[str, str]
    sha256: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class AgreementInForce:
    """The agreement as it stands."""

    digest: str
    document: str
    """The YAML."""
    title: Mapping[str, str]
    version: int
    demo: bool
    start: str
    end: str
    seq: int
    """Number of the act that put it into force."""
    home_office_separate: bool
    consents: Sequence[ConsentText]
    channels: Sequence[str] = ()
    """By which a caller's yes may come: `dtmf`, `agent_key`, `ivr:NAME`."""
    rates: Mapping[str, str] = field(default_factory=dict)
    """Percent by rule, as acts have left them."""
    suspended: bool = False
    asked_for: Mapping[str, str] = field(default_factory=dict)
    """Lane to purpose of what agents may ask for in a call."""
    drawn_for: Sequence[str] = ()
    """Purposes that legs are drawn for."""
    ends_soon: Sequence[Warned] = ()
    """Also of the other agreements in force, for whoever isn't an agent."""


@dataclass(frozen=True, slots=True)
class ActRow:
    """One act of the chain."""

    seq: int
    type: str
    agreement: str
    digest: str
    at: str
    signed_by: Sequence[str]
    session: str | None
    document: str | None


@dataclass(frozen=True, slots=True)
class SideRow:
    """One side of one segment, as it can be fetched."""

    side: str
    seg: int
    state: str
    bytes: int | None = None
    sha256: str | None = None
    started: str | None = None
    ended: str | None = None


@dataclass(frozen=True, slots=True)
class RecordingRow:
    """A recording of an agent's leg."""

    id: str
    agent: str
    call: str
    lane: str
    purpose: str
    started: str
    ended: str | None
    state: str
    keep_until: str | None
    sides: Sequence[SideRow]


@dataclass(frozen=True, slots=True)
class MonthStatistics:
    """A month's figures, after suppression, and by what limits."""

    month: str
    timezones: Sequence[str]
    epochs: Sequence[str]
    """Lengths of the agreements' epochs, such as `P1W`."""
    limits: StatisticsTerms
    figures: Statistics
    quarter: str
    """Whose answers the channels' rates are about, such as `2026-Q1`."""
    kept: BlockKept | None
    """Of the newest block of the log that had told it by the month's end."""
    accesses: Sequence[AccessFigures] = ()
    """Of the quarter, too."""


@dataclass(frozen=True, slots=True)
class EntryRow:
    """An entry of the log that is about one agent, opened."""

    id: int
    origin: str
    index: int
    kind: str
    told: object
    """What the entry commits to."""
    salt: str
    entry: str
    """The leaf."""
    proof: str | None
    """C2SP tlog-proof; None until it is published."""


@dataclass(frozen=True, slots=True)
class Proven:
    """An entry of the log as it stands there."""

    origin: str
    index: int
    entry: str
    """The leaf."""
    proof: str | None
    """C2SP tlog-proof; None until it is published."""


@dataclass(frozen=True, slots=True)
class DrawRow:
    """A `call`, `wish` or `out` entry of one agent's leg."""

    id: int
    kind: str
    sealed: bytes
    """Its opening, an age file for the agent."""
    entry: Proven


@dataclass(frozen=True, slots=True)
class DrawnEpoch:
    """What an epoch's legs were drawn from."""

    name: str
    ecommit: Proven | None
    reveal: Proven | None
    """None until both shares are revealed."""
    rates: Mapping[str, Sequence[int]]
    """By rule index: the rates (ppm) that held for this agent at some time of the epoch."""
    place: RosterPlace | None = None
    """On the roster that `ecommit` fixed; None: not on it, so never drawn."""


@dataclass(frozen=True, slots=True)
class OwnDraws:
    """One agent's legs, and the epochs they are of."""

    items: Sequence[DrawRow]
    epochs: Sequence[DrawnEpoch]


@dataclass(frozen=True, slots=True)
class LogList:
    """A site's logs, oldest first, and the verifier key (C2SP signed-note) that their checkpoints are signed with."""

    gateway: str
    origins: Sequence[str]


@dataclass(frozen=True, slots=True)
class CoachRow:
    """A coach; `key` is None for one who isn't enrolled."""

    id: str
    name: str
    enabled: bool = True
    key: CoachKeyRow | None = None


@dataclass(frozen=True, slots=True)
class CoachKeyRow:
    """A coach's newest keys, and the log's entry of them."""

    recipient: str
    signing_key: str
    statement: str
    signature: str
    told: Mapping[str, object]
    """What the entry commits to."""
    salt: str
    entry: Proven


class SiteReads(Protocol):
    """Everything the API asks of the site."""

    async def anchors(self, role: str) -> Sequence[str]:
        """Public acting keys (`ssh-ed25519 …`) anchored for `employer`, `council` or `dpo`."""
        ...

    async def first_anchors(self) -> Sequence[Anchor]:
        """The parties' public keys as they were first anchored: what the chain of acts is folded from."""
        ...

    async def agents(self, after: str, limit: int) -> Sequence[AgentRow]:
        """Roster lines ordered by id, from behind `after`."""
        ...

    async def agent(self, agent: str) -> AgentRow | None:
        """One roster line."""
        ...

    async def agreement(self, agent: str | None = None) -> AgreementInForce | None:
        """The agreement in force, of several the one about this agent; `None` where there is none."""
        ...

    async def acts(self) -> Sequence[ActRow]:
        """Every act, oldest first."""
        ...

    async def act_files(self) -> Sequence[dict[str, object]]:
        """Every act as `policy.act_file` writes it, oldest first."""
        ...

    async def coaches(self) -> Sequence[CoachRow]:
        """Whom agents may release to: enrolled, not disabled, by name."""
        ...

    async def coach(self, coach: str) -> CoachRow | None:
        """One coach."""
        ...

    async def recordings(self, agent: str, before: str, limit: int) -> Sequence[RecordingRow]:
        """An agent's own recordings, newest first, from behind the id `before` (empty: from the newest)."""
        ...

    async def recording(self, recording: str) -> RecordingRow | None:
        """One recording, erased ones not."""
        ...

    async def fetch(self, recording: str, side: str, seg: int, kind: ObjectKind) -> AsyncIterator[bytes] | None:
        """An object in pieces: `age` is header and payload in one, as cipher text."""
        ...

    async def fetch_released(self, release: str, recording: str, side: str, seg: int) -> AsyncIterator[bytes] | None:
        """As `fetch` of `age`, with the release's header in place of the agent's."""
        ...

    async def statistics(self, month: Month | None) -> MonthStatistics:
        """A month's, or the newest one's; raises `Problem` where nothing can be told."""
        ...

    async def own_entries(self, agent: str, after: int, limit: int) -> Sequence[EntryRow]:
        """What the log says of an agent, oldest first, from behind the id `after`."""
        ...

    async def own_draws(self, agent: str, after: int, limit: int) -> OwnDraws:
        """An agent's legs in the log, oldest first, from behind the id `after`."""
        ...

    async def council_openings(self, epoch: str, after: int, limit: int) -> Sequence[tuple[int, bytes]] | None:
        """Index and age file of an epoch's `call` entries, from behind the index `after`; None before it is closed."""
        ...

    async def inventory(self, epoch: str) -> Sequence[str] | None:
        """The leaves behind the root in an epoch's `eclose`, in its order; None before it is closed."""
        ...

    async def logs(self) -> LogList:
        """The logs that the site knows, also those of which nothing is published yet."""
        ...

    async def log_checkpoint(self, origin: str) -> bytes | None:
        """The newest checkpoint of a log, as signed."""
        ...

    async def log_tile(self, origin: str, tile: Tile) -> bytes | None:
        """A published tile or bundle, exactly this wide."""
        ...

    async def ready(self) -> bool:
        """Whether the site's data can be read at all."""
        ...
