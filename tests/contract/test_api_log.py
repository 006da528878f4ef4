"""The log over HTTP: a foreign path isn't one, tiles may be kept for ever, agents get hashes and no entries."""

import json

import httpx
import pytest

from api.errors import Problem
from api.roles import Role
from api.site import SiteFolder
from crypto.commitment import opens
from crypto.signed_note import VerifierKey
from crypto.ssh_key import allowed_signers_line
from crypto.tlog_proof import TlogProof
from crypto.tlog_tiles import Tile
from gateway.config import Config
from policy.log_entry import Erase, Hold
from storage.log import wal
from storage.roster import NewAgent
from tests.peers.api_server import SetClock, running_api
from tests.peers.log_house import LogHouse
from tests.peers.stored import AT, ORIGIN, open_folder

LOG = f"/v1/log/{ORIGIN}"


@pytest.fixture
async def api(tmp_path):
    async with running_api(tmp_path) as running:
        running.site.log = {
            f"{ORIGIN}/checkpoint": b"the checkpoint",
            f"{ORIGIN}/tile/0/000": b"h" * 8192,
            f"{ORIGIN}/tile/0/001.p/3": b"h" * 96,
            f"{ORIGIN}/tile/entries/001.p/3": b"entries",
        }
        yield running


async def client(api, role) -> httpx.AsyncClient:
    http = api.http()
    agent = api.site.add("Ada") if role is Role.AGENT else None
    http.cookies.set("fairtap_session", (await api.services.accounts.open_session(role, agent)).secret)
    return http


async def test_a_council_mirrors_the_log(api):
    async with await client(api, Role.COUNCIL) as http:
        newest = await http.get(f"{LOG}/checkpoint")
        assert (newest.status_code, newest.content) == (200, b"the checkpoint")
        assert newest.headers["content-type"] == "text/plain; charset=utf-8"
        assert newest.headers["cache-control"] == "private, no-cache"
        for path, size in (("0/000", 8192), ("0/001.p/3", 96), ("entries/001.p/3", 7)):
            tile = await http.get(f"{LOG}/tile/{path}")
            assert (tile.status_code, len(tile.content)) == (200, size)
            assert tile.headers["content-type"] == "application/octet-stream"
            assert "immutable" in tile.headers["cache-control"]


async def test_an_agent_gets_hashes_and_no_entries(api):
    async with await client(api, Role.AGENT) as http:
        assert (await http.get(f"{LOG}/checkpoint")).status_code == 200
        assert (await http.get(f"{LOG}/tile/0/001.p/3")).status_code == 200
        refused = await http.get(f"{LOG}/tile/entries/001.p/3")
        assert (refused.status_code, refused.json()["type"]) == (403, "urn:fairtap:problem:not-permitted")


@pytest.mark.parametrize("path", ["0/0", "0/000.p/256", "entries/001", "0/002", "x/000", "0/000/..", "9/000"])
async def test_what_no_log_has_is_not_found(api, path):
    async with await client(api, Role.DPO) as http:
        assert (await http.get(f"{LOG}/tile/{path}")).status_code == 404


async def test_an_odd_origin_reaches_no_file(api):
    async with await client(api, Role.DPO) as http:
        assert (await http.get("/v1/log/hamburg/fairtap/2026-27/checkpoint")).status_code == 404
        for odd in ("hamburg/fairtap/2026-02", "Hamburg/fairtap/2026-14", "..%2f..%2fkeys/fairtap/2026-14"):
            assert (await http.get(f"/v1/log/{odd}/checkpoint")).status_code in (404, 422)


async def test_the_site_folder_serves_what_the_gateway_published(tmp_path):
    folder = await open_folder(tmp_path)
    house = LogHouse(folder)
    await house.grow(257)
    checkpoint = await house.publisher.publish(ORIGIN)
    await folder.database.close()
    (tmp_path / "keys" / "allowed_signers").write_text(
        allowed_signers_line("gateway", folder.key.verify_key, ("a", "b"))
    )
    config = Config.model_validate({"site": {"name": "hamburg", "data_dir": tmp_path}})
    async with SiteFolder(config, SetClock()) as site:
        served = await site.log_checkpoint(ORIGIN)
        assert served is not None and str(checkpoint).encode() in served
        told = await site.logs()
        assert (told.gateway, list(told.origins)) == (
            str(VerifierKey("hamburg/fairtap", folder.key.verify_key)),
            [ORIGIN],
        )
        assert await site.log_checkpoint("../fairtap/2026-14") is None
        assert await site.log_tile(ORIGIN, Tile(0, 1, 1)) is not None
        assert await site.log_tile(ORIGIN, Tile(0, 1, 2)) is None
        tile = house.folder / "tile" / "0" / "000"
        tile.unlink()
        tile.mkdir()
        with pytest.raises(Problem):
            await site.log_tile(ORIGIN, Tile(0, 0))


async def test_an_agent_finds_what_the_log_says_of_them_and_can_prove_it(tmp_path):
    folder = await open_folder(tmp_path)
    house = LogHouse(folder)
    line = allowed_signers_line("gateway", folder.key.verify_key, ("a", "b"))
    (tmp_path / "keys" / "allowed_signers").write_text(line)
    ada, bo = [await folder.roster.add(NewAgent(name, "team-a", "hamburg"), AT) for name in ("Ada", "Bo")]
    told = {"recording": "1" * 32, "side": "agent"}
    await folder.database.write(lambda connection: wal.append_committed(connection, Erase, bo, told))
    await folder.database.write(lambda connection: wal.append_committed(connection, Erase, ada, told))
    await house.publisher.publish(ORIGIN)
    await folder.database.write(lambda connection: wal.append_committed(connection, Hold, ada, {"by": "dpo"}))
    async with SiteFolder(Config.model_validate({"site": {"data_dir": tmp_path}}), SetClock()) as site:
        first, waiting = await site.own_entries(ada, 0, 9)
        assert await site.own_entries(ada, waiting.id, 9) == []
    await folder.database.close()
    assert (first.kind, first.told, first.index, waiting.kind, waiting.proof) == ("erase", told, 1, "hold", None)
    assert first.proof is not None
    proof = TlogProof.parse(first.proof.encode())
    assert proof.index == first.index
    assert proof.check(first.entry.encode(), ORIGIN, folder.key.verify_key).size == 2
    digest = json.loads(first.entry)["m"]
    assert opens(bytes.fromhex(digest), "erase", first.told, bytes.fromhex(first.salt))

    async with running_api(tmp_path / "api") as api, await client(api, Role.AGENT) as http:
        [agent] = api.site.rows
        api.site.entries[agent] = [first, waiting]
        page = (await http.get("/v1/agents/me/entries?limit=1")).json()
        assert ([one["id"] for one in page["items"]], page["next"]) == ([first.id], first.id)
        rest = (await http.get(f"/v1/agents/me/entries?cursor={page['next']}")).json()
        assert ([one["told"] for one in rest["items"]], rest["next"]) == ([{"by": "dpo"}], None)
