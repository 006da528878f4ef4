"""An act changes the council's key: its tool goes on with the new one, and notices one that others put in its place."""

import hashlib
from datetime import date, timedelta

import pytest

from council.codes import Code
from council.home import Home, Settings
from council.inspect import inspect
from crypto.draw import epoch_commitment
from crypto.signed_note import VerifierKey
from crypto.ssh_key import SigningKey
from crypto.sshsig import sign
from crypto.x25519 import Identity
from policy import log_entry as le
from policy.acts import ACT_NAMESPACE, Act, ActType, NewKey, Resolution, parse_act
from policy.chain import Posted, fold
from policy.epoch_statement import commit
from policy.epochs import RosterLeaf, in_roster_order, roster_root
from tests.peers.log_world import KEYS, ORIGIN, Host, PendingOpen

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


DAY = timedelta(days=1)
EPOCH = "2026-W18"


def committed(host, at):
    """An epoch that the key in the lost one's place commits to and cosigns at that time; the finding's place."""
    world, share = host.world, host.dice.randbytes(32)
    said, csig = commit(ORIGIN, EPOCH, share, KEYS["stranger"])
    roster = in_roster_order([RosterLeaf(host.a(salt, EPOCH), group, phase) for salt, group, phase in host.agents])
    world.rosters[EPOCH] = list(roster)
    h = epoch_commitment("host", ORIGIN, EPOCH, share).hex()
    policy = parse_act(world.acts[-1].act).digest
    host.log(le.ECommit(EPOCH, h, said.c, csig, policy, roster_root(roster).hex(), len(roster)))
    return f"{ORIGIN} entry {host.log(PendingOpen(EPOCH, at, by='stranger'))}"


@pytest.mark.parametrize(
    ("days", "turned_up", "counts"),
    [
        (13, (), False),
        (15, (), True),
        (15, (NEW,), False),
        (2, (KEYS["stranger"],), True),
        (0, (KEYS["stranger"],), False),
        (3, (NEW, KEYS["stranger"]), True),
    ],
    ids=("within", "after", "it chose another", "it agreed", "before it agreed", "it agreed later"),
)
def test_a_key_in_a_lost_ones_place_counts_after_14_days_unless_the_lost_one_turns_up(
    tmp_path, days, turned_up, counts
):
    host = Host(5, legs=6, agents=8)
    world = host.run()
    first, lost = world.now, Resolution(date(2026, 4, 1), "ab" * 32)
    replaced(host, KEYS["stranger"], first, ["employer", "dpo"], lost)
    signer = "council"
    for after, key in enumerate(turned_up, start=1):
        replaced(host, key, first + after * DAY, [signer])
        signer = "new"
    place = committed(host, first + days * DAY)
    codes = {code for code, at in found(tmp_path, world, KEYS["council"]) if at == place}
    assert codes == (set() if counts else {Code.EOPEN_COSIGNATURE})


def replaced(host, key, at, signers, resolution=None):
    """An act and its anchor entry."""
    chain = fold(host.states[0].anchors, host.world.acts)
    body = NewKey("council", key.verify_key.line(), str(Identity.generate().recipient), resolution)
    act = Act(ActType.KEY, "bv-aufzeichnung-nord", chain.seq + 1, chain.digest, body)
    keys = KEYS | {"new": NEW}
    signatures = {role.replace("new", "council"): sign(keys[role], ACT_NAMESPACE, act.canonical()) for role in signers}
    host.world.acts.append(Posted(act.canonical(), signatures, at))
    before = [one for one in host.world.entries if isinstance(one, le.Anchor) and one.role == "council"][-1]
    host.log(le.Act(act.digest, act.type.value, act.seq))
    prev = hashlib.sha256(le.encode(before)).hexdigest()
    host.log(le.Anchor("council", body.key, body.recipient, before.seq + 1, prev))
