"""Makes the shipped catalogue: speech by espeak-ng, tones by formula. `python -m gateway.media.prompts.make_catalogue`.

Only for changing the sounds; the gateway plays the files that lie in `catalogue/` and never speaks itself.
"""

import hashlib
import io
import subprocess
import sys
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gateway.media.prompts.sounds import SHIPPED, Kind, Sound, write_index
from gateway.rtp.g711 import RATE

LEVEL_DB: Final = -16.0
"""RMS of the parts that are spoken, below full scale."""
TAPS: Final = 127


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
    Spoken("ask-de-1", "ask", "de", "de", 185,
           "Dürfen wir dieses Gespräch aufzeichnen, um die Person am Telefon zu schulen? "
           "Für ja drücken Sie die 1, für nein die 9. Ohne Antwort wird nicht aufgezeichnet.", "coaching"),
    Spoken("ask-en-1", "ask", "en", "en-gb", 180,
           "May we record this call, to coach the person you are speaking with? "
           "For yes, press 1. For no, press 9. Without an answer, we do not record.", "coaching"),
    Spoken("ask-nb-1", "ask", "nb", "nb", 182,
           "Kan vi ta opp denne samtalen, for å veilede den du snakker med? "
           "For ja, trykk 1. For nei, trykk 9. Uten svar blir det ikke tatt opp.", "coaching"),
    Spoken("ask-quality-de-1", "ask", "de", "de", 185,
           "Dürfen wir dieses Gespräch aufzeichnen, um unsere Abläufe zu verbessern? "
           "Für ja drücken Sie die 1, für nein die 9. Ohne Antwort wird nicht aufgezeichnet.", "process_quality"),
    Spoken("ask-quality-en-1", "ask", "en", "en-gb", 180,
           "May we record this call, to improve how we work? "
           "For yes, press 1. For no, press 9. Without an answer, we do not record.", "process_quality"),
    Spoken("ask-quality-nb-1", "ask", "nb", "nb", 182,
           "Kan vi ta opp denne samtalen, for å forbedre måten vi arbeider på? "
           "For ja, trykk 1. For nei, trykk 9. Uten svar blir det ikke tatt opp.", "process_quality"),
    Spoken("ask-dispute-de-1", "ask", "de", "de", 185,
           "Möchten Sie, dass dieses Gespräch als Nachweis für beide Seiten aufgezeichnet wird? "
           "Für ja drücken Sie die 1, für nein die 9. Ohne Antwort wird nicht aufgezeichnet.", "dispute"),
    Spoken("ask-dispute-en-1", "ask", "en", "en-gb", 180,
           "Do you want this call recorded, as proof for both sides? "
           "For yes, press 1. For no, press 9. Without an answer, we do not record.", "dispute"),
    Spoken("ask-dispute-nb-1", "ask", "nb", "nb", 182,
           "Ønsker du at denne samtalen tas opp, som bevis for begge parter? "
           "For ja, trykk 1. For nei, trykk 9. Uten svar blir det ikke tatt opp.", "dispute"),
    Spoken("ask-side-de-1", "ask", "de", "de", 200,
           "Dürfen wir dieses Gespräch aufzeichnen, um die Person am Telefon zu schulen? Für ja drücken Sie die 1. "
           "Bei 9 nehmen wir vielleicht nur diese Person auf, Sie nicht. Ohne Antwort nichts.", "coaching", True),
    Spoken("ask-side-en-1", "ask", "en", "en-gb", 196,
           "May we record this call, to coach the person you are speaking with? For yes, press 1. If you press 9, "
           "we may record only that person, not you. Without an answer, nothing.", "coaching", True),
    Spoken("ask-side-nb-1", "ask", "nb", "nb", 202,
           "Kan vi ta opp denne samtalen, for å veilede den du snakker med? For ja, trykk 1. Trykker du 9, "
           "kan vi ta opp bare den personen, ikke deg. Uten svar ingenting.", "coaching", True),
    Spoken("ask-quality-side-de-1", "ask", "de", "de", 200,
           "Dürfen wir dieses Gespräch aufzeichnen, um unsere Abläufe zu verbessern? Für ja drücken Sie die 1. "
           "Bei 9 nehmen wir vielleicht nur die Person am Telefon auf, Sie nicht. Ohne Antwort nichts.",
           "process_quality", True),
    Spoken("ask-quality-side-en-1", "ask", "en", "en-gb", 196,
           "May we record this call, to improve how we work? For yes, press 1. If you press 9, we may record only "
           "the person you are speaking with, not you. Without an answer, nothing.", "process_quality", True),
    Spoken("ask-quality-side-nb-1", "ask", "nb", "nb", 202,
           "Kan vi ta opp denne samtalen, for å forbedre måten vi arbeider på? For ja, trykk 1. Trykker du 9, "
           "kan vi ta opp bare den du snakker med, ikke deg. Uten svar ingenting.", "process_quality", True),
    Spoken("notice-side-de-1", "notice", "de", "de", 185,
           "Jetzt wird nur die andere Person aufgezeichnet. Mit Stern 9 beenden Sie das."),
    Spoken("notice-side-en-1", "notice", "en", "en-gb", 180,
           "Only the other person is recorded now. Press star 9 to stop it."),
    Spoken("notice-side-nb-1", "notice", "nb", "nb", 182,
           "Nå tas bare den andre personen opp. Trykk stjerne 9 for å stoppe."),
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
    sounds = [_write(said, _speak(said)) for said in SPOKEN]
    sounds += [_write(Spoken(tone.id, tone.kind, "", "", 0, ""), _beep(tone)) for tone in TONES]
    write_index(SHIPPED, sounds)
    return 0


def _speak(said: Spoken) -> NDArray[np.float64]:
    command = ["espeak-ng", "-v", said.voice, "-s", str(said.speed), "--stdout", said.text]
    with wave.open(io.BytesIO(_run(command))) as file:
        rate = file.getframerate()
        # espeak writes a stream of unknown length, so the header's count is far too big
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float64)
    return _levelled(_trimmed(_resampled(samples, rate)))


def _run(command: list[str]) -> bytes:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout


def _resampled(samples: NDArray[np.float64], rate: int) -> NDArray[np.float64]:
    """To 8 kHz: low-pass at 3.6 kHz by a windowed sinc, then linear between neighbours."""
    at = np.arange(TAPS) - TAPS // 2
    kernel = np.sinc(2 * 3600 / rate * at) * np.hamming(TAPS)
    smooth = np.convolve(samples, kernel / kernel.sum(), "same")
    places = np.arange(0, len(smooth) - 1, rate / RATE)
    return np.asarray(np.interp(places, np.arange(len(smooth)), smooth))


def _trimmed(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Without the silence at both ends, but for 60 ms."""
    loud = np.flatnonzero(np.abs(samples) > 0.01 * np.abs(samples).max())
    margin = RATE * 60 // 1000
    return samples[max(int(loud[0]) - margin, 0) : int(loud[-1]) + margin]


def _levelled(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """At `LEVEL_DB` where there is speech, peaks rounded off below full scale."""
    voiced = samples[np.abs(samples) > 0.05 * np.abs(samples).max()]
    scaled = samples / np.sqrt(np.mean(voiced**2)) * 10 ** (LEVEL_DB / 20)
    return np.asarray(np.tanh(scaled / 0.9) * 0.9)


def _beep(tone: Tone) -> NDArray[np.float64]:
    return np.concatenate([_sine(frequency, ms) for frequency, ms in tone.beeps])


def _sine(frequency: int, ms: int) -> NDArray[np.float64]:
    at = np.arange(RATE * ms // 1000)
    edge = np.minimum(1, np.minimum(at, at[::-1]) / (RATE * 5 // 1000))
    return np.asarray(10 ** (LEVEL_DB / 20) * np.sqrt(2) * np.sin(2 * np.pi * frequency * at / RATE) * edge)


def _write(said: Spoken, samples: NDArray[np.float64]) -> Sound:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(np.rint(np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    file_name = f"{said.id}.wav"
    (SHIPPED / Path(file_name)).write_bytes(out.getvalue())
    digest = hashlib.sha256(out.getvalue()).hexdigest()
    return Sound(said.id, said.kind, said.language, file_name, digest, said.text, said.purpose, said.one_sided)


if __name__ == "__main__":
    sys.exit(main())
