"""Makes the shipped catalogue: speech by espeak-ng, tones by formula. `python -m gateway.media.prompts.make_catalogue`.

Only for changing the sounds; the gateway plays the files that lie in `catalogue/` and never speaks itself.
"""

import hashlib
import io
import json
import subprocess
import sys
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gateway.media.prompts.sound_file import Kind, Words, pack
from gateway.media.prompts.sounds import INDEX, SHIPPED, SUFFIX
from gateway.media.prompts.studio import LEVEL_DB, as_samples, levelled, resampled, trimmed
from gateway.rtp.g711 import RATE

YES, NO, WITHDRAW = "1", "9", "*9"
"""The keys that the shipped questions and notices name."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """Words in one language."""

    id: str
    kind: Kind
    language: str
    voice: str
    speed: int
    text: str
    purpose: str = ""
    """What a question asks for."""
    one_sided: bool = False

    @property
    def words(self) -> Words:
        """As they stand in the file."""
        keys = (YES, NO) if self.kind == "ask" else ("", "")
        withdraw = WITHDRAW if self.kind == "notice" else ""
        return Words(self.id, self.kind, self.language, self.text, self.purpose, self.one_sided, *keys, withdraw)


@dataclass(frozen=True, slots=True)
class Tone:
    """Sine beeps: pairs of frequency (0: pause) and milliseconds."""

    id: str
    kind: Kind
    beeps: tuple[tuple[int, int], ...]


def _digits(language: str, voice: str, speed: int, words: str) -> Iterator[Spoken]:
    """0 to 9, each a sound of its own. German says `zwo`, since `zwei` and `drei` sound alike on a phone."""
    for digit, word in enumerate(words.split()):
        yield Spoken(f"digit-{language}-{digit}", "digit", language, voice, speed, f"{word}.")


# fmt: off
SPOKEN: Final = (
    Spoken("ask-de-2", "ask", "de", "de", 185,
           "Dürfen wir dieses Gespräch aufzeichnen, um unsere Mitarbeitenden zu schulen? "
           "Für ja drücken Sie die 1, für nein die 9. Ohne Antwort wird nicht aufgezeichnet.", "coaching"),
    Spoken("ask-en-2", "ask", "en", "en-gb", 180,
           "May we record this call, to coach our own staff? "
           "For yes, press 1. For no, press 9. Without an answer, we do not record.", "coaching"),
    Spoken("ask-nb-2", "ask", "nb", "nb", 182,
           "Kan vi ta opp denne samtalen, for å veilede våre egne ansatte? "
           "For ja, trykk 1. For nei, trykk 9. Uten svar blir det ikke tatt opp.", "coaching"),
    Spoken("ask-quality-de-2", "ask", "de", "de", 185,
           "Dürfen wir dieses Gespräch aufzeichnen, um unsere Abläufe zu verbessern? "
           "Für ja drücken Sie die 1, für nein die 9. Ohne Antwort wird nicht aufgezeichnet.", "process_quality"),
    Spoken("ask-quality-en-2", "ask", "en", "en-gb", 180,
           "May we record this call, to improve how we work? "
           "For yes, press 1. For no, press 9. Without an answer, we do not record.", "process_quality"),
    Spoken("ask-quality-nb-2", "ask", "nb", "nb", 182,
           "Kan vi ta opp denne samtalen, for å forbedre måten vi arbeider på? "
           "For ja, trykk 1. For nei, trykk 9. Uten svar blir det ikke tatt opp.", "process_quality"),
    Spoken("ask-dispute-de-2", "ask", "de", "de", 185,
           "Möchten Sie, dass dieses Gespräch als Nachweis für beide Seiten aufgezeichnet wird? "
           "Für ja drücken Sie die 1, für nein die 9. Ohne Antwort wird nicht aufgezeichnet.", "dispute"),
    Spoken("ask-dispute-en-2", "ask", "en", "en-gb", 180,
           "Do you want this call recorded, as proof for both sides? "
           "For yes, press 1. For no, press 9. Without an answer, we do not record.", "dispute"),
    Spoken("ask-dispute-nb-2", "ask", "nb", "nb", 182,
           "Ønsker du at denne samtalen tas opp, som bevis for begge parter? "
           "For ja, trykk 1. For nei, trykk 9. Uten svar blir det ikke tatt opp.", "dispute"),
    Spoken("ask-side-de-2", "ask", "de", "de", 200,
           "Dürfen wir dieses Gespräch aufzeichnen, um unsere Mitarbeitenden zu schulen? Für ja drücken Sie die 1. "
           "Bei 9 nehmen wir vielleicht nur unsere Seite auf, Sie nicht. Ohne Antwort nichts.", "coaching", True),
    Spoken("ask-side-en-2", "ask", "en", "en-gb", 196,
           "May we record this call, to coach our own staff? For yes, press 1. If you press 9, "
           "we may record only our side, not you. Without an answer, nothing.", "coaching", True),
    Spoken("ask-side-nb-2", "ask", "nb", "nb", 202,
           "Kan vi ta opp denne samtalen, for å veilede våre egne ansatte? For ja, trykk 1. Trykker du 9, "
           "kan vi ta opp bare vår side, ikke deg. Uten svar ingenting.", "coaching", True),
    Spoken("ask-quality-side-de-2", "ask", "de", "de", 200,
           "Dürfen wir dieses Gespräch aufzeichnen, um unsere Abläufe zu verbessern? Für ja drücken Sie die 1. "
           "Bei 9 nehmen wir vielleicht nur unsere Seite auf, Sie nicht. Ohne Antwort nichts.",
           "process_quality", True),
    Spoken("ask-quality-side-en-2", "ask", "en", "en-gb", 196,
           "May we record this call, to improve how we work? For yes, press 1. If you press 9, we may record only "
           "our side, not you. Without an answer, nothing.", "process_quality", True),
    Spoken("ask-quality-side-nb-2", "ask", "nb", "nb", 202,
           "Kan vi ta opp denne samtalen, for å forbedre måten vi arbeider på? For ja, trykk 1. Trykker du 9, "
           "kan vi ta opp bare vår side, ikke deg. Uten svar ingenting.", "process_quality", True),
    Spoken("notice-side-de-1", "notice", "de", "de", 185,
           "Jetzt wird nur unsere Seite aufgezeichnet, nicht Sie. Mit Stern 9 beenden Sie das."),
    Spoken("notice-side-en-1", "notice", "en", "en-gb", 180,
           "Only our side is recorded now, not you. Press star 9 to stop it."),
    Spoken("notice-side-nb-1", "notice", "nb", "nb", 182,
           "Nå tas bare vår side opp, ikke du. Trykk stjerne 9 for å stoppe."),
    Spoken("notice-de-1", "notice", "de", "de", 185,
           "Die Aufzeichnung beginnt jetzt. Mit Stern 9 beenden Sie sie."),
    Spoken("notice-en-1", "notice", "en", "en-gb", 180,
           "Recording starts now. Press star 9 to stop it."),
    Spoken("notice-nb-1", "notice", "nb", "nb", 182,
           "Opptaket starter nå. Trykk stjerne 9 for å stoppe."),
    Spoken("code-de-1", "code", "de", "de", 175,
           "Mit dieser Nummer finden Sie Ihre Aufzeichnung wieder. Bitte schreiben Sie mit."),
    Spoken("code-en-1", "code", "en", "en-gb", 170,
           "With this number you can find your recording again. Please write it down."),
    Spoken("code-nb-1", "code", "nb", "nb", 172,
           "Med dette nummeret finner du opptaket ditt igjen. Vennligst skriv det ned."),
    Spoken("again-de-1", "code", "de", "de", 175, "Noch einmal."),
    Spoken("again-en-1", "code", "en", "en-gb", 170, "Once more."),
    Spoken("again-nb-1", "code", "nb", "nb", 172, "En gang til."),
    *_digits("de", "de", 150, "null eins zwo drei vier fünf sechs sieben acht neun"),
    *_digits("en", "en-gb", 150, "zero one two three four five six seven eight nine"),
    *_digits("nb", "nb", 150, "null en to tre fire fem seks sju åtte ni"),
)
# fmt: on
TONES: Final = (
    Tone("tone-start", "tone", ((660, 120), (0, 60), (880, 160))),
    Tone("tone-end", "end_tone", ((880, 120), (0, 60), (440, 240))),
    Tone("tone-reminder", "reminder", ((1400, 200),)),
    Tone("pause-200", "pause", ((0, 200),)),
    Tone("pause-900", "pause", ((0, 900),)),
)


def main() -> int:
    """Write every file and the index; the exit status."""
    SHIPPED.mkdir(exist_ok=True)
    index = dict(_write(said.words, _speak(said)) for said in SPOKEN)
    index |= dict(_write(Words(tone.id, tone.kind, "", ""), _beep(tone)) for tone in TONES)
    (SHIPPED / INDEX).write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")
    for path in SHIPPED.glob(f"*{SUFFIX}"):
        if path.stem not in index:
            path.unlink()
    return 0


def _speak(said: Spoken) -> NDArray[np.float64]:
    command = ["espeak-ng", "-v", said.voice, "-s", str(said.speed), "--stdout", said.text]
    with wave.open(io.BytesIO(_run(command))) as file:
        rate = file.getframerate()
        # espeak writes a stream of unknown length, so the header's count is far too big
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float64)
    return levelled(trimmed(resampled(samples, rate)))


def _run(command: list[str]) -> bytes:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout


def _beep(tone: Tone) -> NDArray[np.float64]:
    return np.concatenate([_sine(frequency, ms) for frequency, ms in tone.beeps])


def _sine(frequency: int, ms: int) -> NDArray[np.float64]:
    at = np.arange(RATE * ms // 1000)
    edge = np.minimum(1, np.minimum(at, at[::-1]) / (RATE * 5 // 1000))
    return np.asarray(10 ** (LEVEL_DB / 20) * np.sqrt(2) * np.sin(2 * np.pi * frequency * at / RATE) * edge)


def _write(words: Words, samples: NDArray[np.float64]) -> tuple[str, str]:
    """Write a file; its line of the index."""
    data = pack(words, as_samples(samples))
    (SHIPPED / f"{words.id}{SUFFIX}").write_bytes(data)
    return words.id, hashlib.sha256(data).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
