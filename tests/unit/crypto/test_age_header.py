"""The header's grammar: what is printed is read, and nothing else."""

import pytest

from crypto.errors import AgeHeaderError, AgeKeyError
from crypto.header import MAX_STANZAS, FileKey, Header, Stanza, b64, parse, seal

KEY = FileKey(bytes(range(16)))
MAC = b"--- " + b"A" * 43 + b"\n"
VERSION = b"age-encryption.org/v1\n"


def _file(*stanza_lines: bytes, mac: bytes = MAC, version: bytes = VERSION) -> bytes:
    return version + b"".join(stanza_lines) + mac


@pytest.mark.parametrize("size", [0, 1, 2, 3, 47, 48, 49, 95, 96, 97, 1000])
def test_a_body_of_any_size_round_trips(size):
    header = seal(KEY, [Stanza("x", ("!", "~a"), bytes(size)), Stanza("y", (), b"z")])
    printed = bytes(header)
    parsed, length = parse(printed + b"payload")
    assert parsed == header
    assert length == len(printed)
    assert bytes(parsed) == printed
    parsed.verify(KEY)


def test_a_full_last_line_is_followed_by_an_empty_one():
    assert bytes(Stanza("x", (), bytes(48))) == b"-> x\n" + b"A" * 64 + b"\n\n"
    assert bytes(Stanza("x", (), b"")) == b"-> x\n\n"


def test_the_mac_binds_stanzas_and_their_order_to_the_file_key():
    one, two = Stanza("x", (), b"1"), Stanza("x", (), b"2")
    header = seal(KEY, [one, two])
    for other in (Header((two, one), header.mac), Header((one,), header.mac), Header((one, two), bytes(32))):
        with pytest.raises(AgeHeaderError, match="mac"):
            other.verify(KEY)
    with pytest.raises(AgeHeaderError, match="mac"):
        header.verify(FileKey(bytes(16)))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        VERSION,
        _file(),
        _file(b"-> x\n\n", version=b"age-encryption.org/v2\n"),
        _file(b"-> x\n\n", version=VERSION.replace(b"\n", b"\r\n")),
        _file(b"-> x\n\n", version=b"\n" + VERSION),
        _file(b"->x\n\n"),
        _file(b"-> \n\n"),
        _file(b"->  x\n\n"),
        _file(b"-> x \n\n"),
        _file(b"-> x  y\n\n"),
        _file(b"-> x\ty\n\n"),
        _file(b"-> x\x7f\n\n"),
        _file("-> é\n\n".encode()),
        _file(b"-> x\r\n\n"),
        _file(b"-> x\n\r\n"),
        _file(b"-> x\n"),
        _file(b"-> x\nAAAA\nAAAA\n"),
        _file(b"-> x\n" + b"A" * 64 + b"\n"),
        _file(b"-> x\n" + b"A" * 68 + b"\n"),
        _file(b"-> x\n" + b"A" * 68 + b"\n\n"),
        _file(b"-> x\nAAA=\n"),
        _file(b"-> x\nAB\n"),
        _file(b"-> x\nA\n"),
        _file(b"-> x\nA_AA\n"),
        _file(b"-> x\n AAA\n"),
        _file(b"-> x\n\n", mac=b"---\n"),
        _file(b"-> x\n\n", mac=b"--- \n"),
        _file(b"-> x\n\n", mac=MAC[:-1]),
        _file(b"-> x\n\n", mac=MAC[:-1] + b" \n"),
        _file(b"-> x\n\n", mac=MAC[:-1] + b"\r\n"),
        _file(b"-> x\n\n", mac=MAC.replace(b"--- ", b"---  ")),
        _file(b"-> x\n\n", mac=MAC.replace(b"--- ", b"---")),
        _file(b"-> x\n\n", mac=MAC[:-2] + b"B\n"),
        _file(b"-> x\n\n", mac=MAC[:-1] + b"=\n"),
        _file(b"-> x\n\n", b"noise\n"),
        _file(b"-> x\n\n" * (MAX_STANZAS + 1)),
        _file(b"-> x\n" + b"A" * 64 + b"\n", b"A" * 64 + b"\n", b"A" * 70_000 + b"\n"),
        _file(b"-> " + b"x" * 70_000 + b"\n\n"),
    ],
)
def test_anything_else_is_refused(data):
    parse(_file(b"-> x\n\n"))
    with pytest.raises(AgeHeaderError):
        parse(data)


@pytest.mark.parametrize("word", ["", "a b", "a\n", "é", "\x7f"])
def test_an_argument_that_would_not_read_back_is_not_printed(word):
    for stanza in (Stanza(word, (), b""), Stanza("x", (word,), b"")):
        with pytest.raises(AgeHeaderError):
            bytes(stanza)


def test_a_header_has_between_one_and_the_limit_of_stanzas():
    for count in (0, MAX_STANZAS + 1):
        with pytest.raises(AgeHeaderError, match="stanzas"):
            seal(KEY, [Stanza("x", (), b"")] * count)
    parsed, _ = parse(bytes(seal(KEY, [Stanza("x", (), b"")] * MAX_STANZAS)))
    assert len(parsed.stanzas) == MAX_STANZAS


def test_a_file_key_is_16_bytes():
    with pytest.raises(AgeKeyError):
        seal(FileKey(bytes(32)), [Stanza("x", (), b"")])


def test_base64_has_no_padding():
    assert b64(b"\x00") == "AA"
