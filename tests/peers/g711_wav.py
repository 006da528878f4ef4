"""A mono G.711 WAV as recordings hold it: lengths unknown unless told."""

import struct


def container(data: bytes, law: int = 6, rate: int = 8000, size: int = 0xFFFFFFFF) -> bytes:
    head = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", 0xFFFFFFFF, b"WAVE", b"fmt ", 18, law, 1, rate, rate, 1, 8) + b"\0\0"
    return head + struct.pack("<4sI4s", b"fact", 4, b"\xff" * 4) + struct.pack("<4sI", b"data", size) + data
