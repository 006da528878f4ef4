"""A site's data in memory, behind the protocol that the API reads by."""

import secrets
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

from api.errors import Problem
from api.reads import (
    ActRow,
    AgentRow,
    AgreementInForce,
    CoachRow,
    ConsentText,
    EntryRow,
    LogList,
    MonthStatistics,
    ObjectKind,
    OwnDraws,
    RecordingRow,
)
from crypto.tlog_tiles import Tile
from policy.act_file import act_fields
from policy.chain import Posted
from policy.month import Month
from policy.state import Anchor
from policy.texts import text_sha256


class SiteInMemory:
    """Fill `rows`, `keys`, `recorded`, `objects`."""

    def __init__(self) -> None:
        self.keys: dict[str, list[str]] = {}
        self.anchored: list[Anchor] = []
        self.chain: list[Posted] = []
        self.rows: dict[str, AgentRow] = {}
        self.in_force: AgreementInForce | None = None
        self.recorded: list[RecordingRow] = []
        self.objects: dict[tuple[str, str, int, str], bytes] = {}
        self.taught: dict[str, CoachRow] = {}
        self.entries: dict[str, list[EntryRow]] = {}
        self.draws: dict[str, OwnDraws] = {}
        self.log: dict[str, bytes] = {}
        self.log_key = ""
        self.openings: dict[str, list[tuple[int, bytes]]] = {}
        self.inventories: dict[str, list[str]] = {}
        self.months: dict[str, MonthStatistics] = {}

    def add(self, name: str, **more: object) -> str:
        agent = secrets.token_hex(16)
        self.rows[agent] = AgentRow(agent, name, "team-a", "hamburg", **more)  # type: ignore[arg-type]  # any field
        return agent

    def change(self, agent: str, **more: object) -> None:
        self.rows[agent] = replace(self.rows[agent], **more)  # type: ignore[arg-type]  # any field

    def agree(self, **more: Any) -> AgreementInForce:
        texts = {language: f"May calls be recorded? ({language})" for language in ("de", "en", "nb")}
        hashes = {language: text_sha256(text) for language, text in texts.items()}
        self.in_force = AgreementInForce(
            "ab" * 32, "id: test\n", {"en": "Test"}, 1, True, "2026-03-01T00:00:00Z", "2026-09-01T00:00:00Z", 1, False,
            [ConsentText("coaching", texts, hashes)], channels=("dtmf", "agent_key"), **more,
        )  # fmt: skip
        return self.in_force

    async def anchors(self, role: str) -> Sequence[str]:
        return self.keys.get(role, [])

    async def agents(self, after: str, limit: int) -> Sequence[AgentRow]:
        return [row for agent, row in sorted(self.rows.items()) if agent > after][:limit]

    async def agent(self, agent: str) -> AgentRow | None:
        return self.rows.get(agent)

    async def agreement(self, agent: str | None = None) -> AgreementInForce | None:
        return self.in_force

    async def acts(self) -> Sequence[ActRow]:
        return []

    async def act_files(self) -> Sequence[dict[str, object]]:
        return [act_fields(one) for one in self.chain]

    async def first_anchors(self) -> Sequence[Anchor]:
        return self.anchored

    async def recordings(self, agent: str, before: str, limit: int) -> Sequence[RecordingRow]:
        own = [row for row in self.recorded if row.agent == agent]
        start = next((i + 1 for i, row in enumerate(own) if row.id == before), 0)
        return own[start : start + limit]

    async def recording(self, recording: str) -> RecordingRow | None:
        return next((row for row in self.recorded if row.id == recording), None)

    async def fetch(self, recording: str, side: str, seg: int, kind: ObjectKind) -> AsyncIterator[bytes] | None:
        data = self.objects.get((recording, side, seg, kind))
        return None if data is None else _once(data)

    async def coaches(self) -> Sequence[CoachRow]:
        return [row for row in self.taught.values() if row.key is not None and row.enabled]

    async def coach(self, coach: str) -> CoachRow | None:
        return self.taught.get(coach)

    async def fetch_released(self, release: str, recording: str, side: str, seg: int) -> AsyncIterator[bytes] | None:
        data = self.objects.get((recording, side, seg, f"released to {release}"))
        return None if data is None else _once(data)

    async def statistics(self, month: Month | None) -> MonthStatistics:
        found = self.months.get(str(month)) if month is not None else next(iter(self.months.values()), None)
        if found is None:
            raise Problem("month-not-told", 404, "not told")
        return found

    async def own_entries(self, agent: str, after: int, limit: int) -> Sequence[EntryRow]:
        return [row for row in self.entries.get(agent, []) if row.id > after][:limit]

    async def own_draws(self, agent: str, after: int, limit: int) -> OwnDraws:
        found = self.draws.get(agent, OwnDraws([], []))
        return OwnDraws([row for row in found.items if row.id > after][:limit], found.epochs)

    async def council_openings(self, epoch: str, after: int, limit: int) -> Sequence[tuple[int, bytes]] | None:
        found = self.openings.get(epoch)
        return None if found is None else [one for one in found if one[0] > after][:limit]

    async def inventory(self, epoch: str) -> Sequence[str] | None:
        return self.inventories.get(epoch)

    async def logs(self) -> LogList:
        names = [path.removesuffix("/checkpoint") for path in self.log if path.endswith("/checkpoint")]
        return LogList(self.log_key, names)

    async def log_checkpoint(self, origin: str) -> bytes | None:
        return self.log.get(f"{origin}/checkpoint")

    async def log_tile(self, origin: str, tile: Tile) -> bytes | None:
        return self.log.get(f"{origin}/{tile.path}")

    async def ready(self) -> bool:
        return True


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data
