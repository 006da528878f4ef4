"""Opening a recording: decoded as G.711 says, sides and segments at their places, cut files by their whole chunks."""

import hashlib
import io
import wave
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from api.errors import CommandError
from api.listen import SideFile, find_sides, open_side, stereo, wav_bytes, write_wav
from api.sound import ALAW, ULAW, decode_wav
from crypto import age, quorum
from crypto.x25519 import Identity
from storage.manifest import Opening, Private
from tests.peers.g711_wav import container

KEY = Identity.generate()
START = datetime(2026, 3, 2, 9, tzinfo=UTC)


def side(name: str, seg: int, data: bytes, started: datetime | None, key: Identity = KEY) -> SideFile:
    return SideFile(
        name, seg, age.encrypt(container(data), [key.recipient]), opening(started, key) if started else None
    )


def opening(started: datetime, key: Identity) -> bytes:
    private = Private(
        "2026-W10", "ab" * 16, 1, "sample", "coaching", "cd" * 32, started, started + timedelta(seconds=1), (), (),
        (str(key.recipient),),
    )  # fmt: skip
    return Opening.make(private).seal([str(key.recipient)])


def test_the_tables_are_those_of_g711() -> None:
    # the extremes and the smallest values of ITU-T G.711, tables 1 and 2, in 16 bits
    assert (ALAW[0xD5], ALAW[0x55], ALAW[0xAA], ALAW[0x2A]) == (8, -8, 32256, -32256)
    assert (ULAW[0xFF], ULAW[0x7F], ULAW[0x80], ULAW[0x00]) == (0, 0, 32124, -32124)
    assert len(set(ALAW.tolist())) == 256 and len(set(ULAW.tolist())) == 255


def test_agent_is_left_caller_is_right_each_segment_where_it_started() -> None:
    loud, other = bytes([0xAA]) * 800, bytes([0x2A]) * 400
    files = [
        side("agent", 1, loud, START),
        side("caller", 1, other, START + timedelta(milliseconds=50)),
        side("agent", 2, loud, START + timedelta(seconds=2)),
    ]
    rate, both = stereo(open_side(file, [KEY]) for file in files)
    assert (rate, both.shape) == (8000, (16_800, 2))
    assert np.all(both[:800, 0] == 32256) and np.all(both[16_000:, 0] == 32256) and not both[800:16_000, 0].any()
    assert np.all(both[400:800, 1] == -32256) and not both[:400, 1].any() and not both[800:, 1].any()


def test_without_openings_segments_follow_one_another() -> None:
    files = [
        side("agent", 1, b"\xaa" * 100, None),
        side("caller", 1, b"\xaa" * 80, None),
        side("caller", 2, b"\xaa" * 10, None),
    ]
    _, both = stereo(open_side(file, [KEY]) for file in files)
    assert both[:, 1].nonzero()[0].tolist() == [*range(80), *range(100, 110)]


def test_the_hash_is_that_of_what_age_would_write() -> None:
    opened = open_side(side("agent", 1, b"\xd5" * 8000, None), [KEY])
    assert opened.container_sha256 == hashlib.sha256(container(b"\xd5" * 8000)).hexdigest()
    assert (opened.seconds, opened.whole) == (1.0, True)


def test_a_cut_file_gives_its_whole_chunks() -> None:
    whole = side("agent", 1, b"\xaa" * 150_000, None)
    opened = open_side(SideFile("agent", 1, whole.data[:-1000]), [KEY])
    head = len(container(b""))
    assert (len(opened.samples), opened.whole) == (2 * 65536 - head, False)


def test_another_key_and_other_bytes_are_one_line() -> None:
    file = side("agent", 1, b"\xaa" * 10, None)
    with pytest.raises(CommandError, match="no identity opens"):
        open_side(file, [Identity.generate()])
    with pytest.raises(CommandError, match="`agent-1` can't be opened"):
        open_side(SideFile("agent", 1, file.data[:-1] + b"x"), [KEY])
    with pytest.raises(CommandError, match="isn't a WAV"):
        open_side(SideFile("agent", 1, age.encrypt(b"no sound", [KEY.recipient])), [KEY])


@pytest.mark.parametrize(
    "data",
    [b"", b"RIFF", container(b"")[:30], container(b"x", law=85), container(b"x", rate=0), b"RIFF0000WAVEdata0000"],
)
def test_what_is_no_mono_g711_wav_is_refused(data: bytes) -> None:
    with pytest.raises(CommandError):
        decode_wav(data)


def test_known_lengths_pcm_and_odd_chunks_are_read_too() -> None:
    assert decode_wav(container(b"\xaa" * 10 + b"tail", size=10))[1].tolist() == [32256] * 10
    samples = np.array([[1], [-2], [3]], dtype=np.int16)
    assert decode_wav(wav_bytes(16000, samples))[1].tolist() == [1, -2, 3]


def test_files_of_a_folder_with_headers_in_the_vault(tmp_path: Path) -> None:
    place, vault = tmp_path / "recordings", tmp_path / "vault"
    place.mkdir()
    vault.mkdir()
    file = side("caller", 12, b"\xaa" * 10, START)
    header, payload = age.split_header(file.data)
    (place / "caller-12.payload").write_bytes(payload)
    (place / "caller-12.manifest.json").write_bytes(b"{}")
    with pytest.raises(CommandError, match=r"`caller-12\.header` is missing"):
        find_sides(place, vault)
    (vault / "caller-12.header").write_bytes(header)
    (vault / "caller-12.opening").write_bytes(file.opening or b"")
    assert find_sides(place, vault) == [file]
    assert open_side(find_sides(place, vault)[0], [KEY]).started == START


def test_the_wav_is_for_its_owner_only(tmp_path: Path) -> None:
    out = tmp_path / "out.wav"
    seconds = write_wav([open_side(side("agent", 1, b"\xaa" * 4000, None), [KEY])], out)
    assert (seconds, out.stat().st_mode & 0o777) == (0.5, 0o600)
    with wave.open(io.BytesIO(out.read_bytes())) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate(), file.getnframes()) == (2, 2, 8000, 4000)


def test_the_officer_opens_what_the_council_handed_over_and_nobody_else_does(tmp_path: Path) -> None:
    council, dpo = Identity.generate(), Identity.generate()
    file = side("caller", 1, b"\xaa" * 800, START)
    header, _ = age.split_header(file.data)
    sealed = quorum.seal(age.open_header(bytes(header), [KEY]), [council.recipient], dpo.recipient)
    (tmp_path / "0123-caller-1.age").write_bytes(file.data)
    (tmp_path / "0123-caller-1.inner").write_bytes(quorum.open_outer(sealed, [council]))
    (found,) = find_sides(tmp_path)
    assert open_side(found, [dpo]).seconds == 0.1
    for other in (council, KEY):
        with pytest.raises(CommandError, match="no identity opens"):
            open_side(found, [other])
