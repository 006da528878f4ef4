"""The council's own tool against a running site: what it copies verifies, and the site takes what it hands in."""

import asyncio
import json

from council import __main__ as cli
from crypto.signed_note import VerifierKey
from storage import gateway_key
from tests.peers.running_site import RunningSite, until


class Tool:
    """Runs the tool's commands beside the site."""

    def __init__(self, home):
        self.home = home

    async def __call__(self, *arguments):
        shown = ["--home", str(self.home), "--lang", "en", *map(str, arguments)]
        return await asyncio.to_thread(cli.main, shown)


async def test_the_councils_round_against_a_running_site(tmp_path, capsys):
    async with RunningSite(tmp_path / "site", desks=1, settings="[log]\npublish_s = 1\n") as site:
        tool = Tool(tmp_path / "council")
        key = VerifierKey("demo", gateway_key.load(site.data).verify_key)
        signing = site.folder / "keys" / "council.sign"
        assert await tool("init", "--url", site.at.base_url, "--key", signing, "--log-key", key) == 0

        desk = site.desks[0]
        talk = await site.recorded_call(desk)
        await talk.hang_up()
        await site.outcome(desk, talk.ref)

        async def copied():
            assert await tool("sync") == 0
            capsys.readouterr()
            code = await tool("verify", "--json")
            told = json.loads(capsys.readouterr().out)
            assert (code, told["findings"]) == (0, [])
            hits = sum(epoch["hits"] for one in told["logs"] for epoch in one["epochs"].values())
            return told if hits else None

        told = await until(copied, seconds=90, every=1)
        (log,) = told["logs"]
        running = next(epoch for epoch in log["epochs"].values() if epoch["hits"])
        assert running["legs"] >= 1
        assert set(told["missing"]) <= {"cdr", "manifests", "reveal", "seen"}

        assert await tool("cosign") == 0
        assert await tool("open-epoch", "--ahead", "5") == 0
        assert "committed to" in capsys.readouterr().out
        assert await tool("weekly", "--ahead", "5") == 0
