"""What every ring of tests shares: where the vectors lie, which outside programs are here, hypothesis' settings."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest

ROOT = Path(__file__).parents[1]

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
