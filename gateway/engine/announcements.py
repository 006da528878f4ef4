"""What callers can be asked now: questions whose files are whole, and the sounds that a recording needs after a yes.

A question counts only while its file, the start notice of its language and the agent's tone can be played. Shipped
files and the house's own are looked at now and then: one that was altered, or is gone, is no question any more.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.media.errors import SoundError
from gateway.media.prompts.sound_file import Sound, pack
from gateway.media.prompts.sounds import SUFFIX, Catalogue
from gateway.rtp.g711 import RATE
from policy.agreement.schema import Prompt
from policy.terms import Purpose

__all__ = ["Announcements", "Question"]

TONES: Final = ("tone-start", "tone-end")
_Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Question:
    """One that can be asked, as its file says it."""

    sha256: str
    language: str
    purpose: Purpose
    yes: str
    no: str
    withdraw: str
    """The keys that the notice after it names for stopping."""
    one_sided: bool = False

    def fits(self, prompt: Prompt) -> bool:
        """Whether the agreement names this very file, with the keys that are said in it."""
        said = (self.sha256, self.language, self.yes, self.no, self.withdraw)
        return said == (prompt.sha256, prompt.language, prompt.consent_key, prompt.refuse_key, prompt.withdraw_code)


@dataclass(slots=True)
class Announcements:
    """See the module. `look` again to notice what changed."""

    catalogue: Catalogue
    questions: dict[str, Question] = field(default_factory=dict)
    """By id."""
    notices: dict[str, str] = field(default_factory=dict)
    """By language: the keys that its start notice names for stopping, where that notice and the tones can be played."""
    _whole: dict[str, Sound] = field(default_factory=dict)
    _faults: dict[str, str] = field(default_factory=dict)
    """By id: what is wrong with its file."""
    _stamps: dict[str, _Stamp] = field(default_factory=dict)

    def look(self) -> bool:
        """Read anew what changed on disk; whether anything can be asked now that couldn't, or the other way round."""
        before = (self.questions, self._faults)
        self._whole, self._faults = dict(self._whole), {}
        try:
            listed = [*self.catalogue.index, *self.catalogue.own_ids()]
        except SoundError as error:
            self._whole, self._faults, self._stamps, listed = {}, {"index": str(error)}, {}, []
        for gone in self._whole.keys() - set(listed):
            del self._whole[gone], self._stamps[gone]
        for sound in listed:
            self._look_at(sound)
        self.notices = dict(self._tellable())
        asked = ((sound, self._question(sound)) for sound in self._whole)
        self.questions = {sound: question for sound, question in asked if question is not None}
        return (self.questions, self._faults) != before

    def known(self, sound: str) -> bool:
        """Whether there is a file of this id, whole or not."""
        return sound in self._whole or sound in self._faults

    def asks_for(self, prompt: Prompt) -> Purpose | None:
        """What a prompt of the agreement asks for; None where it can't be played as it is named."""
        question = self.questions.get(prompt.id)
        return question.purpose if question is not None and question.fits(prompt) else None

    def fault(self, prompt: Prompt) -> str | None:
        """Why nobody can be asked with what the agreement names; None where callers can."""
        question = self.questions.get(prompt.id)
        if question is not None and question.fits(prompt):
            return None
        if prompt.id in self._faults:
            return self._faults[prompt.id]
        found = self._whole.get(prompt.id)
        if found is None:
            return f"there is no announcement `{prompt.id}`"
        if found.sha256 != prompt.sha256:
            return f"announcement `{prompt.id}` isn't the one that the agreement names"
        if question is None:
            return f"after announcement `{prompt.id}` a notice or tone is missing"
        return f"announcement `{prompt.id}` says another language or other keys than the agreement"

    def file(self, sound: str) -> bytes | None:
        """A question's file, to the byte; None where there is no whole one."""
        found = self._whole.get(sound)
        return pack(found.words, found.samples) if found is not None and found.words.kind == "ask" else None

    def faults(self) -> list[str]:
        """What is wrong with files, one line each."""
        return sorted(self._faults.values())

    def _withdraw(self, sound: str) -> str:
        question = self.questions.get(sound)
        return question.withdraw if question is not None else ""

    def listing(self) -> list[dict[str, Any]]:
        """Every question with its words, for those who agree on them."""
        lines = [
            {
                "id": name, "language": one.words.language, "purpose": one.words.purpose, "text": one.words.text,
                "one_sided": one.words.one_sided, "consent_key": one.words.yes, "refuse_key": one.words.no,
                "withdraw_code": self._withdraw(name), "sha256": one.sha256,
                "seconds": round(len(one.samples) / RATE, 1), "own": name not in self.catalogue.index,
            }
            for name, one in self._whole.items()
            if one.words.kind == "ask"
        ]  # fmt: skip
        return sorted(lines, key=lambda line: str(line["id"]))

    def _look_at(self, sound: str) -> None:
        stamp = self._stamp(sound)
        if stamp is not None and stamp == self._stamps.get(sound):
            return
        self._whole.pop(sound, None)
        self._stamps.pop(sound, None)
        try:
            found = self.catalogue.load(sound)
        except SoundError as error:
            self._faults[sound] = str(error)
            return
        if found.sha256 != self.catalogue.index.get(sound, found.sha256):
            self._faults[sound] = f"sound `{sound}` isn't the one that was shipped"
        elif stamp is not None:
            self._whole[sound], self._stamps[sound] = found, stamp

    def _stamp(self, sound: str) -> _Stamp | None:
        folder = self.catalogue.folder if sound in self.catalogue.index else self.catalogue.own
        try:
            found = (folder / f"{sound}{SUFFIX}").stat() if folder is not None else None
        except OSError:
            return None
        return (found.st_mtime_ns, found.st_size, found.st_ino) if found is not None else None

    def _question(self, sound: str) -> Question | None:
        words = self._whole[sound].words
        if words.kind != "ask" or words.purpose not in set(Purpose):
            return None
        withdraw, side = self.notices.get(words.language), f"notice-side-{words.language}-1"
        if withdraw is None or (words.one_sided and side not in self._whole):
            return None
        return Question(
            self._whole[sound].sha256, words.language, Purpose(words.purpose), words.yes, words.no, withdraw,
            words.one_sided,
        )  # fmt: skip

    def _tellable(self) -> Iterator[tuple[str, str]]:
        """Notices that can be told, with both tones in the agent's ear."""
        if any(tone not in self._whole for tone in TONES):
            return
        for name, one in self._whole.items():
            if one.words.kind == "notice" and name == f"notice-{one.words.language}-1":
                yield one.words.language, one.words.withdraw
