"""Log lines: one JSON object each, with whatever looks like a person's number, address or name taken out.

A last line of defence: nothing personal should be handed to a logger in the first place.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Final

import structlog

__all__ = ["REDACTED", "redact", "set_up_logs"]

REDACTED: Final = "<redacted>"
_SECRET_KEYS: Final = re.compile(
    r"pass|secret|token|cookie|authorization|signature|statement|bundle|code$|name|login|number|caller|callee|call_id"
    r"|from|to$|address|host|ip$|extension|body|url|path|query",
    re.IGNORECASE,
)
_PERSONAL: Final = re.compile(
    r"sips?:[^\s<>;,]+|tel:[^\s<>;,]+"
    r"|[\w.+-]+@[\w.-]+"
    r"|(?<![\w.])\+?\d[\d ()/-]{5,}\d(?![\w.])"
    r"|(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.])"
    r"|(?<![\w:])(?:[0-9a-f]{0,4}:){3,7}[0-9a-f]{0,4}(?![\w:])",
    re.IGNORECASE,
)
_KEPT: Final = frozenset({"event", "level", "timestamp", "logger", "place", "error"})


def redact(_: object, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Take personal data out of one line."""
    for key, value in line.items():
        if key not in _KEPT and _SECRET_KEYS.search(key):
            line[key] = REDACTED
        elif isinstance(value, str) and key != "timestamp":
            line[key] = _PERSONAL.sub(REDACTED, value)
        elif not isinstance(value, str | int | float | bool | None):
            line[key] = _PERSONAL.sub(REDACTED, str(value))
    return line


def set_up_logs(level: int = logging.INFO) -> None:
    """Send structlog and the standard library's loggers to stderr as redacted JSON lines."""
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        redact,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
