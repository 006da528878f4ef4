"""The council's wheel in an environment of its own: nothing of the product's libraries there but `cryptography`."""

import base64
import hashlib
import importlib.util
import json
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests.peers.log_world import Host
from tools.council_wheel import LEFT_OUT, build_bundle, build_wheel, modules


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return build_wheel(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def own_python(tmp_path_factory, wheel):
    """A fresh environment: the wheel, and `cryptography` lent from this one."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    (site,) = folder.glob("lib/python*/site-packages")
    for name in ("cryptography", "cffi", "_cffi_backend", "pycparser"):
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin is not None:
            lent = Path(spec.origin).parent if spec.submodule_search_locations else Path(spec.origin)
            (site / lent.name).symlink_to(lent)
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, str(wheel)], check=True, timeout=90)
    return python


def test_it_verifies_a_log_without_anything_else(own_python, tmp_path):
    world = Host(5, legs=6, agents=8).run().write(tmp_path)
    command = [str(own_python.with_name("fairtap-council")), "--home", str(tmp_path / "none"), "verify", "--json"]
    given = ["--log", tmp_path / "log", "--acts", tmp_path / "acts", "--roster", tmp_path / "rosters"]
    done = subprocess.run([*command, *map(str, given)], capture_output=True, text=True, cwd=tmp_path, timeout=60)
    told = json.loads(done.stdout)
    assert told["logs"][0]["entries"] == len(world.entries)
    assert {one["code"] for one in told["findings"]} <= {"V3.reveal_missing"}  # by today's clock the last week is over
    lent = subprocess.run([str(own_python), "-c", "import ruamel"], capture_output=True, check=False, timeout=60)
    assert lent.returncode != 0


def test_it_carries_what_it_imports_and_nothing_more(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == {str(path.relative_to(Path(__file__).parents[2])) for path in modules().values()}
    assert {name.partition("/")[0] for name in names} == {"council", "crypto", "policy"}
    assert not {name.removesuffix(".py").replace("/", ".") for name in names} & LEFT_OUT


def test_the_record_is_right_and_the_build_repeats(wheel, tmp_path):
    assert build_wheel(tmp_path).read_bytes() == wheel.read_bytes()
    with zipfile.ZipFile(wheel) as archive:
        (record,) = (name for name in archive.namelist() if name.endswith("RECORD"))
        for line in archive.read(record).decode().splitlines():
            name, digest, size = line.rsplit(",", 2)
            if digest:
                data = archive.read(name)
                assert int(size) == len(data)
                assert hashlib.sha256(data).digest().hex() == _hex(digest)


def _hex(digest):
    return base64.urlsafe_b64decode(digest.removeprefix("sha256=") + "=").hex()


def test_the_zip_has_a_starter_for_each_system(wheel, tmp_path):
    with zipfile.ZipFile(build_bundle(tmp_path, wheel)) as archive:
        names = {name.removeprefix("fairtap-council/") for name in archive.namelist()}
        modes = {one.filename: one.external_attr >> 16 & 0o777 for one in archive.infolist()}
    assert {"start.py", "README.md", wheel.name} <= names
    assert {f"fairtap-council.{end}" for end in ("sh", "command", "cmd", "desktop")} <= names
    assert modes["fairtap-council/fairtap-council.command"] == 0o755


def test_the_starter_sets_up_and_says_what_failed(own_python, wheel, tmp_path):
    """With its environment there already; the site's address is wrong on purpose."""
    build_bundle(tmp_path, wheel)
    with zipfile.ZipFile(tmp_path / "fairtap-council.zip") as archive:
        archive.extractall(tmp_path)
    folder = tmp_path / "fairtap-council"
    (folder / "environment").symlink_to(own_python.parents[1])
    (own_python.parents[1] / f"{wheel.name}.done").touch()
    answers = f"http://site.example\n{tmp_path / 'no.sign'}\nx\n\n"
    command = [sys.executable, str(folder / "start.py")]
    done = subprocess.run(command, input=answers, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "name+hash+base64" in done.stderr
