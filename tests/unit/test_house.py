"""Keeps the frame true: hashed locks, no hosts, no machine's paths, every package checked, reasons beside skips."""

import ast
import json
import os
import re
import subprocess
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = ["bootstrap", "core", "dev", "node"]
SCRIPTS = ["run", "check", ".ci/run", "tools/lock"]

# joined here, so that this file doesn't find itself
REGISTRIES = [
    ".".join(parts)
    for parts in [
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("yarnpkg", "com"),
        ("deb", "debian", "org"),
        ("ftp", "debian", "org"),
        ("security", "debian", "org"),
        ("proxy", "golang", "org"),
        ("crates", "io"),
    ]
]
MACHINE_PATHS = [f"/{folder}/" for folder in ("work", "root", "home")]


def tracked() -> list[Path]:
    """Every file that git knows here."""
    if not (ROOT / ".git").exists():
        pytest.skip("no git checkout: nothing says which files belong to the project")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    names = (os.fsdecode(name) for name in listed.stdout.split(b"\0") if name)
    return [path for name in names if (path := ROOT / name).is_file()]


def tracked_text() -> Iterator[tuple[str, str]]:
    """Name and text of every tracked file that is text."""
    for path in tracked():
        content = path.read_bytes()
        if b"\0" not in content:
            yield str(path.relative_to(ROOT)), content.decode(errors="replace")


def python_sources() -> Iterator[tuple[str, str]]:
    return ((name, text) for name, text in tracked_text() if name.endswith(".py"))


def settings() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_no_file_names_a_registry() -> None:
    hosts = re.compile("|".join(map(re.escape, REGISTRIES)))
    found = [f"{name}: {match[0]}" for name, text in tracked_text() for match in hosts.finditer(text)]
    assert found == []


def test_no_file_names_a_path_of_one_machine() -> None:
    paths = re.compile(r"(?<![\w.~}/-])(" + "|".join(map(re.escape, MACHINE_PATHS)) + ")")
    found = [f"{name}: {match[0]}" for name, text in tracked_text() for match in paths.finditer(text)]
    assert found == []


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_pins_and_hashes_everything(lock: str) -> None:
    text = (ROOT / "requirements" / f"{lock}.txt").read_text()
    entries = text.replace("\\\n", " ").splitlines()
    assert entries
    for entry in entries:
        assert re.match(r"[a-z0-9-]+==[\w.]+ ", entry), entry
        assert "--hash=sha256:" in entry, entry
    assert "://" not in text


def test_dev_lock_pins_what_the_core_lock_pins() -> None:
    def pins(lock: str) -> set[str]:
        lines = (ROOT / "requirements" / f"{lock}.txt").read_text().splitlines()
        return {line.split(" ")[0] for line in lines if "==" in line and not line.startswith(" ")}

    assert pins("core") <= pins("dev")


def test_core_lock_holds_every_declared_dependency() -> None:
    core = (ROOT / "requirements" / "core.txt").read_text()
    for requirement in settings()["project"]["dependencies"]:
        name = re.split(r"[^\w.-]", requirement)[0].replace(".", "-")
        assert re.search(rf"^{re.escape(name)}==", core, re.MULTILINE), f"{requirement}: run tools/lock"


def test_page_lock_has_integrity_and_no_addresses() -> None:
    lock = json.loads((ROOT / "package-lock.json").read_text())
    declared = json.loads((ROOT / "package.json").read_text())
    packages = lock["packages"]
    assert packages[""]["dependencies"] == declared["dependencies"]
    assert packages[""]["devDependencies"] == declared["devDependencies"]
    for name, package in packages.items():
        assert "resolved" not in package, name
        assert not name or package["integrity"].startswith("sha512-"), name


def test_every_top_level_package_is_shipped_typed_and_layered() -> None:
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    tools = settings()["tool"]
    assert packages == set(tools["hatch"]["build"]["targets"]["wheel"]["packages"])
    assert packages == set(tools["importlinter"]["root_packages"])
    assert packages <= set(tools["mypy"]["files"])


@pytest.mark.parametrize("name", ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE"])
def test_document_stands(name: str) -> None:
    assert (ROOT / name).stat().st_size > 400


def test_changelog_keeps_its_form() -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    for heading in headings[1:]:
        assert re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d{2}-\d{2}", heading), heading


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_runs_and_parses(name: str) -> None:
    assert os.access(ROOT / name, os.X_OK)
    subprocess.run(["bash", "-n", ROOT / name], check=True)


def test_test_files_have_names_of_their_own() -> None:
    names = Counter(Path(name).name for name, _ in python_sources() if name.startswith("tests/"))
    assert [name for name, times in names.items() if times > 1 and name.startswith("test_")] == []


def says_why(call: ast.Call) -> bool:
    """Whether a skip or xfail carries a reason that isn't empty."""
    name = ast.unparse(call.func)
    reasons = [keyword.value for keyword in call.keywords if keyword.arg == "reason"]
    if not reasons and name in ("pytest.skip", "pytest.xfail", "pytest.mark.skip"):
        reasons = call.args[:1]
    return any(not isinstance(reason, ast.Constant) or bool(reason.value) for reason in reasons)


SKIPS = {f"pytest.{name}" for name in ("skip", "xfail", "importorskip", "mark.skip", "mark.skipif", "mark.xfail")}


def silent_skips(source: str) -> list[int]:
    """Lines that skip or expect a failure without saying why."""
    tree = ast.parse(source)
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    bare = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and id(node) not in called]
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and not says_why(node)]
    silent = [node.lineno for node in bare if ast.unparse(node) in SKIPS]
    return silent + [node.lineno for node in calls if ast.unparse(node.func) in SKIPS]


def test_every_skip_names_its_reason() -> None:
    found = {name: lines for name, text in python_sources() if (lines := silent_skips(text))}
    assert found == {}


@pytest.mark.parametrize(
    ("source", "silent"),
    [
        ("pytest.skip('no sipp')", False),
        ("pytest.skip()", True),
        ("pytest.skip(reason='')", True),
        ("@pytest.mark.skip\ndef test(): ...", True),
        ("@pytest.mark.skipif(True)\ndef test(): ...", True),
        ("@pytest.mark.skipif(True, reason='no ng')\ndef test(): ...", False),
        ("pytest.importorskip('pjsua2')", True),
    ],
)
def test_a_silent_skip_is_seen(source: str, silent: bool) -> None:
    assert bool(silent_skips(source)) is silent


def test_every_silenced_check_names_its_reason() -> None:
    silenced = re.compile(r"# (?:type: ignore\[[\w, -]+\]|noqa: [A-Z]+\d+(?:, ?[A-Z]+\d+)*)(.*)$", re.MULTILINE)
    found = [
        f"{name}: {match[0]}"
        for name, text in python_sources()
        for match in silenced.finditer(text)
        if not re.search(r"[a-z]{2,} ?", match[1])
    ]
    assert found == []


def test_nothing_is_left_unbuilt() -> None:
    found = [
        f"{name}:{node.lineno}"
        for name, text in python_sources()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Raise) and node.exc and ast.unparse(node.exc).startswith("NotImplementedError")
    ]
    assert found == []


def test_only_the_clock_asks_the_loop_for_the_time() -> None:
    product = set(settings()["tool"]["importlinter"]["root_packages"]) - {"demo"}
    found = [
        name
        for name, text in python_sources()
        if name.split("/")[0] in product and name != "gateway/clock.py" and re.search(r"loop(\(\))?\.time\(\)", text)
    ]
    assert found == []
