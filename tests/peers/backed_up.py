"""A data folder with recordings, a log and an open epoch, backed up as `fairtap backup` does it, and put back."""

import asyncio
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from crypto import age
from crypto.x25519 import Identity, Recipient
from gateway.backup import Made, make
from gateway.config import Config
from gateway.engine.protected import protect
from gateway.restore import Asked, Restored, restore
from policy.terms import ConsentState, Purpose
from storage.blobs import Kind
from storage.consents import Consents, Statement
from storage.log.files import LocalLogFiles
from storage.log.publish import Publisher
from storage.names import AgentId, SegmentKey
from storage.vault import Secret
from tests.peers.stored import AT, SIDES, Folder, add_agent, begin, open_folder, open_side

FIRST, SECOND, LATER = "1" * 32, "2" * 32, "3" * 32


def quiet(what: str, done: int, total: int) -> None:
    """Nobody listens to the progress."""


@dataclass
class Site:
    """The site `hamburg` under `root`; its backups lie beside the data folder."""

    root: Path
    url: str
    identity: Identity

    @property
    def data(self) -> Path:
        return self.root / "var"

    @property
    def config(self) -> Config:
        return Config.model_validate(
            {"site": {"name": "hamburg", "data_dir": self.data}, "storage": {"database": self.url}}
        )

    async def open(self, *, migrate: bool = False) -> Folder:
        self.data.mkdir(exist_ok=True)
        return await open_folder(self.data, self.url, migrate=migrate)

    async def fill(self) -> AgentId:
        """Two recordings of an agent who said yes, in an epoch that is open; everything published."""
        folder = await self.open(migrate=True)
        protect(self.data, ["+4940998877"])
        agent = await add_agent(folder)
        said = Statement('{"answer":"yes"}', "sig", "0" * 64, "de", 1)
        await Consents(folder.database).set(agent, Purpose.COACHING, ConsentState.YES, AT, statement=said)
        for recording in (FIRST, SECOND):
            await self.record(folder, recording, agent)
        await publisher(folder).publish_all()
        await folder.database.close()
        return agent

    async def record(self, folder: Folder, recording: str, agent: AgentId | None = None) -> None:
        await begin(folder, recording, self.identity, agent=agent)
        for side in SIDES:
            worker = await open_side(folder, SegmentKey(recording, 1, side), self.identity)
            await folder.recordings.seal(recording, 1, side.value, worker.finish(), "normal")
        await folder.recordings.close(recording, AT)

    def back_up(self, name: str = "backup", recipients: Sequence[Recipient] = ()) -> Made:
        out = self.root / name
        return make(self.config, None, out, also={}, recipients=recipients, at=AT, tell=quiet)

    def restore(self, name: str = "backup", **changes: object) -> Restored:
        asked = Asked(self.root / name, **changes)  # type: ignore[arg-type]  # as each test names them
        return restore(self.config, asked, AT + timedelta(hours=2), quiet)

    async def put_back(self, name: str = "backup", **changes: object) -> Restored:
        return await asyncio.to_thread(self.restore, name, **changes)

    async def kept(self, name: str = "backup", recipients: Sequence[Recipient] = ()) -> Made:
        return await asyncio.to_thread(self.back_up, name, recipients)

    def lose(self, *, vault: bool = False, log: bool = True) -> None:
        """The disk is lost; the vault lies on another one."""
        for path in self.data.iterdir():
            if (path.name != "vault" or vault) and (path.name != "log" or log):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        if self.url.startswith("sqlite"):
            for path in self.root.glob("*.db*"):
                path.unlink()

    def opens(self, folder: Folder, recording: str, side: str) -> bool:
        """Whether the agent's key opens it."""
        key, sealer = SegmentKey(recording, 1, side), folder.sealer
        if not sealer.vault.holds(key, Secret.HEADER) or sealer.blobs.size(key, Kind.PAYLOAD) is None:
            return False
        whole = sealer.vault.read(key, Secret.HEADER) + sealer.blobs.read(key, Kind.PAYLOAD)
        return age.decrypt(whole, [self.identity]) == b"the end"


def publisher(folder: Folder) -> Publisher:
    """The log's."""
    return Publisher(folder.database, LocalLogFiles(folder.root), folder.key)
