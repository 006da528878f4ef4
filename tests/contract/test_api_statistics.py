"""The statistics through the front door: by role, over a real data folder, and on the council's page."""

import base64
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from api.errors import Problem
from api.reads import MonthStatistics
from api.roles import Role
from api.site import SiteFolder
from gateway.config import Config
from gateway.control.protocol import Refusal
from policy.access_figures import AccessFigures
from policy.acts import Act, ActType, NewAgreement, parse_act
from policy.agreement.load import load
from policy.agreement.schema import StatisticsTerms
from policy.chain import Posted
from policy.decision import Rule
from policy.endings import Ending, Ends, Warned
from policy.kept import BlockKept
from policy.month import Month
from policy.statistics import Bin, CampaignFigures, ChannelFigures, Funnel, GroupFigures, RuleFigures, Statistics
from policy.terms import Lane, Purpose
from storage.acts import Acts
from storage.database import Database
from storage.epochs import Epochs
from storage.figures import Answered, What
from storage.legs import LegEntry, Legs
from tests.peers.api_server import RunningApi, running_api
from tests.peers.manual_clock import ManualClock
from tests.peers.opened_epoch import open_epoch
from tests.peers.stored import TOLD, pseudonym, ruled
from tests.unit.policy.green import edited

MARCH = Month(date(2026, 3, 1))
SIGNED = datetime(2026, 2, 20, tzinfo=UTC)
REGULAR = "sample/regular/team-a"
KEPT = BlockKept("test/fairtap/2026-01", 3)
OPENED = (AccessFigures("coach", "coaching", 60), AccessFigures("dpo", "dispute", None))
EVERY = Rule(Lane.SAMPLE, Purpose.COACHING, 1_000_000, "sample/team-a/regular")


def told(funnel: Funnel) -> MonthStatistics:
    figures = Statistics(
        groups=(
            GroupFigures("team-a", Funnel(), (RuleFigures("onboarding", Funnel()), RuleFigures("regular", funnel))),
            GroupFigures("team-b", Funnel(), (RuleFigures("regular", Funnel()),)),
        ),
        campaigns=(CampaignFigures("tarifwechsel-april", Funnel()),),
        channels=(ChannelFigures("test", "dtmf", 70), ChannelFigures("test", "ivr:front", None)),
        hits_per_agent=(Bin(0, 0, 7), Bin(1, 3, 9)),
    )
    return MonthStatistics(
        "2026-03", ("Europe/Berlin",), ("P1W",), StatisticsTerms(5, 20), figures, "2026-Q1", KEPT, OPENED
    )


# --- by role ----------------------------------------------------------------------------------------------------------


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[RunningApi]:
    async with running_api(tmp_path) as running:
        running.site.months["2026-03"] = told(Funnel(6412, 188, 31, 157))
        yield running


async def signed_in(api: RunningApi, role: Role) -> dict[str, str]:
    agent = api.site.add("Ada") if role in (Role.AGENT, Role.ENROLLING) else None
    return {"fairtap_session": (await api.services.accounts.open_session(role, agent)).secret}


@pytest.mark.parametrize("role", [Role.COUNCIL, Role.DPO, Role.EMPLOYER])
async def test_each_party_gets_the_same_figures(api: RunningApi, role: Role) -> None:
    async with api.http(await signed_in(api, role)) as http:
        body = (await http.get("/v1/statistics", params={"month": "2026-03"})).json()
        assert (await http.get("/v1/statistics")).json() == body
    assert (body["month"], body["limits"]) == ("2026-03", {"min_agents": 5, "min_calls": 20})
    regular = body["figures"]["groups"][0]["rules"][1]
    funnel = {"legs": 6412, "drawn": 188, "capped": 31, "selected": 157}
    assert regular == {"phase": "regular", "funnel": funnel}
    assert body["figures"]["channels"][0] == {"site": "test", "channel": "dtmf", "yes_percent": 70}
    assert body["accesses"] == [
        {"role": "coach", "purpose": "coaching", "at_least": 60},
        {"role": "dpo", "purpose": "dispute", "at_least": None},
    ]
    assert (body["quarter"], body["kept"]) == ("2026-Q1", {"log": "test/fairtap/2026-01", "fifths": 3})
    assert body["figures"]["hits_per_agent"] == [
        {"least": 0, "most": 0, "agents": 7}, {"least": 1, "most": 3, "agents": 9},
    ]  # fmt: skip


async def test_nobody_else_gets_any(api: RunningApi) -> None:
    async with api.http() as http:
        assert (await http.get("/v1/statistics")).status_code == 401
    for role in (Role.AGENT, Role.ENROLLING):
        async with api.http(await signed_in(api, role)) as http:
            assert (await http.get("/v1/statistics")).status_code == 403
    for role in (Role.ADMIN, Role.PBX):
        token = await api.services.accounts.create_token(role, "test")
        async with api.http(headers={"Authorization": f"Bearer {token}"}) as http:
            assert (await http.get("/v1/statistics")).status_code == 403


@pytest.mark.parametrize("month", ["2026-3", "2026-13", "2026-03-01", "2026-W10", "1999-01", ""])
async def test_only_whole_months_can_be_asked_for(api: RunningApi, month: str) -> None:
    async with api.http(await signed_in(api, Role.COUNCIL)) as http:
        assert (await http.get(f"/v1/statistics?month={month}")).status_code == 422
        window = await http.get("/v1/statistics?month=2026-03&from=2026-03-05&group=team-a")
        assert window.json() == (await http.get("/v1/statistics?month=2026-03")).json()


@pytest.mark.parametrize(("language", "words"), [("en", "withheld"), ("de", "zurückgehalten"), ("nb", "holdt tilbake")])
async def test_the_councils_page_shows_what_is_told(api: RunningApi, language: str, words: str) -> None:
    async with api.http(await signed_in(api, Role.COUNCIL)) as http:
        page = (await http.get(f"/council?month=2026-03&lang={language}")).text
        other = (await http.get(f"/council?month=2026-02&lang={language}")).text
    assert "6412" in page and "6412" not in other
    assert words in page and "70 %" in page and "60 %" in page and "2026-Q1" in page and "month=2026-02" in page
    few = {"en": "fewer than 20 calls or fewer than 5 agents", "de": "weniger als 20 Gespräche"}
    assert page.count(few.get(language, "færre enn 20 samtaler")) == 3
    assert "{" not in page.split('<section aria-labelledby="figures">')[1]


@pytest.mark.parametrize(
    ("language", "words"), [("en", "ends in 30 days"), ("de", "In 30 Tagen"), ("nb", "om 30 dager")]
)
async def test_the_parties_are_told_what_ends_soon(api: RunningApi, language: str, words: str) -> None:
    """By the page, and by the API in the language of the request."""
    ending = Ending(Ends.AGREEMENT, "bv-nord", datetime(2026, 9, 1, tzinfo=UTC))
    api.site.agree(ends_soon=[Warned(ending, 30, ending.at - timedelta(days=30))])
    async with api.http(await signed_in(api, Role.COUNCIL)) as http:
        assert words in (await http.get(f"/council?lang={language}")).text
        told = await http.get("/v1/agreements/current", headers={"Accept-Language": language})
        assert words in told.json()["warnings"][0]


@pytest.mark.parametrize(("language", "words"), [("en", "named"), ("de", "in der Vereinbarung"), ("nb", "nevnt i")])
async def test_the_councils_page_shows_what_callers_are_asked_word_for_word(
    api: RunningApi, language: str, words: str
) -> None:
    line = {
        "id": "ask-own-1", "language": "de", "purpose": "coaching", "text": "Dürfen wir? 1 <ja>, 9 nein.", "own": True,
        "one_sided": False, "consent_key": "1", "refuse_key": "9", "withdraw_code": "*9", "sha256": "ab" * 32,
        "seconds": 7.4, "named": True,
    }  # fmt: skip
    other = {**line, "id": "ask-de-2", "named": False, "own": False}
    told = {"announcements": [line, other], "faults": ["there is no announcement `ask-own-2`"]}
    api.gateway.answers["list_announcements"] = told
    api.gateway.answers["fetch_announcement"] = {"wav": base64.b64encode(b"RIFF").decode()}
    async with api.http(await signed_in(api, Role.COUNCIL)) as http:
        page = (await http.get(f"/council?lang={language}")).text
        assert (await http.get("/v1/announcements")).json() == told
        sound = await http.get("/v1/announcements/ask-own-1/audio")
        assert (sound.content, sound.headers["content-type"]) == (b"RIFF", "audio/wav")
        api.gateway.answers["list_announcements"] = Refusal("gateway_away", "the gateway is away", 503)
        assert (await http.get(f"/council?lang={language}")).status_code == 200
    assert page.count(f"<strong>{words}") == 1 and page.count("Dürfen wir? 1 &lt;ja&gt;, 9 nein.") == 2
    assert "ab" * 32 in page and "/v1/announcements/ask-own-1/audio" in page and "ask-own-2" in page


# --- over a data folder -----------------------------------------------------------------------------------------------


async def put(database: Database, seq: int, document: bytes, at: datetime) -> None:
    """One more agreement at the end of the chain."""
    chain = await Acts(database).chain()
    prev = parse_act(chain[-1].act).digest if chain else None
    act = Act(ActType.AGREEMENT, "bv", seq, prev, NewAgreement(load(document).digest))
    await Acts(database).append(Posted(act.canonical(), {}, at, document))


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config.model_validate({"site": {"name": "hamburg", "data_dir": tmp_path}})


@pytest.fixture
async def database(config: Config) -> AsyncIterator[Database]:
    opened = await Database.open(config.database_url)
    await opened.migrate()
    await put(opened, 1, edited({"statistics": {"min_agents": 5, "min_calls": 5}}), SIGNED)
    yield opened
    await opened.close()


@pytest.fixture
async def site(config: Config, database: Database) -> AsyncIterator[SiteFolder]:
    async with SiteFolder(config, ManualClock(MARCH.told_from)) as folder:
        yield folder


async def books(config: Config, database: Database, epoch: str = "2026-W11") -> Legs:
    await open_epoch(Epochs(database, config.site.data_dir), epoch)
    return Legs(database)


async def leg(legs: Legs, agent: int, *, drawn: bool = True) -> LegEntry:
    entry = await legs.enter(
        epoch="2026-W11", pseudonym=pseudonym(agent), rule=2, queue="q", commitment=bytes(32),
        day=date(2026, 3, 10), rule_name=REGULAR,
    )  # fmt: skip
    await legs.admit(entry, drawn=drawn, ruled=ruled(EVERY, 2))
    return entry


async def fill(config: Config, database: Database) -> None:
    legs = await books(config, database)
    for number in range(36):
        answer = {0: What.YES, 1: What.NO}.get(number % 3) if number < 18 else None
        answered = None if answer is None else Answered("hamburg/fairtap", "dtmf", answer)
        await legs.out(await leg(legs, number % 6, drawn=number < 18), TOLD, answered)


async def test_a_months_legs_become_its_figures(config: Config, site: SiteFolder, database: Database) -> None:
    await fill(config, database)
    found = await site.statistics(None)
    assert found == await site.statistics(MARCH)
    assert (found.month, found.timezones, found.limits) == ("2026-03", ("Europe/Berlin",), StatisticsTerms(5, 5))
    team_a, team_b = found.figures.groups
    assert [rule.funnel for rule in team_a.rules] == [Funnel(), Funnel(36, 18, None, None)]
    assert team_b.funnel == Funnel()
    assert found.figures.channels[0] == ChannelFigures("hamburg", "dtmf", 50)


async def code_of(site: SiteFolder, month: Month | None) -> str:
    with pytest.raises(Problem) as problem:
        await site.statistics(month)
    assert problem.value.status == 404
    return problem.value.code


async def test_what_cannot_be_told_is_said_so(config: Config, database: Database, site: SiteFolder) -> None:
    legs = await books(config, database)
    entry = await leg(legs, 1)
    assert await code_of(site, MARCH) == "month-not-told"  # a call of it goes on
    await legs.out(entry, TOLD)
    assert (await site.statistics(MARCH)).month == "2026-03"
    assert await code_of(site, MARCH.before) == "no-agreement"
    async with SiteFolder(config, ManualClock(MARCH.told_from - timedelta(seconds=1))) as early:
        assert await code_of(early, MARCH) == "month-not-told"
        assert await code_of(early, Month(date(2026, 5, 1))) == "month-not-told"


async def test_two_questions_an_hour_and_a_year_apart_get_the_same_answer(
    config: Config, database: Database, site: SiteFolder
) -> None:
    """So there is nothing between two answers: not a leg of another month, not limits that were lowered since."""
    await fill(config, database)
    before = await site.statistics(MARCH)
    legs = await books(config, database, "2026-W14")
    for number in range(30):
        entry = await legs.enter(
            epoch="2026-W14", pseudonym=pseudonym(number % 6), rule=2, queue="q", commitment=bytes(32),
            day=date(2026, 4, 1), rule_name=REGULAR,
        )  # fmt: skip
        await legs.admit(entry, drawn=True, ruled=ruled(EVERY, 2))
        await legs.out(entry, TOLD, Answered("hamburg/fairtap", "dtmf", What.YES))
    document = edited({"statistics": {"min_agents": 5, "min_calls": 1}, "version": 4})
    later = MARCH.told_from + timedelta(days=365)
    await put(database, 2, document, MARCH.told_from)
    async with SiteFolder(config, ManualClock(later)) as then:
        assert await then.statistics(MARCH) == before


async def test_a_later_agreements_limits_tell_no_more_of_a_quarter_that_is_over(config: Config) -> None:
    database = await Database.open(config.database_url)
    await database.migrate()
    until = {"validity/end": "2026-04-01T00:00:00", "validity/evaluation": {"every": "P1M", "next_due": "2026-03-31"}}
    terms = {"statistics": {"min_agents": 5, "min_calls": 5}, "lanes/campaigns": []}
    await put(database, 1, edited({**terms, **until}), SIGNED)
    legs = await books(config, database)
    for number in range(20):
        answered = Answered("hamburg/fairtap", "dtmf", What.YES) if number < 4 else None
        await legs.out(await leg(legs, number % 6), TOLD, answered)
    document = edited({"statistics": {"min_agents": 5, "min_calls": 1}, "validity/start": "2026-04-01T00:00:00"})
    await put(database, 2, document, MARCH.told_from)
    april = Month(MARCH.after)
    async with SiteFolder(config, ManualClock(april.told_from)) as later:
        found = [await later.statistics(month) for month in (MARCH, april)]
    assert [(one.quarter, one.figures.channels[0].yes_percent) for one in found] == [("2026-Q1", None)] * 2
    assert found[1].limits == StatisticsTerms(5, 1)
    await database.close()
