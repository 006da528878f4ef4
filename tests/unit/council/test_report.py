"""Reports: limits first, every finding and figure has its sentence in three languages, one page that prints."""

import json
import os
import re
import string
from datetime import UTC, datetime

import pytest

from council.codes import Code
from council.finding import Finding
from council.inspect import Sources, inspect
from council.report import Report
from council.report_words import LIMITS, WORDS
from council.words import LANGUAGES, SENTENCES, say
from crypto.draw import ROLES
from crypto.tree_walk import Fault
from policy.decision import Reason
from policy.log_entry import Call
from tests.peers.log_world import EPOCHS, KEYS, Host

AT = datetime(2026, 4, 20, 9, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    world = Host(5, legs=6, agents=8).run().write(folder)
    sources = Sources(
        folder / "log",
        acts=folder / "acts",
        roster=folder / "rosters",
        cdr=folder / "cdr.csv",
        openings=folder / "openings",
        manifests=folder / "manifests",
        seen=folder / "seen",
        key=KEYS["log"].verify_key,
        now=world.now,
        zone=UTC,
    )
    return inspect(sources)


def fields(text):
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_finding_has_its_sentence(language):
    assert SENTENCES[language].keys() == set(Code)
    for code, sentence in SENTENCES[language].items():
        assert fields(sentence) == fields(SENTENCES["en"][code]), code
        values = dict.fromkeys(fields(sentence), "x")
        assert say(Finding(code, "entry 1", values), language)


def test_every_fault_of_a_tree_and_every_share_and_limit_has_its_code():
    names = {fault.name for fault in Fault} | {f"SHARE_{role.upper()}" for role in ROLES}
    names |= {reason.name for reason in (Reason.CEILING, Reason.AGENT_CAP, Reason.CAMPAIGN_FULL)}
    assert names <= set(Code.__members__)


@pytest.mark.parametrize("language", LANGUAGES)
def test_words_are_complete(language):
    assert WORDS[language].keys() == WORDS["en"].keys()
    for name, words in WORDS[language].items():
        assert fields(words) == fields(WORDS["en"][name]), name
    assert len(LIMITS[language]) == 4


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_limits_are_the_first_lines(outcome, language):
    text = Report(outcome, language, AT).text().splitlines()
    assert [line.strip()[4:] for line in text[3:7]] == list(LIMITS[language])
    page = Report(outcome, language, AT).html()
    assert page.index("<ol") < page.index('role="status"')


def test_a_clean_and_complete_check_is_green(outcome):
    report = Report(outcome, "en", AT)
    assert report.light == "green"
    assert json.loads(report.json())["findings"] == []
    assert "No findings." in report.text()
    assert "2026-W14 (checked)" in report.text()
    assert 'class="green on"' in report.html()


def test_each_figure_says_what_it_means(outcome):
    text = Report(outcome, "en", AT).text()
    for name in WORDS["en"]:
        if name.endswith(".means") and "{" not in WORDS["en"][name]:
            assert WORDS["en"][name] in text, name


def test_calls_that_are_kept_out_of_the_draw_are_told_by_pseudonym(tmp_path):
    """No entry can show that a rule should have held; that one agent has all such calls, the council sees."""
    world, epoch = Host(5, legs=6, agents=8).run(), EPOCHS[0]
    sources = Sources(tmp_path / "log", acts=tmp_path / "acts", roster=tmp_path / "rosters", now=world.now)

    def report(asked):
        return Report(inspect(asked), "en", AT)

    def told(asked):
        return json.loads(report(asked).json())["logs"][0]["epochs"][epoch]

    world.write(tmp_path)
    honest = told(sources)
    calls = [(i, one) for i, one in enumerate(world.entries) if isinstance(one, Call) and one.e == epoch]
    spared = next(one.a for _, one in calls if one.r is not None)
    withheld = [i for i, one in calls if one.a == spared and one.r is not None]
    for index in withheld:
        world.change(index, r=None)
    world.write(tmp_path)
    found = told(sources)
    assert found["unruled"] == honest["unruled"] + len(withheld)
    assert found["unruled_most"] == f"100 % ({spared})" != honest["unruled_most"]
    assert f"Most of one agent 100 % ({spared})" in report(sources).text()
    assert told(Sources(tmp_path / "log", now=world.now))["unruled"] is None  # without the acts nobody can tell


def test_what_could_not_be_checked_is_yellow_and_named(tmp_path):
    world = Host(5, legs=6, agents=8).run().write(tmp_path)
    found = inspect(Sources(tmp_path / "log", now=world.now))
    report = Report(found, "de", AT)
    assert report.light == "yellow"
    assert set(found.missing) == {"acts", "roster", "cdr", "manifests", "seen", "key"}
    assert WORDS["de"]["missing.acts"] in report.text()


def test_findings_are_red_and_escaped(outcome):
    found = type(outcome)(**{name: getattr(outcome, name) for name in outcome.__slots__})
    found.findings = [Finding(Code.ECOMMIT_REPEATED, "entry 7", {"epoch": "<b>"})]
    found.total = 3
    report = Report(found, "nb", AT)
    assert report.light == "red"
    assert "&lt;b&gt;" in report.html()
    assert "<b>" not in report.html()
    assert "og 2 til" in report.text()
    (told,) = json.loads(report.json())["findings"]
    assert (told["check"], told["place"]) == ("V3", "entry 7")


def test_a_files_name_is_told_without_what_a_terminal_would_obey(tmp_path):
    """Whoever hands over a folder chooses the names in it."""
    Host(5, legs=6, agents=8).run().write(tmp_path)
    for name in (b"\x1b[2J.manifest.json", b"\xff.manifest.json", b"a\nV1 all is well.manifest.json"):
        (tmp_path / "manifests" / os.fsdecode(name)).write_bytes(b"{}")
    found = inspect(Sources(tmp_path / "log", manifests=tmp_path / "manifests", key=KEYS["log"].verify_key))
    report = Report(found, "en", AT)
    assert "?[2J.manifest.json" in report.text()
    for told in (report.text(), report.html(), report.json()):
        assert "\x1b" not in told and "\nV1 all" not in told
        assert told.encode()


def test_the_page_fetches_nothing_and_runs_nothing(outcome):
    page = Report(outcome, "en", AT).html()
    assert not re.search(r"<script|src=|href=|url\(|https?:", page)
