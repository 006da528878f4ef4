"""The council's part in the draw, by the API alone and at once: commits, cosigns what it is shown, hands shares over.

It verifies nothing: that is the council's own tool's (`council`), with which the demo plays.
"""

from typing import Any

from crypto.checkpoint import Checkpoint
from crypto.cosignature import cosign
from crypto.draw import new_share
from crypto.signed_note import SignedNote
from crypto.ssh_key import SigningKey
from demo.staff import Office, OfficeRefused
from gateway.clock import Clock
from policy.epoch_statement import commit

COSIGNER = "council"


class CouncilDesk:
    """Keeps epochs open; `office` carries the council's session, `key` is its anchored one."""

    def __init__(self, office: Office, key: SigningKey, clock: Clock) -> None:
        self._office = office
        self._key = key
        self._clock = clock
        self._shares: dict[str, bytes] = {}

    async def open_epochs(self, count: int) -> None:
        """The current epoch and the next ones, up to `count`: what isn't open of them is committed to and opened."""
        epochs: list[dict[str, Any]] = (await self._office.ask("GET", "/epochs"))["epochs"]
        now = self._clock.wallclock().isoformat(timespec="seconds")
        wanted = [one for one in epochs if one["end"] > now][:count]
        for one in wanted:
            if one["state"] == "none":
                one |= await self._commit(one["origin"], one["epoch"])
        committed = [one for one in wanted if one["state"] == "committed" and one["epoch"] in self._shares]
        for origin in {one["origin"] for one in committed}:
            await self._cosign(origin)
        for one in committed:
            body = {"share": self._shares.pop(one["epoch"]).hex()}
            await self._office.ask("POST", f"/epochs/{one['epoch']}/share", body)

    async def _commit(self, origin: str, epoch: str) -> dict[str, Any]:
        share = self._shares.setdefault(epoch, new_share())
        said, csig = commit(origin, epoch, share, self._key)
        return await self._office.ask("POST", f"/epochs/{epoch}/commitment", {"c": said.c, "csig": csig})

    async def _cosign(self, origin: str) -> None:
        note = SignedNote.parse(await self._office.fetch(f"/log/{origin}/checkpoint"))
        if Checkpoint.parse(note.text).origin != origin:
            raise OfficeRefused("a checkpoint of another log")
        line = cosign(note.text, COSIGNER, self._key, int(self._clock.wallclock().timestamp()))
        told = SignedNote(note.text, (*note.signatures, line))
        await self._office.ask("POST", "/log/cosignatures", {"note": bytes(told).decode()})
