"""The files that recordings are kept in, as samples: G.711, G.722, PCM and G.729 in a WAV, Opus in Ogg.

All lengths in them may be unknown, and the end may be missing. Opus needs the system's libopus. G.729 is decoded by an
`ffmpeg` program where there is one, in memory and in a process of its own.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from api.errors import CommandError
from audio import g722, libopus

__all__ = ["ALAW", "ULAW", "Pcm", "decode", "decode_wav", "resampled"]

Pcm = NDArray[np.int16]
_PCM, _ALAW, _ULAW, _G729, _G722 = 1, 6, 7, 0x0083, 0x028F
_OPUS_RATE: Final = 48_000
_PAGE: Final = struct.Struct("<4sBBqIIIB")
_DECODING_S: Final = 600


def decode(data: bytes) -> tuple[int, Pcm]:
    """Rate and samples of an opened file; raises `CommandError`."""
    return _decode_ogg(data) if data[:4] == b"OggS" else decode_wav(data)


def decode_wav(data: bytes) -> tuple[int, Pcm]:
    """Rate and samples of a mono WAV; raises `CommandError`."""
    if len(data) < 12 or data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise CommandError("the opened file isn't a WAV, nor Ogg")
    position, rate, code = 12, 0, 0
    while position + 8 <= len(data):
        kind, size = struct.unpack_from("<4sI", data, position)
        body = data[position + 8 : position + 8 + size]
        if kind == b"fmt " and len(body) >= 16:
            code, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", body)
            known = (code, bits) in ((_PCM, 16), (_ALAW, 8), (_ULAW, 8)) or code in (_G722, _G729)
            if not known or channels != 1 or not 1 <= rate <= 192_000:
                raise CommandError("the opened WAV isn't mono G.711, G.722, G.729 or 16-bit PCM")
        elif kind == b"data" and rate:
            return rate, _samples(code, body, data)
        position += 8 + size + (size & 1)
    raise CommandError("the opened WAV holds no sound")


def resampled(samples: Pcm, rate: int, wanted: int) -> Pcm:
    """Samples at another rate, by straight lines between them."""
    if rate == wanted or not len(samples):
        return samples
    places = np.arange(len(samples) * wanted // rate) * rate / wanted
    return np.rint(np.interp(places, np.arange(len(samples)), samples)).astype(np.int16)


def _samples(code: int, body: bytes, whole: bytes) -> Pcm:
    if code == _PCM:
        return np.frombuffer(body[: len(body) & ~1], "<i2").astype(np.int16)
    if code == _G722:
        return g722.decode(body)
    if code == _G729:
        return _by_ffmpeg(whole)
    decoded: Pcm = (ALAW if code == _ALAW else ULAW)[np.frombuffer(body, np.uint8)]
    return decoded


def _by_ffmpeg(data: bytes) -> Pcm:
    program = shutil.which("ffmpeg")
    if program is None:
        raise CommandError("G.729 needs the program `ffmpeg`; install it, or open the file with `age -d` elsewhere")
    order = [program, "-v", "error", "-i", "pipe:0", "-f", "s16le", "-ac", "1", "-ar", "8000", "pipe:1"]
    try:
        done = subprocess.run(order, input=data, capture_output=True, timeout=_DECODING_S, check=True)
    except (OSError, subprocess.SubprocessError):
        raise CommandError("`ffmpeg` can't decode the opened WAV") from None
    return np.frombuffer(done.stdout[: len(done.stdout) & ~1], "<i2").astype(np.int16)


def _decode_ogg(data: bytes) -> tuple[int, Pcm]:
    packets = _packets(data)
    head = next(packets, b"")
    if head[:8] != b"OpusHead" or len(head) < 19 or head[9] != 1:
        raise CommandError("the opened Ogg file isn't mono Opus")
    try:
        decoder = libopus.Decoder(_OPUS_RATE)
    except libopus.OpusError:
        raise CommandError(
            "Opus needs libopus (Debian: `libopus0`); or open the file with `age -d`: players take it"
        ) from None
    next(packets, b"")  # the tags
    parts = [np.zeros(0, np.int16)]
    for packet in packets:
        try:
            parts.append(decoder.decode(packet))
        except libopus.OpusError:
            raise CommandError("the opened Ogg file is damaged") from None
    return _OPUS_RATE, np.concatenate(parts)[int.from_bytes(head[10:12], "little") :]


def _packets(data: bytes) -> Iterator[bytes]:
    """All whole packets of whole pages (RFC 3533 §6)."""
    position, packet = 0, b""
    while position + _PAGE.size <= len(data):
        tag, *_, segments = _PAGE.unpack_from(data, position)
        lacing = data[position + _PAGE.size : position + _PAGE.size + segments]
        start = position + _PAGE.size + segments
        position = start + sum(lacing)
        if tag != b"OggS" or position > len(data):
            return
        for size in lacing:
            packet += data[start : start + size]
            start += size
            if size < 255:
                yield packet
                packet = b""


def _alaw_table() -> Pcm:
    """ITU-T G.711, table 1a."""
    code = np.arange(256, dtype=np.int32) ^ 0x55
    exponent, mantissa = (code >> 4) & 7, code & 15
    size = np.where(exponent == 0, (mantissa << 4) + 8, ((mantissa << 4) + 0x108) << np.maximum(exponent - 1, 0))
    return np.where(code & 0x80, size, -size).astype(np.int16)


def _ulaw_table() -> Pcm:
    """ITU-T G.711, table 2a."""
    code = ~np.arange(256, dtype=np.int32) & 0xFF
    size = ((((code & 15) << 3) + 0x84) << ((code >> 4) & 7)) - 0x84
    return np.where(code & 0x80, -size, size).astype(np.int16)


ALAW: Final = _alaw_table()
ULAW: Final = _ulaw_table()
