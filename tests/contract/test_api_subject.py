"""`fairtap erase`, `hold`, `unhold`, `export` against a served API: who may, what the gateway is asked, what comes."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from api.cli import main
from api.commands.evidence import verify_recording
from api.reads import RecordingRow, SideRow
from crypto.ssh_key import SigningKey
from gateway.control.protocol import EraseByCode, EraseOwnSide, FetchTogether, HoldRecording, LiftHold, Refusal
from policy.record_code import code_of
from tests.peers.api_server import RunningApi, running_api
from tests.peers.evidence import RECORDING, make_evidence
from tests.peers.printed_code import print_code

PASSWORD = "a long enough password"
CODE = code_of(1234567890123456789)
MADE = make_evidence(1, 300)
KINDS = {"age": "age", "manifest.json": "manifest", "manifest.sig": "signature", "opening": "opening"}
TIMES = ("2026-03-02T09:00:00.000Z", "2026-03-02T09:00:09.000Z")
SIDE = {"state": "kept", "seconds": 9, "segments": [1], "erase_at": None}
RECORD = {
    "recording": RECORDING, "day": "2026-03-02", "purpose": "dispute", "keep_until": "2026-06-01", "held_until": None,
    "sides": [{"side": "agent", **SIDE}, {"side": "caller", **SIDE}],
}  # fmt: skip
Run = Callable[..., Coroutine[Any, Any, tuple[int, str, str]]]


@dataclass
class World:
    """The API, its agent Ada, and where people keep their files."""

    api: RunningApi
    agent: str
    folder: Path

    @property
    def ada(self) -> tuple[object, ...]:
        return ("--login", "ada", "--password-file", self.folder / "password")

    @property
    def by_code(self) -> tuple[object, ...]:
        return ("--code-file", self.folder / "code")

    def by_key(self, role: str) -> tuple[object, ...]:
        """Of council or officer."""
        return ("-k", self.folder / f"{role}.sign")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with running_api(tmp_path / "api") as api:
        agent = api.site.add("Ada")
        await api.services.accounts.enrol(agent, "ada", PASSWORD, None)
        (tmp_path / "password").write_text(PASSWORD + "\n")
        (tmp_path / "code").write_text(print_code(CODE) + "\n")
        for role in ("council", "dpo"):
            key = SigningKey.generate()
            (tmp_path / f"{role}.sign").write_bytes(key.to_openssh())
            api.site.keys[role] = [str(key.verify_key)]
        sides = tuple(SideRow(side, 1, "sealed", 1, "cd" * 32, *TIMES) for side in ("agent", "caller"))
        gone = (SideRow("agent", 1, "erased"),)
        for id, kept in ((RECORDING, sides), ("ef" * 16, gone)):
            api.site.recorded.append(
                RecordingRow(id, agent, "c" * 32, "sample", "coaching", *TIMES, "kept", None, kept)
            )
        for side in ("agent", "caller"):
            for suffix, kind in KINDS.items():
                api.site.objects[RECORDING, side, 1, kind] = MADE.files[f"{RECORDING}-{side}-1.{suffix}"]
            api.site.objects[RECORDING, side, 1, "quorum"] = f"quorum of {side}".encode()
        erased = {"erase_at": "2026-04-07T09:00:00Z"}
        api.gateway.answers |= {
            "erase_own_side": erased, "hold_recording": {"until": "-"}, "recording_accesses": {"accesses": []},
            "recording_releases": {"releases": []}, "erase_by_code": lambda asked: found(asked, erased),
            "find_record": lambda asked: found(asked, RECORD),
        }  # fmt: skip
        yield World(api, agent, tmp_path)


def found(asked: Any, answer: dict[str, Any]) -> Any:
    return answer if asked.code == CODE else Refusal("record_unknown", "no record has this code", 404)


@pytest.fixture
def run(world: World, capsys: pytest.CaptureFixture[str]) -> Run:
    """A command; its return code, its result, its one line."""

    async def call(*words: object) -> tuple[int, str, str]:
        capsys.readouterr()
        rc = await asyncio.to_thread(main, [*map(str, words), "--api", world.api.url, "--json"])
        out, err = capsys.readouterr()
        assert len(err.splitlines()) == (1 if rc else 0), err
        return rc, out, err

    return call


async def test_each_has_their_own_side_erased(world: World, run: Run) -> None:
    rc, out, _ = await run("erase", RECORDING, *world.ada)
    assert rc == 0 and json.loads(out) == {"recording": RECORDING, "erase_at": "2026-04-07T09:00:00Z"}
    assert world.api.gateway.of(EraseOwnSide) == [EraseOwnSide(world.agent, RECORDING)]
    rc, out, _ = await run("erase", *world.by_code)
    assert rc == 0 and json.loads(out)["erase_at"] == "2026-04-07T09:00:00Z"
    assert world.api.gateway.of(EraseByCode) == [EraseByCode(CODE)]


async def test_agent_and_officer_hold_and_end_their_hold(world: World, run: Run) -> None:
    for who, name in ((world.ada, "agent"), (world.by_key("dpo"), "dpo")):
        rc, out, err = await run("hold", RECORDING, "--reason", "a case", "--days", 9, *who)
        assert rc == 0, err
        asked = world.api.gateway.of(HoldRecording)[-1]
        assert (asked.by, asked.recording, asked.reason) == (name, RECORDING, "a case")
        assert asked.until == json.loads(out)["until"]
        assert (await run("unhold", RECORDING, *who))[0] == 0
        assert world.api.gateway.of(LiftHold)[-1].by == name


async def test_an_agent_gets_all_of_the_agent_s_own(world: World, run: Run) -> None:
    out = world.folder / "all"
    rc, told, err = await run("export", "--out", out, *world.ada)
    assert rc == 0, err
    files = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    assert files == set(json.loads(told)["files"])
    assert {"me.json", "recordings.json", "entries.json", "draws.json"} < files
    assert json.loads((out / "me.json").read_text())["name"] == "Ada"
    first, second = json.loads((out / "recordings.json").read_text())
    assert (first["accesses"], first["releases"], second["id"]) == ([], [], "ef" * 16)
    assert verify_recording(out / RECORDING) == 0 and not (out / ("ef" * 16)).exists()
    assert {path.stat().st_mode & 0o77 for path in out.rglob("*")} == {0}
    assert (await run("export", "--out", out, *world.ada))[0] == 1, "the folder isn't empty"


async def test_what_is_erased_while_an_export_runs_is_left_out_of_it(world: World, run: Run) -> None:
    gone, out = Refusal("recording_unknown", "no such recording", 404), world.folder / "all"
    world.api.gateway.answers["recording_accesses"] = lambda asked: (
        {"accesses": []} if asked.recording == RECORDING else gone
    )
    rc, told, err = await run("export", "--out", out, *world.ada)
    assert rc == 0, err
    assert [one["id"] for one in json.loads((out / "recordings.json").read_text())] == [RECORDING]
    assert (
        verify_recording(out / RECORDING) == 0 and f"{RECORDING}/{RECORDING}-agent-1.age" in json.loads(told)["files"]
    )


async def test_a_caller_gets_what_is_told_by_code_and_council_and_officer_its_files(world: World, run: Run) -> None:
    rc, _, err = await run("export", "--out", world.folder / "caller", *world.by_code)
    assert rc == 0, err
    assert [path.name for path in (world.folder / "caller").iterdir()] == ["record.json"]
    assert json.loads((world.folder / "caller" / "record.json").read_text()) == RECORD
    for role in ("council", "dpo"):
        out = world.folder / role
        rc, _, err = await run("export", "--out", out, "--role", role, *world.by_key(role), *world.by_code)
        assert rc == 0, err
        for side in ("agent", "caller"):
            assert (out / f"{RECORDING}-{side}-1.quorum").read_bytes() == f"quorum of {side}".encode()
            assert (out / f"{RECORDING}-{side}-1.age").read_bytes() == MADE.files[f"{RECORDING}-{side}-1.age"]
        assert {one.role for one in world.api.gateway.of(FetchTogether)[-4:]} == {role}


async def test_what_is_refused_is_one_line_and_leaves_no_session(world: World, run: Run) -> None:
    gateway = world.api.gateway
    gateway.answers["erase_own_side"] = Refusal("recording_unknown", "no such recording of yours", 404)
    rc, _, err = await run("erase", RECORDING, *world.ada)
    assert rc == 1 and "no such recording of yours" in err
    gateway.answers["fetch_together"] = Refusal("role_not_named", "the agreement lets nobody", 403)
    rc, _, err = await run("export", "--out", world.folder / "no", *world.by_key("dpo"), *world.by_code)
    assert rc == 1 and "role-not-named" in err
    (world.folder / "code").write_text(code_of(7))
    rc, _, err = await run("erase", *world.by_code)
    assert rc == 1 and "no record has this code" in err
    (world.folder / "password").write_text("not the password")
    assert (await run("unhold", RECORDING, *world.ada))[0] == 1
    assert (await run("hold", RECORDING, "--reason", "x", "-k", world.folder / "council.sign"))[0] == 1
    assert gateway.of(HoldRecording) == [] and gateway.of(LiftHold) == []


@pytest.mark.parametrize(
    "words",
    [
        f"erase {RECORDING}",
        "erase --login ada",
        "erase ../x --login ada",
        f"erase {RECORDING} --login ada --code-file code",
        f"hold {RECORDING}",
        f"hold {RECORDING} --reason x",
        "hold x --reason x --login ada",
        f"hold {RECORDING} --reason x --days 91 --login ada",
        f"unhold {RECORDING} --login ada -k dpo.sign",
        "export",
        "export --out o --role admin",
        "export --out o --login ada -k dpo.sign",
    ],
)
def test_wrong_use_is_told_before_anything_is_asked(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*words.split(), "--api", "http://127.0.0.1:1"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
