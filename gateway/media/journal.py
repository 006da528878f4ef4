"""What a worker must know to relay on after it was killed: ports, addresses and latches by call, no identities.

One small file a call, replaced as a whole, erased with the call; written behind, so that no packet waits for a disk,
and not forced to it: a machine that lost its power has lost its calls too. Recordings aren't in it: a restarted worker
never records on.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from gateway.journal import WriteBehind
from gateway.media.datapath.base import Latched
from gateway.media.plane import Address, CallRef, FlowId, Forward, Withhold

_SUFFIX: Final = ".json"
_MAX_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class FlowEntry:
    """One flow as it was."""

    flow: FlowId
    local: Address
    forward: Forward | None
    latched: Latched
    withheld: Withhold | None = None
    """So that keys which nobody was to hear aren't heard after a restart."""


_FLOWS: Final = TypeAdapter(tuple[FlowEntry, ...])


class Journal:
    """The journal of one worker, in a folder of its own. Only making that raises OSError."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder: Final = folder
        self.unreadable = 0
        """Files that were no journal, and are gone now."""
        self._behind: Final = WriteBehind()

    @property
    def failed(self) -> int:
        """Writes that the disk refused: only a restart of this worker would lose these calls."""
        return self._behind.failed

    def write(self, call: CallRef, flows: tuple[FlowEntry, ...]) -> None:
        """Replace what is known of a call."""
        self._behind.put(call, partial(self._write, call, flows))

    def erase(self, call: CallRef) -> None:
        """Forget a call; harmless when repeated."""
        self._behind.put(call, lambda: self._path(call).unlink(missing_ok=True))

    def flush(self) -> bool:
        """Wait until everything is written, for a while."""
        return self._behind.flush()

    def _write(self, call: CallRef, flows: tuple[FlowEntry, ...]) -> None:
        path = self._path(call)
        temp = path.with_suffix(".new")
        descriptor = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(_FLOWS.dump_json(flows))
        temp.rename(path)

    def calls(self) -> Iterator[tuple[CallRef, tuple[FlowEntry, ...]]]:
        """Every call of before."""
        self.flush()
        for path in sorted(self._folder.iterdir()):
            flows = self._read(path)
            if flows is None:
                self.unreadable += 1
                with contextlib.suppress(OSError):
                    path.unlink()
                continue
            yield CallRef(path.stem), flows

    @staticmethod
    def _read(path: Path) -> tuple[FlowEntry, ...] | None:
        try:
            if path.suffix != _SUFFIX or path.stat().st_size > _MAX_BYTES:
                return None
            return _FLOWS.validate_json(path.read_bytes())
        except (OSError, ValidationError):
            return None

    def _path(self, call: CallRef) -> Path:
        if not call.isalnum() or not call.isascii():
            raise FileNotFoundError("call reference isn't one")
        return self._folder / f"{call}{_SUFFIX}"
