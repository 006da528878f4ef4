"""`fairtap agreement … --api`: a party drafts, reads, signs and hands in from a computer of its own."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest

from api.cli import main
from api.key_files import read_public_keys
from gateway.control.protocol import PostAct, Refusal
from policy.acts import ActType, parse_act
from policy.agreement.load import canonical_document
from policy.chain import Posted, fold, take
from policy.errors import ActError
from policy.messages import say
from policy.state import Anchor, State
from tests.peers.api_server import RunningApi, running_api
from tests.unit.api.test_act_commands import DAY, NOW, document, text_of

Run = Callable[..., Coroutine[Any, Any, tuple[int, str, str]]]


@dataclass
class World:
    """The site behind the API, which takes acts as the policy does, and the folder of whoever types."""

    api: RunningApi
    folder: Path

    def state(self) -> State:
        return fold(self.api.site.anchored, self.api.site.chain)

    def judge(self, command: PostAct) -> dict[str, Any] | Refusal:
        carried = None if command.document is None else command.document.encode()
        posted = Posted(command.act.encode(), command.signatures, datetime.now(UTC), carried)
        try:
            state = take(self.state(), posted)
        except ActError as error:
            return Refusal("not_permitted", say(error, command.language), 422)
        self.api.site.chain.append(posted)
        found = state.in_force(posted.at)[0]
        by = sorted(state.suspended_by)
        return {"seq": state.seq, "suspended_by": by, "agreement": found.id, "version": found.version, "digest": "-"}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with running_api(tmp_path / "api") as api:
        for role in ("employer", "council", "dpo", "stranger"):
            assert main(["keygen", "--kind", "party", str(tmp_path / role)]) == 0
        for role in ("employer", "council", "dpo"):
            keys = read_public_keys(tmp_path / f"{role}.pub")
            api.site.anchored.append(Anchor(role, keys.signing_key, keys.recipient))
            api.site.keys[role] = [keys.signing_key]
        made = World(api, tmp_path)
        api.gateway.answers["post_act"] = made.judge
        yield made


@pytest.fixture
def run(world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """A command of `fairtap agreement` in German; its return code, its result, its one line."""
    monkeypatch.chdir(world.folder)
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")

    async def call(*words: object) -> tuple[int, str, str]:
        capsys.readouterr()
        rc = await asyncio.to_thread(main, ["agreement", *map(str, words)])
        out, err = capsys.readouterr()
        assert len(err.splitlines()) == (1 if rc else 0), err
        return rc, out, err

    return call


def at(world: World, role: str) -> tuple[str, ...]:
    return ("--api", world.api.url, "--role", role, "-k", f"{role}.sign")


async def into_force(world: World, run: Run) -> None:
    (world.folder / "bv.yaml").write_bytes(document())
    rc, out, err = await run("propose", "bv.yaml", "--out", "act", *at(world, "council"))
    assert rc == 0 and "Unterschrift von: Betriebsrat und Arbeitgeber" in out, err
    for role in ("employer", "council"):
        words = ("sign", "act", "--document", "bv.yaml", "-k", f"{role}.sign", "--out", f"{role}.sig", "--yes")
        assert (await run(*words))[0] == 0
    signed = ("--signature", "employer=employer.sig", "--signature", "council=council.sig")
    rc, out, err = await run("activate", "bv.yaml", "--act", "act", *signed, *at(world, "employer"))
    assert (rc, out) == (0, "Vorgang 1 ist angenommen. In Kraft ist jetzt: „bv-aufzeichnung-nord“, Version 1.\n"), err


async def test_a_party_drafts_signs_and_hands_in_from_its_own_computer(world: World, run: Run) -> None:
    await into_force(world, run)
    rc, out, err = await run("rates", "sample/team-a/regular=2", "--yes", *at(world, "council"))
    assert rc == 0 and "künftig höchstens 2 %" in out and "Vorgang 2 ist angenommen" in out, err
    (world.folder / "shorter.yaml").write_bytes(
        document(version=2, validity__end=text_of(NOW + 80 * DAY), lanes__sample__rates__1__percent="2")
    )
    rc, out, err = await run("narrow", "shorter.yaml", "--yes", *at(world, "employer"))
    assert rc == 0 and "Künftig: " in out, err
    rc, out, err = await run("evaluation", (NOW - DAY).date(), "--out", "evaluated", *at(world, "employer"))
    assert rc == 0, err
    for role in ("employer", "council"):
        assert (await run("sign", "evaluated", "-k", f"{role}.sign", "--out", f"evaluated.{role}", "--yes"))[0] == 0
    signed = ("--signature", "employer=evaluated.employer", "--signature", "council=evaluated.council")
    assert (await run("post", "evaluated", *signed, *at(world, "council")))[0] == 0
    rc, out, _ = await run("suspend", "--yes", *at(world, "employer"))
    assert rc == 0 and "Ausgesetzt von: Arbeitgeber" in out
    wanted = [ActType.AGREEMENT, ActType.RATES, ActType.NARROW, ActType.EVALUATION, ActType.SUSPEND]
    assert [parse_act(one.act).type for one in world.api.site.chain] == wanted


async def test_a_party_reads_what_is_in_force_from_its_own_computer(world: World, run: Run) -> None:
    rc, _, err = await run("show", *at(world, "employer"))
    assert (rc, err) == (1, "fairtap: Es ist keine Vereinbarung in Kraft.\n")
    await into_force(world, run)
    rc, out, err = await run("show", *at(world, "employer"))
    signed = canonical_document((world.folder / "bv.yaml").read_bytes()).decode()  # what the acts carry
    assert re.search(r"^Noch 5[012] Tage für die gemeinsame Auswertung", out, re.M)
    assert rc == 0 and signed in out and "In Kraft gesetzt durch Vorgang 1" in out, err
    rc, out, err = await run("show", "--json", *at(world, "council"))
    told = json.loads(out)
    assert (told["seq"], told["document"], told["beside"]) == (1, signed, [])


async def test_a_refusal_from_there_is_in_the_askers_language(world: World, run: Run) -> None:
    await into_force(world, run)
    rc, _, err = await run("suspend", "--out", "stop", *at(world, "council"))
    assert rc == 0, err
    assert (await run("sign", "stop", "-k", "stranger.sign", "--out", "stranger.sig", "--yes"))[0] == 0
    words = ("post", "stop", "--signature", "council=stranger.sig", *at(world, "council"))
    for lang, told in (("de", "Die Unterschrift von „Betriebsrat“ passt nicht"), ("nb", "Signaturen til «de tillit")):
        rc, _, err = await run(*words, "--lang", lang)
        assert rc == 1 and err.startswith(f"fairtap: {told}"), err
    assert len(world.api.site.chain) == 1


async def test_without_a_key_or_with_a_strangers_nobody_is_let_in(world: World, run: Run) -> None:
    rc, _, err = await run("suspend", "--api", world.api.url)
    assert rc == 2 and "--key" in err
    rc, _, err = await run("suspend", "--yes", "--api", world.api.url, "--role", "council", "-k", "stranger.sign")
    assert rc == 1 and "anchored key" in err
    assert world.api.gateway.of(PostAct) == []


async def test_what_is_written_takes_no_other_files_place(world: World, run: Run) -> None:
    (world.folder / "bv.yaml").write_bytes(document())
    await run("propose", "bv.yaml", "--out", "act", *at(world, "council"))
    await run("sign", "act", "--document", "bv.yaml", "-k", "employer.sign", "--yes")
    kept = {name: (world.folder / name).read_bytes() for name in ("council.sign", "bv.yaml", "act", "act.sig")}
    for name in kept:
        words = ("sign", "act", "--document", "bv.yaml", "-k", "council.sign", "--yes", "--out", name)
        assert await run(*words) == (1, ANY, f"fairtap: `{name}`: File exists\n")
        if name != "act":
            drafting = ("propose", "bv.yaml", "--out", name, *at(world, "council"))
            assert await run(*drafting) == (1, "", f"fairtap: `{name}`: File exists\n")
    assert {name: (world.folder / name).read_bytes() for name in kept} == kept
