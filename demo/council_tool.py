"""The demo's council as in any house: `fairtap-council` in a folder of its own, over the site's API, by its own key."""

import asyncio
import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo.keys import Keys

AHEAD = 2
EVERY_S = 8


class CouncilFailed(Exception):
    """The tool said no; the message is its own."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What `fairtap-council verify` says of a log."""

    size: int
    root: str
    clean: bool
    findings: tuple[str, ...]
    epochs: dict[str, dict[str, Any]]

    @property
    def told(self) -> str:
        """In a few words."""
        return "clean" if self.clean else f"{len(self.findings)} findings"

    @property
    def log(self) -> dict[str, Any]:
        """As `--json` tells it."""
        return {"size": self.size, "root": self.root, "verified": self.clean}


class CouncilTool:
    """`folder` is the council's home: its mirror, shares, acts, rosters, what it saw."""

    def __init__(self, folder: Path, log_key: str) -> None:
        self.folder = folder
        self._log_key = log_key
        self._watching: asyncio.subprocess.Process | None = None

    async def set_up(self, url: str, parties: dict[str, Keys]) -> None:
        """Take the log's key and the other parties' from their own hands."""
        own = parties["council"]
        words = ["init", "--url", url, "--log-key", self._log_key, "--key", str(own.signing_file)]
        words += ["--identity", str(own.identity_file)]
        for role, keys in parties.items():
            words += ["--anchor", f"{role}={keys.public_file}"]
        await self._run(*words)

    async def open_epochs(self) -> None:
        """Commit to the epoch that goes on and the next ones, check and cosign what the log says, hand shares over."""
        await self._run("open-epoch", "--ahead", str(AHEAD))
        await self._run("watch", "--rounds", "1", "--ahead", str(AHEAD))

    async def watch(self) -> None:
        """Go on doing so until `close`."""
        self._watching = await asyncio.create_subprocess_exec(
            *self._words("watch", "--every", str(EVERY_S), "--ahead", str(AHEAD)),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )

    async def close(self) -> None:
        """The council goes home."""
        if self._watching is not None and self._watching.returncode is None:
            self._watching.terminate()
            await self._watching.wait()

    async def check(self) -> Checked:
        """Bring the mirror up to date and verify all of it, offline."""
        await self._run("sync")
        return await self._verify()

    async def check_with_one_byte_changed(self) -> Checked:
        """The same over a copy of the mirror in which somebody changed one byte of one entry."""
        copy = self.folder / "changed"
        shutil.copytree(self.folder / "mirror", copy)
        bundle = max(path for path in copy.glob("**/tile/entries/**/*") if path.is_file())
        data = bytearray(bundle.read_bytes())
        place = data.rindex(b'"n":') + 4
        data[place] ^= 1
        bundle.write_bytes(data)
        try:
            return await self._verify("--log", str(copy), "--key", self._log_key)
        finally:
            shutil.rmtree(copy)

    async def _verify(self, *words: str) -> Checked:
        told = json.loads(await self._run("verify", "--json", *words, permitted=(0, 1)))
        log = told["logs"][-1]
        findings = tuple(f"{one['check']} {one['place']}: {one['sentence']}" for one in told["findings"])
        return Checked(log["size"] or 0, log["root"] or "", told["total"] == 0, findings, log["epochs"])

    async def _run(self, *words: str, permitted: tuple[int, ...] = (0,)) -> str:
        process = await asyncio.create_subprocess_exec(
            *self._words(*words), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        said, wrong = await process.communicate()
        if process.returncode not in permitted:
            raise CouncilFailed(f"fairtap-council {words[0]}: {(wrong or said).decode()[-400:].strip()}")
        return said.decode()

    def _words(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "council", "--home", str(self.folder), "--lang", "en", *words]
