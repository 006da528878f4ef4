"""An agent fetches a recording as an evidence bundle over HTTP; it then checks offline, and nobody else gets it."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.commands.evidence import verify_recording
from api.errors import CommandError
from api.evidence_fetch import fetch_evidence
from api.reads import RecordingRow, SideRow
from api.roles import Role
from api.site_client import ClientProblem, SiteClient
from crypto import age
from tests.peers.api_server import RunningApi, running_api
from tests.peers.evidence import ORIGIN, RECORDING, make_evidence

MADE = make_evidence(1, 300)
KINDS = {"age": "age", "manifest.json": "manifest", "manifest.sig": "signature", "opening": "opening"}


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[RunningApi]:
    async with running_api(tmp_path / "api") as running:
        yield running


async def agent_of(api: RunningApi) -> httpx.AsyncClient:
    agent = api.site.add("Ada")
    times = ("2026-03-02T09:00:00.000Z", "2026-03-02T09:00:09.000Z")
    sides = tuple(SideRow(side, 1, "sealed", 1, "cd" * 32, *times) for side in ("agent", "caller"))
    api.site.recorded = [RecordingRow(RECORDING, agent, "c" * 32, "sample", "coaching", *times, "sealed", None, sides)]
    for side in ("agent", "caller"):
        for suffix, kind in KINDS.items():
            api.site.objects[RECORDING, side, 1, kind] = MADE.files[f"{RECORDING}-{side}-1.{suffix}"]
    http = api.http()
    http.cookies.set("fairtap_session", (await api.services.accounts.open_session(Role.AGENT, agent)).secret)
    return http


async def test_a_bundle_is_fetched_whole_and_checks(api: RunningApi, tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    async with await agent_of(api) as http:
        done = await fetch_evidence(SiteClient(http), RECORDING, out)
        assert (len(done.files), done.missing) == (9, ())
        for name in done.files:
            assert (out / name).read_bytes() == MADE.files[name]
            assert (out / name).stat().st_mode & 0o777 == 0o600
        with pytest.raises(CommandError, match="isn't empty"):
            await fetch_evidence(SiteClient(http), RECORDING, out)
    assert verify_recording(out) == 0  # the command itself: without a key, by the key that the folder names


async def test_with_the_agents_key_the_legs_end_comes_too(tmp_path: Path) -> None:
    def sealed(told: bytes, kind: str = "out") -> dict[str, Any]:
        data = base64.b64encode(age.encrypt(told + b" " * 99, [MADE.owner.recipient])).decode()
        entry = {"entry": MADE.files["leg-3.entry"].decode(), "proof": MADE.files["leg-3.tlog-proof"].decode()}
        return {"id": 1, "kind": kind, "sealed": data, "entry": {"origin": ORIGIN, "index": 3, **entry}}

    def site(request: httpx.Request) -> httpx.Response:
        path, name = request.url.path, request.url.path.removeprefix(f"/v1/recordings/{RECORDING}/sides/")
        if path == f"/v1/recordings/{RECORDING}":
            return httpx.Response(200, json={"sides": [{"side": side, "seg": 1} for side in ("agent", "caller")]})
        if path == "/v1/agents/me/draws":
            first = request.url.params["cursor"] == "0"
            end = sealed(MADE.files["leg-3.out"])
            items = [sealed(b"{}", "call"), sealed(b"{}"), {**end, "sealed": "AAAA"}] if first else [end]
            return httpx.Response(200, json={"items": items, "epochs": [], "next": 1 if first else None})
        return httpx.Response(200, content=MADE.files[f"{RECORDING}-{name.replace('/', '-')}"])

    out = tmp_path / "bundle"
    async with httpx.AsyncClient(transport=httpx.MockTransport(site), base_url="https://site.example") as http:
        done = await fetch_evidence(SiteClient(http), RECORDING, out, [MADE.owner])
    assert {name: (out / name).read_bytes() for name in done.files} == MADE.files


async def test_what_was_erased_is_named_and_missed(api: RunningApi, tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    async with await agent_of(api) as http:
        del api.site.objects[RECORDING, "caller", 1, "age"]
        assert (await fetch_evidence(SiteClient(http), RECORDING, out)).missing == (f"{RECORDING}-caller-1.age",)
    assert verify_recording(out) == 1


async def test_others_and_other_ids_get_nothing(api: RunningApi, tmp_path: Path) -> None:
    (await agent_of(api)).cookies.clear()
    async with api.http() as http:
        with pytest.raises(ClientProblem, match="sign-in-needed"):
            await fetch_evidence(SiteClient(http), RECORDING, tmp_path / "a")
        with pytest.raises(CommandError, match="isn't a recording's id"):
            await fetch_evidence(SiteClient(http), "../session", tmp_path / "a")
    async with httpx.AsyncClient(base_url="http://127.11.0.1:1") as http:
        with pytest.raises(httpx.ConnectError):
            await fetch_evidence(SiteClient(http), RECORDING, tmp_path / "a")
    assert not (tmp_path / "a").exists()
