"""The digest of what runs: every source file, page and sound of the product, and the effective configuration."""

import hashlib
from pathlib import Path

from gateway.config import Config

__all__ = ["build_digest"]

PACKAGES = ("crypto", "policy", "storage", "gateway", "api")
SUFFIXES = frozenset({".py", ".json", ".wav", ".html", ".css", ".js", ".mako", ".ini"})


def build_digest(config: Config) -> str:
    """SHA-256 (hex) over the paths and contents of the code, then the configuration."""
    root = Path(__file__).parents[1]
    total = hashlib.sha256()
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*")):
            if path.suffix in SUFFIXES and "__pycache__" not in path.parts and path.is_file():
                total.update(path.relative_to(root).as_posix().encode() + b"\0")
                total.update(hashlib.sha256(path.read_bytes()).digest())
    total.update(config.model_dump_json().encode())
    return total.hexdigest()
