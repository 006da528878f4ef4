"""Manifests and openings: exactly the contract's bytes, strict readers, nothing private in the public part."""

import dataclasses
import json
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto import jcs
from crypto.ssh_key import SigningKey, allowed_signers_line
from crypto.x25519 import Identity
from storage import manifest as manifests
from storage.errors import ManifestError
from storage.manifest import Manifest, Opening, Payload, Private

START = datetime(2026, 4, 6, 9, 30, 15, 123987, tzinfo=UTC)
PRIVATE = Private(
    epoch="2026-W15",
    agent="1" * 32,
    n=7,
    lane="sample",
    purpose="coaching",
    agreement="2" * 64,
    started=START,
    ended=START + timedelta(seconds=90),
    gaps=((20, 40, "loss"),),
    consents=("3" * 64,),
    recipients=("age1example",),
)
PUBLIC = Manifest(
    id="4" * 32,
    origin="hamburg/fairtap/2026-14",
    side="agent",
    seg=1,
    container="wav/PCMA",
    ingress="inline",
    media="rtp",
    payload=Payload("5" * 64, 65584, 1),
    key_commit="6" * 64,
    stanzas=1,
    quorum=False,
    end="normal",
    gateway="hamburg+01020304+AQ==",
    build="7" * 64,
    private="8" * 64,
)
OBJECT = json.loads(PUBLIC.to_bytes())


def test_bytes_are_the_contracts():
    assert PUBLIC.to_bytes() == (
        b'{"build":"' + b"7" * 64 + b'","container":"wav/PCMA","end":"normal","gateway":"hamburg+01020304+AQ==",'
        b'"id":"' + b"4" * 32 + b'","ingress":"inline","key_commit":"' + b"6" * 64 + b'","media":"rtp",'
        b'"origin":"hamburg/fairtap/2026-14","payload":{"bytes":65584,"chunks":1,"sha256":"' + b"5" * 64 + b'"},'
        b'"private":"' + b"8" * 64 + b'","quorum":false,"seg":1,"side":"agent","stanzas":1,'
        b'"type":"fairtap/recording","v":1}'
    )
    assert PRIVATE.to_json()["started"] == "2026-04-06T09:30:15.123Z"
    assert Manifest.parse(PUBLIC.to_bytes()) == PUBLIC


@pytest.mark.parametrize("name", sorted(OBJECT))
def test_every_field_is_needed_and_of_its_kind(name):
    without = {key: value for key, value in OBJECT.items() if key != name}
    for broken in (without, {**OBJECT, name: None}, {**OBJECT, name: []}, {**OBJECT, name: "?" * 300}):
        with pytest.raises(ManifestError):
            Manifest.parse(jcs.canonical(broken))


@pytest.mark.parametrize(
    "change",
    [
        {"v": 2},
        {"v": True},
        {"seg": 0},
        {"seg": True},
        {"stanzas": 0},
        {"quorum": 0},
        {"end": "discarded"},
        {"side": "both"},
        {"id": "4" * 31},
        {"id": "A" * 32},
        {"payload": {"sha256": "5" * 64, "bytes": 1, "chunks": 1, "more": 1}},
        {"payload": {"sha256": "5" * 64, "bytes": 0, "chunks": 1}},
        {"agent": "someone"},
    ],
)
def test_other_values_are_refused(change):
    with pytest.raises(ManifestError):
        Manifest.parse(jcs.canonical({**OBJECT, **change}))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"null",
        json.dumps(OBJECT).encode(),
        PUBLIC.to_bytes() + b"\n",
        PUBLIC.to_bytes().replace(b'"v":1', b'"v":1,"v":1'),
        PUBLIC.to_bytes().replace(b'"seg":1', b'"seg":1.0'),
        b" " * (2 << 20),
    ],
)
def test_other_layouts_are_refused(data):
    with pytest.raises(ManifestError):
        Manifest.parse(data)


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.integers(-9, 9) | st.text(max_size=5), st.lists).map(jcs.canonical)
)
def test_any_bytes_parse_or_raise_the_declared_error(data):
    with pytest.raises(ManifestError):
        Manifest.parse(data)


@given(
    st.dictionaries(
        st.sampled_from(sorted(PRIVATE.to_json())),
        st.none() | st.integers() | st.text() | st.lists(st.lists(st.integers() | st.text(), max_size=3)),
    )
)
def test_any_private_object_parses_or_raises_the_declared_error(change):
    obj = {**PRIVATE.to_json(), **change}
    try:
        assert Private.from_json(obj).to_json() == obj
    except ManifestError:
        assert change


def test_opening_opens_the_commitment_for_its_owner_only():
    owner, stranger = Identity.generate(), Identity.generate()
    opening = Opening.make(PRIVATE)
    manifest = PUBLIC.committed(opening)
    sealed = opening.seal([str(owner.recipient)])
    again = Opening.open(sealed, [owner])
    again.check(manifest)
    assert again.private.to_json() == PRIVATE.to_json() and again.salt == opening.salt
    with pytest.raises(ManifestError):
        Opening.open(sealed, [stranger])
    with pytest.raises(ManifestError):
        again.check(PUBLIC)
    with pytest.raises(ManifestError):
        Opening(dataclasses.replace(PRIVATE, n=8), opening.salt).check(manifest)
    with pytest.raises(ManifestError):
        opening.seal(["age1nonsense"])


def test_the_public_part_names_nothing_private():
    opening = Opening.make(PRIVATE)
    text = PUBLIC.committed(opening).to_bytes().decode()
    for value in ("coaching", "sample", "2026-W15", "1" * 32, "2" * 64, "3" * 64, "age1", "2026-04-06", "09:30"):
        assert value not in text
    assert Opening.make(PRIVATE).commitment != opening.commitment


def test_every_changed_byte_breaks_the_signature():
    key = SigningKey.generate()
    data = PUBLIC.to_bytes()
    signature = manifests.sign(key, data)
    assert manifests.verify(key.verify_key, data, signature) == PUBLIC
    for place in range(0, len(data), 7):
        flipped = bytearray(data)
        flipped[place] ^= 1
        with pytest.raises(ManifestError):
            manifests.verify(key.verify_key, bytes(flipped), signature)
    for broken in (b"", b"\xff", signature[:-40]):
        with pytest.raises(ManifestError):
            manifests.verify(key.verify_key, data, broken)
    with pytest.raises(ManifestError):
        manifests.verify(SigningKey.generate().verify_key, data, signature)


def test_ssh_keygen_accepts_the_signature(tmp_path, program):
    key = SigningKey.generate()
    (tmp_path / "signers").write_text(allowed_signers_line("gateway", key.verify_key, (manifests.NAMESPACE,)))
    (tmp_path / "sig").write_bytes(manifests.sign(key, PUBLIC.to_bytes()))
    words = ["-Y", "verify", "-f", "signers", "-I", "gateway", "-n", manifests.NAMESPACE, "-s", "sig"]
    command = [program("ssh-keygen"), *words]
    subprocess.run(command, cwd=tmp_path, input=PUBLIC.to_bytes(), check=True, capture_output=True)
    assert subprocess.run(command, cwd=tmp_path, input=b"other", capture_output=True).returncode != 0


@pytest.mark.parametrize(
    "text", ["2026-04-06T09:30:15Z", "2026-13-06T09:30:15.000Z", "2026-04-06T09:30:15.000+00:00", 5]
)
def test_other_times_are_refused(text):
    with pytest.raises(ManifestError):
        manifests.parse_time(text)
