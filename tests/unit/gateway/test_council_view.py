"""What the council holds of an epoch (log, roster, names, which call is whose) is the same whichever agent refuses."""

import shutil
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import select

from crypto.age import decrypt
from crypto.x25519 import Identity
from gateway.engine.epoch_book import EpochBook
from gateway.engine.ledger import Ledger, SealedShare
from policy.agreement.schema import Agreement
from policy.log_entry import Call, Entry, Out, encode, parse
from policy.opening import CallOpening, parse_call_opening
from policy.terms import Phase
from storage.council_lists import openings_of
from storage.epochs import StoredEpoch
from storage.legs import Out as Told
from storage.roster import NewAgent
from storage.tables import log_wal
from tests.peers.opened_epoch import LIMITS, opened_book, state_of
from tests.peers.stored import AT, Folder, open_folder
from tests.unit.policy.green import agreement

NOW = datetime(2026, 3, 4, 9, 30, tzinfo=UTC)
WEEK, AGENTS, ROUNDS = "2026-W10", 8, 6
RATES = [{"group": "team-a", "phase": "regular", "percent": "20"}]
COUNCIL = Identity.generate()
KEPT = ("recorded", (), ("d" * 64, "e" * 64))
VETO = ("not_recorded", ("AGENT_NO_OR_UNSET",), ())


@dataclass
class View:
    """Everything of the epoch that the council is ever given before `eclose`."""

    entries: list[Entry]
    sizes: list[int]
    epoch: StoredEpoch
    openings: list[CallOpening]
    """Opened with the council's key."""

    @property
    def masked(self) -> list[tuple[object, ...]]:
        """The entries but for their commitments: 32 bytes that nothing but their openings tells from random ones."""
        return [
            (one.t, one.e, one.a, one.n, getattr(one, "o", None), getattr(one, "q", None), getattr(one, "r", None))
            for one in self.entries
            if isinstance(one, Call | Out)
        ]

    @property
    def calls(self) -> list[tuple[object, ...]]:
        """The openings but for their salts."""
        return [(one.entry, one.call, one.call_id, one.start) for one in self.openings]

    @property
    def commitments(self) -> list[str]:
        return [one.c if isinstance(one, Call) else one.m for one in self.entries if isinstance(one, Call | Out)]


async def played(folder: Folder, terms: Agreement, refuses: int | None) -> tuple[View, Counter[int]]:
    """Each agent has some calls; whoever `refuses` lets none be kept. The hits of each."""
    epochs = await folder.epochs.live()
    recipients = (str(COUNCIL.recipient),)
    book = EpochBook(epochs, NOW, states=[state_of(terms)])
    ledger = Ledger("hamburg", folder.legs, folder.epochs, book, SealedShare(), council=lambda _: recipients)
    hits: Counter[int] = Counter()
    for _ in range(ROUNDS):
        for number, agent in enumerate(await folder.roster.list()):
            leg = await ledger.enter(
                agent, (terms,), queue="service-gas", call="c" * 16, call_id="a84b@pbx", wallclock=NOW
            )
            assert leg is not None
            hit = leg.admission.out is Told.HIT
            told = VETO if hit and number == refuses else KEPT if hit else ("not_recorded", ("NOT_DRAWN",), ())
            hits[number] += hit
            await ledger.leave(leg, *told)
    query = select(log_wal.c.leaf).order_by(log_wal.c.idx)
    leaves = await folder.database.read(lambda connection: connection.execute(query).scalars().all())
    entries = [parse(bytes(leaf)) for leaf in leaves]
    await folder.epochs.close(WEEK, LIMITS, NOW)
    rows = await folder.database.read(lambda connection: openings_of(connection, WEEK, 0, 999))
    openings = [parse_call_opening(decrypt(sealed, [COUNCIL])) for _, sealed in rows or ()]
    return View(entries, [len(encode(entry)) for entry in entries], epochs[WEEK], openings), hits


async def test_the_councils_view_doesnt_depend_on_who_refuses(tmp_path, data_dir):
    folder = await open_folder(data_dir, migrate=False)
    for number in range(AGENTS):
        await folder.roster.add(NewAgent(f"Agent {number}", "team-a", "hamburg"), AT)
    await opened_book(folder.epochs, WEEK, await folder.roster.list(), Phase.REGULAR)
    await folder.database.close()
    terms = agreement(lanes__campaigns=[], lanes__sample__rates=RATES, lanes__sample__caps={"per_agent": {"P1W": 5}})

    async def world(refuses: int | None) -> tuple[View, Counter[int]]:
        root = tmp_path / f"world-{refuses}"
        root.mkdir()
        shutil.copy(data_dir / "fairtap.db", root / "fairtap.db")
        again = await open_folder(root, migrate=False)
        seen = await played(again, terms, refuses)
        await again.database.close()
        return seen

    nobody, hits = await world(None)
    drawn = [agent for agent, count in hits.items() if count]
    assert len(drawn) >= 2  # so the worlds do differ in what was kept
    views = [nobody, *[(await world(agent))[0] for agent in drawn[:2]]]
    assert all((one.masked, one.sizes, one.epoch) == (views[0].masked, views[0].sizes, views[0].epoch) for one in views)
    assert all(one.calls == views[0].calls for one in views) and len(views[0].calls) == AGENTS * ROUNDS
    commitments = [digest for view in views for digest in view.commitments]
    assert len(set(commitments)) == len(commitments)  # salted: none can be met again or recomputed
