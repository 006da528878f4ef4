"""Makes the speech in `demo/speech/` with espeak-ng: `python -m demo.make_speech`. Needed only to change the texts.

Two speakers, German and English, 8 kHz mono PCM16. espeak-ng runs as a program of its own; nothing of it is shipped.
"""

import io
import shutil
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from demo.g711 import RATE, Samples

FOLDER = Path(__file__).parent / "speech"
PEAK = 0.6
TAPS = 151

LINES = {
    "agent-de": (
        "de+f3",
        "Guten Tag, Sie sprechen mit dem Kundenservice Strom. Ich habe Ihren Zählerstand vor mir und sehe, "
        "dass der Abschlag zum nächsten Monat sinkt. Den neuen Vertrag schicke ich Ihnen heute noch mit der "
        "Post. Haben Sie dazu noch eine Frage?",
    ),
    "caller-de": (
        "de+m7",
        "Ja, hallo, ich rufe wegen meiner Rechnung an. Mir ist aufgefallen, dass der Verbrauch im Winter viel"
        " höher war als im Jahr davor. Können Sie bitte nachsehen, ob der Zähler richtig abgelesen wurde? Ich"
        " bin den ganzen Nachmittag erreichbar.",
    ),
    "agent-en": (
        "en-gb+f3",
        "Good afternoon, this is customer service for electricity. I can see the reading of your meter, and "
        "your monthly payment goes down from next month. I will send the new contract by post today. Is there"
        " anything else you would like to know?",
    ),
    "caller-en": (
        "en-us+m7",
        "Hello, I am calling about my last bill. It seems to me that we used much more in the winter than the"
        " year before. Could you please check whether somebody misread the meter? I can be reached for the "
        "rest of the afternoon.",
    ),
}


def main() -> int:
    """Write all files anew; rc 1 where espeak-ng is missing."""
    program = shutil.which("espeak-ng")
    if program is None:
        print("espeak-ng is not installed: on Debian, apt-get install espeak-ng", file=sys.stderr)
        return 1
    FOLDER.mkdir(exist_ok=True)
    for name, (voice, text) in LINES.items():
        spoken = subprocess.run(
            [program, "-v", voice, "-s", "165", "--stdout"], input=text.encode(), capture_output=True, check=True
        ).stdout
        samples = level(trim(resample(*read_wav(spoken))))
        write_wav(FOLDER / f"{name}.wav", samples)
        print(f"{name}.wav: {len(samples) / RATE:.1f} s")
    return 0


def read_wav(data: bytes) -> tuple[NDArray[np.float64], int]:
    """Samples and rate of what espeak-ng printed; its header doesn't know the length."""
    with wave.open(io.BytesIO(data)) as file:
        rate = file.getframerate()
    body = data[data.index(b"data") + 8 :]
    return np.frombuffer(body[: len(body) // 2 * 2], "<i2").astype(np.float64), rate


def resample(samples: NDArray[np.float64], rate: int) -> NDArray[np.float64]:
    """To 8 kHz through a windowed-sinc low pass at 3.4 kHz, then by linear interpolation."""
    at = np.arange(TAPS) - TAPS // 2
    kernel = np.sinc(2 * 3400 / rate * at) * np.hamming(TAPS)
    smooth = np.convolve(samples, kernel / kernel.sum(), "same")
    times = np.arange(0, len(smooth) - 1, rate / RATE)
    taken: NDArray[np.float64] = np.interp(times, np.arange(len(smooth)), smooth)
    return taken


def trim(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Without the silence before and after."""
    loud = np.flatnonzero(abs(samples) > 0.01 * abs(samples).max())
    return samples[int(loud[0]) : int(loud[-1]) + 1]


def level(samples: NDArray[np.float64]) -> Samples:
    """With the peak at `PEAK` of full scale."""
    scaled: Samples = (samples * (32767 * PEAK / abs(samples).max())).astype(np.int16)
    return scaled


def write_wav(path: Path, samples: Samples) -> None:
    """PCM16, mono, 8 kHz."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.astype("<i2").tobytes())


if __name__ == "__main__":
    sys.exit(main())
