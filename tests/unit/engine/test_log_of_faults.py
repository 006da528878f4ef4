"""A fault is logged by its kind and its places, never by its text."""

import json

import structlog

from gateway.__main__ import _configure_log


def test_the_text_of_an_exception_never_reaches_the_log(capsys):
    _configure_log()
    try:
        try:
            raise KeyError("+4940111222")
        except KeyError as error:
            structlog.get_logger().error("by value", exc_info=error)
            structlog.get_logger().exception("by context")
    finally:
        structlog.reset_defaults()
    written = capsys.readouterr().err
    assert "4940111222" not in written
    for line in map(json.loads, written.splitlines()):
        assert line["fault"] == "KeyError"
        assert line["at"][-1].startswith("test_log_of_faults.py:")
