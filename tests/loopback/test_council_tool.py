"""The council's tool from its command line, against a site that serves a world: sync, verify, cosign, share, commit."""

import json
import os
import shutil
import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from council import __main__ as cli
from council.home import Home
from crypto.checkpoint import Checkpoint, open_checkpoint
from crypto.cosignature import cosigner, find_cosignature
from crypto.draw import epoch_commitment
from crypto.merkle import leaf_hash, root_of
from crypto.signed_note import SignedNote, VerifierKey
from crypto.tlog_tiles import tiles_of
from crypto.x25519 import Identity
from policy import log_entry as le
from policy.epoch_statement import CouncilCommitment
from policy.inventory import print_inventory
from tests.peers.fake_site import COUNCIL, serving
from tests.peers.log_world import EPOCHS, KEYS, ORIGIN, START, WEEK, Host, write_log

LOG_KEY = str(VerifierKey(ORIGIN, KEYS["log"].verify_key))
AHEAD = ["2026-W17", "2026-W18"]


@pytest.fixture
def site(tmp_path):
    host = Host(5, legs=6, agents=8)
    world = host.run()
    folder = tmp_path / "site"
    world.write(folder)
    told: list[dict[str, Any]] = [{"epoch": name, "origin": ORIGIN, "state": "revealed"} for name in EPOCHS[:2]]
    for over in told:
        over["inventory"] = True
    told += [{"epoch": EPOCHS[2], "origin": ORIGIN, "state": "opened"}]
    told += [{"epoch": name, "origin": ORIGIN, "state": "none"} for name in AHEAD]
    with serving(folder, world, told) as running:
        yield running


class Tool:
    """Runs commands in a folder."""

    def __init__(self, home, now):
        self.home, self.now = home, now

    def __call__(self, *arguments):
        return cli.main(["--home", str(self.home), "--lang", "en", *map(str, arguments)], lambda: self.now)


@pytest.fixture
def council(tmp_path, site):
    """In a folder that is set up."""
    key = tmp_path / "council.sign"
    key.write_bytes(KEYS["council"].to_openssh())
    run = Tool(tmp_path / "home", site.world.now)
    (tmp_path / "employer.pub").write_text(f"{KEYS['employer'].verify_key} employer\n")
    told = ("--anchor", f"employer={tmp_path / 'employer.pub'}")
    assert run("init", "--url", site.url, "--key", key, "--log-key", LOG_KEY, *told) == 0
    return run


def test_sync_copies_everything_and_verify_finds_nothing(council, site, capsys):
    assert council("sync") == 0
    for path in (site.folder / "log").rglob("*"):
        if path.is_file() and path.name != "vkey":
            assert (council.home / "mirror" / ORIGIN / path.relative_to(site.folder / "log")).read_bytes() == (
                path.read_bytes()
            )
    capsys.readouterr()
    assert council("verify", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["findings"] == []
    assert told["logs"][0]["epochs"][EPOCHS[0]]["state"] == "revealed"
    assert set(told["missing"]) == {"cdr", "seen"}


def test_what_comes_while_it_is_copied_looks_like_no_fault(council, site):
    """An act, and an epoch's commitments with its roster."""
    acts = sorted((site.folder / "acts").iterdir())
    later = acts[-1].read_bytes()
    acts[-1].unlink()
    site.epochs[2]["state"] = "promised"

    def meanwhile():
        acts[-1].write_bytes(later)
        site.epochs[2]["state"] = "committed"

    site.meanwhile = meanwhile
    assert council("sync") == 0
    assert council("verify") == 0


@pytest.fixture
def opener(council, site, tmp_path):
    """The council holds its age identity, and the site has the lists of two epochs that are over."""
    (tmp_path / "council.key").write_text(f"{COUNCIL.secret_text()}\n")
    home = Home.open(council.home)
    key, records = str(tmp_path / "council.key"), str(site.folder / "cdr.csv")
    Home(home.path, replace(home.settings, identity=key, cdr=records, zone="UTC")).save()
    council.now -= timedelta(days=7)  # the first epoch has been over for less than 14 days
    return council


def test_call_records_are_compared_through_the_opening_files(opener, site, capsys):
    assert opener("cdr", site.folder / "cdr.csv", "--zone", "UTC", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    over = [one for one in site.world.openings if one.lane is None and one.entry < site.world.where("eclose", 1)]
    assert told["calls"]["rows"] == told["calls"]["matched"]
    assert len(over) - 2 <= told["calls"]["rows"] <= len(over)
    assert set(told["missing"]) <= {"seen"}
    kept = list((opener.home / "openings").iterdir())
    assert {path.name for path in kept} == set(EPOCHS[:2])
    assert not any(b"@pbx" in path.read_bytes() for path in kept)  # sealed on the council's disk, too
    lists = {path.name: path.read_bytes() for path in (opener.home / "inventories").iterdir()}
    assert lists == {f"{one}.inventory": print_inventory(one, site.world.inventories[one]) for one in EPOCHS[:2]}
    assert opener("weekly") == 0
    page = (opener.home / "reports" / f"{opener.now:%Y-%m-%d}.html").read_text()
    assert "answered calls in its records have an entry" in page


def test_a_call_that_the_log_lacks_and_a_leg_that_nobody_telephoned_are_named(opener, site, capsys):
    records = (site.folder / "cdr.csv").read_text().splitlines()
    gone = records.pop(40).split(",")[0]
    records.insert(20, records[60].replace("@pbx", "@beside"))
    (site.folder / "cdr.csv").write_text("\n".join(records) + "\n")
    index = next(one.entry for one in site.world.openings if one.call_id == gone)
    assert opener("cdr", site.folder / "cdr.csv", "--zone", "UTC", "--json") == 1
    told = {one["code"]: one["place"] for one in json.loads(capsys.readouterr().out)["findings"]}
    assert told["CDR.leg_without_call"] == f"{ORIGIN} entry {index}"


def test_opening_files_and_names_go_after_fourteen_days(opener):
    assert opener("sync") == 0
    names = [json.loads(path.read_bytes()).get("names") for path in sorted((opener.home / "rosters").iterdir())]
    assert names[0] == ["Alma Beispiel"]
    opener.now = START + WEEK + timedelta(days=14, hours=3)
    assert opener("sync") == 0
    assert {path.name for path in (opener.home / "openings").iterdir()} == {EPOCHS[1]}
    rosters = [json.loads(path.read_bytes()) for path in sorted((opener.home / "rosters").iterdir())]
    assert [one.get("names") for one in rosters] == [None, ["Alma Beispiel"], ["Alma Beispiel"]]
    assert opener("verify") == 0  # what the log committed to is still there


def test_another_councils_opening_files_open_nothing(opener, tmp_path, site, capsys):
    (tmp_path / "council.key").write_text(f"{Identity.generate().secret_text()}\n")
    assert opener("cdr", site.folder / "cdr.csv", "--json") == 1
    found = json.loads(capsys.readouterr().out)["findings"]
    assert {(one["code"], one["place"]) for one in found} == {("CDR.opening", epoch) for epoch in EPOCHS[:2]}


def test_without_an_identity_call_records_are_not_compared_and_it_says_so(opener, site, capsys):
    home = Home.open(opener.home)
    Home(home.path, replace(home.settings, identity=None)).save()
    assert opener("cdr", site.folder / "cdr.csv", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert "openings" in told["missing"] and told["calls"]["rows"] == 0


def test_cosign_keeps_and_hands_over_a_cosignature_that_verifies(council, site):
    council("sync")
    assert council("cosign") == 0
    (handed,) = site.handed_to("/log/cosignatures")
    checkpoint, note = open_checkpoint(handed["note"].encode(), ORIGIN, KEYS["log"].verify_key)
    witness = cosigner("hamburg/council", KEYS["council"].verify_key)
    assert find_cosignature(note, witness)[1] == int(site.world.now.timestamp())
    assert checkpoint.size == len(site.world.leaves)
    (kept,) = (council.home / "seen").iterdir()
    assert kept.read_text() == handed["note"]


def test_commitments_ahead_are_signed_and_their_shares_stay_here(council, site):
    assert council("open-epoch", "--ahead", 13) == 0
    assert [path for _, path, _ in site.handed] == [f"/v1/epochs/{name}/commitment" for name in AHEAD]
    for name, body in zip(AHEAD, site.handed_to("/commitment"), strict=True):
        path = council.home / "shares" / ORIGIN.replace("/", "_") / name
        share = bytes.fromhex(path.read_text().strip())
        assert epoch_commitment("council", ORIGIN, name, share).hex() == body["c"]
        said = CouncilCommitment(ORIGIN, name, body["c"])
        assert said.signed_by(body["csig"], [KEYS["council"].verify_key])
        if os.name == "posix":
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = site.handed_to("/commitment")
    council("open-epoch", "--ahead", 13)
    assert [body["c"] for body in site.handed_to("/commitment")[2:]] == [body["c"] for body in again]


def test_a_share_is_handed_over_only_after_the_cosignature(council, site):
    home = Home.open(council.home)
    path = home._share_path(ORIGIN, EPOCHS[2])
    path.parent.mkdir(parents=True)
    path.write_text(site.world.shares[EPOCHS[2], "council"].hex())
    site.epochs[2]["state"] = "committed"
    council("sync")
    assert council("share") == 0
    assert site.handed_to("/share") == []  # nothing cosigned yet
    council("cosign")
    assert council("share") == 0
    assert site.handed_to(f"/epochs/{EPOCHS[2]}/share") == [{"share": path.read_text()}]


def test_a_share_stays_here_when_the_log_holds_another_commitment(council, site):
    Home.open(council.home).draw_share(ORIGIN, EPOCHS[2])
    site.epochs[2]["state"] = "committed"
    council("sync")
    council("cosign")
    assert council("share") == 0
    assert site.handed_to("/share") == []


def test_weekly_does_all_of_it_and_writes_a_page(council, site, capsys):
    assert council("weekly") == 0
    assert len(site.handed_to("/log/cosignatures")) == 1
    assert len(site.handed_to("/commitment")) == 2
    page = council.home / "reports" / f"{site.world.now:%Y-%m-%d}.html"
    assert 'class="light"' in page.read_text()
    assert str(page) in capsys.readouterr().out


def test_watch_does_it_again_without_a_page(council, site):
    assert council("watch", "--every", 0, "--rounds", 2) == 0
    assert len(site.handed_to("/log/cosignatures")) == 1  # the second time nothing waits for it
    council.now += timedelta(hours=7)
    assert council("watch", "--every", 0, "--rounds", 1) == 0
    assert len(site.handed_to("/log/cosignatures")) == 2
    assert not (council.home / "reports").exists()


def _rewritten(site, leaves):
    """The site serves another history, signed by its own key."""
    shutil.rmtree(site.folder / "log/tile")
    hashes = [leaf_hash(leaf) for leaf in leaves]
    note = bytes(Checkpoint(ORIGIN, len(leaves), root_of(hashes)).signed(KEYS["log"]))
    write_log(site.folder / "log", leaves, hashes, note)


@pytest.mark.parametrize("kind", ["fork", "rollback", "rewritten and longer"])
def test_another_history_is_kept_as_evidence_and_nothing_is_cosigned(council, site, kind):
    council("sync")
    before = (council.home / "mirror" / ORIGIN / "checkpoint").read_bytes()
    leaves = list(site.world.leaves)
    if kind == "rollback":
        leaves = leaves[:-3]
    else:
        leaves[-1] = le.encode(le.X(EPOCHS[2], "unknown"))
        leaves += [leaves[-1]] * (9 if kind == "rewritten and longer" else 0)
    _rewritten(site, leaves)
    assert council("weekly") == 1
    assert site.handed == []
    (evidence,) = (council.home / "evidence").iterdir()
    kept, new = (SignedNote.parse((evidence / f"checkpoint.{name}").read_bytes()) for name in ("kept", "new"))
    assert kept.text != new.text
    for note in (kept, new):
        note.check(VerifierKey(ORIGIN, KEYS["log"].verify_key))
    assert (council.home / "mirror" / ORIGIN / "checkpoint").read_bytes() == before
    site.folder.rename(site.folder.with_name("other"))
    site.world.write(site.folder)  # the first history again, as if nothing had been
    assert council("weekly") == 1
    assert site.handed == []
    shutil.move(evidence, council.home / "dealt-with")
    assert council("verify") == 0


def test_a_log_that_has_grown_is_taken_on(council, site):
    council("sync")
    more = [le.encode(le.X(EPOCHS[2], "unknown"))] * 300
    _rewritten(site, [*site.world.leaves, *more])
    assert council("sync") == 0
    assert council("verify") == 0
    partials = [path.name for path in (council.home / "mirror" / ORIGIN).rglob("*.p/*")]
    assert len(partials) == 3


def test_findings_keep_the_council_from_cosigning(council, site, capsys):
    leaves = [*site.world.leaves, b"garbage"]
    _rewritten(site, leaves)
    council("sync")
    assert council("cosign") == 1
    assert site.handed == []
    assert f"entry {len(leaves) - 1}" in capsys.readouterr().out


def test_a_copy_is_made_from_a_folder_without_a_network(council, site):
    site.shutdown()
    assert council("sync", "--from", site.folder / "log") == 0
    assert council("verify") == 0


def test_verify_needs_no_folder_of_its_own(tmp_path, site, capsys):
    folder = site.folder
    given = ["--acts", folder / "acts", "--roster", folder / "rosters", "--manifests", folder / "manifests"]
    given += ["--cdr", folder / "cdr.csv", "--openings", folder / "openings", "--zone", "UTC", "--json"]
    assert Tool(tmp_path / "none", site.world.now)("verify", "--log", folder / "log", *given) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["calls"]["matched"] == told["calls"]["rows"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["verify", "--log", "nowhere"], "no log in"),
        (["cosign"], "fairtap-council init"),
        (["verify", "--log", "SITE", "--key", "x"], "name+hash+base64"),
        (["verify", "--log", "SITE", "--acts", "nowhere"], "no such file or folder"),
        (["open-epoch", "--ahead", "99"], "at most 13"),
    ],
)
def test_wrong_use_is_one_line_and_code_two(tmp_path, site, capsys, arguments, said):
    shown = [str(site.folder / "log") if one == "SITE" else one for one in arguments]
    assert Tool(tmp_path / "none", site.world.now)(*shown) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_an_identity_that_isnt_there_is_refused_at_once(tmp_path, site, council, capsys):
    """Else opening files stay shut, and every comparison with call records finds that they don't open."""
    key, identity = tmp_path / "council.sign", tmp_path / "mistyped.key"
    assert council("init", "--url", site.url, "--key", key, "--log-key", LOG_KEY, "--identity", identity) == 2
    assert "mistyped.key" in capsys.readouterr().err


GARBLED = {
    "a number that isn't whole": ("/acts", b"HTTP/1.0 200 OK\r\n\r\n" + b'{"acts":[1.5]}'),
    "half a character": ("/acts", b"HTTP/1.0 200 OK\r\n\r\n" + b'{"acts":["\\ud800"]}'),
    "a deep nest": ("/epochs", b"HTTP/1.0 200 OK\r\n\r\n" + b'{"epochs":' + b"[" * 99_999),
    "no http": ("/acts", b"GARBAGE\r\n\r\n"),
    "a line without an end": ("/acts", b"HTTP/1.0 200 OK\r\nX: " + b"a" * 70_000),
    "a cut chunk": ("/acts", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nabc"),
    "a roster beyond all sizes": ("/roster", b"HTTP/1.0 200 OK\r\n\r\n" + b'{"x":"%s"}' % (b"a" * (17 << 20))),
}


@pytest.mark.parametrize("what", GARBLED)
def test_what_a_site_garbles_is_one_line_and_watch_goes_on(council, site, capsys, what):
    end, data = GARBLED[what]
    site.garbled = {end: data}
    assert council("sync") == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert council("watch", "--every", 0, "--rounds", 1, "--ahead", 0) == 0
    assert "trying again" in capsys.readouterr().err
    site.garbled = {}
    assert council("sync") == 0
    assert council("verify") == 0


def test_a_transfer_that_is_cut_short_is_no_fork(council, site, capsys):
    """A tile of which half came would contradict every history."""
    tile = next(path for path in (site.folder / "log/tile/0").rglob("*") if path.is_file())
    half = tile.read_bytes()[: tile.stat().st_size // 2]
    name = tile.relative_to(site.folder / "log").as_posix()
    site.garbled = {name: b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % tile.stat().st_size + half}
    assert council("sync") == 2
    assert "cut short" in capsys.readouterr().err
    assert not (council.home / "evidence").exists()
    site.garbled = {}
    assert council("sync") == 0


def test_a_copy_that_was_broken_off_is_no_log_and_is_begun_again(council, site, capsys):
    """The site goes away between two files: what came so far lies beside the copy."""
    *_, last = tiles_of(len(site.world.leaves))
    data = (site.folder / "log" / last.path).read_bytes()
    (site.folder / "log" / last.path).unlink()
    assert council("sync") == 2
    assert "lacks" in capsys.readouterr().err
    assert council("verify") == 2
    assert "no log in" in capsys.readouterr().err
    (site.folder / "log" / last.path).write_bytes(data)
    assert council("sync") == 0
    assert council("verify") == 0


def test_a_strangers_key_is_refused_by_the_site(council, site, tmp_path, capsys):
    (tmp_path / "council.sign").write_bytes(KEYS["stranger"].to_openssh())
    assert council("sync") == 2
    assert "not the council's key" in capsys.readouterr().err


@pytest.mark.parametrize("field", ["epoch", "origin"])
def test_a_site_cant_write_outside_its_folder(council, site, field):
    site.epochs.append({"epoch": "2026-W19", "origin": ORIGIN, "state": "none", field: "../../../etc/x"})
    council("open-epoch", "--ahead", 13)
    assert len(site.handed_to("/commitment")) == len(AHEAD)
    assert {path.name for path in (council.home / "shares").rglob("*") if path.is_file()} == set(AHEAD)


def test_plain_http_goes_nowhere_but_here(council, tmp_path, capsys):
    home = Home.open(council.home)
    Home(home.path, type(home.settings)(**{**_settings(home), "url": "http://site.example"})).save()
    assert council("sync") == 2
    assert "https" in capsys.readouterr().err


def _settings(home):
    return {name: getattr(home.settings, name) for name in home.settings.__slots__}


def test_the_clock_is_the_machines():
    assert abs(cli.utc_now() - datetime.now(UTC)) < timedelta(seconds=5)
