"""An act changes the council's key: its tool goes on with the new one, and notices one that others put in its place."""

import hashlib
from datetime import date

import pytest

from council.codes import Code
from council.home import Home, Settings
from council.inspect import inspect
from crypto.signed_note import VerifierKey
from crypto.ssh_key import SigningKey
from crypto.sshsig import sign
from crypto.x25519 import Identity
from policy import log_entry as le
from policy.acts import ACT_NAMESPACE, Act, ActType, NewKey, Resolution
from policy.chain import Posted, fold
from tests.peers.log_world import KEYS, ORIGIN, Host

NEW = SigningKey.generate()


def changed(resolution, signers):
    """A world in which an act brings another key of the council, at its end."""
    host = Host(5, legs=6, agents=8)
    world, recipient = host.run(), str(Identity.generate().recipient)
    body = NewKey("council", NEW.verify_key.line(), recipient, resolution)
    act = Act(ActType.KEY, "bv-aufzeichnung-nord", host.state.seq + 1, host.state.digest, body)
    signatures = {role: sign(KEYS[role], ACT_NAMESPACE, act.canonical()) for role in signers}
    world.acts.append(Posted(act.canonical(), signatures, world.now))
    fold(host.state.anchors, world.acts)  # the gateway takes it
    old = world.entries[world.where("anchor", role="council")]
    assert isinstance(old, le.Anchor)
    host.log(le.Act(act.digest, act.type.value, act.seq))
    host.log(le.Anchor("council", NEW.verify_key.line(), recipient, 2, hashlib.sha256(le.encode(old)).hexdigest()))
    return world


def found(folder, world, key, **anchors):
    """What the tool of a council with this key says, from its own folder."""
    world.write(folder, log=False, manifests=False)
    world.write(folder / "site", manifests=False)
    (folder / "site/log").rename(folder / "mirror")
    (folder / "council.sign").write_bytes(key.to_openssh())
    log_key = str(VerifierKey(ORIGIN, KEYS["log"].verify_key))
    settings = Settings("https://site", str(folder / "council.sign"), log_key, zone="UTC", anchors=anchors)
    outcome = inspect(Home(folder, settings).sources())
    return [(one.code, one.place) for one in outcome.findings]


@pytest.fixture
def by_the_council():
    return changed(None, ["council"])


def test_a_council_that_changed_its_key_goes_on(tmp_path, by_the_council):
    assert found(tmp_path, by_the_council, NEW, council=KEYS["council"].verify_key.line()) == []


def test_a_first_key_that_the_council_never_had_is_found(tmp_path, by_the_council):
    places = [(Code.ANCHOR_DIFFERS, f"{ORIGIN} entry 1")]
    assert found(tmp_path, by_the_council, NEW) == places
    (tmp_path / "b").mkdir()
    assert found(tmp_path / "b", by_the_council, NEW, council=KEYS["stranger"].verify_key.line()) == places


def test_a_key_that_employer_and_officer_put_in_the_councils_place_is_found(tmp_path):
    world = changed(Resolution(date(2026, 4, 1), "ab" * 32), ["employer", "dpo"])
    places = [(Code.ANCHOR_DIFFERS, f"{ORIGIN} anchor council")]
    assert found(tmp_path, world, KEYS["council"]) == places
