"""Legs of an epoch with what became of them, written in bulk: an epoch that took no time."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from secrets import token_hex

from sqlalchemy import Connection, func, insert, select

from crypto.commitment import pseudonym
from policy.epochs import RosterLeaf
from policy.log_entry import Call, Out, Wish
from policy.terms import Phase
from storage.figures import Answered, What, count_answer
from storage.log.wal import append
from storage.roster import Agent
from storage.tables import legs, recordings, segments
from tests.peers.opened_epoch import epoch_named, open_epoch
from tests.peers.stored import Folder

RULE = "sample/regular/team-a"


@dataclass(frozen=True)
class Had:
    """An agent's epoch: hits, which of them were kept (as manifests by side), and legs that weren't drawn."""

    agent: Agent
    hits: int = 0
    kept: int = 0
    others: int = 0
    wishes: int = 0
    channel: str | None = None
    """By which the callers of kept hits said yes."""
    segments: Sequence[str] = ("agent", "caller")
    """Sides of each recording, one name for each segment."""
    made: list[tuple[str, str, int, str]] = field(default_factory=list)
    """Recording, side, segment and manifest's digest of what was kept."""


async def fill(folder: Folder, origin: str, epoch: str, had: Iterable[Had]) -> None:
    """Open the epoch with these agents on its roster, and let them have had it."""
    had = list(had)
    names = [pseudonym(one.agent.salt, origin, epoch).hex() for one in had]
    leaves = [RosterLeaf(a, one.agent.group, Phase.REGULAR) for a, one in zip(names, had, strict=True)]
    await open_epoch(folder.epochs, epoch, leaves)
    start = epoch_named(epoch).start

    def work(connection: Connection) -> None:
        for a, one in zip(names, had, strict=True):
            _put(connection, origin, epoch, start, a, one)

    await folder.database.write(work)


def _put(connection: Connection, origin: str, epoch: str, start: datetime, a: str, one: Had) -> None:
    first = (connection.execute(select(func.max(legs.c.id))).scalar_one() or 0) + 1
    outs = [("call", "hit")] * one.hits + [("call", "no")] * one.others + [("wish", "wish")] * one.wishes
    counters, rows = {"call": 0, "wish": 0}, []
    for place, (kind, out) in enumerate(outs):
        counters[kind] += 1
        n, m = counters[kind], token_hex(32)
        entry = Call(epoch, a, n, "q", 0, m) if kind == "call" else Wish(epoch, a, n, m)
        append(connection, origin, entry)
        append(connection, origin, Out(epoch, a, n, out, m))
        row = {"id": first + place, "kind": kind, "e": epoch, "a": a, "n": n, "o": out, "admission": out}
        rows.append(row | {"day": start.date(), "origin": origin, "rule": RULE if kind == "call" else None})
    if rows:
        connection.execute(insert(legs), rows)
    kept = [row for row in rows if row["o"] == "hit"][: one.kept] + [row for row in rows if row["o"] == "wish"]
    if one.channel is not None:
        yes = Answered(origin, one.channel, What.YES)
        for leg in connection.execute(select(legs).where(legs.c.id.in_([row["id"] for row in kept]))).all():
            count_answer(connection, leg, yes)
    for row in kept:
        _record(connection, origin, epoch, start, one, row)


def _record(connection: Connection, origin: str, epoch: str, start: datetime, one: Had, leg: dict[str, object]) -> None:
    recording = token_hex(16)
    fixed = {"lane": "sample", "purpose": "coaching", "agreement": "", "consents": [], "recipients": [], "media": "rtp"}
    times = {"erase_at": start + timedelta(days=14), "begun_at": start}
    row = {
        "id": recording,
        "agent": one.agent.id,
        "call_ref": "c",
        "entry": leg["id"],
        "origin": origin,
        "epoch": epoch,
    }
    row |= {"pseudonym": leg["a"], "n": leg["n"], "ingress": "inline", "state": "kept"}
    connection.execute(insert(recordings).values(**row, **fixed, **times))
    seen: dict[str, int] = {}
    for side in one.segments:
        seen[side] = seen.get(side, 0) + 1
        one.made.append((recording, side, seen[side], token_hex(32)))
    own = [dict(zip(("recording", "side", "seg", "manifest_sha256"), made, strict=True)) for made in one.made]
    values = [{**made, "state": "sealed"} for made in own if made["recording"] == recording]
    if values:
        connection.execute(insert(segments), values)
