"""Evidence bundles: a clean one passes; what is changed, cut or left out is found and named; garbage never crashes."""

import hashlib
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.cli import main
from api.evidence_check import Check, Report, check_segments, signer_of
from api.evidence_files import read_bundle
from api.evidence_log import check_log
from crypto import age, sshsig
from crypto.signed_note import VerifierKey
from crypto.ssh_key import SigningKey, VerifyKey, allowed_signers_line
from crypto.x25519 import Identity, format_identity
from policy.opening import parse_out_opening
from tests.peers.evidence import LEG, ORIGIN, RECORDING, Evidence, add_segment, make_evidence

FULL = make_evidence()
SMALL = make_evidence(1, 300)
STEM = f"{RECORDING}-agent-1"


def judged(
    folder: Path, made: Evidence, *, opened: bool = True, key: VerifyKey | None = None, log: Path | None = None
) -> Report:
    bundle, report = read_bundle(folder), Report()
    given_key = signer_of(bundle, key or made.gateway.verify_key, report)
    check_segments(bundle, given_key, [made.owner] if opened else [], report)
    check_log(bundle, given_key, log, report)
    return report


def told(report: Report) -> list[tuple[str, str]]:
    return [(str(one.check), one.place) for one in report.findings]


def flipped(data: bytes, place: int, bit: int = 0) -> bytes:
    return data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]


def test_a_clean_bundle_passes_and_shows_its_gaps(tmp_path: Path) -> None:
    report = judged(FULL.write(tmp_path), FULL)
    assert (report.findings, report.unchecked, report.entries) == ([], [], [f"{ORIGIN} {LEG}"])
    assert [(one.name[33:], one.whole_chunks) for one in report.segments] == [
        ("agent-1", 2), ("agent-2", 2), ("caller-1", 2), ("caller-2", 2),
    ]  # fmt: skip
    assert all(one.private is not None and one.private.gaps == ((20, 40, "loss"),) for one in report.segments)


def test_without_the_owners_key_the_rest_is_checked_and_said(tmp_path: Path) -> None:
    report = judged(FULL.write(tmp_path), FULL, opened=False)
    assert report.findings == [] and "-i" in report.unchecked[0]
    assert all(one.private is None and one.whole_chunks is None for one in report.segments)


@pytest.mark.parametrize("suffix", ["age", "manifest.json", "manifest.sig", "opening"])
def test_every_changed_bit_of_a_side_is_found_and_named(tmp_path: Path, suffix: str) -> None:
    name = f"{STEM}.{suffix}"
    data = SMALL.files[name]
    for place in range(0, len(data), 5):
        report = judged(SMALL.write(tmp_path, **{name: flipped(data, place, place % 8)}), SMALL)
        assert report.findings, (suffix, place)
        assert any(one.place.startswith(STEM) for one in report.findings), (suffix, place)


@pytest.mark.parametrize("suffix", ["out", "entry", "tlog-proof"])
def test_every_changed_bit_of_the_logs_part_is_found_and_named(tmp_path: Path, suffix: str) -> None:
    name = f"leg-3.{suffix}"
    data = SMALL.files[name]
    for place in range(0, len(data), 3):
        report = judged(SMALL.write(tmp_path, **{name: flipped(data, place, place % 8)}), SMALL)
        assert {one.check for one in report.findings} == {Check.LOG}, (suffix, place)
        assert all(one.place.startswith("leg-3.") for one in report.findings), (suffix, place)


def test_a_changed_chunk_is_named_with_the_genuine_ones_before_it(tmp_path: Path) -> None:
    name = f"{STEM}.age"
    data = flipped(FULL.files[name], len(FULL.files[name]) - 1)
    report = judged(FULL.write(tmp_path, **{name: data}), FULL)
    assert told(report) == [("payload", name)] * 2
    assert "SHA-256" in report.findings[0].sentence
    assert report.findings[1].sentence == "chunk 1 was altered or cut; 1 whole chunks before it are genuine"


def test_a_cut_file_gives_its_whole_chunks_and_an_error(tmp_path: Path) -> None:
    name = f"{STEM}.age"
    header, _ = age.split_header(FULL.files[name])
    edge = len(header) + 16 + 65_552
    for cut, said in ((edge, "ends before its last chunk"), (edge - 9, "chunk 0 was altered or cut")):
        report = judged(FULL.write(tmp_path, **{name: FULL.files[name][:cut]}), FULL)
        assert told(report) == [("payload", name)] * 2
        assert said in report.findings[1].sentence
        assert report.segments[0].whole_chunks == (1 if cut == edge else 0)


def test_a_side_that_a_crash_cut_is_whole_as_far_as_its_manifest_says(tmp_path: Path) -> None:
    files: dict[str, bytes] = {"allowed_signers": FULL.files["allowed_signers"]}
    add_segment(files, FULL.gateway, FULL.owner, "agent", 1, 0, "interrupted")
    made = Evidence(files, FULL.gateway, FULL.owner, {})
    report = judged(made.write(tmp_path), made)
    assert report.findings == [] and report.segments[0].whole_chunks == 2


def test_a_dropped_segment_is_named_by_the_log_and_by_the_numbers(tmp_path: Path) -> None:
    last = {name: None for name in FULL.files if "-caller-2." in name}
    digest = hashlib.sha256(FULL.files[f"{RECORDING}-caller-2.manifest.json"]).hexdigest()
    report = judged(FULL.write(tmp_path, **last), FULL)
    assert told(report) == [("segment", f"manifest {digest}")]
    assert report.findings[0].sentence.endswith("by the numbers caller-2")
    both = {name: None for name in FULL.files if "-2." in name}
    assert len(told(judged(FULL.write(tmp_path, **both), FULL))) == 2
    unproven = {"leg-3.tlog-proof": None}
    assert told(judged(FULL.write(tmp_path, **last, **unproven), FULL)) == [("segment", "caller-2")]
    audio = {f"{STEM}.age": None}
    assert told(judged(FULL.write(tmp_path, **audio), FULL)) == [("segment", f"{STEM}.age")]


def test_another_key_another_signature_and_another_place_are_named(tmp_path: Path) -> None:
    other = SigningKey.generate()
    report = judged(SMALL.write(tmp_path), SMALL, key=other.verify_key)
    assert ("signer", "allowed_signers") in told(report) and ("signature", f"{STEM}.manifest.sig") in told(report)
    forged = sshsig.sign(SMALL.gateway, "fairtap-receipt@v1", SMALL.files[f"{STEM}.manifest.json"]).encode()
    report = judged(SMALL.write(tmp_path, **{f"{STEM}.manifest.sig": forged}), SMALL)
    assert told(report) == [("signature", f"{STEM}.manifest.sig")]
    moved = {name.replace("-caller-", "-agent-"): data for name, data in SMALL.files.items() if "-caller-" in name}
    report = judged(SMALL.write(tmp_path, **moved), SMALL)
    assert ("manifest", f"{STEM}.manifest.json") in told(report)


def test_a_second_recipient_and_a_foreign_header_are_named(tmp_path: Path) -> None:
    name = f"{STEM}.age"
    header, payload = age.split_header(SMALL.files[name])
    file_key = age.open_header(bytes(header), [SMALL.owner])
    second = age.make_header(file_key, [SMALL.owner.recipient, Identity.generate().recipient]) + bytes(payload)
    assert told(judged(SMALL.write(tmp_path, **{name: second}), SMALL)) == [("header", name)]
    swapped = age.encrypt(bytes(300), [SMALL.owner.recipient])
    assert ("key-commitment", name) in told(judged(SMALL.write(tmp_path, **{name: swapped}), SMALL))


def test_a_copy_of_the_log_stands_for_a_proof(tmp_path: Path) -> None:
    log = FULL.write_log(tmp_path / "log")
    folder = FULL.write(tmp_path / "bundle", **{"leg-3.tlog-proof": None})
    report = judged(folder, FULL, log=log)
    assert (report.findings, report.entries) == ([], [f"{ORIGIN} {LEG}"])
    tile = log / ORIGIN / "tile" / "0" / "000.p" / "9"
    for data in (flipped(tile.read_bytes(), 7), b"", bytes(9)):
        tile.write_bytes(data)
        assert told(judged(folder, FULL, log=log)) == [("log", "leg-3.entry")]
    (log / ORIGIN / "checkpoint").unlink()
    assert told(judged(folder, FULL, log=log)) == [("log", "leg-3.entry")]


def test_an_end_that_kept_nothing_and_another_legs_end_prove_nothing(tmp_path: Path) -> None:
    for change in ({"o": "no"}, {"a": "9" * 32}):
        leaf = json.dumps(json.loads(FULL.files["leg-3.entry"]) | change, separators=(",", ":"), sort_keys=True)
        report = judged(FULL.write(tmp_path, **{"leg-3.entry": leaf.encode()}), FULL)
        assert ("log", "leg-3.entry") in told(report) and report.entries == []
    without = parse_out_opening(FULL.files["leg-3.out"])
    assert len(without.manifests) == 4


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def call(*arguments: object) -> tuple[int, str, str]:
        rc = main([str(argument) for argument in arguments])
        return rc, *capsys.readouterr()

    return call


def test_the_command_says_what_it_found(tmp_path: Path, run: Callable[..., tuple[int, str, str]]) -> None:
    folder = FULL.write(tmp_path / "bundle")
    (tmp_path / "a.key").write_text(format_identity(FULL.owner))
    (tmp_path / "vkey").write_text(f"{VerifierKey('hamburg', FULL.gateway.verify_key)}\n")
    (tmp_path / "signers").write_text(allowed_signers_line("gateway", FULL.gateway.verify_key))
    command = ["verify-recording", folder, "-i", tmp_path / "a.key"]
    for key in ("vkey", "signers"):
        rc, out, err = run(*command, "--vkey", tmp_path / key)
        assert (rc, err) == (0, "") and out.endswith("no findings\n") and "gap 20-40 ms: loss" in out
        assert "not checked" not in out
    rc, out, _ = run(*command)
    assert rc == 0 and "whose key signed" in out and FULL.gateway.verify_key.fingerprint() in out
    (folder / f"{STEM}.opening").write_bytes(b"garbage")
    rc, out, _ = run(*command, "--json")
    assert rc == 1
    (finding,) = json.loads(out)["findings"]
    assert (finding["check"], finding["place"]) == ("opening", f"{STEM}.opening")
    (tmp_path / "empty").mkdir()
    empty = ["verify-recording", tmp_path / "empty"]
    plain = ["evidence", RECORDING, "--out", tmp_path / "x", "--login", "ada", "--api", "http://127.0.0.1.example"]
    for arguments in (empty, plain, [*command, "--vkey", tmp_path / "a.key"], [*command, "--log", "no"]):
        rc, out, err = run(*arguments)
        assert (rc, out, err.count("\n")) == (2, "", 1)


def test_standard_tools_open_a_bundle(tmp_path: Path, program: Callable[[str], str]) -> None:
    folder = FULL.write(tmp_path)
    (folder / "a.key").write_text(format_identity(FULL.owner))
    done = subprocess.run([program("age"), "-d", "-i", "a.key", f"{STEM}.age"], cwd=folder, capture_output=True)
    assert (done.returncode, done.stdout) == (0, bytes(70_000))
    words = ["-Y", "verify", "-f", "allowed_signers", "-I", "gateway", "-n", "fairtap-recording@v1"]
    done = subprocess.run(
        [program("ssh-keygen"), *words, "-s", f"{STEM}.manifest.sig"],
        cwd=folder, input=FULL.files[f"{STEM}.manifest.json"], capture_output=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_garbage_is_a_finding_and_never_a_crash(tmp_path: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(SMALL.files)))
    whole = SMALL.files[name]
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, len(whole)))
    changed = whole[:start] + data.draw(st.binary(max_size=60)) + whole[end:]
    report = judged(SMALL.write(tmp_path, **{name: changed}), SMALL, opened=data.draw(st.booleans()))
    if changed == whole:
        assert report.findings == []
    elif name.endswith((".json", ".sig", ".out", ".entry")):
        assert report.findings, name
