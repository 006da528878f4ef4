"""What the council may have the gateway do about epochs and the log: commitments, shares, cosignatures, lists."""

from collections.abc import Awaitable, Callable
from typing import Any

from crypto.draw import SHARE_BYTES
from crypto.framing import parse_hex
from gateway.control import protocol as p
from gateway.engine.engine import format_time
from gateway.engine.epoch_steps import EpochSteps
from policy.epochs import EpochState
from storage.epochs import Epochs, StoredEpoch

__all__ = ["EpochCommands"]

Answer = dict[str, Any]


class EpochCommands:
    """The table of these commands, a part of `Commands`."""

    def __init__(self, steps: EpochSteps, epochs: Epochs) -> None:
        self._steps = steps
        self._epochs = epochs

    def table(self) -> dict[type, Callable[[Any], Awaitable[Answer]]]:
        """Command to function."""
        return {
            p.CommitEpoch: self._commit,
            p.ShareEpoch: self._share,
            p.CosignLog: self._cosign,
            p.Epochs: self._list,
            p.EpochRoster: self._roster,
        }

    async def _commit(self, command: p.CommitEpoch) -> Answer:
        parse_hex(command.c, SHARE_BYTES)
        return _told(await self._steps.promise(command.epoch, command.c, command.csig))

    async def _share(self, command: p.ShareEpoch) -> Answer:
        return _told(await self._steps.share(command.epoch, parse_hex(command.share, SHARE_BYTES)))

    async def _cosign(self, command: p.CosignLog) -> Answer:
        found = await self._steps.cosign(command.note)
        return {"origin": found.origin, "size": found.size, "at": format_time(found.at)}

    async def _list(self, command: p.Epochs) -> Answer:
        known, horizon = await self._steps.known(), self._steps.horizon()
        origins = await self._steps.origins([epoch.name for epoch in horizon])
        ahead = {
            epoch.name: {
                "epoch": epoch.name,
                "origin": origins[epoch.name],
                "start": format_time(epoch.start),
                "end": format_time(epoch.end),
                "state": EpochState.NONE.value,
                "inventory": False,
            }
            for epoch in horizon
        }
        told = {**ahead, **{name: _told(row) for name, row in known.items()}}
        return {"epochs": sorted(told.values(), key=lambda one: one["start"])}

    async def _roster(self, command: p.EpochRoster) -> Answer:
        row = await self._epochs.get(command.epoch)
        names = await self._epochs.names(command.epoch)
        return {"leaves": [leaf.fields() for leaf in row.roster], "names": list(names)}


def _told(row: StoredEpoch) -> Answer:
    return {
        "epoch": row.name,
        "origin": row.origin,
        "start": format_time(row.start),
        "end": format_time(row.end),
        "state": row.state.value,
        "inventory": row.listed,
    }
