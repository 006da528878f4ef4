"""Record codes in the database: found again by the code alone, gone with the recording, unreadable without the key."""

import os
import secrets
import stat

import pytest
from sqlalchemy import select

from policy.record_code import RANDOM, code_of, parse_code
from storage.errors import KeyFileError, RecordingUnknown
from storage.record_codes import RecordCodes, key_path, load_or_create_key
from storage.tables import record_codes
from tests.peers.printed_code import print_code
from tests.peers.stored import AT, begin

REC, OTHER = "4" * 32, "5" * 32


@pytest.fixture
def codes(folder):
    return RecordCodes(folder.database, load_or_create_key(folder.root))


async def test_a_code_finds_its_recording_and_nothing_else_does(folder, codes, identity):
    await begin(folder, REC, identity)
    await begin(folder, OTHER, identity)
    code, other = await codes.issue(REC, AT), await codes.issue(OTHER, AT)
    assert parse_code(code) == code != other
    assert await codes.find(print_code(code)) == REC
    assert await codes.find(other) == OTHER
    for wrong in (code_of(secrets.randbelow(RANDOM)), code[:-1], code[::-1], "", "%", "none"):
        assert await codes.find(wrong) is None


async def test_a_second_code_ends_the_first(folder, codes, identity):
    await begin(folder, REC, identity)
    first, second = await codes.issue(REC, AT), await codes.issue(REC, AT)
    assert (await codes.find(first), await codes.find(second)) == (None, REC)


async def test_a_code_ends_with_its_recording(folder, codes, identity):
    for recording in (REC, OTHER):
        await begin(folder, recording, identity)
    erased, discarded = await codes.issue(REC, AT), await codes.issue(OTHER, AT)
    await folder.recordings.close(REC, AT)
    await folder.recordings.erase(REC)
    await folder.recordings.intend_discard(OTHER, AT)
    assert await codes.find(erased) is await codes.find(discarded) is None
    with pytest.raises(RecordingUnknown):
        await codes.issue(REC, AT)


async def test_the_database_and_its_file_hold_no_code_and_the_key_lies_elsewhere(local, identity):
    codes = RecordCodes(local.database, load_or_create_key(local.root))
    await begin(local, REC, identity)
    code = await codes.issue(REC, AT)
    row = await local.database.read(lambda connection: connection.execute(select(record_codes)).one())
    assert len(row.hash) == 64 and code not in str(row)
    key = load_or_create_key(local.root)
    assert stat.S_IMODE(os.stat(key_path(local.root)).st_mode) == 0o600
    for path in local.root.rglob("*"):
        if path.is_file() and path != key_path(local.root):
            data = path.read_bytes()
            assert code.encode() not in data and key not in data
    assert await RecordCodes(local.database, secrets.token_bytes(32)).find(code) is None


@pytest.mark.parametrize("spoil", [lambda path: path.chmod(0o640), lambda path: path.write_bytes(b"short")])
def test_a_key_that_others_can_read_or_that_is_none_is_refused(tmp_path, spoil):
    load_or_create_key(tmp_path)
    spoil(key_path(tmp_path))
    with pytest.raises(KeyFileError):
        load_or_create_key(tmp_path)
