"""100 calls of all kinds, full of canaries: names, numbers, card digits, voices. They are only where they may be.

And two worlds: what admin, council, metrics and logs show of a call is the same whether its agent says no, its caller
is silent, or it wasn't drawn.
"""

import asyncio
import base64
import contextlib
import json
import os
import re
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

import httpx
import numpy as np
import pytest

from api.listen import find_sides, open_side, read_identities
from demo.g711 import decode, encode
from demo.house import LOG, Addresses, find_addresses
from demo.speech import speech
from policy.decision import SITE_STATE, Reason
from policy.log_entry import parse
from tests.peers import canary_places as places
from tests.peers.canary import Canaries, Finding
from tests.peers.canary_calls import DISCARDED, KEPT, MAIN_DESKS, Calls, CanarySite, Kind, Told
from tests.peers.log_check import personal
from tests.peers.log_house import every_leaf

pytestmark = pytest.mark.timeout(600)

CALLS = int(os.environ.get("FAIRTAP_CANARY_CALLS", "100"))
"""How many calls go through; they are more only while a kind that needs a drawn call hasn't happened."""
NAMES = re.compile(r"var/fairtap\.db(-wal)?:(agents|epoch_names)")
SEATS = re.compile(r"var/fairtap\.db(-wal)?:(seats|sqlite_autoindex_seats_\d)")
PERMITTED = {
    # the roster's line, and who may read it (agreement.md §6)
    "name": re.compile(rf"{NAMES.pattern}|GET /v1/agents as (admin|council|dpo)|GET /v1/agents/me as agent"),
    "extension": re.compile(rf"{SEATS.pattern}|GET /v1/agents/me as agent"),
}
TELLING = sorted(set(Reason) - SITE_STATE - {Reason.NOT_SELECTED_OR_NOT_PERMITTED})
"""Every reason that depends on a person."""
BESIDE = re.compile(r"packets|seconds|_created|/explain|/metrics|/status|route=\"/v1/calls\"")
"""Figures that move with time, and with what this test itself asks."""


@dataclass
class Played:
    """What one run showed."""

    canaries: Canaries
    folder: Path
    told: list[Told] = field(default_factory=list)
    while_running: list[Finding] = field(default_factory=list)
    at_the_end: list[Finding] = field(default_factory=list)
    answers: dict[str, bytes] = field(default_factory=dict)
    """Of the API, by request and role."""
    recordings: set[str] = field(default_factory=set)
    """Call references of what the agents' own lists hold."""
    worlds: dict[Kind, dict[str, float]] = field(default_factory=dict)
    """What one call of a kind changes in metrics and status."""
    logged: dict[Kind, list[str]] = field(default_factory=dict)
    journals: bytes = b""
    """What the gateway's journals held at a moment when calls ran."""
    memory: bool = False
    """Whether the memory of other processes could be looked at."""


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """All calls, and everything that was looked at while the site ran and after it ended."""
    folder = tmp_path_factory.mktemp("canary") / "site"
    (folder / "tmp").mkdir(parents=True)
    run = Played(Canaries(), folder)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("TMPDIR", str(folder / "tmp"))
        asyncio.run(play(run))
    return run


async def play(run):
    since = time.time() - 2
    port = find_addresses().api_port
    at = Addresses(f"127.16.{port % 256}", port)
    async with CanarySite(run.folder, at, run.canaries) as site:
        headers = {"Authorization": f"Bearer {site.house.admin_token}"}
        async with httpx.AsyncClient(base_url=at.base_url, headers=headers, timeout=20) as admin:
            calls = Calls(site, CALLS, admin)
            async with asyncio.TaskGroup() as group:
                group.create_task(calls.run())
                group.create_task(look_while_recording(run, site, calls))
            run.told = calls.told
            await site.quiet()
            await compare_worlds(run, site, calls, admin)
            await fetch_all(run, site, admin)
            await site.blackout.client.sign_out()
        run.while_running += await asyncio.to_thread(look_around, run, site, since)
    run.at_the_end = places.look_in_folder(run.folder, run.canaries)


# --- looking ----------------------------------------------------------------------------------------------------------


async def look_while_recording(run, site, calls):
    """The memory of gateway and API, where audio never is, at a moment when it could be."""
    await calls.recording_now.wait()
    run.journals = b"".join(path.read_bytes() for path in (site.data / "run/calls").glob("*.json"))
    # in a process of its own, and behind the others: the phones have packets to send
    with ProcessPoolExecutor(1, get_context("spawn"), os.nice, (10,)) as elsewhere:
        looking = elsewhere.submit(places.look_in_memories, without_audio(site), run.canaries)
        found = await asyncio.wrap_future(looking)
    run.memory, run.while_running = found is not None, [*run.while_running, *(found or ())]


def without_audio(site):
    """The processes where audio never is."""
    return {what: site.processes[what] for what in ("gateway", "api")}


def look_around(run, site, since):
    """Everything but the API, while the site still runs and no call does."""
    found = places.look_in_folder(run.folder, run.canaries)
    for folder in (Path("/dev/shm"), Path("/tmp")):
        found += places.look_at_fresh_files(folder, since, run.folder, run.canaries)
    for pid in (*site.processes.values(), parent(site.processes["gateway"])):
        found += places.look_at_open_files(pid, since, run.canaries, run.folder)
    return found + (places.look_in_memories(without_audio(site), run.canaries) or [])


def parent(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


async def fetch_all(run, site, admin):
    """Every answer that a role gets, of every route that only reads."""
    refs = [told.ref for told in run.told if told.ref]
    paths = (await admin.get("/v1/openapi.json")).json()["paths"]
    reads = [path for path, verbs in paths.items() if "get" in verbs and path != "/v1/agents/me/live"]
    clients = {"admin": admin, "council": site.office._http, "agent": site.desks[0].client._http}
    async with httpx.AsyncClient(base_url=site.at.base_url) as nobody:
        for role, http in {**clients, "nobody": nobody}.items():
            for path in ["/v1/openapi.json", *reads]:
                for ref in refs[:: len(refs) // 20] if "{call}" in path else refs[:1]:
                    answer = await http.get(path.replace("{call}", ref).replace("{recording}", "0" * 32))
                    head = "\n".join(f"{name}: {value}" for name, value in answer.headers.items())
                    where = f"GET {path} as {role}"
                    run.answers[where] = run.answers.get(where, b"") + head.encode() + answer.content
    for desk in site.desks:
        own = await desk.client.recordings()
        run.recordings |= {one["call"] for one in own}
        run.answers["GET /v1/recordings as agent"] += json.dumps(own).encode()


async def compare_worlds(run, site, calls, admin):
    """One call of each kind, alone, and what it changes."""
    log = run.folder / LOG
    while set(run.worlds) != {Kind.VETO, Kind.SILENT, Kind.NOT_DRAWN}:
        before, lines = await figures(admin), log.stat().st_size
        if Kind.VETO not in run.worlds:
            await calls.unasked(Kind.VETO, site.veto)
            kind = Kind.VETO
        else:
            kind = await calls.one(site.desks[0], Kind.SILENT)
        await site.quiet()
        after = await figures(admin)
        run.worlds[kind] = {
            name: after[name] - before.get(name, 0.0)
            for name in after
            if after[name] != before.get(name) and not BESIDE.search(name)
        }
        run.logged[kind] = [json.loads(line)["event"] for line in log.read_bytes()[lines:].decode().splitlines()]


async def figures(admin):
    """Metrics and the status' numbers."""
    metrics = (await admin.get("/metrics")).text
    found = {name: float(value) for name, value in re.findall(r"^([^#\s]\S*) (\S+)$", metrics, re.MULTILINE)}
    status = (await admin.get("/v1/status")).json()
    return found | {f"status {name}": float(value) for name, value in status.items() if isinstance(value, int)}


def outside(findings):
    """Those that are where they may not be."""
    return sorted(
        {
            (one.canary, one.form, one.place)
            for one in findings
            if one.canary not in PERMITTED or not PERMITTED[one.canary].fullmatch(one.place)
        }
    )


# --- what has to be ---------------------------------------------------------------------------------------------------


def test_calls_of_all_kinds_went_through(played):
    kinds = Counter(told.kind for told in played.told)
    assert set(kinds) == set(Kind)
    assert len(played.told) >= CALLS
    assert any(told.tcp for told in played.told if told.kind in KEPT)
    assert any(told.in_band for told in played.told if told.kind is Kind.CARD)


def test_journals_name_calls_while_they_run_and_are_gone_with_them(played):
    found = {one.canary for one in played.canaries.look_for_texts(played.journals, "journals")}
    assert found == {"call_id"}
    left = [path.name for path in (played.folder / "var/run").rglob("*.json")]
    assert left == ["pass-through.json"], "counts by day, of every call alike, and no call's"


def test_each_call_ended_as_its_kind_does(played):
    for told in played.told:
        if told.agents is not None:
            wanted = "recorded" if told.kind in KEPT else "discarded" if told.kind in DISCARDED else "not_recorded"
            assert told.agents["outcome"] == wanted, told


def test_nothing_is_anywhere_while_the_site_runs(played):
    assert outside(played.while_running) == []


def test_nothing_is_in_any_file_afterwards(played):
    assert outside(played.at_the_end) == []


async def test_no_leaf_of_the_log_holds_a_person_a_number_a_time_or_an_address(played):
    leaves = await every_leaf(played.folder / "var")
    assert {"anchor", "act", "key", "build"} <= {parse(leaf).t for leaf in leaves}
    assert personal(leaves, played.canaries.texts) == []


def test_names_and_seats_stand_once_and_leave_no_traces(played):
    """No remnants in free pages, no second copy, no write-ahead log."""
    assert not [path for path in (played.folder / "var").glob("*.db-wal") if path.stat().st_size]
    agents = MAIN_DESKS + 2  # one of whom left the seat
    data = (played.folder / "var/fairtap.db").read_bytes()
    assert len(played.canaries.look_for_texts(data, "db")) > 0
    found = Counter(one.canary for one in played.at_the_end if one.form == "utf-8")
    with contextlib.closing(sqlite3.connect(f"file:{played.folder}/var/fairtap.db?mode=ro", uri=True)) as database:
        (lists,) = database.execute("SELECT count(*) FROM epoch_names").fetchone()
    assert lists > 0
    # a name: the roster's, and each epoch's list for the council; an extension: the column, its index, the signed claim
    assert found == {"name": agents * (1 + lists), "extension": 3 * (agents - 1)}


def test_no_answer_of_the_api_tells(played):
    found = [one for where, data in played.answers.items() for one in played.canaries.look_for_texts(data, where)]
    assert outside(found) == []
    assert {one.place for one in found} >= {"GET /v1/agents as admin", "GET /v1/agents/me as agent"}
    assert len(played.answers) > 20


def test_no_reason_that_depends_on_a_person_is_on_disk(played):
    written = {path: path.read_bytes() for path in (played.folder / "var").rglob("*") if path.is_file()}
    written[played.folder / LOG] = (played.folder / LOG).read_bytes()
    told = [(reason, path.name) for path, data in written.items() for reason in TELLING if reason.encode() in data]
    assert told == []


def test_recordings_hold_what_was_said_while_they_ran_and_nothing_else(played):
    kept = {told.ref for told in played.told if told.kind in KEPT}
    assert played.recordings == kept
    var, keys = played.folder / "var", []
    for path in (played.folder / "keys").glob("agent-*.key"):
        keys += read_identities(path)
    folders = [folder for folder in (var / "recordings").glob("*/*") if any(folder.iterdir())]
    assert len(folders) == len(kept)
    heard: Counter[tuple[str, int]] = Counter()
    for folder in folders:
        for side in find_sides(folder, var / "vault" / folder.relative_to(var / "recordings")):
            samples = open_side(side, keys).samples
            sounds = {one.canary for one in played.canaries.look_for_sounds(samples.tobytes(), "side")}
            assert sounds == {"kept noise", "kept tone"}, (side.side, side.seg)
            heard[side.side, side.seg] += 1
    paused = sum(told.kind in (Kind.CARD, Kind.HOLD) for told in played.told)
    assert heard == {("agent", 1): len(kept), ("caller", 1): len(kept), ("agent", 2): paused, ("caller", 2): paused}


def test_what_was_withdrawn_has_no_vault_entry(played):
    kept = sum(told.kind in KEPT for told in played.told)
    assert len([folder for folder in (played.folder / "var/vault").glob("*/*") if any(folder.iterdir())]) == kept


def test_memory_was_looked_at(played):
    if not played.memory:
        pytest.skip("memory of other processes: not permitted here, run as root")


# --- two worlds -------------------------------------------------------------------------------------------------------


def test_an_admin_is_told_the_same_of_every_call(played):
    explained = [told for told in played.told if told.others]
    assert {told.kind for told in explained} == set(Kind) - {Kind.CANCELLED, Kind.BUSY, Kind.MALFORMED}
    (said,) = {json.dumps([{**one, "call": "…"} for one in told.others]) for told in explained}
    running, over = json.loads(said)
    assert (running["running"], over["running"]) == (True, False)
    assert running["reasons"] == over["reasons"] == ["NOT_SELECTED_OR_NOT_PERMITTED"]


def test_metrics_and_status_move_alike_for_a_veto_a_silent_caller_and_a_call_not_drawn(played):
    veto = played.worlds[Kind.VETO]
    assert played.worlds[Kind.NOT_DRAWN] == veto
    assert played.worlds[Kind.SILENT] == veto


def test_logs_say_nothing_of_any_of_them(played):
    assert played.logged == {Kind.VETO: [], Kind.SILENT: [], Kind.NOT_DRAWN: []}


# --- the scanner itself -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def canaries():
    return Canaries()


SPELLINGS = sorted({form for text in Canaries().texts for form in text.forms} | {"separated"})


@pytest.mark.parametrize("form", SPELLINGS)
def test_planted_text_is_found(canaries, tmp_path, form):
    planted = 0
    for text in canaries.texts:
        spelled = "-".join(text.value).encode() if form == "separated" else text.forms.get(form)
        if spelled is not None and (text.spread is not None or form != "separated"):
            (tmp_path / "file").write_bytes(os.urandom(1001) + spelled + os.urandom(77))
            found = {(one.canary, one.form) for one in places.look_in_folder(tmp_path, canaries)}
            assert found >= {(text.name, form)}
            planted += 1
    assert planted


@pytest.mark.parametrize("shift", range(3))
def test_planted_base64_is_found_in_any_alignment(canaries, tmp_path, shift):
    whole = b"x" * shift + canaries.name.encode() + b"yz"
    (tmp_path / "file").write_bytes(base64.b64encode(whole))
    assert {one.canary for one in places.look_in_folder(tmp_path, canaries)} == {"name"}


FORMATS = {
    "A-law": lambda wave: encode("PCMA", wave),
    "mu-law": lambda wave: encode("PCMU", wave),
    "16 bits": lambda wave: wave.astype("<i2").tobytes(),
    "16 bits, big-endian": lambda wave: wave.astype(">i2").tobytes(),
    "16 bits after A-law, quiet": lambda wave: (decode("PCMA", encode("PCMA", wave)) // 8).astype("<i2").tobytes(),
    "16 bits, upside down": lambda wave: (-wave).astype("<i2").tobytes(),
}


@pytest.mark.parametrize("odd", [1000, 1001])
@pytest.mark.parametrize("layout", FORMATS)
def test_planted_sound_is_found(canaries, tmp_path, layout, odd):
    for voice in ("hidden", "kept"):
        wave = getattr(canaries, voice).samples(0.24)
        (tmp_path / "file").write_bytes(os.urandom(odd) + FORMATS[layout](wave) + os.urandom(5000))
        found = {one.canary for one in places.look_in_folder(tmp_path, canaries)}
        assert found == {f"{voice} noise", f"{voice} tone"}


@pytest.mark.parametrize("law", ["PCMA", "PCMU"])
def test_one_planted_packet_is_found(canaries, tmp_path, law):
    (tmp_path / "file").write_bytes(bytes(100_001) + encode(law, canaries.hidden.noise.template) + bytes(3000))
    assert {one.canary for one in places.look_in_folder(tmp_path, canaries)} == {"hidden noise"}


def test_planted_card_tones_are_found(canaries, tmp_path):
    (tmp_path / "file").write_bytes(os.urandom(999) + encode("PCMA", canaries.sounds[-1].template) + os.urandom(999))
    assert {one.canary for one in places.look_in_folder(tmp_path, canaries)} == {"card tones"}


def test_speech_and_programs_raise_no_alarm(canaries, tmp_path, root):
    for who in ("agent", "caller"):
        (tmp_path / f"{who}.pcm").write_bytes(speech(who).tobytes())
    (tmp_path / "program").write_bytes(Path(sys.executable).resolve().read_bytes()[: 4 << 20])
    (tmp_path / "ramp").write_bytes(bytes(range(256)) * 300 + np.arange(20000, dtype="<i2").tobytes())
    assert places.look_in_folder(tmp_path, canaries) == []


def test_planted_name_in_a_database_is_told_with_its_table(canaries, tmp_path):
    with sqlite3.connect(tmp_path / "some.db") as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA secure_delete = OFF")
        database.execute("CREATE TABLE agents (name TEXT)")
        database.execute("CREATE TABLE answers (body BLOB)")
        database.execute("INSERT INTO agents VALUES (?)", (canaries.name,))
        database.execute("INSERT INTO answers VALUES (?)", (canaries.name.encode(),))
        database.commit()
        live = {one.place for one in places.look_in_folder(tmp_path, canaries)}
        assert live == {"some.db-wal:agents", "some.db-wal:answers"}
        database.execute("DROP TABLE answers")
    database.close()
    assert {one.place for one in places.look_in_folder(tmp_path, canaries)} == {"some.db:agents", "some.db:free"}


def test_planted_audio_in_memory_and_in_a_deleted_file_is_found(canaries, tmp_path):
    """In another process, as the gateway is one."""
    program = (
        "import sys, os; kept = sys.stdin.buffer.read(2000); file = open(sys.argv[1], 'w+b'); file.write(kept);"
        "file.flush(); os.unlink(sys.argv[1]); print('ready', flush=True); sys.stdin.buffer.read()"
    )
    since = time.time() - 2
    command = [sys.executable, "-c", program, tmp_path / "gone"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None and child.stdout is not None
        child.stdin.write(encode("PCMU", np.tile(canaries.hidden.noise.template, 13))[:2000])
        child.stdin.flush()
        assert child.stdout.readline() == b"ready\n"
        opened = places.look_at_open_files(child.pid, since, canaries, tmp_path)
        try:
            memory = places.look_in_memory(child.pid, "child", canaries)
        except PermissionError:
            memory = None
        child.stdin.close()
    assert {one.canary for one in opened} == {"hidden noise"}
    if memory is None:
        pytest.skip("memory of other processes: not permitted here, run as root")
    assert {one.canary for one in memory} == {"hidden noise"}
