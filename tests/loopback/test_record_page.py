"""The caller's page in a real browser: a code finds a record, the caller's side is erased; the parties get files.

Screenshots go to the folder that FAIRTAP_SCREENSHOTS names, else nowhere.
"""

import base64
import copy
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from api.roles import Role
from gateway.control.protocol import EraseByCode, FetchTogether, FindRecord, ReadCode, Refusal
from gateway.events import RecordCode
from gateway.media.prompts.sound_file import Sound, pack
from gateway.media.prompts.sounds import Catalogue
from gateway.rtp.g711 import RATE
from policy.record_code import code_of
from tests.peers.api_server import RunningApi, running_api
from tests.peers.chromium import SMALL_TARGETS, browser_page, needs, picture
from tests.peers.printed_code import print_code

pytestmark = needs("record.js")
CODE = code_of(1234567890123456789)
REC = "ab" * 16
ERASE_AT = "2026-04-07T09:00:00Z"
SIDE = {"state": "kept", "seconds": 61, "segments": [1], "erase_at": None}
RECORD = {
    "recording": REC,
    "day": "2026-04-06",
    "purpose": "dispute",
    "keep_until": "2026-07-05",
    "held_until": "2026-05-01",
    "sides": [{"side": "agent", **SIDE}, {"side": "caller", **SIDE}],
}


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[RunningApi]:
    """A gateway that knows one code."""
    record: dict[str, Any] = copy.deepcopy(RECORD)

    def find(command: FindRecord) -> Any:
        return record if command.code == CODE else Refusal("record_unknown", "no record has this code", 404)

    def erase(command: EraseByCode) -> Any:
        record["sides"][1]["erase_at"] = ERASE_AT
        return {"erase_at": ERASE_AT}

    async with running_api(tmp_path) as running:
        running.gateway.answers |= {"find_record": find, "erase_by_code": erase}
        yield running


async def search(page: Any, code: str) -> None:
    await page.fill("#code", code)
    await page.click("#record-form button")


async def test_a_caller_finds_the_record_and_has_their_voice_erased(api: RunningApi) -> None:
    asked: list[str] = []
    async with browser_page() as page:
        page.on("request", lambda request: asked.append(request.url))
        await page.goto(f"{api.url}/")
        await page.click("a[href='/record']")
        await search(page, CODE[:-1] + str((int(CODE[-1]) + 1) % 10))
        await page.wait_for_selector("#problem:not([hidden])")
        assert api.gateway.of(FindRecord) == [], "a slip is noticed before anything is asked"
        await search(page, print_code(code_of(7)))
        await page.wait_for_selector("#problem:has-text('no recording')")
        await search(page, f" {print_code(CODE)} ")
        await page.wait_for_selector("#found:not([hidden])")
        assert await page.evaluate("document.activeElement.id") == "found"
        told = await page.inner_text("#found")
        for words in ("Apr 6, 2026", "Jul 5, 2026", "May 1, 2026", "kept, 1 min 1 s"):
            assert words in told, told
        await picture(page, "record-found")
        await page.click("#erase")
        assert await page.evaluate("document.activeElement.id") == "erase-yes"
        await page.click("#erase-yes")
        await page.wait_for_selector("#erase-told:not(:empty)")
        assert not await page.is_visible("#erasing") and "will be erased" in await page.inner_text("#sides")
        await picture(page, "record-erased")
        assert CODE not in page.url and not any(CODE in url for url in asked)
    assert api.gateway.of(EraseByCode) == [EraseByCode(CODE)]


@pytest.mark.parametrize(("language", "said"), [("de", "Ihre Aufnahme"), ("nb", "Opptaket ditt")])
async def test_the_page_is_narrow_speaks_the_language_and_has_large_targets(
    api: RunningApi, language: str, said: str
) -> None:
    async with browser_page(width=320, height=700) as page:
        await page.goto(f"{api.url}/record?lang={language}")
        await search(page, CODE)
        await page.wait_for_selector("#found:not([hidden])")
        await page.click("#erase")
        assert await page.inner_text("h1") == said and await page.get_attribute("html", "lang") == language
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert await page.evaluate(SMALL_TARGETS) == []
        assert await page.evaluate("[...document.querySelectorAll('input')].every((one) => one.labels.length)")
        await picture(page, f"record-{language}")


LENGTH_OF = """audio => new Promise((done, failed) => {
    audio.onloadedmetadata = () => done(audio.duration); audio.onerror = failed; audio.preload = "auto"; audio.load()
})"""


def shown(asked: Sound) -> dict[str, Any]:
    """A question as a gateway lists it."""
    words = {name: getattr(asked.words, name) for name in ("id", "language", "purpose", "text", "one_sided")}
    keys = {"consent_key": asked.words.yes, "refuse_key": asked.words.no, "withdraw_code": "*9"}
    return {**words, **keys, "sha256": asked.sha256, "seconds": 8.7, "own": False, "named": True}


async def test_council_and_officer_find_the_files_that_they_open_together(api: RunningApi) -> None:
    for side in ("agent", "caller"):
        api.site.objects[(REC, side, 1, "quorum")] = b"wrapped"
    async with browser_page() as page:
        session = await api.services.accounts.open_session(Role.COUNCIL, None)
        await page.context.add_cookies([{"name": "fairtap_session", "value": session.secret, "url": api.url}])
        api.site.add("Ada", recipient="age1x", enrolments=2)
        asked = Catalogue().sound("ask-de-2")
        api.gateway.answers["list_announcements"] = {"announcements": [shown(asked)], "faults": []}
        api.gateway.answers["fetch_announcement"] = {"wav": base64.b64encode(pack(asked.words, asked.samples)).decode()}
        await page.goto(f"{api.url}/council")
        assert asked.words.text in await page.inner_text("section[aria-labelledby=announcements]")
        assert abs(await page.eval_on_selector("audio", LENGTH_OF) - len(asked.samples) / RATE) < 0.05, (
            "it can be heard"
        )
        await page.wait_for_selector("#agents:has-text('2 times')")
        await page.fill("#ivr-name", "front")
        await page.click("#ivr-form button")
        await page.wait_for_selector("#ivr-token:not(:empty)")
        who = await api.services.accounts.by_token(await page.inner_text("#ivr-token"))
        assert who is not None and (who.role, who.name) == (Role.IVR, "front")

        await page.fill("#code", print_code(CODE))
        await page.click("#together-form button")
        await page.wait_for_selector("#files a")
        assert await page.locator("#files a").all_inner_texts() == [
            "agent-1.age", "agent-1.quorum", "caller-1.age", "caller-1.quorum",
        ]  # fmt: skip
        async with page.expect_download() as saving:
            await page.click("#files a >> text=caller-1.quorum")
        assert Path(await (await saving.value).path()).read_bytes() == b"wrapped"
        await picture(page, "council-together")
    assert api.gateway.of(FetchTogether) == [FetchTogether("council", REC, "caller", 1, "quorum")]


async def test_the_agent_sees_the_code_and_has_it_read(api: RunningApi) -> None:
    agent = api.site.add("Ada")
    async with browser_page() as page:
        session = await api.services.accounts.open_session(Role.AGENT, agent)
        await page.context.add_cookies([{"name": "fairtap_session", "value": session.secret, "url": api.url}])
        await page.goto(f"{api.url}/agent")
        await page.wait_for_selector("#light[data-state=off]")
        assert not await page.is_visible("#record-code")
        api.gateway.light(agent, "recording_both", purpose="dispute", lane="customer_request")
        api.gateway.tell(RecordCode(agent, "call-1", CODE))
        await page.wait_for_selector("#record-code:not([hidden])")
        assert await page.inner_text("#code-digits") == print_code(CODE)
        await picture(page, "agent-code")
        await page.click("#read-code")
        assert await api.gateway.wait_for(ReadCode) == ReadCode(agent, "call-1")
        await page.click("#read-code[aria-pressed=true]")
        assert await api.gateway.wait_for(ReadCode, 2) == ReadCode(agent, "call-1", on=False)
        await page.wait_for_selector("#read-code[aria-pressed=false]")
        api.gateway.light(agent, "off", connected=False)
        await page.wait_for_selector("#read-code[disabled]")
        assert await page.is_visible("#code-digits"), "it can still be told after the call"
