"""A council's `council.json` that somebody edited by hand: one line says what is wrong, whatever it holds."""

import json
from pathlib import Path

import pytest

from council.__main__ import main

WHOLE = {"url": "https://site.example", "key": "council.sign", "log_key": "hamburg+00000000+AAAA", "language": "en"}


@pytest.mark.parametrize(
    "edit",
    [
        "[]",
        "1",
        "{",
        "{}",
        *(json.dumps({**WHOLE, name: 5}) for name in (*WHOLE, "role", "identity", "ca", "cdr", "zone", "anchors")),
        *(json.dumps({**WHOLE, name: None}) for name in (*WHOLE, "role", "anchors")),
        *(json.dumps(WHOLE)[:-1] + f', "anchors": {one}}}' for one in ("[]", '{"dpo": 5}', '{"dpo": null}')),
        json.dumps({**WHOLE, "anchors": {"dpo": "no key"}}),
        json.dumps({**WHOLE, "another": "x"}),
        json.dumps({**WHOLE, "url": "http://["}),
        json.dumps({**WHOLE, "url": "https://site.example:port"}),
        json.dumps({**WHOLE, "key": "\0"}),
    ],
)
@pytest.mark.parametrize("command", ["sync", "verify", "cosign", "suspend bv"])
def test_it_is_refused_in_one_line(edit: str, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "council.json").write_text(edit)
    assert main(["--home", str(tmp_path), *command.split()]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
