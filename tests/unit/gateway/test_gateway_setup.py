"""`init` makes what is missing, twice changes nothing, and anchors only what is a party's KEYFILE."""

import asyncio
from pathlib import Path

import pytest

from crypto.ssh_key import SigningKey
from crypto.x25519 import Identity
from gateway.call.model import Private
from gateway.config import Config, SiteConfig
from gateway.engine.protected import EMERGENCY, ProtectedParties
from gateway.setup import AnchorError, Made, initialise
from storage.errors import AnchorsSet, StorageUnavailable, WriterRunning
from storage.gateway_key import load
from storage.lock import WriterLock

SSH, AGE = SigningKey.generate().verify_key.line("employer@example"), str(Identity.generate().recipient)


@pytest.fixture
def config(data_dir) -> Config:
    return Config(site=SiteConfig(data_dir=data_dir))


def made(config: Config, anchors: dict[str, Path] | None = None, numbers: tuple[str, ...] = ()) -> Made:
    return asyncio.run(initialise(config, anchors or {}, numbers))


def keyfile(folder: Path, name: str, *lines: str) -> Path:
    path = folder / f"{name}.pub"
    path.write_text("".join(line + "\n" for line in lines))
    return path


def party(folder: Path, name: str) -> tuple[Path, str]:
    key = SigningKey.generate().verify_key
    return keyfile(folder, name, key.line(), str(Identity.generate().recipient)), key.fingerprint()


def test_a_first_init_makes_folder_key_database_and_list(tmp_path):
    folder = tmp_path / "new" / "var"
    said = made(Config(site=SiteConfig(data_dir=folder)), numbers=("+4940998877",))
    assert said.gateway == load(folder).verify_key.fingerprint() and said.anchors == {}
    assert folder.stat().st_mode & 0o077 == 0
    assert (folder / "fairtap.db").exists()
    parties = ProtectedParties.load(folder)
    assert all(Private(number) in parties for number in (*EMERGENCY, "040998877"))


def test_a_second_init_changes_nothing_that_counts(config):
    first, second = made(config), made(config)
    assert second == first
    data = config.site.data_dir
    before = [(data / name).read_bytes() for name in ("keys/gateway.sign", "keys/protected.key", "protected.hashes")]
    made(config, numbers=("112",))
    after = [(data / name).read_bytes() for name in ("keys/gateway.sign", "keys/protected.key", "protected.hashes")]
    assert after == before


def test_anchors_are_told_by_fingerprint_then_and_later(config, tmp_path):
    council, fingerprint = party(tmp_path, "council")
    employer = keyfile(tmp_path, "employer", "# handed over on paper", SSH, "")
    said = made(config, {"council": council, "employer": employer})
    assert said.anchors["council"] == fingerprint and set(said.anchors) == {"council", "employer"}
    assert made(config) == said


def test_anchors_are_set_once(config, tmp_path):
    said = made(config, {"council": party(tmp_path, "one")[0]})
    with pytest.raises(AnchorsSet):
        made(config, {"council": party(tmp_path, "two")[0]})
    assert made(config) == said


@pytest.mark.parametrize("role", ["agent", "admin", "council4", "", "Council"])
def test_only_parties_have_anchors(config, tmp_path, role):
    with pytest.raises(AnchorError, match="role is one of"):
        made(config, {role: party(tmp_path, "x")[0]})


@pytest.mark.parametrize(
    ("role", "lines"),
    [
        ("employer", ()),
        ("employer", (AGE,)),
        ("employer", (SSH, SSH)),
        ("employer", ("ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQ==",)),
        ("employer", ("ssh-ed25519 not-base64",)),
        ("employer", ("-----BEGIN OPENSSH PRIVATE KEY-----", "AAAA", "-----END OPENSSH PRIVATE KEY-----")),
        ("council", (SSH,)),
        ("dpo", (SSH,)),
        ("council", (SSH, AGE, AGE)),
        ("council", (SSH, "age1nonsense")),
    ],
)
def test_what_isn_t_a_keyfile_is_refused_and_nothing_is_made(tmp_path, role, lines):
    folder = tmp_path / "var"
    with pytest.raises(AnchorError) as caught:
        made(Config(site=SiteConfig(data_dir=folder)), {role: keyfile(tmp_path, "x", *lines)})
    assert "\n" not in str(caught.value) and f"--anchor {role}" in str(caught.value)
    assert not folder.exists()


def test_a_keyfile_that_isn_t_there_or_isn_t_text_is_refused(config, tmp_path):
    with pytest.raises(AnchorError, match="can't be read"):
        made(config, {"dpo": tmp_path / "none.pub"})
    (tmp_path / "bin.pub").write_bytes(b"\xff\xfe")
    with pytest.raises(AnchorError, match="can't be read"):
        made(config, {"dpo": tmp_path / "bin.pub"})


def test_two_parties_can_t_be_anchored_with_one_key(config, tmp_path):
    """One hand could sign for both."""
    same = party(tmp_path, "x")[0]
    with pytest.raises(AnchorError, match="same key"):
        made(config, {"employer": same, "council": same})
    assert made(config).anchors == {}


def test_nothing_is_made_beside_a_running_gateway(config):
    with WriterLock(config.site.data_dir), pytest.raises(WriterRunning):
        made(config)


def test_a_folder_that_can_t_be_made_is_the_declared_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageUnavailable):
        made(Config(site=SiteConfig(data_dir=tmp_path / "file" / "var")))
