"""`fairtap backup`, `restore`, `migrate` as an admin types them: what is said, rc, and what stands there afterwards."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from api.cli import main
from crypto.x25519 import Identity
from tests.peers.backed_up import Site

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> tuple[int, str, str]:
        rc = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return rc, out, err

    return call


def told(run: Run, *arguments: object) -> dict[str, Any]:
    rc, out, err = run(*arguments, "--json")
    assert rc == 0, err
    found: dict[str, Any] = json.loads(out)
    return found


def test_a_site_is_kept_lost_and_brought_back(run: Run, tmp_path: Path) -> None:
    first = told(run, "init")["admin_token"]
    told(run, "keygen", "backup", "--kind", "party")
    made = told(run, "backup", "kept", "--recipient", "backup.pub")
    assert made["sealed"] and (tmp_path / "kept" / "api.db.age").exists()
    assert run("backup", "kept")[0] == 1  # never over an older one
    shutil.rmtree(tmp_path / "var")
    (tmp_path / "fairtap.toml").rename(tmp_path / "elsewhere.toml")
    rc, _, err = run("restore", "kept")
    assert rc == 2 and "age -d -i KEY" in err and err.count("\n") == 1
    (tmp_path / "elsewhere.toml").rename(tmp_path / "fairtap.toml")
    rc, out, err = run("restore", "kept", "-i", "backup.key")
    assert rc == 0, err
    assert "every agent says yes anew" in out and "ftp_" in out and first not in out
    assert told(run, "migrate", "--dry-run")["steps"] == []
    rc, _, err = run("restore", "kept", "-i", "backup.key")
    assert rc == 1 and "`--replace`" in err


@pytest.mark.parametrize(
    ("arguments", "rc", "said"),
    [
        (("backup",), 2, "Missing argument"),
        (("backup", "x", "--recipient", "age1x"), 2, "--recipient"),
        (("backup", "x", "--recipient", "nobody.pub"), 2, "neither age1"),
        (("restore", "nothing"), 1, "is no folder"),
        (("restore", "nothing", "--log-above", "-1"), 2, "--log-above"),
        (("restore", "nothing", "-i", "no.key"), 2, "no.key"),
        (("migrate", "--to", "mysql://x"), 2, "sqlite"),
        (("migrate", "--to", "sqlite:///x.db"), 1, "absolute path"),
    ],
)
def test_what_is_wrong_is_one_line(run: Run, arguments: tuple[str, ...], rc: int, said: str, tmp_path: Path) -> None:
    site = Site(tmp_path, "", Identity.generate())
    site.data.mkdir()
    (tmp_path / "fairtap.toml").write_text(f'[site]\nname = "test"\ndata_dir = {json.dumps(str(site.data))}\n')
    if arguments[0] == "migrate":
        told(run, "init")
    found, out, err = run(*arguments)
    assert (found, err.count("\n"), err.startswith("fairtap: ")) == (rc, 1, True), err
    assert said in err and "Traceback" not in out + err
