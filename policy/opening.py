"""Openings of what log entries commit to (crypto.md §3): a leg for the council's comparison, its end for its agent.

One file of sealed lines per epoch goes to the council, `calls` alone; an agent gets both kinds for own legs.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from crypto.commitment import SALT_BYTES, commitment
from crypto.errors import CryptoError
from crypto.framing import parse_hex
from crypto.jcs import canonical
from policy.errors import StatementError
from policy.statements import CALL_REF, MAX_SEQ, SHA256, Fields

CALL_KIND: Final = "call"
WISH_KIND: Final = "wish"
OUT_KIND: Final = "out"
MAX_FILE: Final = 256 * 1024 * 1024
MAX_LINE: Final = 128 * 1024
MAX_MANIFESTS: Final = 1_000
MAX_REASONS: Final = 64
BLOCK: Final = 1024
"""Sealed openings are padded to multiples of it: all reasons there are fit into the first."""
_CALL_ID: Final = re.compile(r"[^\x00-\x1f\x7f]{1,1024}")
_WORD: Final = re.compile(r"[A-Za-z_]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class CallOpening:
    """Which leg a `call` or `wish` entry stands for."""

    entry: int
    """Index of the entry in its log."""
    call: str = field(repr=False)
    """The gateway's reference of the call."""
    call_id: str = field(repr=False)
    """The SIP Call-ID on the telephone system's side."""
    start: str = field(repr=False)
    """UTC, `2026-03-01T09:30:00Z`, with or without milliseconds."""
    salt: bytes = field(repr=False)
    lane: str | None = None
    """Of a wish; None for a call."""

    def commitment(self) -> bytes:
        """The `c` of the entry."""
        told: dict[str, object] = {"call": self.call, "call_id": self.call_id, "start": self.start}
        if self.lane is None:
            return commitment(CALL_KIND, told, self.salt)
        return commitment(WISH_KIND, told | {"lane": self.lane}, self.salt)

    def fits(self, c: str) -> bool:
        """Whether this is the opening of the entry's `c` (hex32)."""
        return hmac.compare_digest(self.commitment().hex(), c)

    def line(self) -> bytes:
        """Its line of the opening file, without newline."""
        return canonical(
            {
                "entry": self.entry,
                "call": self.call,
                "call_id": self.call_id,
                "start": self.start,
                "lane": self.lane,
                "salt": self.salt.hex(),
            }
        )


@dataclass(frozen=True, slots=True)
class OutOpening:
    """How a leg ended, which the `m` of its `out` entry commits to; the agent's alone."""

    entry: int
    outcome: str
    lane: str | None
    reasons: tuple[str, ...]
    """Codes; the JSON field is `reason`."""
    manifests: tuple[str, ...]
    """Digests (hex32) of what was kept."""
    salt: bytes = field(repr=False)

    def commitment(self) -> bytes:
        """The `m` of the entry."""
        told = {
            "outcome": self.outcome,
            "lane": self.lane,
            "reason": list(self.reasons),
            "manifests": list(self.manifests),
        }
        return commitment(OUT_KIND, told, self.salt)

    def fits(self, m: str) -> bool:
        """Whether this is the opening of the entry's `m` (hex32)."""
        return hmac.compare_digest(self.commitment().hex(), m)

    def line(self) -> bytes:
        """Its canonical JSON."""
        return canonical(
            {
                "entry": self.entry,
                "outcome": self.outcome,
                "lane": self.lane,
                "reason": list(self.reasons),
                "manifests": list(self.manifests),
                "salt": self.salt.hex(),
            }
        )


def pad_line(line: bytes) -> bytes:
    """A line with spaces behind it, so that its sealed size doesn't tell how a leg ended."""
    return line + b" " * (-len(line) % BLOCK)


def print_openings(openings: Iterable[bytes]) -> bytes:
    """The opening file of an epoch: an age file for the council in each line, in base64."""
    return b"".join(base64.b64encode(sealed) + b"\n" for sealed in openings)


def parse_openings(data: bytes, unseal: Callable[[bytes], bytes]) -> Iterator[CallOpening]:
    """Read an opening file, sealed or opened line by line; raises `StatementError` and what `unseal` raises."""
    if len(data) > MAX_FILE or not (data == b"" or data.endswith(b"\n")):
        raise StatementError("opening file is too long, or its last line is cut")
    for line in data.split(b"\n")[:-1]:
        yield parse_call_opening(line if line.startswith(b"{") else unseal(_unbase64(line)))


def _unbase64(line: bytes) -> bytes:
    try:
        return base64.b64decode(line, validate=True)
    except ValueError:
        raise StatementError("a line of the opening file isn't base64") from None


def parse_call_opening(data: bytes) -> CallOpening:
    """Read one line; raises `StatementError`, and nothing else."""
    fields = Fields.read(data, "entry call call_id start lane salt")
    return CallOpening(
        entry=fields.integer("entry", 0, MAX_SEQ),
        call=fields.text("call", CALL_REF),
        call_id=fields.text("call_id", _CALL_ID),
        start=fields.instant("start"),
        lane=fields.optional_text("lane", _WORD),
        salt=_salt(fields),
    )


def parse_out_opening(data: bytes) -> OutOpening:
    """Read the opening of an `out`; raises `StatementError`, and nothing else."""
    fields = Fields.read(data, "entry outcome lane reason manifests salt", MAX_LINE)
    return OutOpening(
        entry=fields.integer("entry", 0, MAX_SEQ),
        outcome=fields.text("outcome", _WORD),
        lane=fields.optional_text("lane", _WORD),
        reasons=fields.texts("reason", _WORD, MAX_REASONS),
        manifests=fields.texts("manifests", SHA256, MAX_MANIFESTS),
        salt=_salt(fields),
    )


def _salt(fields: Fields) -> bytes:
    try:
        return parse_hex(fields.text("salt", SHA256), SALT_BYTES)
    except CryptoError:
        raise StatementError("field `salt` doesn't have its form") from None
