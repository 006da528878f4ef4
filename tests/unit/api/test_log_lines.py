"""What looks like a person doesn't get into a log line, whatever a caller hands over."""

import io
import json
import logging

import pytest
import structlog

from api.log_lines import REDACTED, redact, set_up_logs

PERSONAL = [
    "sip:alice@example.org;tag=x",
    "tel:+49401234567",
    "alice@example.org",
    "+49 40 1234567",
    "040/1234567",
    "192.0.2.77",
    "2001:db8:0:1:0:0:0:1",
]


@pytest.mark.parametrize("text", PERSONAL)
def test_numbers_addresses_and_uris_are_taken_out_of_every_value(text: str) -> None:
    line = redact(None, "info", {"event": f"took {text} in", "detail": f"<{text}>", "more": [text]})
    assert text not in str(line)
    assert REDACTED in line["event"] and REDACTED in line["detail"] and REDACTED in line["more"]


@pytest.mark.parametrize("key", ["password", "token", "call_id", "agent_name", "extension", "peer_address", "url"])
def test_values_of_telling_names_are_taken_out_whatever_they_are(key: str) -> None:
    assert redact(None, "info", {"event": "x", key: "abc"})[key] == REDACTED


def test_what_operations_need_stays() -> None:
    line = {
        "event": "ended",
        "process": "media-0",
        "rc": -9,
        "seconds": 1.25,
        "call": "Zk3_9aQ1",
        "timestamp": "2026-03-02T09:00:00Z",
    }
    assert redact(None, "info", dict(line)) == line


def test_lines_of_structlog_and_of_the_standard_library_are_redacted_json(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr("sys.stderr", out)
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    try:
        set_up_logs()
        structlog.get_logger("api").info("page opened", who="sip:alice@example.org")
        logging.getLogger("library").warning("from %s", "192.0.2.77")
    finally:
        root.handlers[:], root.level = before, level
        structlog.reset_defaults()
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [line["event"] for line in lines] == ["page opened", f"from {REDACTED}"]
    assert lines[0]["who"] == REDACTED and "192.0.2" not in out.getvalue()
