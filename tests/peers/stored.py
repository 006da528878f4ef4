"""A data folder with everything that storage keeps, and a writer that stands in for a media worker."""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from crypto import age
from crypto.quorum import seal
from crypto.ssh_key import SigningKey
from crypto.stream import CHUNK_BYTES, PayloadWriter, new_file_key
from crypto.x25519 import Identity
from policy.agreement.schema import Agreement
from policy.decision import Rule
from policy.epoch_rules import Ceiling, Ruled
from policy.opening import OutOpening
from policy.terms import Lane, Purpose, Side
from storage import gateway_key
from storage.blobs import LocalBlobs
from storage.database import Database
from storage.epochs import Epochs
from storage.legs import LegEntry, Legs
from storage.log import wal
from storage.names import AgentId, SegmentKey
from storage.recordings import Begin, Recordings, SealFacts
from storage.roster import NewAgent, Roster
from storage.sealing import Sealer
from storage.vault import LocalVault, Secret
from tests.peers.opened_epoch import open_epoch

TOLD = OutOpening(0, "not_recorded", None, ("NOT_DRAWN",), (), b"s" * 32)
"""How some leg ended."""

AT = datetime(2026, 4, 6, 9, 30, 15, 123456, tzinfo=UTC)
DAY = date(2026, 4, 6)
EPOCH = "2026-W15"
ORIGIN = "hamburg/fairtap/2026-14"
BUILD = "b" * 64
AGREEMENT = "a" * 64
SIDES: tuple[Side, Side] = (Side.AGENT, Side.CALLER)


@dataclass(frozen=True)
class Folder:
    """An open data folder."""

    root: Path
    database: Database
    key: SigningKey
    sealer: Sealer
    recordings: Recordings
    epochs: Epochs
    legs: Legs
    roster: Roster
    opening: asyncio.Lock = field(default_factory=asyncio.Lock)


async def open_folder(root: Path, url: str = "", *, migrate: bool = True) -> Folder:
    """Open (and make) everything under `root`; another database than its SQLite file on request."""
    database = await Database.open(url or f"sqlite:///{root}/fairtap.db")
    if migrate:
        await database.migrate()
        await database.write(lambda connection: wal.open_log(connection, ORIGIN))
    key = gateway_key.load_or_create(root)
    vkey = gateway_key.vkey("hamburg", key.verify_key)
    sealer = Sealer(LocalBlobs(root), LocalVault(root), key, gateway=vkey, build=BUILD)
    recordings, epochs, legs = Recordings(database, sealer), Epochs(database, root), Legs(database)
    return Folder(root, database, key, sealer, recordings, epochs, legs, Roster(database))


class WorkerSide:
    """One side of a segment as a media worker writes it: header, then payload chunk by chunk, then its facts."""

    def __init__(
        self, sealer: Sealer, key: SegmentKey, identity: Identity, quorum: tuple[Identity, Identity] | None = None
    ) -> None:
        file_key = new_file_key()
        self.key = key
        self.writer = PayloadWriter(file_key)
        self.file = sealer.blobs.payload(key.recording, key.side, key.seg)
        self.key_commit = self.writer.key_commit.hex()
        if quorum is not None:
            council, dpo = quorum
            sealer.vault.put(key, Secret.QUORUM, seal(file_key, [council.recipient], dpo.recipient))
        sealer.vault.put(key, Secret.HEADER, age.make_header(file_key, [identity.recipient]))
        self.file.append(self.writer.nonce)

    def chunk(self, fill: int) -> None:
        """Write one whole chunk of the octet `fill`."""
        self.file.append(self.writer.seal_chunk(bytes([fill]) * CHUNK_BYTES))

    def finish(self, rest: bytes = b"the end", seconds: float = 1.0) -> SealFacts:
        """Write the last chunk and seal the payload."""
        self.file.append(self.writer.finish(rest))
        sha256, size = self.file.seal()
        return SealFacts(
            sha256=sha256,
            bytes=size,
            chunks=self.writer.chunks,
            key_commit=self.key_commit,
            stanzas=1,
            container="wav/PCMA",
            started=AT,
            ended=AT + timedelta(seconds=seconds),
            gaps=((20, 40, "loss"),),
        )


async def add_agent(folder: Folder, name: str = "Alma Beispiel") -> AgentId:
    """One more agent."""
    return await folder.roster.add(NewAgent(name, "team-a", "hamburg"), AT)


def pseudonym(number: int) -> str:
    """A made-up pseudonym."""
    return hashlib.sha256(str(number).encode()).hexdigest()[:32]


async def enter(folder: Folder, agent: int = 1, *, rule: int = 0, epoch: str = EPOCH, day: date = DAY) -> LegEntry:
    """One more leg of the agent with this number, in an epoch that is opened with the first."""
    async with folder.opening:
        await open_epoch(folder.epochs, epoch)
    return await folder.legs.enter(
        epoch=epoch, pseudonym=pseudonym(agent), rule=rule, queue="service", commitment=bytes(32), day=day
    )


def ruled(rule: Rule, place: int = 0, agreements: Sequence[Agreement] = ()) -> Ruled:
    """A rule by itself, which legs entered under this place count for."""
    return Ruled(rule, tuple(agreements), (Ceiling("bv", rule.name, rule.ppm, frozenset({place})),))


async def begin(
    folder: Folder,
    recording: str,
    identity: Identity,
    *,
    agent: AgentId | None = None,
    lane: Lane = Lane.SAMPLE,
    purpose: Purpose = Purpose.COACHING,
    leg: LegEntry | None = None,
) -> LegEntry:
    """A recording of a fresh leg, of a fresh agent, unless they are named."""
    leg = leg or await enter(folder)
    new = Begin(
        recording=recording,
        agent=agent or await add_agent(folder),
        call_ref="0123456789abcdef",
        leg=leg,
        origin=ORIGIN,
        lane=lane,
        purpose=purpose,
        agreement=AGREEMENT,
        consents=("c" * 64,),
        recipients=(str(identity.recipient),),
        erase_at=AT + timedelta(days=14),
    )
    await folder.recordings.begin(new, AT)
    return leg


async def open_side(
    folder: Folder, key: SegmentKey, identity: Identity, quorum: tuple[Identity, Identity] | None = None
) -> WorkerSide:
    """A writer for one side, known to the index; `quorum`: council and officer, who open it together."""
    side = WorkerSide(folder.sealer, key, identity, quorum)
    await folder.recordings.segment_opened(
        key.recording,
        key.seg,
        "agent" if key.side == "agent" else "caller",
        key_commit=side.key_commit,
        stanzas=1,
        container="wav/PCMA",
        at=AT,
    )
    return side
