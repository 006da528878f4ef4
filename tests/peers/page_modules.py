"""Modules of the pages, run by Node without a browser."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

NODE = shutil.which("node") or ""
ROOT = Path(__file__).parents[2]


def _node_major() -> int:
    if not NODE:
        return 0
    said = subprocess.run([NODE, "--version"], capture_output=True, text=True, check=True).stdout
    return int(said.strip().removeprefix("v").split(".")[0])


def needed() -> list[pytest.MarkDecorator]:
    """What a test that runs them has to be marked with."""
    return [
        pytest.mark.skipif(
            _node_major() < 20, reason="`node` isn't installed, or is older than the pages' own build needs"
        ),
        pytest.mark.skipif(not (ROOT / "node_modules").is_dir(), reason="the pages' packages aren't installed"),
    ]


def run_module(script: str, **given: Any) -> dict[str, Any]:
    """What a module prints as JSON; it gets `given` on its standard input."""
    done = subprocess.run(
        [NODE, "--input-type=module", "-e", script], cwd=ROOT, input=json.dumps(given), capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said
