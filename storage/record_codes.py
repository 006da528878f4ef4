"""Record codes: how a caller finds their record again. Only a keyed hash of a code is stored, its key in `keys/`.

Whoever has the database alone can neither list codes nor try them. A code ends with its recording.
"""

import hmac
import secrets
from datetime import datetime
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, delete, insert, select

from crypto.framing import lp
from policy.record_code import RANDOM, code_of, parse_code
from storage import durable
from storage.database import Database
from storage.errors import BlobMissing, KeyFileError, RecordingUnknown
from storage.gateway_key import check_private
from storage.recording import State
from storage.tables import record_codes, recordings

KEY_BYTES: Final = 32
STANDING: Final = (State.OPEN, State.KEPT, State.INTERRUPTED)
"""Recordings of which something is there, or may come."""
_NO_CODE: Final = "none"
"""Hashed in place of what can't be a code, so that it takes the same work."""


def key_path(data_dir: Path) -> Path:
    """Where the key lies: outside the database."""
    return data_dir / "keys" / "record-codes.key"


def load_or_create_key(data_dir: Path) -> bytes:
    """The key that is there, else a fresh one, made durable first. Raises KeyFileError, StorageUnavailable."""
    path = key_path(data_dir)
    try:
        key = durable.read(path)
    except BlobMissing:
        durable.put(path, secrets.token_bytes(KEY_BYTES), data_dir)
        key = durable.read(path)
    check_private(path)
    if len(key) != KEY_BYTES:
        raise KeyFileError(f"`{path.name}` isn't a key of {KEY_BYTES} bytes")
    return key


class RecordCodes:
    """The codes of one site."""

    def __init__(self, database: Database, key: bytes) -> None:
        self._database = database
        self._key = key

    async def issue(self, recording: str, at: datetime) -> str:
        """A fresh code for a recording, durable; the 20 digits are nowhere but in this answer. An earlier one ends.

        Raises RecordingUnknown, StorageUnavailable.
        """
        code = code_of(secrets.randbelow(RANDOM))

        def work(connection: Connection) -> None:
            if connection.execute(select(recordings.c.id).where(recordings.c.id == recording)).first() is None:
                raise RecordingUnknown("no such recording, or it was erased")
            connection.execute(delete(record_codes).where(record_codes.c.recording == recording))
            row = {"hash": self._hash(code), "recording": recording, "issued_at": at}
            connection.execute(insert(record_codes).values(**row))

        await self._database.write(work)
        return code

    async def find(self, text: str) -> str | None:
        """The recording behind what a person typed; None alike for what never was, is gone, or can't be a code."""
        query = (
            select(recordings.c.id)
            .join(record_codes, record_codes.c.recording == recordings.c.id)
            .where(record_codes.c.hash == self._hash(parse_code(text) or _NO_CODE))
            .where(recordings.c.state.in_([state.value for state in STANDING]))
        )
        return await self._database.read(lambda connection: connection.execute(query).scalar_one_or_none())

    def _hash(self, digits: str) -> str:
        return hmac.digest(self._key, lp("fairtap/v1/record-code", digits), "sha256").hex()
