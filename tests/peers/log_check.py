"""Checks a published log from its files alone, with hashing and paths written out anew; finds what no leaf may hold."""

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from crypto.ssh_key import VerifyKey
from policy.log_entry import parse
from tests.peers.canary import Text

_HEX = re.compile(r"[0-9a-f]{32}|[0-9a-f]{64}")
_ODD = (
    re.compile(r"[0-9]{1,2}:[0-9]{2}"),  # a time of day
    re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}"),  # a date
    re.compile(r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}"),  # an IPv4 address
    re.compile(r"[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){3,}", re.IGNORECASE),  # an IPv6 address
    re.compile(r"[0-9]{5,}"),  # a telephone number
    re.compile(r"@|sips?:"),
)
_KEYS = {"key", "rkey", "csig", "cosig"}
"""Fields of base64 or Bech32, which hold whatever digits chance made."""


def naive_root(hashes: Sequence[bytes]) -> bytes:
    """RFC 6962's root, layer by layer: an odd last node moves up as it is."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    while len(hashes) > 1:
        paired = [hashlib.sha256(b"\1" + hashes[i] + hashes[i + 1]).digest() for i in range(0, len(hashes) - 1, 2)]
        hashes = [*paired, *hashes[len(paired) * 2 :]]
    return hashes[0]


def tile_path(level: str, index: int, width: int) -> str:
    """C2SP tlog-tiles, spelled anew."""
    number = f"{index:03}" if index < 1000 else f"x{index // 1000:03}/{index % 1000:03}"
    return f"tile/{level}/{number}" + ("" if width == 256 else f".p/{width}")


def whole_log(folder: Path, origin: str, key: VerifyKey) -> list[bytes]:
    """Every entry of a log of up to 16 million, once checkpoint, bundles and tiles of all levels were checked."""
    text, _, line = (folder / "checkpoint").read_text().partition("\n\n")
    named, size, root = text.split("\n")
    prefix, signature = f"— {origin} ", base64.b64decode(line.split(" ")[-1])
    assert named == origin and line.startswith(prefix) and line.count("\n") == 1
    assert signature[:4] == hashlib.sha256(origin.encode() + b"\n\1" + key.raw).digest()[:4]
    key.public_key().verify(signature[4:], f"{text}\n".encode())
    count = int(size)
    entries = [entry for data in _tiles(folder, "entries", count) for entry in _entries(data)]
    hashes = [hashlib.sha256(b"\0" + entry).digest() for entry in entries]
    assert len(entries) == count
    assert base64.b64decode(root) == naive_root(hashes)
    for level in range(4):
        data = b"".join(_tiles(folder, str(level), len(hashes)))
        assert data == b"".join(hashes), f"level {level}"
        hashes = [naive_root(hashes[i : i + 256]) for i in range(0, len(hashes) - 255, 256)]
    return entries


def leftovers(folder: Path) -> list[str]:
    """Partial tiles beside their full ones, and temporary files."""
    odd = [path for path in folder.rglob("*.p") if path.with_suffix("").exists()]
    return [str(path.relative_to(folder)) for path in [*odd, *folder.rglob("*.tmp")]]


def personal(leaves: Iterable[bytes], canaries: Iterable[Text] = ()) -> list[str]:
    """What in these leaves is a canary, a time, a number or an address; any leaf that isn't an entry raises."""
    forms = [(text.name, form) for text in canaries for form in text.forms.values()]
    found = []
    for place, leaf in enumerate(leaves):
        kind = parse(leaf).t
        found += [f"{kind} {place}: {name}" for name, form in forms if form.lower() in leaf.lower()]
        for name, value in json.loads(leaf).items():
            if name not in _KEYS and name != "e":
                found += [f"{kind} {place}: {name} `{text}`" for text in _strings(value) if _is_odd(text)]
    return found


def _is_odd(text: str) -> bool:
    return not _HEX.fullmatch(text) and any(pattern.search(text) for pattern in _ODD)


def _strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for pair in value.items() for part in pair for text in _strings(part)]
    return [value] if isinstance(value, str) else []


def _tiles(folder: Path, level: str, count: int) -> list[bytes]:
    widths = [256] * (count // 256) + ([count % 256] if count % 256 else [])
    return [(folder / tile_path(level, index, width)).read_bytes() for index, width in enumerate(widths)]


def _entries(data: bytes) -> list[bytes]:
    found = []
    while data:
        size = int.from_bytes(data[:2], "big")
        assert len(data) >= 2 + size
        found.append(data[2 : 2 + size])
        data = data[2 + size :]
    return found
