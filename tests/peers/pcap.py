"""Captures of RTP that sipp plays (`play_pcap_audio`): reads the speech of one, writes one with keys in its stream."""

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

from demo.g711 import RATE, Samples, decode, encode
from gateway.rtp.packet import Rtp, build

PCMA, EVENT = 8, 101
FRAME = 160
ETHERNET, IPV4, UDP = 14, 20, 8
_FILE = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
_RECORD = struct.Struct("<IIII")


def read_speech(path: Path) -> Samples:
    """What the A-law packets of a capture say."""
    return decode("PCMA", b"".join(packet[Rtp.parse(packet).start :] for packet in _packets(path.read_bytes())))


def count_packets(path: Path) -> int:
    """How many packets a capture holds."""
    return sum(1 for _ in _packets(path.read_bytes()))


def write_speech(path: Path, samples: Samples, keys: Sequence[tuple[float, str]] = (), ssrc: int = 0x5EA7) -> None:
    """One RTP stream at 20 ms, each key pressed for 120 ms at its second of the speech."""
    pressed = [(round(at * RATE / FRAME), int(key)) for at, key in keys]
    records, sequence = [_FILE], 1
    for frame in range(len(samples) // FRAME):
        key = next(((begin, code) for begin, code in pressed if begin <= frame < begin + 9), None)
        if key is None:
            said = encode("PCMA", samples[frame * FRAME : (frame + 1) * FRAME])
            packet = build(PCMA, sequence, frame * FRAME, ssrc, said)
        else:
            begin, code = key
            held = min(frame - begin + 1, 6)
            ended = 0x80 if frame - begin >= 6 else 0  # RFC 4733 §2.5.1.4: the last packet three times
            event = struct.pack("!BBH", code, ended | 10, held * FRAME)
            packet = build(EVENT, sequence, begin * FRAME, ssrc, event, marker=frame == begin)
        records.append(_record(packet, frame * FRAME / RATE))
        sequence += 1
    path.write_bytes(b"".join(records))


def _packets(data: bytes) -> Iterator[bytes]:
    place = len(_FILE)
    while place < len(data):
        _, _, size, _ = _RECORD.unpack_from(data, place)
        place += _RECORD.size
        yield data[place + ETHERNET + IPV4 + UDP : place + size]
        place += size


def _record(packet: bytes, at: float) -> bytes:
    udp = struct.pack("!HHHH", 6000, 6000, UDP + len(packet), 0) + packet
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, IPV4 + len(udp), 0, 0, 64, 17, 0, bytes(4), bytes(4)) + udp
    frame = bytes(12) + b"\x08\x00" + ip
    return _RECORD.pack(int(at), round(at % 1 * 1e6) % 1_000_000, len(frame), len(frame)) + frame
