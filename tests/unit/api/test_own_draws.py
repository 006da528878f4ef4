"""An agent checks own legs alone: every entry opens, every proof holds, and the draw comes out as the log says."""

import json
from base64 import b64encode
from dataclasses import asdict, replace
from typing import Any

import pytest

from api.agent_client import ClientProblem, fetch_draws
from api.cli import main
from api.draws_served import read_draws
from api.own_draws import check_draws
from api.roles import Role
from api.site_client import SiteClient
from crypto.ssh_key import SigningKey, allowed_signers_line
from crypto.x25519 import Identity, format_identity
from gateway.engine.ledger import Ledger, SealedShare
from policy.terms import Lane, Phase
from tests.peers.api_server import running_api
from tests.peers.log_house import LogHouse
from tests.peers.opened_epoch import LIMITS, opened_book, state_of
from tests.peers.stored import add_agent, open_folder
from tests.unit.gateway.test_ledger import NOW, ORIGIN, RATES, WEEK
from tests.unit.policy.green import agreement

LEGS = 12
PASSWORD = "six words that nobody guesses here"


@pytest.fixture
async def world(tmp_path):
    """Twelve legs of an agent and a wish, in an epoch that is over and revealed; how it is read."""
    folder, identity = await open_folder(tmp_path), Identity.generate()
    agent = await folder.roster.get(await add_agent(folder))
    agent = replace(agent, recipient=str(identity.recipient))
    terms = agreement(lanes__campaigns=[], lanes__sample__rates=RATES)
    book = await opened_book(folder.epochs, WEEK, await folder.roster.list(), Phase.ONBOARDING, [terms])
    ledger = Ledger("hamburg", folder.legs, folder.epochs, book, SealedShare())
    how: dict[str, Any] = {"call": "00112233aabbccdd", "call_id": "a84b@pbx", "wallclock": NOW}
    for number in range(LEGS):
        queue = "service-gas" if number else "elsewhere"
        leg = await ledger.enter(agent, (terms,), queue=queue, **how)
        assert leg is not None
        await ledger.leave(leg, "not_recorded", ("CALLER_DENIED",), ())
    wish = await ledger.wish(agent, (terms,), Lane.AGENT_REQUEST, **how)
    assert wish is not None
    await ledger.leave(wish, "recorded", (), ("a" * 64,))
    await folder.epochs.close(WEEK, LIMITS, NOW)
    house = LogHouse(folder)

    async def read():
        await house.publisher.publish(ORIGIN)
        return await read_draws(folder.database, house.reader, [state_of(terms)], agent.id, 0, 99)

    yield folder, identity, read
    await folder.database.close()


async def test_every_leg_opens_and_the_draw_comes_out_as_the_log_says(world):
    folder, identity, read = world
    before = check_draws(await read(), [identity], folder.key.verify_key)
    assert before.faults == [] and {leg.drawn for leg in before.legs} == {None}
    await folder.epochs.reveal(WEEK)
    after = check_draws(await read(), [identity], folder.key.verify_key)
    assert (after.faults, after.waiting) == ([], 0)
    assert [(one.group, one.phase) for one in after.roster.values()] == [("team-a", Phase.ONBOARDING)]
    calls = [leg for leg in after.legs if leg.kind == "call"]
    assert [leg.n for leg in calls] == list(range(1, LEGS + 1))
    assert all(leg.drawn == (leg.out in ("hit", "cap")) for leg in calls) and len({leg.drawn for leg in calls}) == 2
    assert {leg.ended.reasons for leg in calls if leg.ended} == {("CALLER_DENIED",)}
    [wish] = [leg for leg in after.legs if leg.kind == "wish"]
    assert wish.ended is not None and wish.told is not None
    assert (wish.out, wish.ended.manifests, wish.told.lane) == ("wish", ("a" * 64,), "agent_request")


def swapped(found):
    first, second = found.items[0], found.items[2]
    return replace(found, items=[replace(first, sealed=second.sealed), *found.items[1:]])


def without(found):
    return replace(found, items=[*found.items[:4], *found.items[6:]])


def rated(found):
    return replace(found, epochs=[replace(one, rates={"0": [0]}) for one in found.epochs])


def reshared(found):
    [one] = found.epochs
    told = json.loads(one.reveal.entry) | {"h": "00" * 32}
    entry = json.dumps(told, sort_keys=True, separators=(",", ":"))
    return replace(found, epochs=[replace(one, reveal=replace(one.reveal, entry=entry, proof=None))])


def reproven(found):
    first, second = found.items[0], found.items[1]
    changed = replace(first, entry=replace(first.entry, proof=second.entry.proof))
    return replace(found, items=[changed, *found.items[1:]])


def promoted(found):
    """Told as regular, drawn at the rate of onboarding."""
    return replaced(found, leaf=lambda leaf: replace(leaf, phase=Phase.REGULAR))


def moved(found):
    return replaced(found, leaf=lambda leaf: replace(leaf, a="0" * 32))


def replaced(found, leaf):
    [one] = found.epochs
    return replace(found, epochs=[replace(one, place=replace(one.place, leaf=leaf(one.place.leaf)))])


def unplaced(found):
    return replace(found, epochs=[replace(one, place=None) for one in found.epochs])


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (promoted, f"{WEEK}: roster: inclusion proof"),
        (moved, "another pseudonym's"),
        (unplaced, "no entry of the roster is proven"),
        (swapped, "opening isn't that of the entry"),
        (without, "call 3 missing"),
        (rated, "which the draw doesn't give"),
        (reshared, "aren't those committed to"),
        (reproven, f"{ORIGIN} entry"),
    ],
)
async def test_what_doesnt_hold_is_named(world, change, fault):
    folder, identity, read = world
    await folder.epochs.reveal(WEEK)
    checked = check_draws(change(await read()), [identity], folder.key.verify_key)
    assert any(fault in one for one in checked.faults)


async def test_another_key_opens_nothing_and_another_log_proves_nothing(world):
    folder, identity, read = world
    found = await read()
    assert len(check_draws(found, [Identity.generate()], folder.key.verify_key).faults) == len(found.items)
    assert check_draws(found, [identity], SigningKey.generate().verify_key).legs == []


async def test_it_is_checked_from_a_file_too(world, tmp_path, capsys):
    folder, identity, read = world
    await folder.epochs.reveal(WEEK)
    found = await read()
    async with running_api(tmp_path / "api") as api, api.http() as http:
        agent = api.site.add("Ada")
        api.site.draws[agent] = found
        http.cookies.set("fairtap_session", (await api.services.accounts.open_session(Role.AGENT, agent)).secret)
        page = (await http.get("/v1/agents/me/draws?limit=3")).json()
        assert (len(page["items"]), page["next"]) == (3, found.items[2].id)
        assert page["items"][0]["sealed"] == b64encode(found.items[0].sealed).decode()
        assert page["epochs"] == [asdict(one) for one in found.epochs]
        await api.services.accounts.enrol(agent, "ada", PASSWORD, None)
        async with SiteClient(api.http()) as site:
            with pytest.raises(ClientProblem):
                await site.sign_in("ada", "another password than that")
            await site.sign_in("ada", PASSWORD)
            told = await fetch_draws(site)
        (tmp_path / "draws.json").write_text(json.dumps(told))
    (tmp_path / "own.key").write_text(format_identity(identity))
    (tmp_path / "signers").write_text(allowed_signers_line("gateway", folder.key.verify_key, ("a",)))
    named = ["-i", str(tmp_path / "own.key"), "--gateway", str(tmp_path / "signers")]
    assert main(["my-draws", str(tmp_path / "draws.json"), *named]) == 0
    said = capsys.readouterr().out
    assert f"{WEEK}: {LEGS} legs" in said and "rule 0: 50 %, as the site says" in said
    assert "on the roster in group team-a, phase onboarding" in said
    assert "  1 of them under no rule, so never drawn" in said
    assert main(["my-draws", str(tmp_path / "draws.json"), *named, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (len(told["legs"]), told["faults"]) == (LEGS + 1, [])
    (tmp_path / "draws.json").write_text("{}")
    assert main(["my-draws", str(tmp_path / "draws.json"), *named]) == 1
    for address in ("http://192.0.2.1", "http://localhost.example", "ftp://127.0.0.1"):
        assert main(["my-draws", address, *named, "--login", "ada"]) == 2
    assert main(["my-draws", "https://192.0.2.1", *named]) == 2
