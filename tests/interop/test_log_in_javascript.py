"""A whole log's root, counters and outcomes recomputed in JavaScript say the same as the council's tool."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from council.codes import Code
from council.inspect import Sources, inspect
from policy import log_entry as le
from tests.peers.log_world import EPOCHS, KEYS, Host, legs_of
from tests.peers.two_agreements import TwoAgreements

NODE = shutil.which("node") or ""
pytestmark = pytest.mark.skipif(not NODE, reason="`node` isn't installed")
SCRIPT = Path(__file__).with_name("recompute_log.mjs")
OUTCOMES = {
    Code.HIT_NOT_DRAWN,
    Code.DRAWN_NOT_SAID,
    Code.CEILING,
    Code.AGENT_CAP,
    Code.CAMPAIGN_FULL,
    Code.CAP_WITHOUT_REASON,
}
COUNTERS = {Code.COUNTER_GAP, Code.COUNTER_REPEATED}


def in_javascript(folder):
    done = subprocess.run([NODE, SCRIPT, folder], capture_output=True, text=True, timeout=60, check=True)
    return json.loads(done.stdout)


def in_python(folder, world):
    key = KEYS["log"].verify_key
    sources = Sources(folder / "log", acts=folder / "acts", roster=folder / "rosters", key=key, now=world.now)
    return inspect(sources)


def entries_of(found, codes):
    return sorted({int(one.place.rpartition(" ")[2]) for one in found.findings if one.code in codes})


HOSTS = pytest.mark.parametrize(("host", "legs"), [(Host, 24), (TwoAgreements, 60)])


@HOSTS
def test_a_clean_log_is_clean_in_both(tmp_path, host, legs):
    world = host(14, legs).run().write(tmp_path, manifests=False)
    told, found = in_javascript(tmp_path), in_python(tmp_path, world)
    assert found.findings == []
    assert (told["gaps"], told["wrong"]) == ([], [])
    assert told["size"] == len(world.entries)
    assert told["root"] == world.kept[-1].split(b"\n")[2].decode()
    assert told["legs"] == sum(book.counted["legs"] for book in found.logs[0].epochs.values())


@HOSTS
def test_every_wrong_outcome_and_counter_is_seen_by_both(tmp_path, host, legs):
    world = host(14, legs).run()
    for said, instead in (("no", "hit"), ("hit", "no"), ("hit", "cap"), ("cap", "hit"), ("cap", "no")):
        for nth in range(0, 8, 3):
            world.change(world.where("out", nth, o=said), o=instead)
    last = world.entries[list(legs_of(world, EPOCHS[1]))[-1]]
    assert isinstance(last, le.Call)
    world.entries.append(le.Call(EPOCHS[2], last.a, 7, "other", None, last.c))
    world.write(tmp_path, manifests=False)
    told, found = in_javascript(tmp_path), in_python(tmp_path, world)
    assert sorted(index for index, _, _ in told["wrong"]) == entries_of(found, OUTCOMES)
    assert len(told["wrong"]) >= 8
    assert told["gaps"] == entries_of(found, COUNTERS) == [len(world.entries) - 1]
