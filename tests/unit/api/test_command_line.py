"""The command line: return codes, one line on stderr, JSON where there is a result; keys and signatures that fit."""

import asyncio
import contextlib
import io
import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from api.cli import main
from crypto import age, quorum, sshsig
from crypto.ssh_key import SigningKey, VerifyKey
from crypto.stream import encrypt_payload, new_file_key
from crypto.x25519 import Recipient, parse_identities
from gateway.control.protocol import AddAgents, Explain, NewAgent, Refusal
from gateway.media.prompts.sounds import SHIPPED
from tests.peers.control_server import ControlServer
from tests.peers.g711_wav import container
from tests.unit.policy.green import edited

Run = Callable[..., tuple[int, str, str]]
EXAMPLE = Path(__file__).parents[3] / "deploy" / "agreement.example.yaml"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LC_ALL", "C.UTF-8")

    def call(*arguments: object) -> tuple[int, str, str]:
        rc = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return rc, out, err

    return call


@contextlib.contextmanager
def gateway_at(folder: Path, **answers: Any) -> Iterator[ControlServer]:
    """A control port served by a thread of its own, since a command runs its own loop."""
    loop = asyncio.new_event_loop()
    server = ControlServer(folder / "run" / "control.sock")
    server.answers.update(answers)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(server.start(), loop).result(10)
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "fairtap.toml"
    file.write_text(f'[site]\nname = "test"\ndata_dir = {json.dumps(str(tmp_path))}\n[api]\nlisten = "127.11.0.1:0"\n')
    return file


@pytest.mark.parametrize(
    "arguments",
    [
        ("bogus",),
        ("keygen",),
        ("keygen", "x", "--kind", "coach"),
        ("keygen", "x", "--nonsense"),
        ("agent", "add"),
        ("token", "create", "--role", "agent", "--label", "x"),
        ("agreement", "show", "--lang", "fr"),
        ("explain", "c", "--config", "missing.toml"),
        ("init", "--pbx", "panasonic"),
        ("keygen", "missing/ada"),
        ("listen", "no-id", "-i", "k.key", "--data-dir", "."),
        ("listen", "recording", "-i", "missing.key"),
        ("listen", "recording", "-i", "torn.key"),
        ("listen", "no-folder", "-i", "k.key"),
        ("verify-recording", "k.key"),
        ("sign", "k.key", "-k", "torn.key", "-n", "x"),
    ],
)
def test_wrong_use_is_rc_2_and_one_line(run: Run, arguments: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "k.key").write_text("AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX\n")
    (tmp_path / "torn.key").write_text("AGE-SECRET-KEY-1GFPYY\n")
    rc, out, err = run(*arguments)
    assert (rc, err.count("\n"), err.startswith("fairtap: ")) == (2, 1, True), err
    assert "Traceback" not in out + err


def test_a_prompt_that_nobody_answers_is_told_in_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a timer or a pipe; it was a traceback."""
    monkeypatch.setattr("sys.stdin", io.StringIO())
    rc, _, err = run("erase", "--api", "http://127.0.0.1:9")
    assert rc == 2 and err.splitlines()[-1].startswith("fairtap: nothing was entered") and "Traceback" not in err


@pytest.mark.parametrize("text", [b"garbage\n", b"\xff\xfe"])
def test_a_configuration_that_is_none_is_named_as_such(run: Run, tmp_path: Path, text: bytes) -> None:
    (tmp_path / "x.toml").write_bytes(text)
    rc, _, err = run("doctor", "--config", "x.toml")
    assert rc == 2 and ("isn't TOML" in err or "isn't text" in err) and "codec" not in err


def test_help_is_rc_0_and_names_the_commands(run: Run) -> None:
    rc, out, _ = run("--help")
    assert rc == 0
    for command in (
        "run",
        "init",
        "doctor",
        "keygen",
        "sign",
        "listen",
        "explain",
        "find",
        "agent",
        "token",
        "agreement",
    ):
        assert command in out


def test_keygen_makes_keys_that_standard_tools_and_we_read_and_never_overwrites(run: Run, tmp_path: Path) -> None:
    rc, out, _ = run("keygen", "--kind", "agent", tmp_path / "ada", "--json")
    made = json.loads(out)
    assert rc == 0
    identity = parse_identities((tmp_path / "ada.key").read_text())[0]
    signing = SigningKey.from_openssh((tmp_path / "ada.sign").read_bytes())
    line, recipient = (tmp_path / "ada.pub").read_text().splitlines()
    assert str(identity.recipient) == recipient == made["recipient"]
    assert VerifyKey.parse(line) == signing.verify_key and made["fingerprint"] == signing.verify_key.fingerprint()
    assert {(tmp_path / f"ada.{end}").stat().st_mode & 0o777 for end in ("key", "sign")} == {0o600}
    before = (tmp_path / "ada.key").read_bytes()
    rc, _, err = run("keygen", tmp_path / "ada")
    assert (rc, err.count("\n")) == (1, 1) and (tmp_path / "ada.key").read_bytes() == before


def test_sign_is_what_ssh_keygen_verifies(run: Run, tmp_path: Path) -> None:
    run("keygen", "--kind", "party", tmp_path / "council")
    (tmp_path / "challenge.json").write_bytes(b'{"challenge":"x"}')
    rc, out, _ = run("sign", "challenge.json", "-k", "council.sign", "-n", "fairtap-session@v1")
    assert (rc, out) == (0, "challenge.json.sig\n")
    key = SigningKey.from_openssh((tmp_path / "council.sign").read_bytes())
    signature = (tmp_path / "challenge.json.sig").read_text()
    sshsig.verify(key.verify_key, "fairtap-session@v1", b'{"challenge":"x"}', signature)
    (tmp_path / "signers").write_text(f"council {key.verify_key}\n")
    command = [
        "ssh-keygen",
        "-Y",
        "verify",
        "-f",
        "signers",
        "-I",
        "council",
        "-n",
        "fairtap-session@v1",
        "-s",
        "challenge.json.sig",
    ]
    try:
        done = subprocess.run(command, input=b'{"challenge":"x"}', cwd=tmp_path, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("no ssh-keygen")
    assert done.returncode == 0, done.stdout


def test_agreement_check_names_each_fault_with_field_and_line(run: Run, tmp_path: Path) -> None:
    text = EXAMPLE.read_text()
    (tmp_path / "good.yaml").write_text(text)
    rc, out, err = run("agreement", "check", "good.yaml", "--json")
    assert (rc, err, json.loads(out)["ok"]) == (0, "", True)
    rc, out, err = run("agreement", "check", "good.yaml")
    assert (rc, err) == (0, "") and "below that, only what is asked for in a call is recorded" in out
    (tmp_path / "bad.yaml").write_text(text + "surprise: 1\n")
    rc, out, err = run("agreement", "check", "bad.yaml")
    assert (rc, out) == (1, "") and "surprise" in err and err.startswith(f"line {text.count(chr(10)) + 1}: ")
    rc, _, err = run("agreement", "check", "missing.yaml")
    assert (rc, err) == (2, "fairtap: `missing.yaml` isn't there: name a file that is\n")


def test_agreement_sign_takes_only_canonical_acts(run: Run, tmp_path: Path) -> None:
    run("keygen", "council")
    act = b'{"agreement":"a","body":{},"prev":"' + b"0" * 64 + b'","seq":2,"type":"suspend","v":1}'
    (tmp_path / "act.json").write_bytes(act)
    rc, _, _ = run("agreement", "sign", "act.json", "-k", "council.sign", "--out", "act.council.sig", "--yes")
    key = SigningKey.from_openssh((tmp_path / "council.sign").read_bytes())
    sshsig.verify(key.verify_key, "fairtap-act@v1", act, (tmp_path / "act.council.sig").read_text())
    assert rc == 0
    for other in (act + b"\n", act.replace(b"suspend", b"stop"), b'{"v":1}', b"\xff"):
        (tmp_path / "act.json").write_bytes(other)
        rc, _, err = run("agreement", "sign", "act.json", "-k", "council.sign", "--yes")
        assert (rc, err.count("\n"), (tmp_path / "act.json.sig").exists()) == (1, 1, False)


def test_commands_go_to_the_running_gateway(run: Run, config: Path, tmp_path: Path) -> None:
    agents = {"agents": [{"id": "ab" * 16, "name": "Ada"}]}
    explained = {"call": "c1", "reasons": ["NO_AGREEMENT", "LEG_UNBOUND"], "legs": [{"a": 1}]}
    with gateway_at(tmp_path, add_agents=agents, explain=explained, find_call={"call": None}) as gateway:
        rc, out, _ = run("agent", "add", "Ada", "--group", "team-a", "--site", "hamburg", "--config", config)
        assert (rc, out) == (0, f"{'ab' * 16}  Ada\n")
        rc, out, _ = run("explain", "c1", "--config", config)
        assert (rc, out) == (0, 'call: c1\nreasons: NO_AGREEMENT, LEG_UNBOUND\nlegs: [{"a": 1}]\n')
        rc, out, _ = run("explain", "c1", "--json")
        assert json.loads(out) == explained
        rc, _, err = run("find", "--call-id", "x@y")
        assert (rc, err) == (1, "fairtap: no running call has this Call-ID\n")
        gateway.answers["explain"] = Refusal("CALL_UNKNOWN", "no such call", 404)
        assert run("explain", "c9") == (1, "", "fairtap: no such call\n")
        assert gateway.of(AddAgents) == [AddAgents((NewAgent("Ada", "team-a", "hamburg"),))]
        assert [command.agent for command in gateway.of(Explain)] == [None] * 3


@pytest.mark.parametrize(
    ("suspended", "agreement", "told"),
    [
        ([], "bv", "Act 4 is taken. In force now: `bv`, version 2."),
        ([], None, "Act 4 is taken. No agreement is in force."),
        (
            ["council", "employer"],
            "bv",
            "Act 4 is taken. Suspended by: the works council, the employer; nothing is recorded.",
        ),
    ],
)
def test_whoever_hands_in_an_act_is_told_what_holds_now(
    run: Run, config: Path, tmp_path: Path, suspended: list[str], agreement: str | None, told: str
) -> None:
    answer = {"seq": 4, "suspended_by": suspended, "agreement": agreement, "version": 2, "digest": "ab" * 32}
    for name in ("next.yaml", "act", "act.sig"):
        (tmp_path / name).write_text("x")
    with gateway_at(tmp_path, post_act=answer):
        signed = ("--signature", "council=act.sig", "--config", config)
        assert run("agreement", "activate", "next.yaml", "--act", "act", *signed) == (0, f"{told}\n", "")
        assert run("agreement", "post", "act", *signed) == (0, f"{told}\n", "")


def test_without_a_gateway_a_command_says_so(run: Run, config: Path) -> None:
    rc, _, err = run("explain", "c1", "--config", config)
    assert (rc, err) == (1, "fairtap: the gateway isn't there; nothing was done, try again\n")


def test_tokens_are_made_listed_and_revoked_without_a_gateway(run: Run, config: Path) -> None:
    rc, out, _ = run("token", "create", "--role", "pbx", "--label", "pbx 1", "--days", "30")
    secret = out.strip()
    assert rc == 0 and secret.startswith("ftp_")
    rc, out, _ = run("token", "list", "--json")
    listed = json.loads(out)["tokens"]
    assert [(one["role"], one["label"], one["revoked"]) for one in listed] == [("pbx", "pbx 1", False)]
    assert secret not in out
    assert run("token", "revoke", listed[0]["ref"])[0] == 0
    assert json.loads(run("token", "list", "--json")[1])["tokens"][0]["revoked"] is True
    assert run("token", "revoke", "nothing")[0] == 1


def test_listen_writes_what_only_the_key_opens(run: Run, tmp_path: Path) -> None:
    run("keygen", "ada")
    run("keygen", "bo")
    recipient = Recipient.parse((tmp_path / "ada.pub").read_text().splitlines()[1])
    folder = tmp_path / "recording"
    folder.mkdir()
    (folder / "x-agent-1.age").write_bytes(age.encrypt(container(b"\xaa" * 8000), [recipient]))
    rc, out, _ = run("listen", "recording", "-i", "ada.key", "--out", "out.wav", "--json")
    assert rc == 0 and json.loads(out)["sides"][0]["seconds"] == 1.0
    assert (tmp_path / "out.wav").stat().st_size == 44 + 8000 * 4
    rc, _, err = run("listen", "recording", "-i", "bo.key", "--out", "no.wav")
    assert (rc, err.count("\n"), (tmp_path / "no.wav").exists()) == (1, 1, False)
    rc, _, err = run("listen", "nowhere", "-i", "ada.key", "--out", "no.wav")
    assert rc == 2 and "`nowhere` is no folder: name a folder" in err


def test_a_record_is_opened_in_two_steps_by_two_parties_and_by_neither_alone(run: Run, tmp_path: Path) -> None:
    names = ("ada", "council", "dpo")
    for name in names:
        run("keygen", name)
    ada, council, dpo = (Recipient.parse((tmp_path / f"{name}.pub").read_text().splitlines()[1]) for name in names)
    folder, file_key = tmp_path / "recording", new_file_key()
    folder.mkdir()
    assert run("quorum", "recording", "-i", "council.key")[0] == 1
    sound = age.make_header(file_key, [ada]) + encrypt_payload(file_key, container(b"\xaa" * 8000))
    (folder / "x-caller-1.age").write_bytes(sound)
    (folder / "x-caller-1.quorum").write_bytes(quorum.seal(file_key, [council], dpo))
    for alone in (
        ("quorum", "recording", "-i", "dpo.key"),
        ("listen", "recording", "-i", "dpo.key", "--out", "no.wav"),
    ):
        rc, _, err = run(*alone)
        assert (rc, err.count("\n")) == (1, 1) and not (tmp_path / "no.wav").exists()
    rc, out, _ = run("quorum", "recording", "-i", "council.key", "--json")
    assert rc == 0 and json.loads(out)["files"] == [str(Path("recording") / "x-caller-1.inner")]
    assert (folder / "x-caller-1.inner").stat().st_mode & 0o777 == 0o600
    assert run("listen", "recording", "-i", "council.key", "--out", "no.wav")[0] == 1
    rc, out, _ = run("listen", "recording", "-i", "dpo.key", "--out", "out.wav", "--json")
    assert rc == 0 and json.loads(out)["sides"][0]["seconds"] == 1.0


def test_run_with_a_configuration_that_was_never_set_up_says_what_to_do(run: Run, config: Path) -> None:
    rc, _, err = run("run", "--config", config)
    assert rc == 1 and f"fairtap init --config {config}" in err


def test_init_makes_a_home_from_nothing_and_gives_the_token_once(run: Run, tmp_path: Path) -> None:
    run("keygen", "--kind", "party", "council")
    rc, out, err = run("init", "--anchor", "council=council.pub", "--pbx", "kamailio", "--tls", "--json")
    assert rc == 0, err
    made = json.loads(out)
    assert made["admin_token"].startswith("ftp_") and made["config_made"] is True
    assert made["gateway"]["anchors"]["council"].startswith("SHA256:")
    assert any("127.0.0.1:5060" in line for line in made["pbx"]["put_in"]) and made["pbx"]["undo"]
    key = tmp_path / "var" / "keys" / "tls.key"
    assert key.stat().st_mode & 0o777 == 0o600 and Path(made["tls"]["certificate"]).exists()
    again = json.loads(run("init", "--json")[1])
    assert again["admin_token"] is None and again["config_made"] is False
    rc, out, _ = run("doctor", "--json")
    assert {"configuration", "data folder", "disk", "gateway"} <= {one["what"] for one in json.loads(out)["checks"]}
    rc, _, err = run("init", "--anchor", "council")
    assert (rc, err.count("\n")) == (2, 1)


def test_a_question_is_added_listed_and_checked_against_an_agreement(run: Run, tmp_path: Path) -> None:
    (tmp_path / "in.wav").write_bytes((SHIPPED / "ask-quality-de-2.wav").read_bytes())
    words = ("--id", "ask-own-1", "--language", "de", "--purpose", "process_quality")
    rc, out, err = run("announcement", "add", "in.wav", *words, "--text", "Dürfen wir? 1 heißt ja, 9 nein.", "--json")
    assert rc == 0, err
    kept = json.loads(out)
    prompt = {name: kept[name] for name in ("id", "language", "sha256", "consent_key", "refuse_key", "withdraw_code")}
    listed = json.loads(run("announcement", "list", "--json")[1])["announcements"]
    assert kept in listed and len(listed) > 10
    for sha256, wanted in ((kept["sha256"], 0), ("0" * 64, 1)):
        (tmp_path / "a.yaml").write_bytes(edited({"consent/prompts": [{**prompt, "sha256": sha256}]}))
        rc, out, err = run("announcement", "check", "a.yaml", "--json")
        assert rc == wanted, err
        assert ("isn't the one" in err) == bool(wanted)
        assert [one["id"] for one in json.loads(out)["announcements"]] == ["ask-own-1"]
    for file, text in (("none.wav", "Dürfen wir? 1 ja, 9 nein."), ("in.wav", "Dürfen wir? Eins oder neun.")):
        rc, out, err = run("announcement", "add", file, *words, "--text", text)
        assert (rc, out, err.count("\n")) == (1, "", 1) and err.startswith("fairtap: ")


@pytest.mark.parametrize(
    ("faults", "purposes"), [([], []), (["there is no announcement `ask-x`"], ["coaching"]), ([], ["dispute"])]
)
def test_doctor_says_what_nobody_can_be_asked_with(
    run: Run, config: Path, tmp_path: Path, faults: list[str], purposes: list[str]
) -> None:
    status = {"agreement": {"id": "bv", "version": 1}, "announcements": faults, "unaskable": purposes}
    with gateway_at(tmp_path, status=status):
        out = run("doctor", "--config", config, "--json")[1]
    told = [one for one in json.loads(out)["checks"] if one["what"] in ("announcements", "questions")]
    assert [one["ok"] for one in told] == ([False] * (len(faults) + len(purposes)) or [True])
    for word in (*faults, *purposes):
        assert any(word in one["said"] for one in told)


def test_faults_are_told_in_the_language_asked_for(run: Run, tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("apiVersion: fairtap.agreement/v1\nid: x\nid: y\n")
    told = {lang: run("agreement", "check", str(bad), "--lang", lang)[2] for lang in ("de", "en", "nb")}
    assert len(set(told.values())) == 3 and "Zeile" in told["de"]
    assert run("agreement", "check", str(bad), "--lang", "fr")[0] == 2
