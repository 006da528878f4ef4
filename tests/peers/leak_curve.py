"""Measures how well the leak meter finds a leak, and how often it sees one where there is none: the tables of
docs/leak-meter.md. `python -m tests.peers.leak_curve [CALLS]` (100 calls of 20 s a figure; needs espeak-ng).
"""

import subprocess
import sys
import time
from collections.abc import Iterable

import numpy as np

from demo.make_speech import read_wav, resample, trim
from gateway.media.recording.leak_meter import LeakMeter, Verdict
from gateway.rtp.g711 import RATE
from tests.peers.leaky_room import Room, Scene, Voices, call, levelled

SPEAKERS = {
    "de": ("de", "de+m3", "de+f2", "de+m8", "de+f3"),
    "en": ("en-us", "en-gb+m1", "en-us+f4", "en-gb+f1"),
    "nb": ("nb", "nb+m7", "nb+f5"),
}
TEXTS = {
    "de": (
        "Guten Tag, ich rufe wegen der letzten Rechnung an. Der Betrag ist viel höher als im vergangenen Jahr, und ich "
        "verstehe nicht warum. Wir waren im Winter drei Wochen verreist.",
        "Einen Moment bitte, ich sehe nach. Der Zähler wurde im Januar abgelesen, und der Verbrauch passt zu den "
        "Jahren davor. Möchten Sie, dass ich den Abschlag ändere?",
        "Schicken Sie mir die Unterlagen bitte noch einmal per Post, dann vergleiche ich das in Ruhe und melde mich "
        "nächste Woche wieder bei Ihnen.",
    ),
    "en": (
        "Hello, I moved house last month and nobody has read the meter since. Could you tell me what I need to send "
        "you, and by when the new contract begins? I also have a question about the payment.",
        "Of course, let me look at your account. I can see two meters, one for the flat and one for the cellar. Which "
        "of them do you want to keep? I can change that for you at once.",
        "That sounds right to me. Please leave the second one out, and tell me whether the price stays the same until "
        "the end of the year, because my neighbour pays less than I do.",
    ),
    "nb": (
        "God dag, jeg ringer fordi strømregningen min er dobbelt så høy som i fjor, og jeg skjønner ikke hvorfor. Kan "
        "du se om måleren er lest av riktig denne gangen?",
        "Et øyeblikk, jeg skal se på det. Måleren ble lest av den tiende i måneden, og forbruket er omtrent som før. "
        "Vil du at jeg skal sende deg en oversikt i posten?",
        "Ja takk, det vil jeg gjerne. Og så lurer jeg på om det finnes en billigere avtale for hytta vår, som vi "
        "nesten bare bruker om sommeren.",
    ),
}
SCENES: tuple[Scene, ...] = ("silence", "conversation", "double talk")
LEVELS = (-20.0, -30.0, -40.0, -50.0)


def judged(heard: np.ndarray, microphone: np.ndarray) -> tuple[float, float | None, bool]:
    """Score, seconds until a leak was found in the running call, and whether one was found by its end."""
    meter, found_at = LeakMeter(), None
    for at in range(0, len(microphone), RATE):
        meter.feed(heard[at : at + RATE], microphone[at : at + RATE])
        if found_at is None and meter.verdict is Verdict.LEAK:
            found_at = at / RATE + 1
    return meter.score, found_at, meter.finish() is Verdict.LEAK


def measured(room: Room, calls: int, voices: Voices, seed: int = 1) -> tuple[float, float | None, np.ndarray]:
    """Share of calls in which a leak was found, the median of when, and all scores."""
    dice = np.random.default_rng(seed)
    results = [judged(*call(room, dice, voices)) for _ in range(calls)]
    times = [found_at for _, found_at, _ in results if found_at is not None]
    scores = np.array([score for score, _, _ in results])
    return sum(leak for _, _, leak in results) / calls, float(np.median(times)) if times else None, scores


def spoken() -> Voices:
    """Twelve voices of espeak-ng, three utterances each."""
    return {
        speaker: [levelled(_say(speaker, text)) for text in TEXTS[language]]
        for language, speakers in SPEAKERS.items()
        for speaker in speakers
    }


def _say(speaker: str, text: str) -> np.ndarray:
    command = ["espeak-ng", "-v", speaker, "-s", "150", "--stdout"]
    said = subprocess.run(command, input=text.encode(), capture_output=True, check=True).stdout
    return trim(resample(*read_wav(said))).astype(np.float64)


def _rows(calls: int, voices: Voices) -> Iterable[str]:
    yield f"| leak | {' | '.join(SCENES)} | conversation in noise | conversation, agent's echo |"
    yield "|---|---|---|---|---|---|"
    for level in (*LEVELS, None):
        rooms = [Room(level, scene) for scene in SCENES]
        rooms += [Room(level, noise_db=-45), Room(level, agent_echo_db=-15)]
        cells = []
        for room in rooms:
            share, when, scores = measured(room, calls, voices)
            after = f", {when:.0f} s" if when is not None else ""
            cells.append(f"{share:.0%}{after}" if level is not None else f"{share:.1%} (score ≤ {scores.max():.1f})")
        name = f"{level:.0f} dB" if level is not None else "none: false alarms"
        yield f"| {name} | {' | '.join(cells)} |"


def _short(calls: int, voices: Voices) -> Iterable[str]:
    """Segments that end soon: the caller talks all the time, the agent listens."""
    lengths = (5, 8)
    yield f"| leak | {' | '.join(f'{length} s' for length in lengths)} |"
    yield "|---" * (len(lengths) + 1) + "|"
    for level in (*LEVELS[:3], None):
        shares = [measured(Room(level, "silence", seconds=length), calls, voices)[0] for length in lengths]
        talking = [measured(Room(level, "double talk", seconds=length), calls, voices)[0] for length in lengths]
        cells = [f"{share:.0%}, both talking {other:.0%}" for share, other in zip(shares, talking, strict=True)]
        yield f"| {f'{level:.0f} dB' if level is not None else 'none: false alarms'} | {' | '.join(cells)} |"


def _late(calls: int, voices: Voices) -> str:
    """What comes later than it is looked for."""
    found = {
        delay: measured(Room(-20.0, "silence", delay_ms=delay), calls, voices)[0] for delay in (240, 260, 300, 400)
    }
    return "a leak of -20 dB that comes " + ", ".join(
        f"{delay} ms later: {share:.0%}" for delay, share in found.items()
    )


def _false_alarms(hours: float, voices: Voices) -> str:
    dice, minutes, alarms, highest = np.random.default_rng(2), 0, 0, 0.0
    while minutes < hours * 60:
        scene = SCENES[minutes // 5 % 3]
        score, _, leak = judged(*call(Room(None, scene, seconds=300), dice, voices))
        minutes, alarms, highest = minutes + 5, alarms + leak, max(highest, score)
    return f"{alarms} false alarms in {minutes / 60:.0f} h of calls of 5 min; highest score {highest:.2f}"


def _cost(voices: Voices) -> str:
    heard, microphone = call(Room(None, "double talk", seconds=60), np.random.default_rng(3), voices)
    began = time.process_time()
    judged(heard, microphone)
    return f"{(time.process_time() - began) / 60 * 1000:.1f} ms of a core for a second of one side, both talking"


def main() -> int:
    """Print the tables."""
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    voices = spoken()
    for row in _rows(calls, voices):
        print(row, flush=True)
    for row in _short(calls, voices):
        print(row, flush=True)
    print(_late(calls // 5, voices))
    print(_cost(voices))
    print(_false_alarms(calls / 20, voices))
    return 0


if __name__ == "__main__":
    sys.exit(main())
