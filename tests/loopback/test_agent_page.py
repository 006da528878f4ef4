"""The agent's page in a real browser: enrols, unlocks, takes the seat, answers, shows the light, stops, plays.

Screenshots go to the folder that FAIRTAP_SCREENSHOTS names, else nowhere.
"""

import asyncio
import json
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from api.reads import RecordingRow, SideRow
from api.roles import Role
from api.sound import ALAW
from crypto import age, sshsig
from crypto.ssh_key import VerifyKey
from crypto.x25519 import Recipient
from gateway.control.protocol import (
    Acknowledge,
    CallerAgreed,
    CallerRefused,
    ClaimSeat,
    ConsentInCall,
    Enrol,
    PageClosed,
    PageOpened,
    PauseCall,
    Refusal,
    RequestRecord,
    SetConsent,
    StopRecording,
)
from gateway.events import Heartbeat, LightState, RecordingsChanged
from policy.statements import (
    CALL_CONSENT_NAMESPACE,
    CALLER_CONSENT_NAMESPACE,
    CONSENT_NAMESPACE,
    ENROLMENT_NAMESPACE,
    SEAT_NAMESPACE,
    CallConsent,
    CallerConsent,
    parse_consent,
    parse_enrolment,
    parse_seat,
)
from policy.terms import Purpose
from tests.peers.api_server import RunningApi, running_api
from tests.peers.chromium import SMALL_TARGETS, browser_page, needs, picture

pytestmark = needs("agent.js")


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[RunningApi]:
    async with running_api(tmp_path) as running:
        _play_gateway(running)
        yield running


@pytest.fixture
async def page() -> AsyncIterator[Any]:
    async with browser_page() as opened:
        yield opened


def _play_gateway(api: RunningApi) -> None:
    """Verify what the page signs, as the gateway does, and let the site know."""

    def enrol(command: Enrol) -> dict[str, Any]:
        document = command.statement.document.encode()
        sshsig.verify(VerifyKey.parse(command.signing_key), ENROLMENT_NAMESPACE, document, command.statement.signature)
        said = parse_enrolment(document)
        assert said.agent == command.agent
        api.site.change(command.agent, recipient=said.recipient, signing_key=command.signing_key)
        return {}

    def key_of(agent: str) -> VerifyKey:
        return VerifyKey.parse(api.site.rows[agent].signing_key or "")

    def claim(command: ClaimSeat) -> dict[str, Any]:
        document = command.statement.document.encode()
        sshsig.verify(key_of(command.agent), SEAT_NAMESPACE, document, command.statement.signature)
        said = parse_seat(document)
        api.site.change(command.agent, extension=said.extension, seat_seq=said.seq)
        return {"extension": said.extension}

    def consent(command: SetConsent) -> dict[str, Any]:
        if command.statement is not None:
            document = command.statement.document.encode()
            sshsig.verify(key_of(command.agent), CONSENT_NAMESPACE, document, command.statement.signature)
            said = parse_consent(document)
            assert api.site.in_force is not None
            assert (said.text_sha256, said.language) == (api.site.in_force.consents[0].sha256["en"], "en")
        api.site.change(command.agent, consents={command.purpose: command.answer}, consent_seqs={command.purpose: 1})
        return {}

    api.gateway.answers |= {"enrol": enrol, "claim_seat": claim, "set_consent": consent}


async def enrolled(api: RunningApi, page: Any, name: str = "Ada Lovelace") -> tuple[str, str]:
    """Through the pages, from the code to a seat; the agent's id and words."""
    agent = api.site.add(name)
    code, _ = await api.services.accounts.create_code(agent, Role.COUNCIL)
    await page.goto(api.url)
    await picture(page, "sign-in")
    await page.fill("#code", code)
    await page.click("#code-form button")
    await page.wait_for_selector("#passphrase:not(:empty)")
    words = await page.text_content("#passphrase")
    assert len(words.split()) == 6
    await picture(page, "enrol")
    await page.click("#written")
    await page.fill("#typed", "other words than these")
    await page.fill("#login", "ada")
    await page.fill("#password", "a long enough password")
    await page.click("#enrol-form button")
    await page.wait_for_selector("#problem:not([hidden])")
    await page.fill("#typed", words.upper().replace(" ", "-"))
    await page.click("#enrol-form button")
    await page.wait_for_selector("#unlock-form")
    await page.fill("#six-words", words)
    await page.click("#unlock-form button")
    await page.wait_for_selector("#seat-form:not([hidden])", timeout=60_000)
    await page.fill("#extension", "4711")
    await page.click("#seat-form button")
    await page.wait_for_selector("#seat-now:has-text('4711')")
    return agent, words


async def test_from_the_code_to_a_stopped_and_a_played_recording(api: RunningApi, page: Any) -> None:
    api.site.agree()
    agent, _ = await enrolled(api, page)
    assert await api.services.accounts.bundle(agent) is not None
    await page.click("#consents button:has-text('Yes')")
    await page.wait_for_selector("#consents:has-text('now: Yes')")

    await _state(page, "off")
    await picture(page, "off")
    asked = api.gateway.light(agent, "asking", lane="sample", purpose="coaching")
    await _state(page, "asking")
    assert (await api.gateway.wait_for(Acknowledge)).nonce == asked.nonce
    await picture(page, "asking")
    await page.click("#agreed")
    told = await api.gateway.wait_for(CallerAgreed)
    key = VerifyKey.parse(api.site.rows[agent].signing_key or "")
    sshsig.verify(key, CALLER_CONSENT_NAMESPACE, told.statement.document.encode(), told.statement.signature)
    said = CallerConsent(agent, "call-1", Purpose.COACHING, "en")
    assert said.canonical() == told.statement.document.encode()
    lit = api.gateway.light(
        agent, "recording_both", lane="sample", purpose="coaching", keep_until="2026-03-16T09:00:00Z"
    )
    await _state(page, "recording_both")
    ack = await api.gateway.wait_for(Acknowledge, 2)
    assert (ack.seq, ack.nonce, ack.state, ack.shown) == (lit.seq, lit.nonce, "recording_both", "visible")
    assert ack.page == api.gateway.of(PageOpened)[-1].page
    api.gateway.tell(Heartbeat(agent, "call-1", lit.seq + 1, "beat", LightState.RECORDING_BOTH))
    assert (await api.gateway.wait_for(Acknowledge, 3)).nonce == "beat"
    assert "Recording: both sides" in await page.title()
    await picture(page, "recording")

    await page.click("#pause")
    assert (await api.gateway.wait_for(PauseCall)).by == f"agent:{agent}"
    await page.click("#stop")
    assert (await api.gateway.wait_for(StopRecording)).call == "call-1"
    await page.click("#refused")
    assert (await api.gateway.wait_for(CallerRefused)).agent == agent
    api.gateway.light(agent, "off", why="WITHDRAWN_BY_AGENT")
    await _state(page, "off")
    assert "you stopped it" in await page.text_content("#facts")

    # who said no is left alone until the time is over, unless they open the question
    for until, is_open in (("2126-01-01T00:00:00Z", False), ("2026-01-01T00:00:00Z", True)):
        api.site.change(agent, consents={"coaching": "no"}, ask_again_at={"coaching": until})
        await page.reload()
        await page.wait_for_selector("#consents:has-text('now: No')")
        assert await page.is_visible("#consents button:has-text('Yes')") is is_open
        assert await page.is_visible("#consents details > summary")

    _record(api, agent)
    await page.reload()
    await page.wait_for_selector("#recordings .play")
    assert await page.is_disabled("#recordings .play")


async def test_a_record_is_asked_for_in_a_call_and_the_agents_own_answer_given(api: RunningApi, page: Any) -> None:
    api.site.agree(asked_for={"customer_request": "dispute", "agent_request": "coaching"}, drawn_for=["coaching"])
    agent, _ = await enrolled(api, page)
    key = VerifyKey.parse(api.site.rows[agent].signing_key or "")
    assert await page.is_hidden("#in-call")
    api.gateway.light(agent, "off")
    await page.wait_for_selector("#in-call:not([hidden])")
    await picture(page, "in-call")
    await page.click("#for-caller")
    pressed = await api.gateway.wait_for(RequestRecord)
    said = CallConsent(agent, "call-1", Purpose.DISPUTE, "yes").canonical()  # no text of this purpose is in force
    assert (pressed.call, pressed.lane, pressed.statement.document.encode()) == ("call-1", "customer_request", said)
    sshsig.verify(key, CALL_CONSENT_NAMESPACE, said, pressed.statement.signature)
    await page.wait_for_selector("#in-call-note:has-text('Now the caller is asked')")
    api.gateway.light(agent, "recording_both", lane="customer_request", purpose="dispute")
    await _state(page, "recording_both")
    assert "Both of you want a record" in await page.text_content("#facts")
    assert await page.is_disabled("#for-caller") and await page.is_disabled("#for-me")
    await picture(page, "in-call-recording")
    await page.click("#own-answers button:has-text('Yes for this call')")
    yes = await api.gateway.wait_for(ConsentInCall)
    assert api.site.in_force is not None
    shown = api.site.in_force.consents[0].sha256["en"]
    said = CallConsent(agent, "call-1", Purpose.COACHING, "yes", shown).canonical()
    assert yes.statement is not None and yes.statement.document.encode() == said
    await page.click("#own-answers button:has-text('No for this call')")
    no = await api.gateway.wait_for(ConsentInCall, 2)
    assert (no.purpose, no.answer, no.statement) == ("coaching", "no", None)
    api.gateway.answers["request_record"] = Refusal("agent_cap", "used up")
    api.gateway.light(agent, "off")
    await page.click("#for-caller")
    await page.wait_for_selector('#in-call-note:has-text("this week\'s limit has been reached")')
    assert await page.evaluate(SMALL_TARGETS) == []


async def test_recordings_are_opened_and_played_in_the_page(api: RunningApi, page: Any) -> None:
    # the policy of the page lets nobody fetch what it made: note it as it is made
    await page.add_init_script(
        "const make = URL.createObjectURL;"
        "URL.createObjectURL = (blob) => { window.lastBlob = blob; return make(blob); };"
    )
    agent, _ = await enrolled(api, page)
    _record(api, agent)
    api.gateway.tell(RecordingsChanged(agent, "ab" * 16))
    await page.click("#recordings .play")
    await page.wait_for_selector("#recordings audio")
    seconds = await page.evaluate(
        """async () => {
            const audio = document.querySelector("#recordings audio");
            if (!(audio.duration > 0)) await new Promise((done) => audio.addEventListener("loadedmetadata", done));
            return audio.duration;
        }"""
    )
    assert seconds == pytest.approx(1.25)
    samples = await page.evaluate(
        """async () => {
            return Array.from(new Int16Array(await window.lastBlob.arrayBuffer(), 44));
        }""",
    )
    both = np.array(samples).reshape(-1, 2)
    assert np.array_equal(both[:8000, 0], ALAW[_tone(440)]) and np.array_equal(both[2000:, 1], ALAW[_tone(1000)])
    await picture(page, "played")


async def test_a_lost_connection_says_unknown_and_comes_back(api: RunningApi, page: Any) -> None:
    await enrolled(api, page)
    await _state(page, "off")
    await api.gateway.stop()
    async with asyncio.timeout(5):
        await _state(page, "unknown")
    await picture(page, "unknown")
    await api.gateway.start()
    await _state(page, "off")


async def test_a_connection_that_falls_silent_says_unknown_within_5_s(api: RunningApi, page: Any) -> None:
    agent, _ = await enrolled(api, page)
    api.gateway.light(agent, "recording_both")
    await _state(page, "recording_both")
    loop = asyncio.get_running_loop()
    api.services.alive_s = 60  # a server that hangs, for the next connection
    await page.reload()
    await _state(page, "recording_both")
    silent = loop.time()
    # it connects again at once, so that the state may be short
    await page.evaluate(
        """() => new Promise((done) => new MutationObserver((changes) => {
            if (changes.some((change) => change.target.dataset.state === "unknown")) done();
        }).observe(document.getElementById("light"), { attributes: true, attributeFilter: ["data-state"] }))"""
    )
    assert loop.time() - silent < 5
    await _state(page, "recording_both")


async def test_leaving_the_page_is_told_at_once(api: RunningApi, page: Any) -> None:
    await enrolled(api, page)
    await _state(page, "off")
    before = len(api.gateway.of(PageClosed))
    await page.goto("about:blank")
    loop = asyncio.get_running_loop()
    left = loop.time()
    await api.gateway.wait_for(PageClosed, before + 1)
    assert loop.time() - left < 0.5


async def test_the_pages_can_be_used_by_keyboard_and_their_targets_are_large(api: RunningApi, page: Any) -> None:
    agent, _ = await enrolled(api, page)
    api.gateway.light(agent, "recording_agent")
    await _state(page, "recording_agent")
    await page.focus("#stop")
    await page.keyboard.press("Enter")
    assert (await api.gateway.wait_for(StopRecording)).call == "call-1"
    assert await page.evaluate(SMALL_TARGETS) == []
    nameless = await page.evaluate(
        """() => [...document.querySelectorAll("input")].filter((one) => !one.labels.length).map((one) => one.id)"""
    )
    assert nameless == []


@pytest.mark.parametrize(("language", "said"), [("de", "Keine Aufnahme"), ("nb", "Ingen opptak")])
async def test_the_page_speaks_the_language_that_was_chosen(
    api: RunningApi, page: Any, language: str, said: str
) -> None:
    await enrolled(api, page)
    await page.click(f"nav a[lang={language}]")
    await _state(page, "off")
    assert await page.text_content("#state") == said
    assert await page.get_attribute("html", "lang") == language
    await page.emulate_media(color_scheme="dark")
    await page.set_viewport_size({"width": 400, "height": 800})
    api.gateway.light(next(iter(api.site.rows)), "recording_both", lane="sample", purpose="coaching")
    await _state(page, "recording_both")
    await picture(page, f"narrow-{language}")
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def _tone(hertz: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A second of A-law bytes."""
    wave = 8000 * np.sin(2 * np.pi * hertz * np.arange(8000) / 8000)
    return np.abs(ALAW.astype(int)[None, :] - wave[:, None]).argmin(axis=1).astype(np.uint8)


def _record(api: RunningApi, agent: str) -> None:
    recipient = Recipient.parse(api.site.rows[agent].recipient or "")
    sides = []
    for side, hertz, started in (("agent", 440, "09:00:00.000Z"), ("caller", 1000, "09:00:00.250Z")):
        head = struct.pack(
            "<4sI4s4sIHHIIHH4sI", b"RIFF", 0xFFFFFFFF, b"WAVE", b"fmt ", 16, 6, 1, 8000, 8000, 1, 8, b"data", 0xFFFFFFFF
        )
        api.site.objects["ab" * 16, side, 1, "age"] = age.encrypt(head + _tone(hertz).tobytes(), [recipient])
        sides.append(SideRow(side, 1, "sealed", started=f"2026-03-02T{started}"))
    api.site.recorded = [
        RecordingRow(
            "ab" * 16, agent, "call-1", "sample", "coaching", "2026-03-02T09:00:00.000Z", "2026-03-02T09:00:01.250Z",
            "kept", "2026-03-16T09:00:00.000Z", sides,
        )
    ]  # fmt: skip


async def _state(page: Any, state: str, timeout: int = 10_000) -> None:
    await page.wait_for_selector(f"#light[data-state={json.dumps(state)}]", timeout=timeout)
