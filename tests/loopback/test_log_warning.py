"""A forked log is told on the agent's page in a real browser, with both checkpoints, until it was looked at."""

import base64
from pathlib import Path
from typing import Any

from api.roles import Role
from tests.peers.api_server import RunningApi, running_api
from tests.peers.chromium import SMALL_TARGETS, browser_page, needs, picture
from tests.peers.small_log import ORIGIN, VKEY, SmallLog

pytestmark = needs("agent.js")


def _serve(api: RunningApi, log: SmallLog) -> None:
    tiles = {f"{ORIGIN}/tile/{path}": base64.b64decode(data) for path, data in log.files().items()}
    api.site.log = {f"{ORIGIN}/checkpoint": log.checkpoint().encode(), **tiles}
    api.site.log_key = VKEY


async def _opened(page: Any, api: RunningApi) -> None:
    await page.goto(f"{api.url}/agent")
    await page.wait_for_selector("#log-checked:has-text('Checked on')", state="attached")


async def test_a_fork_is_told_until_it_was_looked_at(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api, browser_page() as page:
        agent = api.site.add("Ada Lovelace")
        secret = (await api.services.accounts.open_session(Role.AGENT, agent)).secret
        await page.context.add_cookies([{"name": "fairtap_session", "value": secret, "url": api.url}])
        for size in (200, 300):
            _serve(api, SmallLog(size))
            await _opened(page, api)
            assert await page.text_content("#log-alarm") == ""
        _serve(api, SmallLog(400, forked=250))
        for _ in range(2):  # nobody has looked at it: it stays
            await _opened(page, api)
            told = await page.text_content("#log-alarm")
            assert "Warning" in told and f"{ORIGIN} has grown, but can't show" in told
            assert SmallLog(300).checkpoint() in told and SmallLog(400, forked=250).checkpoint() in told
        await picture(page, "log-forked")
        assert await page.evaluate(SMALL_TARGETS) == []
        await page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=api.url)
        await page.click("#log-alarm button:has-text('Copy both')")
        await page.wait_for_selector("#log-alarm [role=status]:has-text('copied')")
        assert SmallLog(300).checkpoint() in await page.evaluate("navigator.clipboard.readText()")
        await page.click("#log-alarm button:has-text('I have looked at it')")
        assert await page.text_content("#log-alarm") == ""
        _serve(api, SmallLog(300))  # the honest log again: what was seen is still told, plainly
        await _opened(page, api)
        assert await page.text_content("#log-alarm") == ""
        assert SmallLog(400, forked=250).checkpoint() in await page.text_content("#log-seen")
        assert (
            await page.text_content("#log-key")
            == f"It is signed with this key, which the works council has, too: {VKEY}"
        )
        kept = await page.evaluate("JSON.stringify(Object.entries(localStorage))")
        assert agent not in kept and "Ada" not in kept
