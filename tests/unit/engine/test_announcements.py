"""What callers can be asked now: files that are whole and named by the agreement, noticed without a restart."""

import hashlib
import shutil
from dataclasses import asdict, replace

import numpy as np
import pytest

from gateway.call.model import Private
from gateway.config import AnnouncementsConfig
from gateway.engine.announcements import Announcements
from gateway.engine.errors import Refused
from gateway.engine.hearsay import Spoken
from gateway.engine.jobs import Jobs
from gateway.events import Alarm
from gateway.media.prompts.sound_file import Words, pack
from gateway.media.prompts.sounds import INDEX, SHIPPED, Catalogue
from policy.agreement.schema import Prompt
from policy.decision import Purpose
from tests.peers.askable import question
from tests.unit.gateway.test_jobs import keeper
from tests.unit.policy.green import example

TONE = (np.sin(np.arange(24000) * 0.3) * 9000).astype(np.int16)
OWN = Words("ask-own-1", "ask", "en", "May we? 1 for yes, 9 for no.", "coaching", False, "1", "9")


def prompt(sound: str, sha256: str, language: str = "de") -> Prompt:
    return Prompt(sound, language, sha256, "1", "9", "*9")


@pytest.fixture
def folders(tmp_path):
    """A catalogue that may be spoilt, and an empty folder of the house's own."""
    shutil.copytree(SHIPPED, tmp_path / "shipped")
    (tmp_path / "own").mkdir()
    return tmp_path / "shipped", tmp_path / "own"


def looked(folders) -> Announcements:
    shipped, own = folders
    found = Announcements(Catalogue(shipped, own))
    assert found.look()
    return found


def put(folder, words=OWN, samples=TONE) -> str:
    data = pack(words, samples)
    (folder / f"{words.id}.wav").write_bytes(data)
    return hashlib.sha256(data).hexdigest()


def test_every_shipped_question_can_be_asked_as_it_says(folders):
    there, shipped = looked(folders), Catalogue()
    asked = {name: sound for name, sound in shipped.sounds.items() if sound.words.kind == "ask"}
    assert set(there.questions) == set(asked)
    for name, sound in asked.items():
        named = prompt(name, sound.sha256, sound.words.language)
        assert there.asks_for(named) == sound.words.purpose and there.fault(named) is None
        for other in (
            replace(named, sha256="0" * 64), replace(named, language="xx"), replace(named, consent_key="2"),
            replace(named, refuse_key="8"), replace(named, withdraw_code="*1"),
        ):  # fmt: skip
            assert there.asks_for(other) is None and name in str(there.fault(other))
    assert not there.look(), "nothing changed"


def test_one_of_the_house_comes_changes_and_goes_while_the_gateway_runs(folders):
    there, own = looked(folders), folders[1]
    sha256 = put(own)
    assert there.look() and there.asks_for(prompt("ask-own-1", sha256, "en")) is Purpose.COACHING
    assert [line for line in there.listing() if line["own"]] == [
        {"id": "ask-own-1", "language": "en", "purpose": "coaching", "text": OWN.text, "one_sided": False,
         "consent_key": "1", "refuse_key": "9", "withdraw_code": "*9", "sha256": sha256, "seconds": 3.0, "own": True},
    ]  # fmt: skip
    other = put(own, samples=TONE[::-1])
    assert there.look() and there.asks_for(prompt("ask-own-1", sha256, "en")) is None
    assert "isn't the one that the agreement names" in str(there.fault(prompt("ask-own-1", sha256, "en")))
    (own / "ask-own-1.wav").write_bytes(b"RIFF")
    assert there.look()
    assert there.fault(prompt("ask-own-1", other, "en")) == "sound `ask-own-1`: not a sound as Fairtap writes them"
    (own / "ask-own-1.wav").unlink()
    assert there.look() and there.fault(prompt("ask-own-1", other, "en")) == "there is no announcement `ask-own-1`"


def test_words_that_are_altered_are_another_sound(folders):
    """What it asks for, which keys it names, stands under the very hash that both parties signed."""
    there, own = looked(folders), folders[1]
    sha256 = put(own)
    put(own, replace(OWN, purpose="dispute"))
    there.look()
    assert there.asks_for(prompt("ask-own-1", sha256, "en")) is None


@pytest.mark.parametrize("spoilt", ["notice-de-1", "tone-start", "tone-end"])
def test_without_what_must_follow_a_yes_nobody_is_asked(folders, spoilt):
    there = looked(folders)
    (folders[0] / f"{spoilt}.wav").write_bytes(b"")
    assert there.look()
    assert "ask-de-2" not in there.questions and ("ask-en-2" in there.questions) == (spoilt == "notice-de-1")
    named = prompt("ask-de-2", Catalogue().sounds["ask-de-2"].sha256)
    assert "notice or tone is missing" in str(there.fault(named))
    shutil.copy(SHIPPED / f"{spoilt}.wav", folders[0])
    assert there.look() and there.fault(named) is None


def test_a_shipped_question_that_was_altered_or_an_index_that_is_gone_asks_nobody(folders):
    there, shipped = looked(folders), folders[0]
    (shipped / "ask-de-2.wav").write_bytes(pack(replace(OWN, id="ask-de-2", language="de"), TONE))
    assert there.look() and "ask-de-2" not in there.questions
    (shipped / INDEX).unlink()
    gone = Announcements(Catalogue(shipped, folders[1]))
    gone.look()
    assert gone.questions == {} and "index" in str(gone.fault(prompt("index", "0" * 64)))


# --- at a site -------------------------------------------------------------------------------------------------------


def three(bench) -> list[Prompt]:
    """Questions of one purpose in three languages, German first, named by the agreement."""
    languages = {"de": "a", "en": "b", "nb": "c"}
    prompts = [prompt(f"ask-{language}-2", digit * 64, language) for language, digit in languages.items()]
    bench.enact(consent__prompts=[asdict(one) for one in prompts])
    bench.site.announcements.questions = {one.id: question(one) for one in prompts}
    return prompts


SPOKEN = AnnouncementsConfig(by_queue={"service-gas": "nb"}, by_number={"+47*": "nb", "+44*": "en"}, otherwise="en")


@pytest.mark.parametrize(
    ("spoken", "queue", "called", "language"),
    [
        (AnnouncementsConfig(), "service-strom", None, "de"),
        (SPOKEN, "service-strom", None, "en"),
        (SPOKEN, "service-gas", "+441", "nb"),
        (SPOKEN, "service-strom", "+47 22 22 55 55", "nb"),
        (SPOKEN, "service-strom", "+49 40 1", "en"),
        (AnnouncementsConfig(by_number={"+44*": "en"}), "service-strom", "+4940", "de"),
    ],
)
async def test_the_language_goes_by_queue_then_by_number_called_then_by_the_rest(
    bench, spoken, queue, called, language
):
    three(bench)
    bench.site.spoken = spoken
    new = replace(bench.new_call(), queue=queue, called=Private(called) if called else None)
    given = bench.site.gather(bench.agent, new, 1, bench.clock.now(), bench.clock.wallclock())
    assert given.prompts[Purpose.COACHING].language == language


async def test_a_language_that_the_agreement_names_no_whole_question_in_gives_way(bench):
    three(bench)
    bench.site.spoken = SPOKEN
    del bench.site.announcements.questions["ask-en-2"]
    given = bench.site.gather(bench.agent, bench.new_call(), 1, bench.clock.now(), bench.clock.wallclock())
    assert given.prompts[Purpose.COACHING].language == "de"


async def test_what_cannot_be_played_is_told_but_for_an_ivr_s_own_question(bench):
    three(bench)
    bench.enact(consent__caller__channels=["dtmf", "agent_key"])
    names = [one.id for one in example().consent.prompts]
    assert bench.site.unplayable() == [f"there is no announcement `{name}`" for name in names]
    bench.enact(consent__caller__channels=["dtmf", "ivr:front"])
    assert bench.site.unplayable() == []


async def test_an_ivr_that_plays_one_of_ours_can_bring_a_yes_to_its_purpose_alone(bench):
    named, *_ = bench.site.agreements[0].consent.prompts
    live = await bench.answered()
    at = bench.clock.wallclock()
    said = Spoken(named.sha256, at, at)
    with pytest.raises(Refused):
        bench.engine.hearsay.ivr_agreed(live, "front", Purpose.DISPUTE, said)
    bench.engine.hearsay.ivr_agreed(live, "front", Purpose.COACHING, said)
    await live.worked()
    assert set(live.call.said.proven) == {Purpose.COACHING}


async def test_an_ivr_s_yes_is_none_where_the_notice_after_it_would_name_other_keys_for_stopping(bench):
    named, *_ = bench.site.agreements[0].consent.prompts
    live, at = await bench.answered(), bench.clock.wallclock()
    for notices in ({}, {named.language: "*1"}):
        bench.site.announcements.notices = notices
        with pytest.raises(Refused):
            bench.engine.hearsay.ivr_agreed(live, "front", Purpose.COACHING, Spoken(named.sha256, at, at))
    assert not live.call.said.proven


async def test_a_file_that_is_altered_while_the_gateway_runs_is_told_once_and_asks_nobody(bench, folders, tmp_path):
    there = looked(folders)
    named = prompt("ask-own-1", put(folders[1]), "en")
    bench.enact(consent__prompts=[asdict(named)])
    bench.site.announcements = there
    jobs = Jobs(bench.engine, bench.site.consents, tmp_path, bench.epochs, keeper(bench), 60)
    heard = bench.bus.subscribe()
    await jobs._look_at_announcements()
    assert bench.site.unaskable() == [Purpose.DISPUTE, Purpose.PROCESS_QUALITY] and bench.site.unplayable() == []
    (folders[1] / "ask-own-1.wav").write_bytes(b"not what was agreed on")
    for _ in range(2):
        await jobs._look_at_announcements()
    assert Purpose.COACHING in bench.site.unaskable()
    given = bench.site.gather(bench.agent, bench.new_call(), 1, bench.clock.now(), bench.clock.wallclock())
    assert given.prompts == {}
    heard.end()
    said = [event.text for event in [one async for one in heard] if isinstance(event, Alarm)]
    assert said == bench.site.unplayable() == ["sound `ask-own-1`: not a sound as Fairtap writes them"]


def test_the_example_agreement_names_a_shipped_question_for_each_of_its_purposes(folders):
    there, document = looked(folders), example()
    assert {there.asks_for(one) for one in document.consent.prompts} == set(document.purposes)
