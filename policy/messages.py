"""Why an act is refused and what a document's fault is, in German, English and Norwegian: words for a council member.

English is the language where another one is asked for. Fields and names stay as the documents write them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from policy.agreement.faults import Fault
from policy.endings import Ends, Warned, days_left
from policy.errors import ActError, ActFault
from policy.message_words import ACTS, ENDS, FAULTS, FIRST_LINE, PARTIES

__all__ = ["say", "say_fault", "say_warning", "say_what"]

FALLBACK: Final = "en"


def say(error: ActError, language: str) -> str:
    """Why the act was refused, and what to do, in `language` (`de`, `en`, `nb`)."""
    language = language if language in PARTIES else FALLBACK
    words = PARTIES[language]
    values = {key: _listed(value, words) for key, value in error.values.items()}
    if error.fault is ActFault.MUST_SIGN_TOO and not error.values.get("fields"):
        return ACTS["must_sign_all"][language].format_map(values)
    return ACTS[error.fault][language].format_map(values)


def say_fault(fault: Fault, language: str) -> str:
    """A fault of a document: line, field, what is wrong."""
    if language not in PARTIES or language == FALLBACK:
        return str(fault)
    return FIRST_LINE[language].format(line=fault.line, field=fault.field, what=say_what(fault, language))


def say_what(fault: Fault, language: str) -> str:
    """What is wrong, without its place; English has the loader's own sentence."""
    if language not in PARTIES or language == FALLBACK:
        return fault.message
    return FAULTS[fault.code][language]


def say_warning(warned: Warned, language: str) -> str:
    """What ends, and in how many days."""
    language = language if language in PARTIES else FALLBACK
    days = days_left(warned.ending, warned.at)
    text = ENDS[Ends(warned.ending.what)][language][days != 1]
    return text.format(name=warned.ending.name, days=days)


def _listed(value: str | tuple[str, ...], words: Mapping[str, str]) -> str:
    names = (value,) if isinstance(value, str) else value
    shown = [words.get(name, name) for name in names]
    return shown[0] if len(shown) == 1 else ", ".join(shown[:-1]) + f" {words['and']} {shown[-1]}" if shown else ""
