"""docs/pains.md names tests that exist, so that no complaint is answered by a test that was lost."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


def test_every_named_test_is_there():
    rows = [line for line in (ROOT / "docs/pains.md").read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    found = [NAMED.search(row) for row in rows[1:]]
    assert len(found) > 30 and all(found), "a row without a test"
    for match in found:
        assert match is not None
        path, name = match.groups()
        source = (ROOT / path).read_text(encoding="utf-8")
        assert name is None or re.search(rf"^(async )?def {name}\(", source, re.MULTILINE), match[0]
