"""The whole story as a child process, as a visitor starts it: six stories, and a WAV that holds what was said."""

import base64
import json
import os
import subprocess
import sys
from collections import Counter

import pytest

from api.listen import find_sides, open_side, read_identities
from crypto.tlog_tiles import WIDTH, Tile, parse_bundle
from demo import house
from demo.correlate import find
from demo.opening import read_stereo
from demo.report import CallTold, missing
from demo.speech import speech

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def played(root, tmp_path_factory):
    """Folder and summary of one demo."""
    folder = tmp_path_factory.mktemp("demo") / "out"
    command = [sys.executable, "-m", "demo", "--json", "--out", folder]
    environment = {**os.environ, "PYTHONPATH": str(root), "FAIRTAP_SITE__NAME": "not-for-the-demo"}
    done = subprocess.run(command, cwd=folder.parent, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    assert "DEMO" in done.stderr
    return folder, json.loads(done.stdout)


def told(summary):
    return [CallTold(one["call"], one["drawn"], one["outcome"], tuple(one["reasons"])) for one in summary["calls"]]


def test_every_story_was_told(played):
    _, summary = played
    assert set(summary) == {"calls", "log", "console"}
    assert missing(told(summary)) == []
    assert len(summary["calls"]) <= 60


def test_the_councils_tool_verified_the_log_and_finds_a_changed_byte(played):
    folder, summary = played
    (checkpoint,) = (folder / "council" / "mirror").glob("*/fairtap/*/checkpoint")
    _, size, root = checkpoint.read_text().splitlines()[:3]
    assert summary["log"] == {"size": int(size), "root": base64.b64decode(root).hex(), "verified": True}
    leaves = [json.loads(leaf) for leaf in entries(checkpoint.parent, int(size))]
    kinds = Counter(leaf["t"] for leaf in leaves)
    assert kinds["call"] == len(summary["calls"]) == kinds["out"]
    assert kinds["reveal"] == kinds["eclose"] >= 1
    assert {leaf["o"] for leaf in leaves if leaf["t"] == "out"} <= {"no", "cap", "hit"}


def entries(mirror, size):
    tiles = [Tile(None, number, min(WIDTH, size - number * WIDTH)) for number in range(-(-size // WIDTH))]
    return [leaf for tile in tiles for leaf in parse_bundle((mirror / tile.path).read_bytes(), tile.width)]


def test_only_what_was_recorded_has_sides(played):
    _, summary = played
    for call in summary["calls"]:
        kept = call["outcome"].startswith("recorded")
        assert [one["side"] for one in call["sides"]] == (["agent", "caller"] if kept else [])


def test_wav_holds_agent_left_and_caller_right(played):
    _, summary = played
    wav = next(one["sides"][0]["wav"] for one in summary["calls"] if one["outcome"] == "recorded")
    left, right = read_stereo(wav)
    for sound, own, other in ((speech("agent"), left, right), (speech("caller"), right, left)):
        assert find(sound, own).strength > 0.95
        assert find(sound, other).strength < 0.2


def test_sides_are_what_age_opens(played):
    folder, summary = played
    keys = [identity for path in (folder / "keys").glob("agent-*.key") for identity in read_identities(path)]
    opened = set()
    for manifest in (folder / "var" / "recordings").glob("*/*/agent-1.manifest.json"):
        place = manifest.parent
        vault = folder / "var" / "vault" / place.relative_to(folder / "var" / "recordings")
        opened |= {open_side(side, keys).container_sha256 for side in find_sides(place, vault)}
    said = {one["sha256"] for call in summary["calls"] for one in call["sides"]}
    assert said == opened
    assert len(said) >= 4


def test_secret_keys_are_their_owners_alone(played):
    folder, _ = played
    secret = [*(folder / "keys").glob("*.key"), *(folder / "keys").glob("*.sign")]
    assert len(secret) == 22
    assert {path.stat().st_mode & 0o777 for path in secret} == {0o600}


def test_folder_that_holds_something_is_refused(root, tmp_path):
    (tmp_path / "here").write_text("already")
    environment = {**os.environ, "PYTHONPATH": str(root)}
    command = [sys.executable, "-m", "demo", "--out", tmp_path]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "empty folder" in done.stderr
    assert (tmp_path / "here").read_text() == "already"


@pytest.mark.parametrize("patience", [0.0, 40.0], ids=["not ready in time", "ends at once"])
async def test_gateway_that_does_not_start_leaves_nothing_behind(tmp_path, monkeypatch, patience):
    monkeypatch.setattr(house, "START_S", patience)
    made = house.House(tmp_path, house.find_addresses())
    with pytest.raises(house.HouseFailed, match=r"see .*fairtap\.log"):
        async with made:
            pass
    assert made.ended
    assert "init" in (tmp_path / house.LOG).read_text() or patience == 0.0
