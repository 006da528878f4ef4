"""A running site is backed up, goes on, loses its disk but not its vault, is restored: nothing undone comes back."""

import asyncio
import json
import shutil
from datetime import timedelta

import pytest

from council import __main__ as cli
from crypto.signed_note import VerifierKey
from gateway.clock import SystemClock
from gateway.config import load_config
from policy.terms import ConsentState, Purpose
from storage import gateway_key
from storage.blobs import LocalBlobs
from storage.consents import Consents
from storage.database import Database
from storage.erasures import Erasures
from storage.recordings import Recordings
from storage.retention import erase_due
from storage.roster import Roster
from storage.sealing import Sealer
from storage.vault import LocalVault
from tests.peers.kept import Kept
from tests.peers.running_site import RunningSite, until

pytestmark = pytest.mark.timeout(240)


async def council(home, *words):
    """The council's tool; its rc."""
    return await asyncio.to_thread(cli.main, ["--home", str(home), "--lang", "en", *map(str, words)])


async def kept_call(site):
    """A recorded call that is over; its recording."""
    desk = site.desks[0]
    talk = await site.recorded_call(desk)
    await asyncio.sleep(0.5)
    await talk.hang_up()
    await site.outcome(desk, talk.ref)
    return Kept(site.data, next(one["id"] for one in await desk.client.recordings() if one["call"] == talk.ref))


async def after_a_day(site, kept):
    """The agent's wish to have a side erased is carried out, as the gateway does it a day later."""
    database = await Database.open(load_config(site.folder / "fairtap.toml").database_url)
    key = gateway_key.load(site.data)
    sealer = Sealer(LocalBlobs(site.data), LocalVault(site.data), key, gateway="", build="")
    recordings, tomorrow = Recordings(database, sealer), SystemClock().wallclock() + timedelta(hours=25)
    assert (await erase_due(recordings, Consents(database), tomorrow)).sides == ((kept.recording, "agent"),)
    assert await Erasures(recordings).pending(kept.recording, tomorrow) == []
    await database.close()


async def answers(site):
    """Every standing answer there is."""
    database = await Database.open(load_config(site.folder / "fairtap.toml").database_url, read_only=True)
    found = [await Consents(database).standing(agent.id) for agent in await Roster(database).list()]
    await database.close()
    return {said.answer for one in found for said in one.values()}


async def test_a_restored_site(tmp_path, program, capsys):
    program("age")
    async with RunningSite(tmp_path / "site", desks=1, settings="[log]\npublish_s = 1\n") as site:
        home, config = tmp_path / "council", str(site.folder / "fairtap.toml")
        desk = site.desks[0]
        key = VerifierKey("demo", gateway_key.load(site.data).verify_key)
        signing = site.folder / "keys" / "council.sign"
        assert await council(home, "init", "--url", site.at.base_url, "--key", signing, "--log-key", key) == 0
        first, second = await kept_call(site), await kept_call(site)
        backup = str(tmp_path / "backup")
        made = json.loads(await site.house._fairtap("backup", backup, "--config", config, "--json"))
        assert made["damaged"] == [] and made["recordings"] >= 4

        # and then life goes on
        name = (await site.office.ask("GET", "/agreements"))["acts"][0]["agreement"]
        await site.office.ask("POST", f"/agreements/{name}/suspend")
        await desk.client.say_no(Purpose.COACHING)
        await desk.client.ask("DELETE", f"/recordings/{second.recording}/sides/agent")
        await asyncio.sleep(1.5)  # a publication
        assert await council(home, "sync") == 0
        await site.house.stop()
        await after_a_day(site, second)

        # the disk is lost, with the log's files; the vault and the council's copy are not
        for path in list(site.data.iterdir()):
            if path.name != "vault":
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        done = json.loads(await site.house._fairtap("restore", backup, "--config", config, "--json"))
        assert done["recordings"]["erased"] == 1 and done["admin_token"]
        identity = site.folder / "keys" / "agent-1.key"
        assert first.opened("agent", identity)[1] and first.opened("caller", identity)[1]
        assert not [path for path in second.files if path.name.startswith("agent-1")]
        assert second.opened("caller", identity)[1]
        assert await answers(site) == {ConsentState.UNSET}

        await site.house.__aenter__()
        state = (await site.status())["site_state"]
        assert {"EPOCH_DARK", "LOG_UNWITNESSED"} <= set(state) and "SUSPENDED" not in state
        fresh = f"{await origin(site)}"
        assert fresh.endswith("-r1")

        # the council notices that its suspension is gone, and doesn't cosign
        site.office._http.cookies.clear()
        await site.office.sign_in_council()

        async def copied():
            return (await council(home, "sync")) == 0 and (home / "mirror" / fresh / "checkpoint").exists()

        await until(copied, seconds=60, every=1)
        capsys.readouterr()
        assert await council(home, "verify", "--json") == 1
        told = json.loads(capsys.readouterr().out)
        assert [(one["code"], one["place"]) for one in told["findings"]] == [("V5.act_unlogged", f"{fresh} act 2")]
        assert await council(home, "cosign") != 0
        assert "LOG_UNWITNESSED" in (await site.status())["site_state"]

        # it suspends once more, which is the same act; now the new log holds all there was
        await site.office.ask("POST", f"/agreements/{name}/suspend")
        await asyncio.sleep(1.5)
        assert await council(home, "sync") == 0
        capsys.readouterr()
        assert await council(home, "verify", "--json") == 0
        told = json.loads(capsys.readouterr().out)
        assert [one["followed_by"] for one in told["logs"] if one["origin"] == fresh.removesuffix("-r1")] == [fresh]
        assert await council(home, "cosign") == 0
        state = (await site.status())["site_state"]
        assert "SUSPENDED" in state and "EPOCH_DARK" in state


async def origin(site):
    """Of the log that epochs are in from now on: one that ended a moment ago stays where it was."""
    site.office._http.cookies.clear()
    await site.office.sign_in_council()
    return (await site.office.ask("GET", "/epochs"))["epochs"][-1]["origin"]
