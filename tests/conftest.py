"""What every ring of tests shares: where the vectors lie, which outside programs are here, hypothesis' settings.

Tests name loopback addresses and ports of their own. Where several workers run side by side (`./check`), each is put
into a network namespace with nothing but a loopback, so that they don't meet.
"""

import ctypes
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest

ROOT = Path(__file__).parents[1]
CLONE_NEWNET = 0x40000000


def pytest_configure(config: pytest.Config) -> None:
    """A worker of several goes into a namespace of its own, before anything of it opens a socket."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
        raise pytest.UsageError(f"no network namespace for a worker: {os.strerror(ctypes.get_errno())}; leave out `-n`")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


# a slow machine is no fault of the code: pytest's own timeout catches what hangs
hypothesis.settings.register_profile("default", deadline=None, print_blob=True)
hypothesis.settings.register_profile("long", parent=hypothesis.settings.get_profile("default"), max_examples=2000)
hypothesis.settings.load_profile(os.environ.get("FAIRTAP_HYPOTHESIS", "default"))


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def vectors() -> Path:
    """The folder of vectors nobody here wrote: `FAIRTAP_VECTORS`, else `shared/vectors` beside the checkout."""
    folder = Path(os.environ.get("FAIRTAP_VECTORS") or ROOT.parent / "shared" / "vectors")
    if not folder.is_dir():
        pytest.skip("no vectors: name their folder in FAIRTAP_VECTORS")
    return folder


@pytest.fixture(scope="session")
def program() -> Callable[[str], str]:
    """The path of an outside program that a test talks to; a test whose program isn't installed is skipped."""

    def find(name: str) -> str:
        path = shutil.which(name)
        if path is None:
            pytest.skip(f"`{name}` is not installed")
        return path

    return find
