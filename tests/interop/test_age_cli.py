"""The `age` command opens our files and we open its own, cut files included."""

import os
import pty
import shutil
import subprocess

import pytest

from crypto import age, quorum
from crypto.errors import AgeError, AgePayloadError
from crypto.scrypt import Passphrase
from crypto.stream import CHUNK_BYTES, NONCE_BYTES, SEALED_CHUNK_BYTES, PayloadWriter, new_file_key, read_chunks
from crypto.x25519 import Identity, Recipient, format_identity, parse_identities

AGE = shutil.which("age") or ""
pytestmark = pytest.mark.skipif(not AGE, reason="the `age` command isn't installed")

SIZES = [0, 1, 65535, 65536, 65537, 3 * 65536, 5 * 65536 + 1]


@pytest.fixture(scope="module")
def identity():
    return Identity.generate()


@pytest.fixture(scope="module")
def key_file(identity, tmp_path_factory):
    path = tmp_path_factory.mktemp("keys") / "agent.key"
    path.write_text(format_identity(identity))
    return path


def _age(*args, stdin=b""):
    return subprocess.run([AGE, *args], input=stdin, capture_output=True, timeout=60, check=False)


@pytest.mark.parametrize("size", SIZES)
def test_age_opens_our_header_and_payload(identity, key_file, size):
    plaintext, file_key = os.urandom(size), new_file_key()
    writer, rest = PayloadWriter(file_key), memoryview(plaintext)
    payload = writer.nonce
    while len(rest) > CHUNK_BYTES:
        payload += writer.seal_chunk(rest[:CHUNK_BYTES])
        rest = rest[CHUNK_BYTES:]
    payload += writer.finish(rest)
    result = _age("-d", "-i", key_file, stdin=age.make_header(file_key, [identity.recipient]) + payload)
    assert (result.returncode, result.stdout) == (0, plaintext), result.stderr


@pytest.mark.parametrize("size", SIZES)
def test_we_open_what_age_made(identity, key_file, size):
    plaintext = os.urandom(size)
    made = _age("-r", str(identity.recipient), "-r", str(Identity.generate().recipient), stdin=plaintext)
    assert made.returncode == 0, made.stderr
    assert age.decrypt(made.stdout, [identity]) == plaintext
    assert age.count_stanzas(made.stdout) == 2


def test_council_and_officer_open_a_quorum_object_with_age_alone_and_neither_alone(tmp_path):
    council, dpo, file_key = Identity.generate(), Identity.generate(), new_file_key()
    for name, who in (("council.key", council), ("dpo.key", dpo)):
        (tmp_path / name).write_text(format_identity(who))
    sealed = quorum.seal(file_key, [council.recipient], dpo.recipient)
    inner = _age("-d", "-i", tmp_path / "council.key", stdin=sealed)
    assert inner.returncode == 0, inner.stderr
    opened = _age("-d", "-i", tmp_path / "dpo.key", stdin=inner.stdout)
    assert (opened.returncode, opened.stdout) == (0, file_key), opened.stderr
    assert _age("-d", "-i", tmp_path / "dpo.key", stdin=sealed).returncode != 0
    assert _age("-d", "-i", tmp_path / "council.key", stdin=inner.stdout).returncode != 0
    by_tool = _age("-r", str(council.recipient), stdin=_age("-r", str(dpo.recipient), stdin=file_key).stdout).stdout
    header = age.make_header(file_key, [Identity.generate().recipient])
    assert quorum.open_inner(quorum.open_outer(by_tool, [council]), [dpo], header) == file_key


@pytest.mark.parametrize("chunks", [0, 1, 2])
@pytest.mark.parametrize("extra", [0, 1, 16, 17, 40_000])
def test_a_cut_file_gives_both_of_us_its_whole_chunks_and_an_error(identity, key_file, chunks, extra):
    plaintext, file_key = os.urandom(3 * CHUNK_BYTES), new_file_key()
    made = age.encrypt(plaintext, [identity.recipient])
    header, payload = age.split_header(made)
    cut = payload[: NONCE_BYTES + chunks * SEALED_CHUNK_BYTES + extra]
    result = _age("-d", "-i", key_file, stdin=bytes(header) + bytes(cut))
    assert result.returncode != 0
    assert result.stderr
    file_key, ours = age.open_header(bytes(header), [identity]), []
    with pytest.raises(AgePayloadError):
        for chunk in read_chunks(file_key, cut):
            ours.append(chunk)
    assert b"".join(ours) == result.stdout == plaintext[: chunks * CHUNK_BYTES]


@pytest.mark.parametrize("place", ["mac", "stanza", "nonce", "payload"])
def test_age_refuses_an_altered_file_as_we_do(identity, key_file, place):
    data = bytearray(age.encrypt(b"words", [identity.recipient]))
    header_size = len(age.split_header(data)[0])
    position = {"mac": header_size - 10, "stanza": 40, "nonce": header_size, "payload": len(data) - 1}[place]
    data[position] ^= 1
    assert _age("-d", "-i", key_file, stdin=bytes(data)).returncode != 0
    with pytest.raises(AgeError):
        age.decrypt(data, [identity])


def test_a_second_header_opens_the_same_payload(identity, key_file, tmp_path):
    coach = Identity.generate()
    (tmp_path / "coach.key").write_text(format_identity(coach))
    header, payload = age.split_header(age.encrypt(b"words", [identity.recipient]))
    released = age.make_header(age.open_header(bytes(header), [identity]), [coach.recipient]) + bytes(payload)
    assert _age("-d", "-i", tmp_path / "coach.key", stdin=released).stdout == b"words"
    assert _age("-d", "-i", key_file, stdin=released).returncode != 0


def test_a_quorum_object_opens_with_both_keys(identity, key_file, tmp_path):
    council = Identity.generate()
    (tmp_path / "council.key").write_text(format_identity(council))
    file_key = new_file_key()
    quorum = age.encrypt(age.encrypt(file_key, [identity.recipient]), [council.recipient])
    inner = _age("-d", "-i", tmp_path / "council.key", stdin=quorum).stdout
    assert _age("-d", "-i", key_file, stdin=inner).stdout == file_key


def test_we_read_the_keys_of_age_keygen():
    keygen = shutil.which("age-keygen")
    if keygen is None:
        pytest.skip("`age-keygen` isn't installed")
    made = subprocess.run([keygen], capture_output=True, text=True, timeout=60, check=True)
    [identity] = parse_identities(made.stdout)
    assert f"# public key: {identity.recipient}\n" in made.stdout
    assert Recipient.parse(str(identity.recipient)) == identity.recipient
    ours = subprocess.run(
        [keygen, "-y"], input=format_identity(identity), capture_output=True, text=True, timeout=60, check=True
    )
    assert ours.stdout == f"{identity.recipient}\n"


def _age_at_terminal(args, answers):
    """Run age with a terminal of its own, from which alone it takes passphrases."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(AGE, [AGE, *args])
    for answer in answers:
        _read_until(terminal, b":")
        os.write(terminal, answer + b"\n")
    _read_until(terminal, None)
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _read_until(terminal, mark):
    seen = b""
    while mark is None or mark not in seen:
        try:
            part = os.read(terminal, 1024)
        except OSError:  # Linux says EIO when the other side is closed
            return
        if not part:
            return
        seen += part


def test_a_bundle_under_a_passphrase_goes_both_ways(tmp_path):
    ours, theirs, opened = tmp_path / "ours.age", tmp_path / "theirs.age", tmp_path / "opened"
    ours.write_bytes(age.encrypt(b"bundle", [Passphrase("six generated words", 16)]))
    assert _age_at_terminal(["-d", "-o", str(opened), str(ours)], [b"six generated words"]) == 0
    assert opened.read_bytes() == b"bundle"
    args = ["-p", "-o", str(theirs), str(opened)]
    assert _age_at_terminal(args, [b"six generated words", b"six generated words"]) == 0
    assert age.decrypt(theirs.read_bytes(), [Passphrase("six generated words")]) == b"bundle"
