"""Acts on the command line: every type is drafted, shown in plain sentences, signed offline, handed in, and taken.

The gateway here is the policy alone: what it is handed is judged and put into the site's database, as the engine does.
"""

import asyncio
import contextlib
import hashlib
import io
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from api.cli import main
from api.home import default_text
from crypto.ssh_key import VerifyKey
from crypto.sshsig import verify
from gateway.config import load_config
from gateway.control.protocol import PostAct, Refusal
from policy.acts import ACT_NAMESPACE, ActType, parse_act
from policy.agreement.load import AgreementRefused
from policy.chain import Posted, fold, take
from policy.errors import ActError
from policy.messages import say, say_fault
from policy.state import Anchor, State
from storage.acts import Acts
from storage.database import Database
from tests.unit.api.test_command_line import Run, gateway_at
from tests.unit.policy.green import edited

ID = "bv-aufzeichnung-nord"
NOW = datetime.now(UTC)
"""Commands read the clock: the agreement here lies around today."""
DAY = timedelta(days=1)


def text_of(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT00:00:00")


def document(**edits: Any) -> bytes:
    """The example, begun ten days ago, without a campaign."""
    dates = {
        "validity/start": text_of(NOW - 10 * DAY),
        "validity/end": text_of(NOW + 100 * DAY),
        "validity/evaluation": {"every": "P3M", "next_due": (NOW + 50 * DAY).date().isoformat()},
        "lanes/campaigns": [],
        "parties/council/resolution": {"date": (NOW - 20 * DAY).date().isoformat(), "minutes_sha256": "a" * 64},
    }
    return edited(dates | {path.replace("__", "/"): value for path, value in edits.items()})


@dataclass
class Desk:
    """A folder with the parties' keys, a site, and the command line."""

    run: Run
    folder: Path
    took: list[str] = field(default_factory=list)

    def config(self) -> tuple[str, str]:
        return ("--config", str(self.folder / "fairtap.toml"))

    def judge(self, command: PostAct) -> dict[str, Any] | Refusal:
        """As `Commands._take`: judged in the language asked for, then durable."""
        document = None if command.document is None else command.document.encode()
        posted = Posted(command.act.encode(), command.signatures, datetime.now(UTC), document)
        try:
            state = take(asyncio.run(self._with(self._state)), posted)
        except ActError as error:
            return Refusal("refused", say(error, command.language), 422)
        except AgreementRefused as error:
            return Refusal("refused", say_fault(error.faults[0], command.language), 422)
        asyncio.run(self._with(lambda acts: acts.append(posted)))
        self.took.append(parse_act(posted.act).type)
        found = next(iter(state.in_force(posted.at)), None)
        return {
            "seq": state.seq,
            "suspended_by": sorted(state.suspended_by),
            "agreement": found.id if found else None,
            "version": found.version if found else None,
            "digest": found.digest if found else None,
        }

    def state(self) -> State:
        return asyncio.run(self._with(self._state))

    async def _state(self, acts: Acts) -> State:
        anchors = [Anchor(one.role, one.key, one.recipient) for one in await acts.anchors()]
        return fold(anchors, await acts.chain())

    async def _with(self, work: Callable[[Acts], Any]) -> Any:
        database = await Database.open(load_config(self.folder / "fairtap.toml", {}).database_url)
        try:
            return await work(Acts(database))
        finally:
            await database.close()

    def file(self, name: str, data: bytes) -> str:
        (self.folder / name).write_bytes(data)
        return name

    def ok(self, *arguments: object) -> str:
        rc, out, err = self.run("agreement", *arguments)
        assert (rc, err) == (0, ""), (arguments, err)
        return out

    def signed(self, act: str, *roles: str, more: tuple[str, ...] = ()) -> list[str]:
        """Signed by each, as options of `post`."""
        options = []
        for role in roles:
            self.ok("sign", act, "-k", f"{role}.sign", "--out", f"{act}.{role}", "--yes", *more)
            options += ["--signature", f"{role}={act}.{role}"]
        return options

    def put_into_force(self, name: str = "bv.yaml", **edits: Any) -> None:
        self.file(name, document(**edits))
        self.ok("propose", name, "--out", "act", *self.config())
        both = self.signed("act", "employer", "council", more=("--document", name))
        self.ok("activate", name, "--act", "act", *both, *self.config())


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.setattr(sys, "stdin", io.StringIO())

    def call(*arguments: object) -> tuple[int, str, str]:
        rc = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return rc, out, err

    return call


@pytest.fixture(scope="module")
def set_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site of which nothing is known but its parties' keys; each test takes a copy."""
    folder = tmp_path_factory.mktemp("site")
    for role in ("employer", "council", "dpo", "spare"):
        assert main(["keygen", "--kind", "party", str(folder / role)]) == 0
    (folder / "fairtap.toml").write_text(default_text(Path("var")))
    anchors = [word for role in ("employer", "council", "dpo") for word in ("--anchor", f"{role}={folder / role}.pub")]
    with contextlib.chdir(folder):
        assert main(["init", *anchors]) == 0
    return folder


@pytest.fixture
def desk(set_up: Path, run: Run, tmp_path: Path) -> Iterator[Desk]:
    shutil.copytree(set_up, tmp_path, dirs_exist_ok=True)
    one = Desk(run, tmp_path)
    with gateway_at(tmp_path / "var", post_act=lambda command: within_thread(one.judge, command)):
        yield one


def within_thread(work: Callable[[PostAct], Any], command: PostAct) -> Any:
    """The fake gateway answers inside its loop; the database wants one of its own."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work, command).result(20)


def test_every_type_of_act_goes_from_draft_to_taken_by_the_command_line_alone(desk: Desk) -> None:
    desk.put_into_force()
    desk.file("minutes.pdf", b"minutes of a new resolution")
    shorter = desk.file("shorter.yaml", document(version=4, validity__end=text_of(NOW + 80 * DAY)))
    resolved = ("--resolution", NOW.date().isoformat(), "--minutes", "minutes.pdf")

    desk.ok("narrow", shorter, "-k", "employer.sign", "--role", "employer", "--yes", *desk.config())
    desk.ok("rates", "sample/team-a/regular=2", "-k", "council.sign", "--yes", *desk.config())
    desk.ok("rates", "sample/team-a/regular=4", *resolved, "--opinion", "DSB-9", "--out", "raise", *desk.config())
    desk.ok("post", "raise", *desk.signed("raise", "employer", "council"), *desk.config())
    desk.ok("suspend", "-k", "employer.sign", "--role", "employer", "--yes", *desk.config())
    desk.ok("resume", "-k", "council.sign", "--yes", *desk.config())
    desk.ok("evaluation", (NOW - DAY).date().isoformat(), "--out", "evaluation", *desk.config())
    desk.ok("post", "evaluation", *desk.signed("evaluation", "employer", "council"), *desk.config())
    desk.ok("key", "council", "spare.pub", "-k", "council.sign", "--yes", *desk.config())
    assert set(desk.took) == set(ActType)
    state = desk.state()
    (now,) = state.in_force(NOW + 60 * DAY)
    assert now.validity.end < NOW + 90 * DAY and state.suspended_by == frozenset()
    assert hashlib.sha256(b"minutes of a new resolution").hexdigest() in state.resolutions
    held = {one.role: one.key for one in state.anchors}
    assert held["council"] in (desk.folder / "spare.pub").read_text()


def test_a_document_signed_apart_shows_what_it_narrows(desk: Desk) -> None:
    desk.put_into_force()
    shorter = desk.file("shorter.yaml", document(version=4, validity__end=text_of(NOW + 80 * DAY)))
    shown = desk.ok("narrow", shorter, "--narrows", "bv.yaml", "--out", "act", "--lang", "de", *desk.config())
    assert "Bisher: " in shown and "Künftig: " in shown and shown.endswith("\nact\n")
    words = ("--document", shorter, "--narrows", "bv.yaml", "--lang", "nb", "--yes")
    told = desk.ok("sign", "act", "-k", "employer.sign", *words)
    assert "Hittil: " in told and "Heretter: " in told and told.endswith("act.sig\n")
    rc, _, err = desk.run("agreement", "sign", "act", "-k", "employer.sign", "--document", shorter,
                          "--narrows", shorter, "--lang", "de", "--yes")  # fmt: skip
    assert (rc, err) == (1, "fairtap: `shorter.yaml` ist nicht die Vereinbarung, die hier eingeschränkt wird.\n")


def test_a_narrowing_of_what_is_not_in_force_is_refused(desk: Desk) -> None:
    desk.put_into_force()
    shorter = desk.file("shorter.yaml", document(version=4, validity__end=text_of(NOW + 80 * DAY)))
    rc, out, err = desk.run("agreement", "narrow", shorter, "--narrows", shorter, *desk.config())
    assert (rc, out, err.count("\n")) == (1, "", 1)


def test_what_is_over_is_said_when_it_is_checked(desk: Desk) -> None:
    dates = {"validity__start": text_of(NOW - 90 * DAY), "validity__end": text_of(NOW - DAY)}
    due = (NOW - 40 * DAY).date().isoformat()
    desk.file("old.yaml", document(**dates, validity__evaluation={"every": "P3M", "next_due": due}))
    for language, words in {"de": "abgelaufen", "en": "It has ended", "nb": "utløpt"}.items():
        told = desk.ok("check", "old.yaml", "--lang", language)
        assert words in told.splitlines()[1]
    desk.file("bv.yaml", document())
    assert "ended" not in desk.ok("check", "bv.yaml", "--lang", "en")


def test_signing_shows_the_whole_agreement_in_the_language_asked_for_and_signs_the_bytes(desk: Desk) -> None:
    desk.file("bv.yaml", document())
    desk.ok("propose", "bv.yaml", "--out", "act", *desk.config())
    titles = {"de": "Setzt die Vereinbarung", "en": "Puts the agreement", "nb": "Setter avtalen"}
    for language, words in titles.items():
        shown = desk.ok("sign", "act", "-k", "council.sign", "--document", "bv.yaml", "--lang", language, "--yes")
        assert words in shown and shown.count("\n") > 60 and "team-a" in shown
    line = (desk.folder / "council.pub").read_text().splitlines()[0]
    data, armored = (desk.folder / "act").read_bytes(), (desk.folder / "act.sig").read_text()
    verify(VerifyKey.parse(line), ACT_NAMESPACE, data, armored)


def test_nothing_is_signed_unseen(desk: Desk) -> None:
    desk.put_into_force()
    desk.file("other.yaml", document(version=5))
    desk.ok("propose", "other.yaml", "--out", "act", *desk.config())
    desk.ok("suspend", "--out", "stop", *desk.config())
    refused = {
        ("act", "--yes"): (2, "mit --document FILE"),
        ("act", "--document", "bv.yaml", "--yes"): (1, "Der Vorgang nennt ein anderes Dokument"),
        ("act", "--document", "other.yaml"): (2, "--yes"),
        ("stop", "--document", "bv.yaml", "--yes"): (2, "keine Vereinbarung"),
        ("stop",): (2, "--yes"),
        ("bv.yaml", "--yes"): (1, "ist kein Vorgang"),
        ("council.pub", "--yes"): (1, "ist kein Vorgang"),
    }
    for words, (code, told) in refused.items():
        rc, _, err = desk.run("agreement", "sign", *words, "-k", "council.sign", "--out", "made", "--lang", "de")
        assert (rc, err.count("\n")) == (code, 1) and told in err, (words, err)
    assert not (desk.folder / "made").exists()


def test_a_draft_tells_who_signs_and_is_refused_where_nobodys_signature_would_help(desk: Desk) -> None:
    desk.put_into_force()
    lower = desk.ok("rates", "sample/team-a/regular=2", "--out", "act", "--lang", "de", *desk.config())
    assert "Dafür genügt die Unterschrift von: Betriebsrat." in lower
    stop = desk.ok("suspend", "--out", "act", "--lang", "en", *desk.config())
    assert "the signature of: the works council or the employer." in stop
    day = (NOW - DAY).date().isoformat()
    both = desk.ok("evaluation", day, "--out", "act", "--lang", "nb", *desk.config())
    assert "signatur fra: de tillitsvalgte og arbeidsgiveren." in both
    desk.file("old.yaml", document())
    begun, ended, due = "2024-03-01T00:00:00", "2024-09-01T00:00:00", {"every": "P3M", "next_due": "2024-06-01"}
    desk.file("over.yaml", document(version=9, validity__start=begun, validity__end=ended, validity__evaluation=due))
    for words, told in (
        (("propose", "old.yaml"), "höhere Versionsnummer"),
        (("propose", "over.yaml"), "schon vorbei"),
        (("resume",), "nichts ausgesetzt"),
        (("rates", "sample/team-a/regular=9"), "Beschluss des Betriebsrats"),
        (("rates", "sample/team-z/regular=1"), "kennt keinen Anteil"),
        (("evaluation", (NOW + 3 * DAY).date().isoformat()), "in der Zukunft"),
        (("key", "council", "council.pub"), "ändert nichts"),
    ):
        rc, _, err = desk.run("agreement", *words, "--out", "none", "--lang", "de", *desk.config())
        assert (rc, err.count("\n"), (desk.folder / "none").exists()) == (1, 1, False) and told in err, err


def test_where_no_gateway_is_set_up_it_says_where_to_go(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bv.yaml").write_bytes(document())
    for words in (("propose", "bv.yaml"), ("suspend",), ("post", "bv.yaml", "--signature", "council=bv.yaml")):
        rc, _, err = run("agreement", *words, "--lang", "de")
        assert rc == 2 and err.startswith("fairtap: Hier ist kein Gateway eingerichtet") and "--api" in err


def test_help_calls_the_command_by_its_name(run: Run) -> None:
    assert "Usage: fairtap agreement sign" in run("agreement", "sign", "--help")[1]


def test_the_general_command_signs_no_act(desk: Desk) -> None:
    desk.file("bv.yaml", document())
    desk.ok("propose", "bv.yaml", "--out", "act", *desk.config())
    rc, _, err = desk.run("sign", "act", "-k", "council.sign", "-n", ACT_NAMESPACE)
    assert (rc, err.count("\n"), (desk.folder / "act.sig").exists()) == (2, 1, False)
    assert "fairtap agreement sign" in err


class Terminal(io.StringIO):
    """A standard input that somebody sits at."""

    def isatty(self) -> bool:
        return True


ANSWERS = {"ja\n": 0, "j\n": 0, "nein\n": 1, "\n": 1, "": 1, "jein\n": 1}


@pytest.mark.parametrize(("answer", "code"), ANSWERS.items())
def test_on_a_terminal_it_asks(desk: Desk, monkeypatch: pytest.MonkeyPatch, answer: str, code: int) -> None:
    desk.put_into_force()
    desk.ok("suspend", "--out", "stop", *desk.config())
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    rc, out, err = desk.run("agreement", "sign", "stop", "-k", "council.sign", "--lang", "de")
    assert rc == code and "Stoppt binnen einer Sekunde jede Aufzeichnung" in out and "Unterschreiben?" in err
    assert (desk.folder / "stop.sig").exists() is (code == 0)


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"LANG": "de_AT.UTF-8"}, "noch unterschreiben: Arbeitgeber"),
        ({"LC_ALL": "nn_NO.UTF-8", "LANG": "de_DE.UTF-8"}, "mangler signatur fra: arbeidsgiveren"),
        ({"LANG": "fr_FR.UTF-8"}, "Still to sign: the employer"),
    ],
)
def test_a_refusal_is_in_the_language_of_the_machine(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], told: str
) -> None:
    desk.put_into_force()
    monkeypatch.delenv("LC_ALL")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    desk.ok("evaluation", (NOW - DAY).date().isoformat(), "--out", "act", *desk.config())
    words = ("post", "act", *desk.signed("act", "council"), *desk.config())
    rc, _, err = desk.run("agreement", *words)
    assert (rc, err.count("\n")) == (1, 1) and told in err
    rc, _, err = desk.run("agreement", *words, "--lang", "de")
    assert "noch unterschreiben: Arbeitgeber" in err


def test_a_document_with_a_fault_is_refused_in_the_language_asked_for(desk: Desk) -> None:
    bad = desk.file("bad.yaml", document(validity__end=text_of(NOW - 20 * DAY)))
    for words in (("propose", bad), ("narrow", bad), ("dry-run", bad, "--legs", "60")):
        rc, _, err = desk.run("agreement", *words, "--lang", "de", *desk.config())
        assert (rc, err.count("\n")) == (1, 1) and "ist keine Vereinbarung: Zeile" in err and "validity.end" in err


def test_wrong_use_is_rc_2_and_one_line(desk: Desk) -> None:
    desk.put_into_force()
    for words in (
        ("rates", "sample/team-a/regular"),
        ("rates", "sample/team-a/regular=2", "--resolution", "2026-03-03"),
        ("rates", "sample/team-a/regular=2", "--resolution", "yesterday", "--minutes", "bv.yaml"),
        ("evaluation", "tomorrow"),
        ("key", "admin", "spare.pub"),
        ("suspend", "-k", "council.sign", "--out", "x", "--yes"),
        ("suspend", "-k", "council.sign"),
        ("post", "act", "--signature", "act.council"),
    ):
        rc, _, err = desk.run("agreement", *words, *desk.config())
        assert (rc, err.count("\n")) == (2, 1), err
    assert len(desk.took) == 1


def test_what_is_handed_in_with_a_key_is_told_as_json_too(desk: Desk) -> None:
    desk.put_into_force()
    rc, out, err = desk.run("agreement", "suspend", "-k", "council.sign", "--yes", "--json", *desk.config())
    assert rc == 0 and json.loads(out)["suspended_by"] == ["council"] and "Stops every recording" in err


def test_no_command_waits_for_what_is_no_file(run: Run, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(b"x" * ((1 << 20) + 1))
    run("keygen", "council")
    rest = {
        ": Not an ordinary file": ("/dev/zero", "pipe"),
        " is a folder: name a file": (".",),
        " isn't there: name a file that is": ("nowhere",),
        ": Larger than 1 MB": ("large",),
    }
    for why, places in rest.items():
        for place in places:
            for words in (
                ("agreement", "check", place),
                ("agreement", "dry-run", place),
                ("agreement", "propose", place),
                ("agreement", "narrow", place),
                ("agreement", "sign", place, "-k", "council.sign"),
                ("agreement", "post", place, "--signature", "council=council.pub"),
                ("agreement", "activate", place, "--act", "council.pub", "--signature", "council=council.pub"),
                ("sign", place, "-k", "council.sign", "-n", "x"),
            ):
                rc, out, err = run(*words)
                assert (rc, out, err) == (2, "", f"fairtap: `{place}`{why}\n"), words
            rc, out, err = run("agreement", "key", "council", place)
            assert (rc, out, err) == (2, "", f"fairtap: `{place}`{why}\n")
            rc, out, err = run("sign", "council.pub", "-k", place, "-n", "x")
            assert (rc, out, err) == (2, "", f"fairtap: `{place}`{why}\n")
    rc, _, err = run("announcement", "check", "/dev/zero")
    assert (rc, err) == (1, "fairtap: `/dev/zero`: not an ordinary file\n")


def test_a_configuration_without_end_is_refused(run: Run) -> None:
    rc, _, err = run("doctor", "--config", "/dev/zero")
    assert (rc, err) == (2, "fairtap: `/dev/zero`: Not an ordinary file\n")


def test_an_identity_without_end_is_refused(run: Run, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for place in ("/dev/zero", "pipe"):
        rc, _, err = run("listen", ".", "-i", place, "--out", "x.wav")
        assert (rc, err.count("\n")) == (2, 1)
    assert not (tmp_path / "x.wav").exists()
