"""Opus packets from outside (RFC 6716 §3): how long they are, and packets that say nothing. Nothing is decoded here."""

from typing import Final

RATE: Final = 48_000
GRAIN: Final = RATE // 400
"""2.5 ms, the shortest frame: all others are whole numbers of it."""
LONGEST: Final = RATE * 120 // 1000
_LENGTHS: Final = {
    **{config: (480, 960, 1920, 2880)[config % 4] for config in range(12)},
    **{config: (480, 960)[config % 2] for config in range(12, 16)},
    **{config: (120, 240, 480, 960)[config % 4] for config in range(16, 32)},
}
_SILENT_FRAMES: Final = tuple((_LENGTHS[config], bytes((config << 3, 0xFF, 0xFE))) for config in (31, 30, 29, 28))
"""Of the CELT layer, mono: the first bit of a frame that says that it is silent (§4.3)."""


def duration(packet: bytes) -> int:
    """Length in samples at 48 kHz; 0 for what isn't an Opus packet."""
    if not packet:
        return 0
    frame, code = _LENGTHS[packet[0] >> 3], packet[0] & 3
    if code < 3:
        return frame * (1 if code == 0 else 2)
    frames = packet[1] & 0x3F if len(packet) > 1 else 0
    return frame * frames if frame * frames <= LONGEST else 0


def silence(samples: int) -> list[bytes]:
    """Packets of silence that fill so many samples; what is less than a grain is left out."""
    packets: list[bytes] = []
    for length, packet in _SILENT_FRAMES:
        count, samples = divmod(samples, length)
        packets += [packet] * count
    return packets


def concealment(packet: bytes) -> bytes:
    """A lost frame of 10 ms in the mode of a packet: decoders go on with what was heard last."""
    config = packet[0] >> 3
    if config < 12:
        config -= config % 4
    elif config < 16:
        config -= config % 2
    else:
        config += 2 - config % 4
    return bytes((config << 3 | packet[0] & 0x04,))
