"""Pages of a release in a real browser: the agent compares words and releases, the coach hears it, it is taken back."""

import base64
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from api.keyed_client import ClientKeys
from api.reads import RecordingRow, SideRow
from api.roles import Role
from crypto import age, sshsig
from crypto.scrypt import Passphrase
from crypto.signed_note import VerifierKey
from gateway.control.protocol import FetchReleased, ReleaseRecording, RevokeRelease
from gateway.events import RecordingsChanged
from policy.key_words import key_words
from policy.release import RELEASE_NAMESPACE, parse_release
from policy.terms import Side
from tests.peers.api_server import RunningApi, running_api
from tests.peers.chromium import SMALL_TARGETS, browser_page, needs, picture
from tests.peers.shown_coach import COACH, GATEWAY, enrolled

pytestmark = needs("coach.js")
REC, RELEASE, WORDS = "ab" * 16, "ef" * 16, "bade figo hulu jomi kapu lero"
WAV = struct.pack(
    "<4sI4s4sIHHIIHH4sI", b"RIFF", 0xFFFFFFFF, b"WAVE", b"fmt ", 16, 6, 1, 8000, 8000, 1, 8, b"data", 0xFFFFFFFF
) + bytes(8000)


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[RunningApi]:
    async with running_api(tmp_path) as running:
        yield running


def bundle(keys: ClientKeys) -> bytes:
    """As the enrolment page seals it."""
    seed = base64.b64encode(keys.signing._private.private_bytes_raw()).decode()
    plain = f"# fairtap key bundle v1\n# signing: {seed}\n{keys.identity.secret_text()}\n"
    return age.encrypt(plain.encode(), [Passphrase(WORDS, 16)])


async def sign_in(api: RunningApi, page: Any, role: Role, person: str, keys: ClientKeys) -> None:
    """With a session, and keys that the six words open."""
    await api.services.accounts.enrol(person, f"{role}-1", "a long enough password", bundle(keys))
    session = await api.services.accounts.open_session(role, person)
    await page.context.add_cookies([{"name": "fairtap_session", "value": session.secret, "url": api.url}])
    await page.goto(f"{api.url}/{role}")
    await page.fill("#six-words", WORDS)
    await page.click("#unlock-form button")


def record(api: RunningApi, agent: str, keys: ClientKeys) -> None:
    sides = []
    for side in Side:
        api.site.objects[REC, side.value, 1, "age"] = age.encrypt(WAV, [keys.identity.recipient])
        sides.append(SideRow(side.value, 1, "sealed", started="2026-03-02T09:00:00.000Z"))
    vkey = str(VerifierKey("test/fairtap", GATEWAY.verify_key))
    api.site.objects[REC, "agent", 1, "manifest"] = f'{{"gateway":"{vkey}"}}'.encode()
    row = RecordingRow(
        REC, agent, "call-1", "sample", "coaching", "2026-03-02T09:00:00.000Z", "2026-03-02T09:00:01.000Z",
        "kept", "2126-03-16T09:00:00.000Z", sides,
    )  # fmt: skip
    api.site.recorded = [row]


async def test_an_agent_releases_to_the_coach_whose_words_are_right_and_takes_it_back(api: RunningApi) -> None:
    keys, teacher = ClientKeys.generate(), ClientKeys.generate()
    agent = api.site.add(
        "Ada Lovelace", recipient=str(keys.identity.recipient), signing_key=keys.signing.verify_key.line()
    )
    api.site.taught[COACH] = enrolled(teacher)
    record(api, agent, keys)
    stands: list[dict[str, Any]] = []
    accesses: list[dict[str, Any]] = []

    def release(command: ReleaseRecording) -> dict[str, Any]:
        said = parse_release(command.sides[0].statement.document.encode())
        sides = [{"side": side.value, "seg": 1} for side in Side]
        stands.append(
            {"id": said.id, "coach": COACH, "name": "Carla Coach", "purpose": "coaching", "at": said.until,
             "until": said.until, "revoked_at": None, "sides": sides}
        )  # fmt: skip
        return {"release": said.id, "until": said.until, "evaluations_left": 9}

    def revoke(command: RevokeRelease) -> dict[str, Any]:
        stands[0]["revoked_at"] = "2026-03-03T09:00:00Z"
        return {}

    api.gateway.answers |= {
        "release_recording": release, "revoke_release": revoke,
        "recording_releases": lambda command: {"releases": stands},
        "recording_accesses": lambda command: {"accesses": accesses},
    }  # fmt: skip
    async with browser_page() as page:
        await sign_in(api, page, Role.AGENT, agent, keys)
        await page.wait_for_selector("#recordings .play:not([disabled])")
        await page.click("#recordings summary:has-text('Release to a coach')")
        await page.wait_for_selector(f"#recordings :text('{key_words(str(teacher.identity.recipient))}')")
        button = page.locator("#recordings button:has-text('Release')").last
        assert await button.is_disabled(), "words first"
        await page.check("#recordings details[open] input[type=checkbox]")
        await picture(page, "release")
        assert await page.evaluate(SMALL_TARGETS) == []
        await button.click()
        await page.wait_for_selector("#recordings :text('9 more recordings')")
        (asked,) = api.gateway.of(ReleaseRecording)
        ids = set()
        for side, one in zip(Side, asked.sides, strict=True):
            document = one.statement.document.encode()
            sshsig.verify(keys.signing.verify_key, RELEASE_NAMESPACE, document, one.statement.signature)
            said = parse_release(document)
            assert (said.side, said.to, said.recipient) == (side, COACH, str(teacher.identity.recipient))
            ids.add(said.id)
            payload = bytes(age.split_header(api.site.objects[REC, side.value, 1, "age"])[1])
            assert age.decrypt(base64.b64decode(one.header) + payload, [teacher.identity]) == WAV
        assert len(ids) == 1

        await page.click("#recordings summary:has-text('Who else')")
        await page.wait_for_selector("#recordings :text('Nobody')")
        accesses.append(
            {"at": "2026-03-02T10:00:00Z", "role": "coach", "what": "age", "purpose": "coaching", "side": "agent",
             "seg": 1, "name": "Carla Coach"}
        )  # fmt: skip
        api.gateway.tell(RecordingsChanged(agent, REC))
        await page.wait_for_selector("#recordings :text('Coach Carla Coach')", timeout=5_000)
        await page.click("#recordings button:has-text('Take back')")
        await page.wait_for_selector("#recordings :text('taken back')")
        assert api.gateway.of(RevokeRelease) == [RevokeRelease(agent, REC, next(iter(ids)))]

        api.site.taught[COACH] = enrolled(ClientKeys.generate(), published=False)
        await page.reload()
        await page.fill("#six-words", WORDS)
        await page.click("#unlock-form button")
        await page.click("#recordings summary:has-text('Release to a coach')")
        await page.check("#recordings details[open] input[type=checkbox]")
        await page.locator("#recordings button:has-text('Release')").last.click()
        await page.wait_for_selector("#problem:has-text('published')")
    assert len(api.gateway.of(ReleaseRecording)) == 1


async def test_a_coach_is_let_in_enrols_and_hears_what_is_released(api: RunningApi) -> None:
    keys = ClientKeys.generate()
    api.site.taught[COACH] = enrolled(keys)
    shown = {"id": RELEASE, "recording": REC, "purpose": "coaching", "day": "2026-03-02"}
    sides = [{"side": side.value, "seg": 1} for side in Side]
    api.gateway.answers |= {
        "add_coach": {"id": COACH}, "fetch_released": {"release": RELEASE},
        "released_to": {"releases": [{**shown, "until": "2026-03-08T09:30:00Z", "sides": sides}]},
    }  # fmt: skip
    for side in Side:
        sealed = age.encrypt(WAV, [keys.identity.recipient])
        api.site.objects[REC, side.value, 1, f"released to {RELEASE}"] = sealed
    async with browser_page() as council:
        session = await api.services.accounts.open_session(Role.COUNCIL, None)
        await council.context.add_cookies([{"name": "fairtap_session", "value": session.secret, "url": api.url}])
        await council.goto(f"{api.url}/council")
        await council.wait_for_selector("#coaches:has-text('Carla Coach')")
        await council.fill("#coach-name", "Carla Coach")
        await council.click("#coach-form button")
        await council.wait_for_selector("#coach-code:not(:empty)")
        code = await council.inner_text("#coach-code")
    async with browser_page(width=320, height=700) as page:
        await page.goto(f"{api.url}/?lang=nb")
        await page.fill("#code", code)
        await page.click("#code-form button")
        await page.wait_for_selector("#enrol-form[data-room='/coaches/me']", state="attached")
        await page.context.clear_cookies()
        await sign_in(api, page, Role.COACH, COACH, keys)
        await page.wait_for_selector(f"#own-words:has-text('{key_words(str(keys.identity.recipient))}')")
        await picture(page, "coach")
        await page.click("#released .play:not([disabled])")
        await page.wait_for_selector("#released audio")
        assert "Ada" not in await page.inner_text("main")
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert await page.evaluate(SMALL_TARGETS) == []
    assert {one.side for one in api.gateway.of(FetchReleased)} == {"agent", "caller"}
