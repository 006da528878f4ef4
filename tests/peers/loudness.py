"""How loud a tone was over time in what a phone heard or what was kept of a side."""

from demo.correlate import tone_db
from demo.g711 import RATE, Samples


def loudness(heard: Samples, hertz: float) -> list[float]:
    """Level of a tone in each whole quarter of a second, in dB."""
    step = RATE // 4
    return [tone_db(heard[at : at + step], hertz) for at in range(0, len(heard) - step + 1, step)]
