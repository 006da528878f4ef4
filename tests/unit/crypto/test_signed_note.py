"""Signed notes, checkpoints and cosignatures: the formats by hand, a foreign signer's note, what must be refused."""

import base64
import contextlib
import hashlib
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.checkpoint import Checkpoint, open_checkpoint
from crypto.cosignature import check_cosignature, cosign, cosigner, find_cosignature
from crypto.errors import NoteError
from crypto.signed_note import NoteSignature, SignedNote, VerifierKey, from_base64, parse_signatures, sign
from crypto.ssh_key import SigningKey

KEY, OTHER = SigningKey.generate(), SigningKey.generate()
ORIGIN = "hamburg/fairtap/2026-40"
CHECKPOINT = Checkpoint(ORIGIN, 12, bytes(range(32)))
NOTE = bytes(CHECKPOINT.signed(KEY))
# From the documentation of Go's x/mod/sumdb/note.
FOREIGN_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
FOREIGN_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
).encode()


def test_a_foreign_note_verifies_under_its_foreign_key():
    key = VerifierKey.parse(FOREIGN_KEY)
    note = SignedNote.parse(FOREIGN_NOTE)
    note.check(key)
    assert bytes(note) == FOREIGN_NOTE
    assert str(key) == FOREIGN_KEY


def test_a_note_is_the_format_by_hand():
    text = f"{ORIGIN}\n12\n{base64.b64encode(bytes(range(32))).decode()}\n"
    key_id = hashlib.sha256(ORIGIN.encode() + b"\n\x01" + KEY.verify_key.raw).digest()[:4]
    signature = base64.b64encode(key_id + KEY.sign_raw(text.encode())).decode()
    assert NOTE.decode() == f"{text}\n— {ORIGIN} {signature}\n"


def test_a_checkpoint_opens_under_its_log_only():
    assert open_checkpoint(NOTE, ORIGIN, KEY.verify_key)[0] == CHECKPOINT
    for origin, key in ((ORIGIN, OTHER.verify_key), ("hamburg/fairtap/2026-27", KEY.verify_key)):
        with pytest.raises(NoteError):
            open_checkpoint(NOTE, origin, key)
    disguised = sign(str(Checkpoint("other", 1, bytes(32))), ORIGIN, KEY)
    with pytest.raises(NoteError, match="another log"):
        open_checkpoint(bytes(disguised), ORIGIN, KEY.verify_key)


def test_unknown_signatures_are_carried_and_a_wrong_one_of_ours_spoils():
    note = SignedNote.parse(NOTE)
    more = SignedNote(note.text, (*note.signatures, NoteSignature("who", b"1234", b"x" * 64)))
    SignedNote.parse(bytes(more)).check(VerifierKey(ORIGIN, KEY.verify_key))
    wrong = NoteSignature(ORIGIN, note.signatures[0].key_id, bytes(64))
    with pytest.raises(NoteError, match="doesn't verify"):
        SignedNote(note.text, (*note.signatures, wrong)).check(VerifierKey(ORIGIN, KEY.verify_key))


def test_every_flipped_bit_of_a_checkpoint_is_found():
    for at in range(len(NOTE) * 8):
        wrong = bytearray(NOTE)
        wrong[at // 8] ^= 1 << at % 8
        with pytest.raises(NoteError):
            open_checkpoint(bytes(wrong), ORIGIN, KEY.verify_key)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"text\n",
        b"text\n\n",
        b"text\n\n\n",
        NOTE[:-1],
        NOTE + b"\n",
        NOTE + b"junk\n",
        NOTE.replace(b"\n", b"\r\n"),
        NOTE.replace(b"12\n", b"12\t\n"),
        NOTE.replace("— ".encode(), b"- "),
        NOTE.replace(b"=\n", b"\n"),
        b"\xff\n\n" + NOTE,
        b"a" * 70_000 + NOTE,
        NOTE + NOTE[NOTE.index("— ".encode()) :] * 32,
    ],
)
def test_what_is_not_a_note_is_refused(data):
    with pytest.raises(NoteError):
        SignedNote.parse(data)


@pytest.mark.parametrize(
    "text",
    [
        "o\n1\n",
        "o\n01\n" + "A" * 43 + "=\n",
        "o\n-1\n" + "A" * 43 + "=\n",
        "o\n1\n" + "A" * 42 + "B=\n",
        "o\n1\n" + "A" * 44 + "\n",
        "o\n1\n" + "A" * 43 + "=",
        "o\n1\n" + "A" * 43 + "=\nextension\n",
        "\n1\n" + "A" * 43 + "=\n",
        "o o\n1\n" + "A" * 43 + "=\n",
        "o\n9999999999999999\n" + "A" * 43 + "=\n",
    ],
)
def test_what_is_not_a_checkpoint_is_refused(text):
    with pytest.raises(NoteError):
        Checkpoint.parse(text)


def test_the_empty_tree_has_size_zero():
    text = "o\n0\n" + "A" * 43 + "=\n"
    assert str(Checkpoint.parse(text)) == text


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb", "a\u2003b", "a" * 257])
def test_a_key_name_that_no_line_could_hold_is_refused(name):
    with pytest.raises(NoteError):
        sign("text\n", name, KEY)


@pytest.mark.parametrize(
    "text",
    [
        FOREIGN_KEY.replace("c74f20a3", "c74f20a4"),
        FOREIGN_KEY.replace("c74f20a3", "C74F20A3"),
        FOREIGN_KEY[:-1],
        FOREIGN_KEY + "=",
        "PeterNeumann+c74f20a3",
        f"a+{hashlib.sha256(b'a').hexdigest()[:8]}+AQ==",
        "+" * 600,
    ],
)
def test_what_is_not_a_verifier_key_is_refused(text):
    with pytest.raises(NoteError):
        VerifierKey.parse(text)


def test_a_cosignature_is_the_format_by_hand():
    witness = "hamburg/council"
    line = cosign(str(CHECKPOINT), witness, OTHER, 1_679_315_147)
    message = f"cosignature/v1\ntime 1679315147\n{CHECKPOINT}".encode()
    assert line.key_id == hashlib.sha256(b"hamburg/council\n\x04" + OTHER.verify_key.raw).digest()[:4]
    assert line.raw == struct.pack(">Q", 1_679_315_147) + OTHER.sign_raw(message)
    key = cosigner(witness, OTHER.verify_key)
    assert VerifierKey.parse(str(key)) == key
    assert check_cosignature(str(CHECKPOINT), line, key) == 1_679_315_147
    assert parse_signatures(f"{line}\n") == (line,)


def test_a_cosigned_note_tells_its_latest_time():
    note, key = SignedNote.parse(NOTE), cosigner("council", OTHER.verify_key)
    lines = [cosign(note.text, "council", OTHER, at) for at in (20, 30, 10)]
    cosigned = SignedNote.parse(bytes(SignedNote(note.text, (*note.signatures, *lines))))
    assert find_cosignature(cosigned, key) == (lines[1], 30)
    cosigned.check(VerifierKey(ORIGIN, KEY.verify_key))
    with pytest.raises(NoteError):
        find_cosignature(note, key)


def test_another_time_text_key_or_kind_is_not_cosigned():
    text, key = str(CHECKPOINT), cosigner("council", OTHER.verify_key)
    line = cosign(text, "council", OTHER, 30)
    later = NoteSignature(line.name, line.key_id, struct.pack(">Q", 31) + line.raw[8:])
    cases = [
        (text, later, key),
        (text.replace("12", "13"), line, key),
        (text, line, cosigner("council", KEY.verify_key)),
        (text, line, VerifierKey("council", OTHER.verify_key)),
        (text, NoteSignature(line.name, line.key_id, line.raw[:-1]), key),
        (text, NoteSignature(line.name, line.key_id, b"\xff" * 8 + line.raw[8:]), key),
    ]
    for case in cases:
        with pytest.raises(NoteError):
            check_cosignature(*case)
    with pytest.raises(NoteError):
        cosign(text, "council", OTHER, -1)


@given(st.lists(st.sampled_from([b"o\n", b"12\n", b"\n", "— ".encode(), b"name ", b"AAAAAAAA", b"=", b"\xff", b"\r"])))
@settings(max_examples=80)
def test_garbage_raises_note_errors_only_and_notes_print_back(pieces):
    data = b"".join(pieces)
    try:
        note = SignedNote.parse(data)
    except NoteError:
        return
    assert bytes(note) == data


@given(st.text(max_size=12))
@settings(max_examples=40)
def test_base64_raises_its_own_error(text):
    with contextlib.suppress(NoteError):
        assert base64.b64encode(from_base64(text)).decode() == text
