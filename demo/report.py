"""What the demo tells: each thing as it happens, a table at the end, and the one summary object of `--json`."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from demo.council_tool import Checked
from demo.talk import Story


@dataclass(frozen=True, slots=True)
class SideFound:
    """One side of a recording as its agent opened it."""

    side: str
    seconds: float
    sha256: str
    """Of the decrypted WAV, as `age -d` writes it."""
    wav: str
    """The stereo WAV that holds this side."""


@dataclass(slots=True)
class CallTold:
    """A call as its agent's own view tells it."""

    call: str
    drawn: bool
    outcome: str
    reasons: tuple[str, ...]
    sides: list[SideFound] = field(default_factory=list)

    @property
    def story(self) -> Story | None:
        """Which of the six stories this was, if any."""
        for story, (outcome, reason) in TOLD.items():
            if self.outcome == outcome and (reason is None or reason in self.reasons):
                return story
        return None


TOLD: dict[Story, tuple[str, str | None]] = {
    Story.RECORDED: ("recorded", None),
    Story.LIGHT_CLOSED: ("recorded (cut)", "INDICATOR_STALE"),
    Story.WITHDRAWN: ("discarded", "WITHDRAWN_BY_CALLER"),
    Story.REFUSED: ("not_recorded", "CALLER_REFUSED"),
    Story.NOT_DRAWN: ("not_recorded", "NOT_DRAWN"),
    Story.SILENT: ("not_recorded", "CALLER_UNSET"),
}
"""Outcome and reason of each story (agreement.md §4), the more telling reasons first."""


class Teller:
    """Prints for people; with `--json` to stderr, so that stdout holds the summary alone."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._console = Console(stderr=as_json, highlight=False, soft_wrap=True)
        if not self._console.is_terminal:
            self._console.width = 160

    def say(self, text: str) -> None:
        """One line."""
        self._console.print(escape(text))

    def title(self, text: str) -> None:
        """The start of a part."""
        self._console.print(f"[bold][yellow]DEMO[/yellow] {escape(text)}[/bold]")

    def told(self, calls: Sequence[CallTold]) -> None:
        """The table of all calls."""
        table = Table(title="DEMO: what became of the calls, as each agent's own page says it")
        for column in ("call", "drawn", "outcome", "reasons", "story"):
            table.add_column(column)
        for call in calls:
            story = call.story
            drawn = "yes" if call.drawn else "no"
            reasons = " ".join(call.reasons)
            table.add_row(call.call, drawn, call.outcome, reasons, story.value if story else "")
        self._console.print(table)

    def summary(self, calls: Sequence[CallTold], checked: Checked | None, console_url: str) -> None:
        """The object of `--json`, last, on one line; `log` is null where nothing was verified."""
        if self._as_json:
            sys.stdout.write(json.dumps(summary(calls, checked, console_url)) + "\n")
            sys.stdout.flush()


def summary(calls: Sequence[CallTold], checked: Checked | None, console_url: str) -> dict[str, Any]:
    """The keys that scripts rely on."""
    return {
        "calls": [
            {
                "call": call.call,
                "drawn": call.drawn,
                "outcome": call.outcome,
                "reasons": list(call.reasons),
                "sides": [
                    {"side": one.side, "seconds": one.seconds, "sha256": one.sha256, "wav": one.wav}
                    for one in call.sides
                ],
            }
            for call in calls
        ],
        "log": checked.log if checked is not None else None,
        "console": console_url,
    }


def missing(calls: Sequence[CallTold]) -> list[Story]:
    """Stories that no call told."""
    return [story for story in Story if story not in {call.story for call in calls}]


def where_to_look(folder: Path, base_url: str, kept: bool, serving: bool) -> list[str]:
    """Sentences that say where everything lies, as far as it stays."""
    files = [
        f"data folder {folder / 'var'}, keys {folder / 'keys'}, recordings as WAV in {folder}",
        f"the agreement {folder / 'agreement.yaml'}, what the gateway logged {folder / 'fairtap.log'}",
        f"any side with age itself: cat {folder}/var/vault/AA/ID/agent-1.header"
        f" {folder}/var/recordings/AA/ID/agent-1.payload | age -d -i {folder}/keys/agent-N.key > agent.wav",
    ]
    return [
        *([f"the agents' page: {base_url}/agent"] if serving else []),
        *(files if kept or serving else ["nothing stays of this; `--out DIR` keeps it, `--keep` goes on serving"]),
    ]
