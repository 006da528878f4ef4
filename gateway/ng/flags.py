"""A proxy's line of flags (`replace-origin ICE=remove codec-strip-all`) as keys of a request.

Newer modules send that line as it is (`rtpp-flags`), older ones spell it out and leave odd words in `flags`; both mean
the same. A key that the request has by itself stands.
"""

from typing import Final

from gateway.ng.bencode import Value

__all__ = ["spelled_out"]

PROFILES: Final = frozenset({
    "RTP/AVP", "RTP/AVPF", "RTP/SAVP", "RTP/SAVPF", "UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVPF",
})  # fmt: skip
LISTS: Final = ("replace", "rtcp-mux", "SDES", "OSRTP")
"""`replace-origin` is `origin` in the list `replace`."""
REPEATED: Final = frozenset({"direction", "flags", *LISTS})
"""`direction=a direction=b` is a list."""
CODEC_WISHES: Final = ("strip", "mask", "transcode", "offer", "except", "accept", "consume", "set")
MAX_WORDS: Final = 256


def spelled_out(found: dict[str, Value]) -> dict[str, Value]:
    """The request with every word of `rtpp-flags` and `flags` under the key that it stands for."""
    line = found.get("rtpp-flags")
    words = line.decode("utf-8", "surrogateescape").split() if isinstance(line, bytes) else []
    listed = found.get("flags")
    words += [_text(item) for item in listed if isinstance(item, bytes)] if isinstance(listed, list) else []
    told: dict[str, Value] = {}
    codec: dict[str, Value] = {}
    for word in words[:MAX_WORDS]:
        _put(told, codec, word)
    known = {key: value for key, value in found.items() if key not in ("rtpp-flags", "flags")}
    return {**told, **({"codec": codec} if codec else {}), **known}


def _put(told: dict[str, Value], codec: dict[str, Value], word: str) -> None:
    name, equals, value = word.partition("=")
    wish = next((wish for wish in CODEC_WISHES if name.startswith(f"codec-{wish}-")), None)
    of_list = next((key for key in LISTS if name.startswith(f"{key}-")), None)
    if equals:
        _add(told, name, value)
    elif word in PROFILES:
        told.setdefault("transport-protocol", word.encode())
    elif wish is not None:
        _append(codec, wish, name.removeprefix(f"codec-{wish}-"))
    elif name.startswith("transcode-"):
        _append(codec, "transcode", name.removeprefix("transcode-"))
    elif of_list is not None:
        _append(told, of_list, name.removeprefix(f"{of_list}-"))
    else:
        _append(told, "flags", word)


def _add(told: dict[str, Value], name: str, value: str) -> None:
    if name in REPEATED:
        _append(told, name, value)
    else:
        told.setdefault(name, value.encode("utf-8", "surrogateescape"))


def _append(place: dict[str, Value], name: str, value: str) -> None:
    kept = place.setdefault(name, [])
    if isinstance(kept, list):
        kept.append(value.encode("utf-8", "surrogateescape"))


def _text(item: bytes) -> str:
    return item.decode("utf-8", "surrogateescape")
