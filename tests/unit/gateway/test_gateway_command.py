"""`python -m gateway`: rc 0, 1 or 2, results as JSON on stdout, one line on stderr that says what is wrong."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from crypto.ssh_key import SigningKey
from gateway.__main__ import main
from storage.lock import WriterLock

ROOT = Path(__file__).parents[3]


def gateway(folder: Path, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run the real process in a folder of its own."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "FAIRTAP_SITE__DATA_DIR": str(folder / "var")}
    return subprocess.run(
        [sys.executable, "-m", "gateway", *words],
        cwd=folder,
        env=environment,
        input=stdin,
        capture_output=True,
        text=True,
    )


def one_line(text: str) -> str:
    assert text.count("\n") == 1 and text.startswith("gateway: "), text
    return text.removeprefix("gateway: ").strip()


def test_init_tells_fingerprints_and_protect_adds_to_the_list(tmp_path):
    key = SigningKey.generate().verify_key
    (tmp_path / "employer.pub").write_text(key.line() + "\n")
    done = gateway(tmp_path, "init", "--anchor", "employer=employer.pub")
    assert (done.returncode, done.stderr) == (0, "")
    said = json.loads(done.stdout)
    assert said["anchors"] == {"employer": key.fingerprint()} and said["gateway"].startswith("SHA256:")
    done = gateway(tmp_path, "protect", stdin="+49 40 123456\n112\n\n")
    assert (done.returncode, json.loads(done.stdout)) == (0, {"added": 2})


def test_a_listener_that_is_taken_is_one_line_and_rc_2(tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        side = f'[sip.caller_side]\nlisten = ["udp:127.0.0.1:{port}"]\npeers = ["127.99.0.1"]\n'
        (tmp_path / "fairtap.toml").write_text(side)
        done = gateway(tmp_path, "serve", "--config", "fairtap.toml")
    assert done.returncode == 2
    assert "address already in use" in one_line(done.stderr.splitlines()[-1] + "\n")


def test_nothing_serves_from_a_folder_whose_restore_isnt_finished(tmp_path):
    assert gateway(tmp_path, "init").returncode == 0
    (tmp_path / "var" / "restoring").write_text("0" * 64)
    for command in ("serve", "init"):
        done = gateway(tmp_path, command)
        assert done.returncode == 2 and "run `fairtap restore` again" in one_line(done.stderr.splitlines()[-1] + "\n")


def test_a_gateway_serves_until_it_is_told_to_end(tmp_path):
    """Also where the key of record codes is damaged: calls don't wait for it."""
    (tmp_path / "var" / "keys").mkdir(parents=True, mode=0o700)
    (tmp_path / "var" / "keys" / "record-codes.key").write_bytes(b"short")
    (tmp_path / "var" / "keys" / "record-codes.key").chmod(0o600)
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "FAIRTAP_SITE__DATA_DIR": "var"}
    command = [sys.executable, "-m", "gateway", "serve"]
    running = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        assert running.stderr is not None
        lines = iter(running.stderr.readline, "")
        told = []
        while "gateway serves" not in told:
            told.append(json.loads(next(lines))["event"])
        assert "no record is made on request" in told
        assert (tmp_path / "var" / "run" / "control.sock").is_socket()
        running.send_signal(signal.SIGTERM)
        assert running.wait(20) == 0
    finally:
        running.kill()
        running.communicate()


# --- the same in this process: quicker -------------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path, monkeypatch, capfd):
    """Run `main` with a data folder of its own; rc and stderr."""
    for name in [name for name in os.environ if name.startswith("FAIRTAP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("FAIRTAP_SITE__DATA_DIR", str(tmp_path / "var"))
    monkeypatch.setattr("gateway.__main__._configure_log", lambda: None)

    def run_main(*words: str) -> tuple[int, str]:
        return main(list(words)), capfd.readouterr().err

    return run_main


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("serve", "--config", "none.toml"), "does not exist"),
        (("init", "--anchor", "employer"), "write ROLE=KEYFILE"),
        (("init", "--anchor", "employer="), "write ROLE=KEYFILE"),
        (("init", "--anchor", "boss=x.pub"), "the role is one of"),
        (("init", "--anchor", "employer=none.pub"), "can't be read"),
        (("worker", "--index", "5000"), "--index"),
        (("worker", "--index", "-1"), "--index"),
    ],
)
def test_wrong_use_is_rc_2(run, words, said):
    rc, stderr = run(*words)
    assert rc == 2 and said in one_line(stderr)


def test_a_wrong_configuration_is_one_line_and_rc_2(run, tmp_path):
    path = tmp_path / "fairtap.toml"
    path.write_text("[siprec]\nlisten = ['udp:127.0.0.1:5080']\n")
    rc, stderr = run("serve", "--config", str(path))
    assert rc == 2 and "siprec.listen" in one_line(stderr)


def test_a_second_gateway_is_one_line_and_rc_1(run, tmp_path):
    with WriterLock(tmp_path / "var"):
        rc, stderr = run("serve")
    assert rc == 1 and "stop it first" in one_line(stderr)


def test_a_database_of_another_kind_is_rc_2(run, monkeypatch):
    monkeypatch.setenv("FAIRTAP_STORAGE__DATABASE", "mysql://u:secretpassword@h/d")
    rc, stderr = run("init")
    assert rc == 2 and "secretpassword" not in one_line(stderr)


@pytest.mark.parametrize("command", ["init", "protect", "serve", "worker --index 0"])
def test_a_data_folder_that_can_t_be_made_is_one_line_and_rc_1(run, tmp_path, monkeypatch, command):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("FAIRTAP_SITE__DATA_DIR", str(tmp_path / "file" / "var"))
    monkeypatch.setattr("gateway.media.worker_process.harden", lambda: None)
    monkeypatch.setattr("sys.stdin", ["112\n"])
    rc, stderr = run(*command.split())
    assert rc == 1 and one_line(stderr)


@pytest.mark.parametrize("words", [(), ("dance",), ("worker",), ("worker", "--index", "x"), ("serve", "now")])
def test_what_isn_t_a_command_is_rc_2(run, words):
    with pytest.raises(SystemExit) as caught:
        run(*words)
    assert caught.value.code == 2
