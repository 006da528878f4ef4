"""Digests of what runs: every source file, page and sound of the product, and the effective configuration."""

import hashlib
from pathlib import Path

from gateway.config import Config
from policy.log_entry import Build

__all__ = ["build_digest", "build_entry"]

PACKAGES = ("crypto", "policy", "storage", "gateway", "api")
SUFFIXES = frozenset({".py", ".json", ".wav", ".html", ".css", ".js", ".mako", ".ini"})


PAGES = "api/web"


def build_entry(config: Config) -> Build:
    """Digests of the code, of the effective configuration, and of all that the pages are made of."""
    root = Path(__file__).parents[1]
    files = [path for package in PACKAGES for path in sorted((root / package).rglob("*")) if _counts(path)]
    code, pages = hashlib.sha256(), hashlib.sha256()
    for path in files:
        name = path.relative_to(root).as_posix()
        total = pages if name.startswith(f"{PAGES}/") else code
        total.update(name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    effective = hashlib.sha256(config.model_dump_json().encode())
    return Build(code.hexdigest(), effective.hexdigest(), pages.hexdigest())


def build_digest(build: Build) -> str:
    """What manifests name: SHA-256 (hex) over the three digests, 32 bytes each, in the order of the log's entry."""
    return hashlib.sha256(bytes.fromhex(build.code + build.config + build.pages)).hexdigest()


def _counts(path: Path) -> bool:
    return path.suffix in SUFFIXES and "__pycache__" not in path.parts and path.is_file()
