"""Which payload type means which codec: the static types of RFC 3551 §6 and what `a=rtpmap` says, as plain values.

What isn't one of the codecs here is relayed unseen, and never recorded.
"""

from collections.abc import Iterable
from typing import Final, Literal, get_args

Law = Literal["PCMA", "PCMU"]
Codec = Literal["PCMA", "PCMU", "G722", "OPUS", "G729"]
"""What can be recorded."""
LAWS: Final[tuple[Law, ...]] = get_args(Law)
CODECS: Final[tuple[Codec, ...]] = get_args(Codec)
CLOCK: Final[dict[Codec, int]] = {"PCMA": 8000, "PCMU": 8000, "G722": 8000, "OPUS": 48_000, "G729": 8000}
"""Timestamp units a second; of G.722 half its samples, by an old mistake (RFC 3551 §4.5.2)."""
Rtpmap = tuple[int, str]
"""Payload type and the rest of the line, such as `(101, "telephone-event/8000")`."""

STATIC: Final[dict[int, str]] = {
    0: "PCMU/8000",
    3: "GSM/8000",
    4: "G723/8000",
    5: "DVI4/8000",
    8: "PCMA/8000",
    9: "G722/8000",
    13: "CN/8000",
    15: "G728/8000",
    18: "G729/8000",
}
STATIC_LAW: Final[dict[int, Law]] = {0: "PCMU", 8: "PCMA"}
_EVENT: Final = "telephone-event/8000"


def encodings(payload_types: Iterable[int], rtpmaps: Iterable[Rtpmap]) -> dict[int, str]:
    """What each offered payload type is, `name/rate` in lower case, in the m-line's order; without unknown ones."""
    named = {number: _canonical(text) for number, text in rtpmaps}
    known = ((number, named.get(number) or STATIC.get(number, "").lower()) for number in payload_types)
    return {number: encoding for number, encoding in known if encoding and 0 <= number <= 127}


def telephone_event(payload_types: Iterable[int], rtpmaps: Iterable[Rtpmap]) -> int | None:
    """The first payload type of telephone-event at 8 kHz; None where it wasn't negotiated."""
    found = encodings(payload_types, rtpmaps).items()
    return next((number for number, encoding in found if encoding == _EVENT), None)


def _canonical(text: str) -> str:
    """Lower case; one channel is what goes without saying."""
    return text.strip().lower().removesuffix("/1")
