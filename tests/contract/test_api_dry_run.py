"""The dry run through the front doors: by role, with figures given or last month's published ones, and its refusals."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from api.cli import main
from api.reads import MonthStatistics
from api.roles import Role
from api.site import SiteFolder
from policy.agreement.schema import StatisticsTerms
from policy.month import Month
from policy.statistics import Funnel, GroupFigures, Statistics
from tests.peers.api_server import RunningApi, running_api
from tests.unit.policy.green import EXAMPLE

DOCUMENT = EXAMPLE.read_text()
RULE = "sample/team-a/regular"


def told(*legs: tuple[str, int | None]) -> MonthStatistics:
    groups = tuple(GroupFigures(group, Funnel(legs=count), ()) for group, count in legs)
    figures = Statistics(groups, (), (), ())
    return MonthStatistics("2026-03", ("Europe/Berlin",), ("P1W",), StatisticsTerms(5, 20), figures, "2026-Q1", None)


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[RunningApi]:
    async with running_api(tmp_path) as running:
        yield running


async def ask(api: RunningApi, role: Role, language: str = "de", **body: object) -> tuple[int, dict]:
    secret = (await api.services.accounts.open_session(role, None)).secret
    async with api.http({"fairtap_session": secret}) as http:
        document = {"document": DOCUMENT, **body}
        answer = await http.post("/v1/agreements/dry-run", json=document, headers={"accept-language": language})
        return answer.status_code, answer.json()


def rule(found: dict, name: str = RULE) -> dict:
    return next(one for one in found["rules"] if one["rule"] == name)


async def test_figures_that_are_given_are_reckoned_with(api: RunningApi) -> None:
    status, found = await ask(api, Role.COUNCIL, legs={"*": 60, "team-b": 30}, agents={"team-a": 20})
    assert status == 200 and rule(found)["agents"] == 20 and rule(found, "sample/team-b/regular")["legs"] == 30
    regular = rule(found)
    assert regular["percent"] == "3" and 2 < regular["effective_percent"] < 3 and "ceiling" in regular["binds"]
    assert regular["hits_per_week"] < regular["drawn_per_week"]
    assert len(found["said"]) == len(found["rules"]) + 1 and "wirksam werden" in found["said"][0]
    assert "takes effect" in (await ask(api, Role.EMPLOYER, "en", legs={"*": 60}))[1]["said"][0]


async def test_without_figures_last_months_published_ones_count(api: RunningApi) -> None:
    api.site.months["2026-03"] = told(("team-a", 2126), ("team-b", 4251))
    status, found = await ask(api, Role.COUNCIL)
    assert status == 200
    # 31 days, the fewest agents (8): 2126 * 7 / 31 / 8
    assert rule(found)["legs"] == 60 and rule(found, "sample/team-b/regular")["legs"] == 120
    assert rule(found, "campaign/tarifwechsel-april")["legs"] == 90


async def test_withheld_figures_have_to_be_given(api: RunningApi) -> None:
    api.site.months["2026-03"] = told(("team-a", 2126), ("team-b", None))
    status, found = await ask(api, Role.COUNCIL)
    assert status == 422 and found["detail"].startswith("how many legs an agent has")
    assert "sample/team-b/regular" in found["detail"]


async def test_who_gets_no_statistics_gets_none_this_way_either(api: RunningApi) -> None:
    api.site.months["2026-03"] = told(("team-a", 2126), ("team-b", 4251))
    status, found = await ask(api, Role.ADMIN)
    assert status == 422 and "isn't known" in found["detail"]
    assert (await ask(api, Role.ADMIN, legs={"*": 60}))[0] == 200


async def test_what_cannot_be_reckoned_is_refused(api: RunningApi) -> None:
    assert (await ask(api, Role.COUNCIL, document="id: x\n", legs={"*": 60}))[0] == 422
    assert (await ask(api, Role.COUNCIL, legs={"*": 0}))[1]["detail"].endswith("1 to 2000 legs in a week")
    assert (await ask(api, Role.COUNCIL, legs={"nobody": 5}))[0] == 422
    assert (await ask(api, Role.COUNCIL, legs={"*": "60"}))[0] == 422


# --- the command line -------------------------------------------------------------------------------------------------


def test_the_command_says_and_prints_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["agreement", "dry-run", str(EXAMPLE), "--legs", "60", "--agents", "team-a=20", "--lang", "nb"]) == 0
    said = capsys.readouterr().out
    assert "virksomt blir" in said
    assert main(["agreement", "dry-run", str(EXAMPLE), "--legs", "60", "--agents", "team-a=20", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert rule(found)["agents"] == 20 and len(found["said"]) == len(found["rules"]) + 1


@pytest.mark.parametrize(
    ("arguments", "rc", "said"),
    [
        (["--legs", "many"], 2, "`many` isn't a whole number"),
        (["--legs", "team-z=5"], 1, "`team-z` is neither"),
        (["--legs", "5", "--agents", "0"], 1, "can have 1 to"),
        (["--legs", "5", "--lang", "fr"], 2, "isn't de, en or nb"),
    ],
)
def test_wrong_figures_are_one_line(
    arguments: list[str], rc: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["agreement", "dry-run", str(EXAMPLE), *arguments]) == rc
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1


def test_the_command_takes_last_months_figures_of_its_site(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "fairtap.toml"
    config.write_text(
        f'[site]\nname = "test"\ndata_dir = {json.dumps(str(tmp_path))}\n[api]\nlisten = "127.34.0.1:0"\n'
    )
    command = ["agreement", "dry-run", str(EXAMPLE), "--config", str(config), "--json"]
    assert main(command) == 1
    assert "the site's data can't be read" in capsys.readouterr().err

    async def of_march(site: SiteFolder, month: Month | None) -> MonthStatistics:
        assert month is None
        return told(("team-a", 2126), ("team-b", 4251))

    monkeypatch.setattr(SiteFolder, "statistics", of_march)
    assert main(command) == 0
    assert rule(json.loads(capsys.readouterr().out))["legs"] == 60
