"""What a side's audio is written into, never to be touched again: a WAV of unknown length, or Ogg around Opus.

The WAV has sizes of 0xFFFFFFFF, as players take it even when it is cut, and then the payloads as they were received:
G.711 (formats 6 and 7), G.722 (0x028F) or G.729 (0x0083). Mono.
"""

import secrets
import struct
from collections.abc import Iterable
from typing import Final, Protocol

from audio.g722 import SILENCE as G722_SILENCE
from gateway.media.recording.ogg import OggOpus
from gateway.rtp.g711 import SILENCE as G711_SILENCE
from gateway.rtp.payload_types import Codec

_WAV: Final[dict[Codec, tuple[int, int, int, int, int]]] = {
    "PCMA": (6, 8000, 8000, 1, 8),
    "PCMU": (7, 8000, 8000, 1, 8),
    "G722": (0x028F, 16000, 8000, 1, 4),
    "G729": (0x0083, 8000, 1000, 10, 0),
}
"""Format tag, samples a second, bytes a second, bytes of a block, bits of a sample."""
_UNIT: Final[dict[Codec, bytes]] = {
    **{law: bytes((code,)) for law, code in G711_SILENCE.items()},
    "G722": bytes((G722_SILENCE,)),
    "G729": bytes(10),
}
_UNKNOWN: Final = 0xFFFFFFFF
_HEADER: Final = struct.Struct("<4sI4s 4sIHHIIHHH 4sI")
HEADER_BYTES: Final = _HEADER.size
_SOME: Final = 65_536


class Container(Protocol):
    """A file as it grows."""

    @property
    def name(self) -> str:
        """What the manifest calls it."""
        ...

    def header(self) -> bytes:
        """What comes before any audio."""
        ...

    def audio(self, piece: bytes) -> bytes:
        """What a piece of audio makes the file longer by."""
        ...

    def silence(self, units: int) -> Iterable[bytes]:
        """The same of silence, in parts: bytes of G.711 and G.722, frames of G.729, grains of Opus."""
        ...

    def end(self) -> bytes:
        """What comes last."""
        ...


class Wav:
    """A WAV of one codec."""

    def __init__(self, codec: Codec) -> None:
        self._codec: Final = codec

    @property
    def name(self) -> str:
        """`wav/PCMA` and the like."""
        return f"wav/{self._codec}"

    def header(self) -> bytes:
        """The 46 bytes before the audio."""
        return wav_header(self._codec)

    def audio(self, piece: bytes) -> bytes:
        """As it is."""
        return piece

    def silence(self, units: int) -> Iterable[bytes]:
        """The codec's silence, again and again."""
        unit = _UNIT[self._codec]
        some = _SOME // len(unit)
        while units:
            yield unit * min(units, some)
            units -= min(units, some)

    def end(self) -> bytes:
        """Nothing: what is behind the header is audio."""
        return b""


def container(codec: Codec) -> Container:
    """An empty one for audio of that codec."""
    return OggOpus(secrets.randbits(32)) if codec == "OPUS" else Wav(codec)


def wav_header(codec: Codec) -> bytes:
    """The 46 bytes before the audio of a WAV."""
    tag, rate, bytes_per_s, block, bits = _WAV[codec]
    form = (b"fmt ", 18, tag, 1, rate, bytes_per_s, block, bits, 0)
    return _HEADER.pack(b"RIFF", _UNKNOWN, b"WAVE", *form, b"data", _UNKNOWN)
