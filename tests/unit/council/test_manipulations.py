"""Every way to spoil a log that the verifier must find: each is named with its check and place; a clean one is clean.

`ONE_HAND`: the host writes it so from the start and the council cosigns it unseen. `FILES`: somebody changes what lies
there. The council's own kept checkpoints are the clean world's.
"""

import copy
import hashlib
import json
import shutil
from datetime import UTC, timedelta
from functools import cache
from typing import Any

import pytest

from council.codes import Code
from council.inspect import Sources, inspect
from crypto.checkpoint import Checkpoint
from crypto.jcs import canonical
from crypto.merkle import leaf_hash, root_of
from crypto.ssh_key import SigningKey
from policy import log_entry as le
from policy.act_file import parse_act_file, print_act
from policy.epoch_statement import CouncilCommitment, commit
from policy.opening import CallOpening
from tests.peers.log_world import (
    AGREEMENT,
    EPOCHS,
    KEYS,
    ORIGIN,
    START,
    WEEK,
    Host,
    PendingOpen,
    cosigned,
    digest_of,
    legs_of,
    signed,
    write_log,
)

FIRST, SECOND, THIRD = EPOCHS
ONE_HAND: dict[str, Any] = {}
FILES: dict[str, Any] = {}


@cache
def clean():
    host = Host(14)
    host.run()
    return host


def host():
    one = copy.copy(clean())
    one.world = one.world.copy()
    return one


def looked_at(folder, world, **changes):
    """The council's tool over a folder."""
    pinned = {role: KEYS[role].verify_key.line() for role in ("employer", "council", "dpo")}
    given = {name: folder / name for name in ("acts", "manifests", "seen", "openings")}
    if (folder / "evidence").exists():
        given["evidence"] = folder / "evidence"
    records = folder / "cdr.csv" if (folder / "log" / "tile").exists() else None
    sources = {"log": folder / "log", "roster": folder / "rosters", "cdr": records, "zone": UTC, **given}
    return inspect(Sources(**{**sources, "pinned": pinned, "now": world.now, **changes}))


def spoil(table):
    def keep(function):
        table[function.__name__] = function
        return function

    return keep


def at(index):
    return f"{ORIGIN} entry {index}"


def test_the_clean_world_has_no_finding(tmp_path):
    world = host().world.write(tmp_path)
    found = looked_at(tmp_path, world)
    assert found.findings == []
    assert found.clean
    assert found.missing == ["key"]  # it lies beside the log
    assert found.logs[0].entries == len(world.entries)
    assert found.calls.without_entry == ()
    drawn = {name: book.drawn for name, book in found.logs[0].epochs.items()}
    assert drawn[FIRST] > 10
    assert drawn[THIRD] is None  # not revealed yet


# -- anchors and acts


@spoil(ONE_HAND)
def an_anchor_is_missing(host):
    world = host.world
    del world.entries[world.where("anchor", role="dpo")]
    return Code.ANCHOR_MISSING, at(0)


@spoil(ONE_HAND)
def an_anchor_is_another_key(host):
    index = host.world.where("anchor", role="employer")
    host.world.change(index, key=KEYS["stranger"].verify_key.line())
    return Code.ANCHOR_DIFFERS, at(index)


@spoil(ONE_HAND)
def an_anchor_changes_without_an_act(host):
    world = host.world
    old = le.encode(world.entries[world.where("anchor", role="employer")])
    new = le.Anchor("employer", KEYS["stranger"].verify_key.line(), None, 2, hashlib.sha256(old).hexdigest())
    world.entries.append(new)
    return Code.ANCHOR_CHAIN, at(len(world.entries) - 1)


@spoil(ONE_HAND)
def a_further_key_of_the_council_stands_among_the_anchors(host):
    """Whoever holds it could promise the council's part of the draw."""
    world = host.world
    recipient = world.entries[world.where("anchor", role="council")].rkey
    world.entries.insert(3, le.Anchor("council2", KEYS["stranger"].verify_key.line(), recipient, 1, None))
    return Code.ANCHOR_DIFFERS, at(3)


@spoil(ONE_HAND)
def an_act_is_not_at_hand(host):
    world = host.world
    del world.acts[1]
    return Code.ACT_MISSING, at(world.where("act", 1))


@spoil(ONE_HAND)
def an_act_is_not_in_the_log(host):
    world = host.world
    del world.entries[world.where("act", 1)]
    return Code.ACT_UNLOGGED, f"{ORIGIN} act 2"


@spoil(ONE_HAND)
def an_act_is_replayed(host):
    world = host.world
    world.entries.append(world.entries[world.where("act")])
    return Code.ACT_REFUSED, at(len(world.entries) - 1)


@spoil(ONE_HAND)
def an_act_is_entered_late(host):
    world = host.world
    act = world.entries.pop(world.where("act", 1))
    index = world.where("day", e=SECOND, i=5) + 1
    world.entries.insert(index, act)
    return Code.ACT_LATE, at(index)


@spoil(ONE_HAND)
def a_rate_is_used_before_its_act(host):
    """The lower rate of the second act, entered two legs too late, let one leg be drawn that the old rate draws."""
    world = host.world
    act = world.entries.pop(world.where("act", 1))
    world.entries.insert(world.where("eclose", e=SECOND), act)
    return Code.ACT_LATE, at(world.where("act", 1))


@spoil(ONE_HAND)
def an_epoch_names_other_acts(host):
    index = host.world.where("ecommit", e=SECOND)
    host.world.change(index, policy="ee" * 32)
    return Code.POLICY, at(index)


@spoil(ONE_HAND)
def a_leg_stands_under_another_rule(host):
    world = host.world
    index = next(i for i in legs_of(world, FIRST) if world.entries[i].r == 2)
    world.change(index, r=1)
    return Code.RULE, at(index)


# -- epochs


@spoil(ONE_HAND)
def an_epoch_is_committed_to_twice(host):
    world = host.world
    world.entries.append(world.entries[world.where("ecommit", e=SECOND)])
    return Code.ECOMMIT_REPEATED, at(len(world.entries) - 1)


@spoil(ONE_HAND)
def a_second_commitment_replaces_the_first_before_the_epoch(host):
    world = host.world
    first = world.where("ecommit", e=SECOND)
    said, csig = commit(ORIGIN, SECOND, bytes(32), KEYS["council"])
    again = copy.copy(world.entries[first])
    world.entries.insert(first + 1, le.ECommit(SECOND, again.h, said.c, csig, again.policy, again.roster, again.n))
    return Code.ECOMMIT_REPEATED, at(first + 1)


@spoil(ONE_HAND)
def the_councils_commitment_is_signed_by_another_key(host):
    world = host.world
    index = world.where("ecommit", e=SECOND)
    said, csig = commit(ORIGIN, SECOND, world.shares[SECOND, "council"], KEYS["stranger"])
    world.change(index, c=said.c, csig=csig)
    return Code.ECOMMIT_SIGNATURE, at(index)


@spoil(ONE_HAND)
def the_councils_commitment_is_of_another_epoch(host):
    world = host.world
    index = world.where("ecommit", e=SECOND)
    _, csig = commit(ORIGIN, FIRST, world.shares[SECOND, "council"], KEYS["council"])
    world.change(index, csig=csig)
    return Code.ECOMMIT_SIGNATURE, at(index)


@spoil(ONE_HAND)
def an_epoch_belongs_to_another_log(host):
    world = host.world
    index = world.where("ecommit", e=THIRD)
    said, csig = commit(ORIGIN, "2026-W30", bytes(32), KEYS["council"])
    world.entries.append(le.ECommit("2026-W30", "00" * 32, said.c, csig, *_rest(world.entries[index])))
    assert isinstance(said, CouncilCommitment)
    return Code.EPOCH_FOREIGN, at(len(world.entries) - 1)


def _rest(entry):
    return entry.policy, entry.roster, entry.n


@spoil(ONE_HAND)
def an_epoch_is_opened_without_commitments(host):
    world = host.world
    world.entries.append(PendingOpen("2026-W17", START))
    return Code.EOPEN_ORDER, at(len(world.entries) - 1)


@spoil(ONE_HAND)
def an_epoch_is_opened_twice(host):
    world = host.world
    world.entries.append(PendingOpen(THIRD, START))
    return Code.EOPEN_ORDER, at(len(world.entries) - 1)


@spoil(ONE_HAND)
def an_epoch_is_opened_with_a_strangers_cosignature(host):
    world = host.world
    index = world.where(PendingOpen, e=SECOND)
    world.change(index, by="stranger")
    return Code.EOPEN_COSIGNATURE, at(index)


@spoil(ONE_HAND)
def an_epoch_is_opened_with_a_checkpoint_before_its_commitments(host):
    world = host.world
    index = world.where(PendingOpen, e=SECOND)
    world.change(index, lag=index - world.where("ecommit", e=SECOND))
    return Code.EOPEN_COSIGNATURE, at(index)


@spoil(ONE_HAND)
def the_hosts_share_is_wrong(host):
    index = host.world.where("reveal", e=FIRST)
    host.world.change(index, h="11" * 32)
    return Code.SHARE_HOST, at(index)


@spoil(ONE_HAND)
def the_councils_share_is_wrong(host):
    index = host.world.where("reveal", e=FIRST)
    host.world.change(index, c="11" * 32)
    return Code.SHARE_COUNCIL, at(index)


@spoil(ONE_HAND)
def shares_are_withheld(host):
    world = host.world
    del world.entries[world.where("reveal", e=SECOND)]
    return Code.REVEAL_MISSING, f"{ORIGIN} epoch {SECOND}"


@spoil(ONE_HAND)
def an_epoch_is_never_closed(host):
    world = host.world
    del world.entries[world.where("eclose", e=SECOND)]
    return Code.REVEAL_MISSING, f"{ORIGIN} epoch {SECOND}"


@spoil(ONE_HAND)
def shares_are_revealed_before_the_end(host):
    world = host.world
    reveal = world.entries.pop(world.where("reveal", e=FIRST))
    index = world.where("day", e=FIRST, i=4)
    world.entries.insert(index, reveal)
    return Code.REVEAL_ORDER, at(index)


@spoil(ONE_HAND)
def shares_are_revealed_twice(host):
    world = host.world
    world.entries.append(world.entries[world.where("reveal", e=FIRST)])
    return Code.REVEAL_ORDER, at(len(world.entries) - 1)


@spoil(ONE_HAND)
def a_leg_stands_before_its_epoch(host):
    world = host.world
    leg = world.entries.pop(next(legs_of(world, SECOND)))
    index = world.where("day", e=FIRST, i=3)
    world.entries.insert(index, leg)
    return Code.LEG_OUTSIDE_EPOCH, at(index)


@spoil(ONE_HAND)
def a_leg_stands_after_its_epoch(host):
    world = host.world
    last = world.entries[list(legs_of(world, FIRST))[-1]]
    world.entries.append(le.Call(FIRST, "ab" * 16, 1, "other", None, last.c))
    return Code.LEG_OUTSIDE_EPOCH, at(len(world.entries) - 1)


@spoil(ONE_HAND)
def a_leg_follows_a_halt(host):
    world = host.world
    index = world.where("day", e=FIRST, i=4)
    world.entries.insert(index, le.Halt(FIRST))
    after = next(i for i in legs_of(world, FIRST) if i > index)
    return Code.LEG_OUTSIDE_EPOCH, at(after)


@spoil(ONE_HAND)
def an_unclaimed_leg_stands_in_a_dark_epoch(host):
    host.world.entries.append(le.X("2026-W20", "unknown"))
    return Code.LEG_OUTSIDE_EPOCH, at(len(host.world.entries) - 1)


# -- counters and outs


def _agents_legs(world, epoch, a):
    return [i for i in legs_of(world, epoch) if world.entries[i].a == a]


@spoil(ONE_HAND)
def a_leg_is_missing(host):
    world = host.world
    a = world.entries[next(legs_of(world, FIRST))].a
    third, fourth = _agents_legs(world, FIRST, a)[2:4]
    out = world.where("out", e=FIRST, a=a, n=world.entries[third].n)
    gone = {third, out}
    world.entries = [entry for i, entry in enumerate(world.entries) if i not in gone]
    return Code.COUNTER_GAP, at(fourth - sum(i < fourth for i in gone))


@spoil(ONE_HAND)
def a_counter_is_repeated(host):
    world = host.world
    a = world.entries[next(legs_of(world, FIRST))].a
    index = _agents_legs(world, FIRST, a)[4]
    world.change(index, n=world.entries[index].n - 1)
    return Code.COUNTER_REPEATED, at(index)


@spoil(ONE_HAND)
def a_counter_has_a_gap(host):
    world = host.world
    index = list(legs_of(world, SECOND))[40]
    world.change(index, n=2**52)
    return Code.COUNTER_GAP, at(index)


@spoil(ONE_HAND)
def a_wish_is_missing(host):
    world = host.world
    index = world.where("wish", 3)
    world.change(index, n=world.entries[index].n + 1)
    return Code.COUNTER_GAP, at(index)


@spoil(ONE_HAND)
def two_legs_change_places(host):
    world = host.world
    a = world.entries[next(legs_of(world, FIRST))].a
    one, other = _agents_legs(world, FIRST, a)[5:7]
    world.entries[one], world.entries[other] = world.entries[other], world.entries[one]
    return Code.COUNTER_GAP, at(one)


@spoil(ONE_HAND)
def a_leg_has_no_out(host):
    world = host.world
    index = list(legs_of(world, FIRST))[30]
    leg = world.entries[index]
    del world.entries[world.where("out", e=FIRST, a=leg.a, n=leg.n)]
    return Code.OUT_MISSING, at(index)


@spoil(ONE_HAND)
def a_leg_has_two_outs(host):
    world = host.world
    index = world.where("out", 20, o="no") + 1
    world.entries.insert(index, world.entries[index - 1])
    return Code.OUT_REPEATED, at(index)


@spoil(ONE_HAND)
def an_out_has_no_leg(host):
    world = host.world
    index = world.where("out", 20, o="no")
    world.change(index, a="cd" * 16)
    return Code.OUT_WITHOUT_LEG, at(index)


@spoil(ONE_HAND)
def an_out_stands_before_its_leg(host):
    world = host.world
    index = list(legs_of(world, FIRST))[30]
    leg = world.entries[index]
    world.entries.insert(index, world.entries.pop(world.where("out", e=FIRST, a=leg.a, n=leg.n)))
    return Code.OUT_WITHOUT_LEG, at(index)


@spoil(ONE_HAND)
def an_out_comes_after_the_close(host):
    world = host.world
    out = world.entries.pop(world.where("out", 50, o="no", e=FIRST))
    index = world.where("eclose", e=FIRST) + 1
    world.entries.insert(index, out)
    return Code.OUT_LATE, at(index)


# -- the draw


def _leg_of(world, out):
    entry = world.entries[out]
    return world.where("call", e=entry.e, a=entry.a, n=entry.n)


@spoil(ONE_HAND)
def a_leg_that_was_not_drawn_is_a_hit(host):
    world = host.world
    index = next(
        i
        for i, entry in enumerate(world.entries)
        if isinstance(entry, le.Out) and entry.o == "no" and world.entries[_leg_of(world, i)].r == 2
    )
    world.change(index, o="hit")
    return Code.HIT_NOT_DRAWN, at(_leg_of(world, index))


@spoil(ONE_HAND)
def a_drawn_leg_is_called_no(host):
    index = host.world.where("out", 3, o="hit")
    host.world.change(index, o="no")
    return Code.DRAWN_NOT_SAID, at(_leg_of(host.world, index))


@spoil(ONE_HAND)
def a_hit_is_called_cap(host):
    index = host.world.where("out", 3, o="hit")
    host.world.change(index, o="cap")
    return Code.CAP_WITHOUT_REASON, at(_leg_of(host.world, index))


def _capped(host, why):
    """The first `cap` that is one for this reason only, found by making it a hit."""
    world = host.world
    for nth in range(40):
        index = world.where("out", nth, o="cap")
        leg = world.entries[_leg_of(world, index)]
        if host.why.get((leg.e, leg.a, leg.n)) == why:
            world.change(index, o="hit")
            return at(_leg_of(world, index))
    raise AssertionError(f"no cap because of {why}")


@spoil(ONE_HAND)
def the_ceiling_is_exceeded(host):
    return Code.CEILING, _capped(host, f"ceiling of {AGREEMENT}")


@spoil(ONE_HAND)
def an_agents_cap_is_exceeded(host):
    return Code.AGENT_CAP, _capped(host, "caps")


@spoil(ONE_HAND)
def a_campaigns_count_is_exceeded(host):
    return Code.CAMPAIGN_FULL, _capped(host, "campaign")


@spoil(ONE_HAND)
def a_pseudonym_outside_the_roster_is_drawn(host):
    world = host.world
    index = world.where("day", e=FIRST, i=2)
    call = le.Call(FIRST, "ab" * 16, 1, "service-strom", 2, "00" * 32)
    world.entries[index:index] = [call, le.Out(FIRST, "ab" * 16, 1, "hit", "00" * 32)]
    return Code.OUTSIDE_ROSTER, at(index)


@spoil(ONE_HAND)
def the_roster_at_hand_is_another_one(host):
    host.world.rosters[SECOND] = host.world.rosters[SECOND][1:]
    return Code.ROSTER, at(host.world.where("ecommit", e=SECOND))


@spoil(ONE_HAND)
def the_headcount_is_wrong(host):
    index = host.world.where("ecommit", e=SECOND)
    host.world.change(index, n=99)
    return Code.ROSTER, at(index)


# -- counts, days


@spoil(ONE_HAND)
def hits_of_a_group_are_understated(host):
    index = host.world.where("eclose", e=FIRST)
    entry = host.world.entries[index]
    told = entry.groups["team-a"]
    host.world.change(index, groups={**entry.groups, "team-a": le.Counted(told.legs, told.hits - 1)})
    return Code.ECLOSE_COUNTS, at(index)


@spoil(ONE_HAND)
def legs_without_agents_are_understated(host):
    index = host.world.where("eclose", e=FIRST)
    entry = host.world.entries[index]
    host.world.change(index, x={**entry.x, "unclaimed": entry.x["unclaimed"] - 1})
    return Code.ECLOSE_COUNTS, at(index)


@spoil(ONE_HAND)
def what_was_kept_is_told_before_the_blocks_end(host):
    index = host.world.where("eclose", e=SECOND)
    host.world.change(index, kept=3)
    return Code.ECLOSE_COUNTS, at(index)


@spoil(ONE_HAND)
def an_epoch_is_closed_twice(host):
    world = host.world
    world.entries.append(world.entries[world.where("eclose", e=FIRST)])
    return Code.ECLOSE_ORDER, at(len(world.entries) - 1)


@spoil(ONE_HAND)
def a_day_is_missing(host):
    world = host.world
    index = world.where("day", e=FIRST, i=3)
    del world.entries[index]
    return Code.DAY_ORDER, at(world.where("day", e=FIRST, i=4))


@spoil(ONE_HAND)
def a_day_is_repeated(host):
    world = host.world
    index = world.where("day", e=FIRST, i=3) + 5
    world.entries.insert(index, le.Day(FIRST, 3))
    return Code.DAY_ORDER, at(index)


@spoil(ONE_HAND)
def days_run_ahead_of_the_councils_clock(host):
    world = host.world
    world.change(world.where(PendingOpen, e=SECOND), at=START + timedelta(days=5))
    return Code.DAY_EARLY, at(world.where("day", e=FIRST, i=6))


@spoil(ONE_HAND)
def an_entry_is_no_entry(host):
    host.world.entries.append(b'{"v":1,"t":"call","name":"Alma"}')
    return Code.ENTRY, at(len(host.world.entries) - 1)


# -- legs and call records


@spoil(ONE_HAND)
def a_leg_is_invented_without_an_opening(host):
    world = host.world
    index = len(world.entries) - 1
    last = next(i for i in range(index, 0, -1) if isinstance(world.entries[i], le.Call))
    entry = world.entries[last]
    world.entries.append(le.Call(THIRD, entry.a, entry.n + 1, "other", None, "00" * 32))
    return Code.OPENING, at(len(world.entries) - 1)


@spoil(ONE_HAND)
def a_leg_is_invented_that_nobody_telephoned(host):
    world = host.world
    call_id = world.cdr.pop(100)[0]
    return Code.LEG_WITHOUT_CALL, at(next(one.entry for one in world.openings if one.call_id == call_id))


@spoil(ONE_HAND)
def a_call_passed_the_gateway_by(host):
    world = host.world
    world.cdr += [(f"beside-{i}@pbx", START + timedelta(hours=i + 1), 60) for i in range(40)]
    return Code.CALL_WITHOUT_ENTRY, f"cdr.csv line {len(world.cdr) - 38}"


@spoil(ONE_HAND)
def a_leg_is_entered_twice(host):
    world = host.world
    index = len(world.entries)
    last = next(i for i in range(index - 1, 0, -1) if isinstance(world.entries[i], le.Call))
    entry = world.entries[last]
    world.entries.append(le.Call(THIRD, entry.a, entry.n + 1, entry.q, entry.r, entry.c))
    opening = next(one for one in world.openings if one.entry == last)
    world.openings.append(
        CallOpening(index, opening.call, opening.call_id, opening.start, opening.salt),
    )
    return Code.LEG_TWICE, at(index)


@spoil(ONE_HAND)
def an_opening_does_not_open(host):
    world = host.world
    index = next(legs_of(world, FIRST))
    world.change(index, c="00" * 32)
    return Code.OPENING, at(index)


# -- recordings


@spoil(FILES)
def a_manifest_has_no_entry(world, folder):
    made = Host(99).manifest("ab" * 16, "agent")
    name = folder / "manifests" / "more.manifest.json"
    name.write_bytes(made)
    (folder / "manifests" / "more.manifest.sig").write_text("")
    opening = world.out_openings[0]
    forged = opening.line().replace(opening.manifests[0].encode(), hashlib.sha256(made).hexdigest().encode())
    (folder / "manifests" / f"{opening.entry}.out").write_bytes(forged)
    return Code.MANIFEST_WITHOUT_ENTRY, f"entry {opening.entry}"


@spoil(FILES)
def a_manifest_is_no_longer_there(world, folder):
    digest = world.out_openings[-1].manifests[1]
    (folder / "manifests" / f"{digest[:16]}.manifest.json").unlink()
    return Code.ENTRY_WITHOUT_MANIFEST, f"manifest {digest[:16]}"


@spoil(FILES)
def a_manifest_is_altered(world, folder):
    digest = digest_of(world.manifests[SECOND][3])
    path = folder / "manifests" / f"{digest[:16]}.manifest.json"
    path.write_bytes(path.read_bytes().replace(b'"stanzas":1', b'"stanzas":2'))
    return Code.MANIFEST_SIGNATURE, path.name


@spoil(FILES)
def a_recording_was_kept_of_a_leg_that_was_no_hit(world, folder):
    index = world.where("out", 9, o="no")
    opening = world.out_openings[0]
    forged = opening.line().replace(f'"entry":{opening.entry},'.encode(), f'"entry":{index},'.encode())
    (folder / "manifests" / f"{opening.entry}.out").write_bytes(forged)
    return Code.MANIFEST_WITHOUT_ENTRY, f"entry {index}"


@spoil(FILES)
def an_inventory_is_altered(world, folder):
    path = folder / "manifests" / f"{SECOND}.inventory"
    told = json.loads(path.read_bytes())
    path.write_bytes(canonical({**told, "leaves": told["leaves"][1:]}))
    return Code.INVENTORY, f"epoch {SECOND}"


@spoil(FILES)
def more_recordings_lie_there_than_could_be_drawn(world, folder):
    for number in range(60):
        made = Host(number).manifest(f"{number:032x}", "agent")
        (folder / "manifests" / f"{number}.manifest.json").write_bytes(made)
        (folder / "manifests" / f"{number}.manifest.sig").write_text(signed(made))
    return Code.KEPT_TOO_MANY, "manifests"


# -- files of the log


def _flip(path, position, bit=1):
    data = bytearray(path.read_bytes())
    data[position] ^= bit
    path.write_bytes(data)


@spoil(FILES)
def a_bit_of_an_entry_is_flipped(world, folder):
    _flip(folder / "log/tile/entries/002", 30)
    return Code.TILE, at(512)


@spoil(FILES)
def a_length_in_a_bundle_is_flipped(world, folder):
    _flip(folder / "log/tile/entries/002", 0)
    return Code.BUNDLE, f"{ORIGIN} tile/entries/002"


@spoil(FILES)
def a_bit_of_a_leaf_hash_is_flipped(world, folder):
    _flip(folder / "log/tile/0/001", 32 * 7)
    return Code.TILE, at(256 + 7)


@spoil(FILES)
def a_bit_of_an_upper_hash_is_flipped(world, folder):
    (path,) = (folder / "log/tile/1/000.p").iterdir()
    _flip(path, 33)
    return Code.TILE, f"{ORIGIN} tile/1/000.p/{path.name}"


@spoil(FILES)
def the_last_partial_bundle_is_flipped(world, folder):
    (path,) = next(iter((folder / "log/tile/entries").glob("*.p"))).iterdir()
    _flip(path, -1)
    return Code.TILE, at(len(world.entries) - 1)


@spoil(FILES)
def a_bundle_is_missing(world, folder):
    (folder / "log/tile/entries/003").unlink()
    return Code.BUNDLE, f"{ORIGIN} tile/entries/003"


@spoil(FILES)
def a_tile_is_missing(world, folder):
    (folder / "log/tile/0/003").unlink()
    return Code.TILE, f"{ORIGIN} tile/0/003"


@spoil(FILES)
def a_bundle_is_cut(world, folder):
    path = folder / "log/tile/entries/001"
    path.write_bytes(path.read_bytes()[:-10])
    return Code.BUNDLE, f"{ORIGIN} tile/entries/001"


@spoil(FILES)
def the_checkpoint_is_flipped(world, folder):
    _flip(folder / "log/checkpoint", len(ORIGIN) + 1, 2)
    return Code.CHECKPOINT_SIGNATURE, f"{ORIGIN} checkpoint"


@spoil(FILES)
def the_checkpoint_is_missing(world, folder):
    (folder / "log/checkpoint").unlink()
    return Code.CHECKPOINT_UNREADABLE, " checkpoint".strip()


@spoil(FILES)
def the_log_is_signed_by_another_key(world, folder):
    root = root_of(map(leaf_hash, world.leaves))
    note = Checkpoint(ORIGIN, len(world.leaves), root).signed(SigningKey.generate())
    (folder / "log/checkpoint").write_bytes(bytes(note))
    return Code.CHECKPOINT_SIGNATURE, f"{ORIGIN} checkpoint"


@spoil(FILES)
def the_checkpoint_is_of_another_root(world, folder):
    note = Checkpoint(ORIGIN, len(world.leaves), bytes(32)).signed(KEYS["log"])
    (folder / "log/checkpoint").write_bytes(bytes(note))
    return Code.ROOT, f"{ORIGIN} checkpoint"


def _rewrite(folder, leaves):
    """The same log, as its own key signs it anew over these entries."""
    shutil.rmtree(folder / "log/tile")
    hashes = [leaf_hash(leaf) for leaf in leaves]
    note = bytes(Checkpoint(ORIGIN, len(leaves), root_of(hashes)).signed(KEYS["log"]))
    write_log(folder / "log", leaves, hashes, note)


def _last_kept(world):
    return int(world.kept[-1].split(b"\n")[1])


@spoil(FILES)
def the_log_is_truncated(world, folder):
    _rewrite(folder, world.leaves[:-30])
    return Code.ROLLED_BACK, f"{ORIGIN} checkpoint"


@spoil(FILES)
def the_log_is_rolled_back_to_a_snapshot_and_goes_on(world, folder):
    _rewrite(folder, [*world.leaves[:-30], *[le.encode(le.X(THIRD, "unknown"))] * 40])
    return Code.FORKED, f"{ORIGIN} checkpoint {_last_kept(world)}"


@spoil(FILES)
def the_log_is_forked(world, folder):
    _rewrite(folder, [*world.leaves[:-1], le.encode(le.X(THIRD, "unknown"))])
    return Code.FORKED, f"{ORIGIN} checkpoint {_last_kept(world)}"


@spoil(FILES)
def two_entries_change_places_and_the_log_is_signed_anew(world, folder):
    leaves = list(world.leaves)
    leaves[40], leaves[41] = leaves[41], leaves[40]
    _rewrite(folder, leaves)
    second = int(world.kept[1].split(b"\n")[1])
    return Code.FORKED, f"{ORIGIN} checkpoint {second}"


@spoil(FILES)
def an_old_entry_is_rewritten_and_the_log_is_signed_anew(world, folder):
    leaves = list(world.leaves)
    index = world.where("out", 3, o="hit")
    leaves[index] = leaves[index].replace(b'"hit"', b'"cap"')
    _rewrite(folder, leaves)
    return Code.CAP_WITHOUT_REASON, at(_leg_of(world, index))


@spoil(FILES)
def a_kept_checkpoint_was_not_cosigned_by_the_council(world, folder):
    note = Checkpoint(ORIGIN, 5, root_of(map(leaf_hash, world.leaves[:5]))).signed(KEYS["log"])
    forged = bytes(cosigned(note, START))
    _, _, line = forged.rpartition(b"\xe2\x80\x94 ")
    broken = bytearray(forged)
    broken[-10] = ord("B" if broken[-10] == ord("A") else "A")  # still base64
    (folder / "seen" / "5.note").write_bytes(bytes(broken).replace(b"-----", b"") if line else forged)
    return Code.COSIGNATURE, "5.note"


@spoil(FILES)
def a_log_after_a_restore_repeats_an_epoch(world, folder):
    shutil.copytree(folder / "log", folder / "logs/first")
    shutil.copytree(folder / "log", folder / "logs/second")
    origin = ORIGIN + "-r1"
    note = Checkpoint(origin, len(world.leaves), root_of(map(leaf_hash, world.leaves))).signed(KEYS["log"])
    (folder / "logs/second/checkpoint").write_bytes(bytes(note))
    shutil.rmtree(folder / "log")
    (folder / "logs").rename(folder / "log")
    return Code.EPOCH_TWICE, f"{origin} epoch {FIRST}"


@spoil(FILES)
def another_history_was_kept_as_evidence(world, folder):
    (folder / "evidence/hamburg-1").mkdir(parents=True)
    return Code.EVIDENCE, "evidence/hamburg-1"


@spoil(FILES)
def an_acts_signature_is_altered(world, folder):
    path = folder / "acts/000002.json"
    posted = parse_act_file(path.read_bytes())
    other = {"council": parse_act_file((folder / "acts/000001.json").read_bytes()).signatures["council"]}
    path.write_bytes(print_act(type(posted)(posted.act, other, posted.at, posted.document, posted.session)))
    return Code.ACT_REFUSED, at(world.where("act", 1))


@spoil(FILES)
def an_act_file_is_garbage(world, folder):
    (folder / "acts/000002.json").write_bytes(b"{}")
    return Code.ACT_FILE, "000002.json"


@spoil(FILES)
def a_roster_is_garbage(world, folder):
    (folder / "rosters" / f"{SECOND}.json").write_bytes(b'{"leaves":[1]}')
    return Code.ROSTER, f"{SECOND}.json"


@pytest.mark.parametrize("name", sorted(ONE_HAND))
def test_what_the_host_writes_so_from_the_start_is_found(name, tmp_path):
    one = host()
    code, place = ONE_HAND[name](one)
    world = one.world.write(tmp_path, manifests=False)
    found = looked_at(tmp_path, world, manifests=None)
    assert (code, place) in [(finding.code, finding.place) for finding in found.findings]


@pytest.mark.parametrize("name", sorted(FILES))
def test_what_is_changed_afterwards_is_found(name, tmp_path):
    world = host().world.write(tmp_path)
    code, place = FILES[name](world, tmp_path)
    found = looked_at(tmp_path, world)
    assert (code, place) in [(finding.code, finding.place) for finding in found.findings]


def test_there_are_enough_of_them():
    assert len(ONE_HAND) + len(FILES) >= 60
    assert WEEK.days == 7
