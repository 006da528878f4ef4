"""The digest that manifests name follows every file of the product and the effective configuration."""

import hashlib
from pathlib import Path

from gateway.build import PACKAGES, SUFFIXES, build_digest, build_entry
from gateway.config import Config, SiteConfig
from policy.log_entry import Build

ROOT = Path(__file__).parents[3]


def test_it_can_be_recomputed_from_the_files():
    totals = {"code": hashlib.sha256(), "pages": hashlib.sha256()}
    for package in ("crypto", "policy", "storage", "gateway", "api"):
        found = [path for path in (ROOT / package).glob("**/*") if path.is_file() and path.suffix in SUFFIXES]
        for path in sorted(found):
            if "__pycache__" not in str(path):
                name = str(path.relative_to(ROOT)).encode()
                total = totals["pages" if name.startswith(b"api/web/") else "code"]
                total.update(name + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    effective = hashlib.sha256(Config().model_dump_json().encode())
    code, pages = totals["code"], totals["pages"]
    entry = build_entry(Config())
    assert entry == Build(code.hexdigest(), effective.hexdigest(), pages.hexdigest())
    total = hashlib.sha256(code.digest() + effective.digest() + pages.digest())
    assert build_digest(entry) == total.hexdigest()


def test_another_configuration_is_another_build():
    here, elsewhere = build_entry(Config()), build_entry(Config(site=SiteConfig(name="elsewhere")))
    assert here == build_entry(Config())
    assert (here.code, here.pages) == (elsewhere.code, elsewhere.pages)
    assert build_digest(here) != build_digest(elsewhere)


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
