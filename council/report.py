"""An outcome as text, as one printable page of HTML with a traffic light, or as JSON; the stated limits come first."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Final

from council.epoch_book import EpochBook
from council.finding import Finding
from council.inspect import Outcome
from council.report_page import PAGE
from council.report_words import LIMITS, WORDS
from council.verify import Verified
from council.words import say
from crypto.ssh_key import VerifyKey
from policy.epochs import EpochState

_SHOWN: Final = 200
LAMPS: Final = ("red", "yellow", "green")
_COLUMNS: Final = ("legs", "unruled", "unruled_most", "drawn", "hits", "caps", "wishes", "kept")


@dataclass(frozen=True, slots=True)
class Report:
    """One outcome in one language."""

    outcome: Outcome
    language: str
    at: datetime

    @property
    def light(self) -> str:
        """`green`, `yellow` where something couldn't be checked, `red` with findings."""
        if not self.outcome.clean:
            return "red"
        return "yellow" if self.outcome.missing else "green"

    def text(self) -> str:
        """For a terminal."""
        lines = [self._w("title"), "", f"{self._w('limits')}:"]
        lines += [f"  ({letter}) {limit}" for letter, limit in zip("abcd", LIMITS[self.language], strict=True)]
        lines += ["", self._verdict(), ""]
        for heading, body in self._sections():
            lines += [f"{heading}:", *(f"  {line}" for line in body), ""]
        return "\n".join([*lines, self._w("printed", at=self._when())]) + "\n"

    def html(self) -> str:
        """One page that prints on paper: no script, nothing fetched."""
        limits = "".join(f"<li>{escape(limit)}</li>" for limit in LIMITS[self.language])
        parts = [
            f"<h2>{escape(heading)}</h2><ul>{''.join(f'<li>{escape(line)}</li>' for line in body)}</ul>"
            for heading, body in self._sections()
        ]
        lamps = "".join(f'<span class="{lamp}{" on" if lamp == self.light else ""}"></span>' for lamp in LAMPS)
        return PAGE.format(
            language=self.language,
            title=escape(self._w("title")),
            limits_title=escape(self._w("limits")),
            limits=limits,
            lamps=lamps,
            verdict=escape(self._verdict()),
            parts="".join(parts),
            printed=escape(self._w("printed", at=self._when())),
        )

    def json(self) -> str:
        """For programs; findings keep their codes."""
        found, calls = self.outcome, self.outcome.calls
        told = {
            "limits": list(LIMITS[self.language]),
            "light": self.light,
            "total": found.total,
            "findings": [self._told(one) for one in found.findings],
            "missing": found.missing,
            "logs": [_log(one) for one in found.logs],
            "least_likely": found.judged[0].corrected if found.judged else None,
            "steering": found.steering,
            "calls": None if calls is None else {"rows": calls.rows, "matched": calls.matched},
        }
        return json.dumps(told, ensure_ascii=False, indent=1)

    # -- parts

    def _w(self, name: str, **values: object) -> str:
        return WORDS[self.language][name].format_map(values) if values else WORDS[self.language][name]

    def _told(self, one: Finding) -> dict[str, str]:
        told = {"check": one.code.check, "code": one.code.value, "place": one.place}
        return {**told, "sentence": say(one, self.language)}

    def _when(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M}"

    def _verdict(self) -> str:
        return self._w(self.light, total=self.outcome.total)

    def _sections(self) -> Iterator[tuple[str, list[str]]]:
        yield self._w("findings"), self._findings()
        if self.outcome.missing:
            yield self._w("missing"), [self._missing(name) for name in self.outcome.missing]
        for one in self.outcome.logs:
            yield f"{self._w('log')} {one.origin}", self._log(one)
            yield self._w("epochs"), self._epochs(one.epochs)
        yield self._w("fairness"), [self._fairness()]
        for what, p in self.outcome.steering.items():
            yield f"{self._w('steering')}: {self._w(f'steering.{what}')}", [self._w("steering.means", p=f"{p:.3g}")]
        if (calls := self.outcome.calls) is not None:
            yield self._w("calls"), [self._w("calls.means", rows=calls.rows, matched=calls.matched)]

    def _missing(self, name: str) -> str:
        return self._w(f"missing.{name}", uncovered=self.outcome.calls.uncovered if self.outcome.calls else 0)

    def _findings(self) -> list[str]:
        shown = self.outcome.findings[:_SHOWN]
        lines = [f"{one.code.check} {one.place}: {say(one, self.language)}" for one in shown]
        more = self.outcome.total - len(shown)
        return [*lines, self._w("more", more=more)] if more else lines or [self._w("none")]

    def _log(self, one: Verified) -> list[str]:
        lines = [f"{self._w('entries')}: {one.entries}. {self._w('entries.means')}"]
        if one.followed_by is not None:
            lines.append(self._w("followed", origin=one.followed_by))
        if one.checkpoint is not None:
            root = base64.b64encode(one.checkpoint.root).decode()
            lines.append(f"{self._w('root')}: {root}. {self._w('root.means')}")
        for role, anchor in one.acts.anchors.items():
            lines.append(f"{role}: {VerifyKey.parse(anchor.key).fingerprint()}")
        lines += [self._w("anchors.means")] if one.acts.anchors else []
        lines += [self._w("waiting", waiting=self.outcome.waiting)] if self.outcome.waiting else []
        return lines

    def _epochs(self, books: dict[str, EpochBook]) -> list[str]:
        lines = []
        for name, book in books.items():
            figures = _figures(book)
            told = [f"{self._w(column)} {'–' if figures[column] is None else figures[column]}" for column in _COLUMNS]
            state = self._w(f"state.{figures['state']}")
            lines.append(f"{self._w('epoch')} {name} ({state}): {', '.join(told)}")
        return [*lines, *(f"{self._w(column)}: {self._w(f'{column}.means')}" for column in _COLUMNS)]

    def _fairness(self) -> str:
        judged = self.outcome.judged
        least = f"{judged[0].corrected:.3g}" if judged else ""
        return self._w("fairness.means" if judged else "fairness.none", p=least, tested=len(judged))


def _log(one: Verified) -> dict[str, object]:
    top = one.checkpoint
    shown = {"size": None, "root": None} if top is None else {"size": top.size, "root": top.root.hex()}
    epochs = {name: _figures(book) for name, book in one.epochs.items()}
    return {"origin": one.origin, **shown, "entries": one.entries, "followed_by": one.followed_by, "epochs": epochs}


def _figures(book: EpochBook) -> dict[str, object]:
    state = _STATES.get(book.state, "dark") if book.drawn is None else "revealed"
    figures: dict[str, object] = {name: book.counted[name] for name in ("legs", "hits", "caps", "wishes")}
    unruled = {a: n for (a, ruled), n in book.under_rule.items() if not ruled}
    most = max(((100 * n // (n + book.under_rule[a, True]), a) for a, n in unruled.items()), default=None)
    told = sum(unruled.values()) if book.under_rule else None
    figures |= {"unruled": told, "unruled_most": most and f"{most[0]} % ({most[1]})"}
    return {"state": state, "drawn": book.drawn, "x": book.x.total(), "kept": book.kept, **figures}


_STATES: Final = {EpochState.OPENED: "running", EpochState.CLOSED: "closed", EpochState.REVEALED: "closed"}
