"""The speech that the simulated people say: one of two speakers, German or English, 8 kHz mono."""

import wave
from pathlib import Path
from typing import Literal

import numpy as np

from demo.g711 import RATE, Samples

FOLDER = Path(__file__).parent


def speech(speaker: Literal["agent", "caller"], language: Literal["de", "en"] = "de") -> Samples:
    """What that speaker says, as it is shipped; made by `demo.make_speech`."""
    with wave.open(str(FOLDER / f"{speaker}-{language}.wav"), "rb") as file:
        if (file.getframerate(), file.getnchannels(), file.getsampwidth()) != (RATE, 1, 2):
            raise ValueError(f"`{speaker}-{language}.wav` is not 8 kHz mono PCM16")
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.int16)
