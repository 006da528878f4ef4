"""One private file a call, replaced whole, gone with the call; a broken disk costs the entry and never the call."""

import threading
from functools import partial

from gateway.journal import MAX_ENTRY, CallJournal, WriteBehind

CALL, OTHER = "00112233aabbccdd", "ffeeddcc00112233"


def test_entries_are_what_was_put_last(tmp_path):
    journal = CallJournal(tmp_path)
    journal.put(CALL, b"one")
    journal.put(CALL, b"two")
    journal.put(OTHER, b"three")
    assert journal.flush()
    assert CallJournal(tmp_path).entries() == [b"two", b"three"]


def test_an_erased_entry_is_gone_and_erasing_again_is_harmless(tmp_path):
    journal = CallJournal(tmp_path)
    journal.put(CALL, b"one")
    journal.erase(CALL)
    journal.erase(CALL)
    assert journal.entries() == []
    assert list((tmp_path / "calls").iterdir()) == []


def test_only_its_owner_can_read_it(tmp_path):
    journal = CallJournal(tmp_path)
    journal.put(CALL, b"one")
    assert journal.flush()
    assert (tmp_path / "calls").stat().st_mode & 0o077 == 0
    assert (tmp_path / "calls" / f"{CALL}.json").stat().st_mode & 0o077 == 0


def test_half_written_oversized_and_foreign_files_are_no_entries(tmp_path):
    journal = CallJournal(tmp_path)
    journal.put(CALL, b"one")
    (tmp_path / "calls" / f"{OTHER}.part").write_bytes(b"hal")
    (tmp_path / "calls" / "big.json").write_bytes(bytes(MAX_ENTRY + 1))
    (tmp_path / "calls" / "folder.json").mkdir()
    assert journal.entries() == [b"one"]


def test_what_the_disk_refuses_never_reaches_the_call(tmp_path):
    journal = CallJournal(tmp_path)
    (tmp_path / "calls" / f"{CALL}.part").mkdir()
    (tmp_path / "calls" / f"{OTHER}.json").mkdir()
    journal.put(CALL, b"one")
    journal.put(OTHER, b"two")
    journal.erase(OTHER)
    assert journal.entries() == []


def test_a_disk_that_hangs_keeps_no_caller_waiting_and_gets_only_the_newest():
    behind, hangs = WriteBehind(), threading.Event()
    done: list[int] = []
    behind.put("hanging", lambda: [hangs.wait()].clear())
    for number in range(1000):
        behind.put("call", partial(done.append, number))
    assert not behind.flush(0.01)
    hangs.set()
    assert behind.flush()
    assert done == [999]
