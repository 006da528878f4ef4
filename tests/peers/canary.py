"""Canaries and how they are found: words and digits in every usual spelling, sounds by matched filter in raw bytes.

False alarms. A word is 14 random letters, a number 11 or more random digits: by chance in no file of this world. Noise
is 160 Gaussian samples, one RTP packet. Whatever 160 samples a file holds, their correlation with noise that was drawn
without knowing them is normal with a spread of 1/√160, so 0.7 is 8.9 spreads: 9e-19 a place, under 1e-8 for a gigabyte
read in six ways. Tones and key tones have no such bound for data with a rhythm of its own; they need 100 ms and 320 ms.
"""

import base64
import json
import re
import secrets
import string
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from demo.g711 import RATE, Samples, decode, encode
from demo.line import FRAME
from demo.tones import dtmf, tone

STRONG = 0.7
KEY_MS = 100
KEY_REST = 480
"""Samples of silence that `Line.press` leaves after a key that is pressed in-band."""
BLOCK = 8192
LONGEST = 2560
"""Samples of the longest template."""
PIECE = 1 << 20
Floats = NDArray[np.float32]


class Finding(NamedTuple):
    """One canary in one place."""

    canary: str
    form: str
    place: str
    at: int


def word() -> str:
    """Random letters."""
    return "".join(secrets.choice(string.ascii_lowercase) for _ in range(14))


def digits(count: int, first: str) -> str:
    """Random digits behind a given beginning; no digit twice in a row, so that none can pass for two."""
    made = first
    while len(made) < count:
        made += secrets.choice([one for one in string.digits if one != made[-1]])
    return made


@dataclass(frozen=True)
class Text:
    """A word or a number."""

    name: str
    value: str

    @cached_property
    def forms(self) -> dict[str, bytes]:
        """Byte strings to look for, by the name of the spelling."""
        value, raw = self.value, self.value.encode()
        spelled = {
            "utf-8": raw,
            "upper case": value.upper().encode(),
            "utf-16le": value.encode("utf-16le"),
            "utf-16be": value.encode("utf-16be"),
            "utf-32": value.encode("utf-32le"),
            "hex": raw.hex().encode(),
            "HEX": raw.hex().upper().encode(),
            "percent": "".join(f"%{octet:02X}" for octet in raw).encode(),
            "url": quote(value, safe="").encode(),
            "json": json.dumps(value)[1:-1].encode(),
            "unicode escapes": "".join(f"\\u{ord(char):04x}" for char in value).encode(),
            "reversed": value[::-1].encode(),
        }
        for shift in range(3):
            spelled[f"base64+{shift}"] = _base64_within(raw, shift)
        if value.isdigit():
            spelled |= _number_forms(value)
        return {form: needle for form, needle in spelled.items() if form == "utf-8" or needle != raw}

    @cached_property
    def spread(self) -> re.Pattern[bytes] | None:
        """A number with other characters between its digits."""
        if not self.value.isdigit():
            return None
        return re.compile(rb"[^0-9]{1,4}".join(digit.encode() for digit in self.value), re.DOTALL)

    def find(self, data: bytes, lowered: bytes) -> Iterator[tuple[str, int]]:
        """Every spelling that occurs, with its places."""
        for form, needle in self.forms.items():
            where = lowered if form == "utf-8" else data
            needle = needle.lower() if form == "utf-8" else needle
            at = where.find(needle)
            while at >= 0:
                yield form, at
                at = where.find(needle, at + 1)
        if self.spread is not None:
            yield from (("separated", match.start()) for match in self.spread.finditer(data))


def _base64_within(raw: bytes, shift: int) -> bytes:
    """The characters that `raw` surely gives when it stands `shift` octets behind a group's beginning."""
    coded = base64.b64encode(bytes(shift) + raw)
    return coded[-(-8 * shift // 6) : 8 * (shift + len(raw)) // 6]


def _number_forms(value: str) -> dict[str, bytes]:
    number = int(value)
    octets = max(6, (number.bit_length() + 7) // 8)
    events = b"".join(bytes((int(digit),)) for digit in value)
    packed = bytes(int((value + "f" * (len(value) % 2))[at : at + 2], 16) for at in range(0, len(value), 2))
    forms = {"octets": events, "bcd": packed}
    return forms | {f"integer {order}": number.to_bytes(octets, order) for order in ("big", "little")}


@dataclass(frozen=True)
class Sound:
    """A template that is looked for, and what a phone plays."""

    name: str
    template: Samples
    strong: float = STRONG
    turned: Samples | None = None
    """The same tone a quarter later: together they find any phase."""

    @cached_property
    def windows(self) -> dict[str, bytes]:
        """Short exact pieces, for places that are too large for the filter: any 104 octets of a packet hold one."""
        found = {}
        for law in ("PCMA", "PCMU"):
            coded = encode(law, self.template)
            heard = decode(law, coded)
            for at in (0, 80):
                found[f"{law}/{at}"] = coded[at : at + 24]
                found[f"s16le of {law}/{at}"] = heard[at : at + 12].astype("<i2").tobytes()
                found[f"s16be of {law}/{at}"] = heard[at : at + 12].astype(">i2").tobytes()
                found[f"float of {law}/{at}"] = heard[at : at + 12].astype("<f4").tobytes()
        return found


def noise(name: str) -> Sound:
    """Gaussian noise of one packet."""
    wave = np.random.default_rng(secrets.randbits(128)).normal(0, 6000, FRAME).clip(-30000, 30000)
    return Sound(name, decode("PCMA", encode("PCMA", wave.astype(np.int16))))


def pure(name: str, hertz: float) -> Sound:
    """A tone of 100 ms."""
    turned = (np.sin(2 * np.pi * hertz * np.arange(800) / RATE) * 9000).astype(np.int16)
    return Sound(name, (np.cos(2 * np.pi * hertz * np.arange(800) / RATE) * 9000).astype(np.int16), 0.9, turned)


def keyed(name: str, keys: str) -> Sound:
    """The first two of some keys, as they sound in-band."""
    return Sound(name, np.concatenate([_in_band(key) for key in keys[:2]]))


def _in_band(key: str) -> Samples:
    return np.concatenate((dtmf(key, KEY_MS), np.zeros(KEY_REST, np.int16)))


@dataclass(frozen=True)
class Voice:
    """What somebody says: noise in each packet for 120 ms, then a tone for 120 ms, for a second and a half."""

    noise: Sound
    tone: Sound
    hertz: float

    @classmethod
    def new(cls, name: str, hertz: float) -> "Voice":
        """A voice that was never heard before; the frequency gets an odd fraction."""
        exact = hertz + secrets.randbelow(1000) / 100
        return cls(noise(f"{name} noise"), pure(f"{name} tone", exact), exact)

    def samples(self, seconds: float = 1.44) -> Samples:
        """So long, in whole packets."""
        part = np.concatenate((np.tile(self.noise.template, 6), tone(self.hertz, 0.12)))
        return np.tile(part, max(1, round(seconds / 0.24)))


@dataclass(frozen=True)
class Canaries:
    """All of one run."""

    name: str = field(default_factory=word)
    display: str = field(default_factory=word)
    call_id: str = field(default_factory=word)
    description: str = field(default_factory=word)
    """Stands in session descriptions and in headers that nobody reads."""
    extension: str = field(default_factory=lambda: digits(11, "7"))
    number: str = field(default_factory=lambda: digits(15, "4930"))
    protected: str = field(default_factory=lambda: digits(15, "4940"))
    card: str = field(default_factory=lambda: digits(16, "4"))
    hidden: Voice = field(default_factory=lambda: Voice.new("hidden", 1103.0))
    """What nobody may record."""
    kept: Voice = field(default_factory=lambda: Voice.new("kept", 2341.0))
    """What is said while a recording runs."""

    @cached_property
    def texts(self) -> tuple[Text, ...]:
        """Words and numbers."""
        names = ("name", "display", "call_id", "description", "extension", "number", "protected", "card")
        return tuple(Text(name, getattr(self, name)) for name in names)

    @cached_property
    def sounds(self) -> tuple[Sound, ...]:
        """Voices, and the card's digits as keys."""
        voices = [sound for voice in (self.hidden, self.kept) for sound in (voice.noise, voice.tone)]
        return (*voices, keyed("card tones", self.card))

    def look_for_texts(self, data: bytes, place: str, only: tuple[str, ...] = ()) -> list[Finding]:
        """Words and numbers in some bytes; all, or only some of them."""
        lowered = data.lower()
        texts = [text for text in self.texts if not only or text.name in only]
        return [Finding(text.name, form, place, at) for text in texts for form, at in text.find(data, lowered)]

    def look_for_sounds(self, data: bytes, place: str) -> list[Finding]:
        """Sounds in some bytes, by matched filter, in every reading and alignment; `at` is only the piece."""
        found = []
        for begin in range(0, len(data), PIECE):
            for reading, samples in readings(data[begin : begin + PIECE + 2 * LONGEST]):
                found += [Finding(sound.name, reading, place, begin) for sound, _ in matches(samples, self.sounds)]
        return found

    def look_for_windows(self, data: bytes, place: str) -> list[Finding]:
        """Exact pieces of both noises in some bytes."""
        pieces = [(sound, form, piece) for sound in self.sounds[::2][:2] for form, piece in sound.windows.items()]
        hits = [(sound, form, data.find(piece)) for sound, form, piece in pieces]
        return [Finding(sound.name, form, place, at) for sound, form, at in hits if at >= 0]

    def look(self, data: bytes, place: str) -> list[Finding]:
        """Everything."""
        return self.look_for_texts(data, place) + self.look_for_sounds(data, place)


def readings(data: bytes) -> Iterator[tuple[str, Floats]]:
    """Some bytes as samples: both laws of G.711, 16 bits in both orders from both alignments."""
    yield "PCMA", decode("PCMA", data).astype(np.float32)
    yield "PCMU", decode("PCMU", data).astype(np.float32)
    for start in (0, 1):
        even = data[start : start + (len(data) - start) // 2 * 2]
        for order in ("<", ">"):
            yield f"s16{order}+{start}", np.frombuffer(even, f"{order}i2").astype(np.float32)


def matches(samples: Floats, sounds: tuple[Sound, ...]) -> Iterator[tuple[Sound, int]]:
    """The sounds that are in there, each with the first place where it is strong."""
    if len(samples) < FRAME or not samples.any():
        return
    spectra = _spectra(samples)
    total = np.concatenate(([0.0], np.cumsum(samples.astype(np.float64) ** 2)))
    for sound in sounds:
        length = len(sound.template)
        if len(samples) < length:
            continue
        power = _correlation(spectra, sound.template, len(samples)) ** 2
        if sound.turned is not None:
            power += _correlation(spectra, sound.turned, len(samples)) ** 2
        energy = total[length:] - total[:-length]
        # a few least bits are no sound, and would be all rounding error
        least = sound.strong**2 * float(np.sum(sound.template.astype(np.float64) ** 2))
        strong = (energy > 16.0 * length) & (power >= least * energy)
        if strong.any():
            yield sound, int(strong.argmax())


STEP = BLOCK - LONGEST + 1


def _spectra(samples: Floats) -> NDArray[np.complexfloating]:
    """Of blocks that overlap by the longest template."""
    blocks = -(-len(samples) // STEP)
    padded = np.zeros((blocks - 1) * STEP + BLOCK, np.float32)
    padded[: len(samples)] = samples
    return np.fft.rfft(np.lib.stride_tricks.sliding_window_view(padded, BLOCK)[::STEP])


def _correlation(spectra: NDArray[np.complexfloating], template: Samples, samples: int) -> NDArray[np.floating]:
    """By overlap-save: the template at every place where it fits."""
    turned = np.conj(np.fft.rfft(template.astype(np.float32), BLOCK))
    found = np.fft.irfft(spectra * turned, BLOCK)[:, :STEP].reshape(-1)
    return found[: samples - len(template) + 1]
