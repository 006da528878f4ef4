"""Builds `fairtap-council`: a wheel of `council`, `crypto` and what they need of `policy`, and a zip with its starters.

Standard library only, the same bytes each time. `python tools/council_wheel.py [OUT]`, from anywhere.
"""

import ast
import base64
import hashlib
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
STARTERS = ROOT / "deploy" / "council"
PACKAGES = ("council", "crypto", "policy")
LEFT_OUT = {"policy.agreement.yaml_tree"}
"""Needs a YAML library; the tool is handed documents as canonical JSON."""
STAMP = (2026, 1, 1, 0, 0, 0)
REQUIRES = ("cryptography>=46", "tzdata>=2026.1; platform_system == 'Windows'")
"""Windows has no time zones of its own."""


def modules() -> dict[str, Path]:
    """Every module that the tool reaches by imports, by its dotted name."""
    found: dict[str, Path] = {}
    waiting = ["council.__main__"]
    while waiting:
        name = waiting.pop()
        path = _path(name)
        if name in found or name in LEFT_OUT or path is None:
            continue
        found[name] = path
        waiting += [name.rpartition(".")[0], *_imports(path)]
    return found


def _path(name: str) -> Path | None:
    if name.partition(".")[0] not in PACKAGES:
        return None
    base = ROOT / name.replace(".", "/")
    return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()), None)


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def build_wheel(out: Path) -> Path:
    """Write the wheel into `out`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    version = project["version"]
    info = f"fairtap_council-{version}.dist-info"
    files = {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in modules().values()}
    files[f"{info}/METADATA"] = _metadata(version, project["requires-python"])
    files[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: fairtap\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files[f"{info}/entry_points.txt"] = b"[console_scripts]\nfairtap-council = council.__main__:main\n"
    files[f"{info}/licenses/LICENSE"] = (ROOT / "LICENSE").read_bytes()
    files[f"{info}/RECORD"] = _record(files, info)
    wheel = out / f"fairtap_council-{version}-py3-none-any.whl"
    _zip(wheel, files)
    return wheel


def _metadata(version: str, python: str) -> bytes:
    head = [
        "Metadata-Version: 2.4",
        "Name: fairtap-council",
        f"Version: {version}",
        "Summary: The works council's own tool: checks the recording log without trusting anybody",
        "License-Expression: Apache-2.0",
        "License-File: LICENSE",
        f"Requires-Python: {python}",
        *(f"Requires-Dist: {one}" for one in REQUIRES),
        "Description-Content-Type: text/markdown",
    ]
    return ("\n".join(head) + "\n\n").encode() + (ROOT / "docs" / "council.md").read_bytes()


def _record(files: dict[str, bytes], info: str) -> bytes:
    lines = []
    for name, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        lines.append(f"{name},sha256={digest},{len(data)}")
    return "\n".join([*lines, f"{info}/RECORD,,", ""]).encode()


def build_bundle(out: Path, wheel: Path) -> Path:
    """A zip to unpack and double-click: the wheel, the starters, the page that explains."""
    files = {f"fairtap-council/{wheel.name}": wheel.read_bytes()}
    for path in sorted(STARTERS.iterdir()):
        files[f"fairtap-council/{path.name}"] = path.read_bytes()
    files["fairtap-council/README.md"] = (ROOT / "docs" / "council.md").read_bytes()
    bundle = out / "fairtap-council.zip"
    _zip(bundle, files)
    return bundle


def _zip(target: Path, files: dict[str, bytes]) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, STAMP)
            mode = 0o755 if name.endswith((".sh", ".command", ".desktop")) else 0o644
            entry.external_attr = (0o100000 | mode) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, files[name])


def main() -> int:
    """Build both; says where."""
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "dist"
    out.mkdir(parents=True, exist_ok=True)
    wheel = build_wheel(out)
    print(wheel)
    print(build_bundle(out, wheel))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
