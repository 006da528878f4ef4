"""The digest that manifests name follows every file of the product and the effective configuration."""

import hashlib
from pathlib import Path

from gateway.build import PACKAGES, SUFFIXES, build_digest
from gateway.config import Config, SiteConfig

ROOT = Path(__file__).parents[3]


def test_it_can_be_recomputed_from_the_files():
    total = hashlib.sha256()
    for package in ("crypto", "policy", "storage", "gateway", "api"):
        found = [path for path in (ROOT / package).glob("**/*") if path.is_file() and path.suffix in SUFFIXES]
        for path in sorted(found):
            if "__pycache__" not in str(path):
                name = str(path.relative_to(ROOT)).encode()
                total.update(name + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    total.update(Config().model_dump_json().encode())
    assert build_digest(Config()) == total.hexdigest()


def test_another_configuration_is_another_build():
    assert build_digest(Config()) == build_digest(Config())
    assert build_digest(Config()) != build_digest(Config(site=SiteConfig(name="elsewhere")))


def test_nothing_that_runs_or_is_heard_is_left_out():
    """What isn't counted are pictures and notes."""
    shipped = {
        path.suffix
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and "node_modules" not in path.parts
    }
    assert shipped - SUFFIXES <= {".svg", ".txt", ".md", ".typed", ""}
    assert {".py", ".wav", ".json", ".html"} <= shipped & SUFFIXES
