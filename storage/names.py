"""Names of blobs, checked so that no path leaves its folder: `{aa}/{id}/{side}-{seg}`, no dates, no persons."""

import re
from dataclasses import dataclass
from typing import Final, NewType, Self

from storage.errors import BlobNameError

AgentId = NewType("AgentId", str)
"""32 lower-case hexadecimal characters, random; the roster alone knows whose it is."""
MAX_SEGMENT: Final = 9999
_ID: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)
_STEM: Final = re.compile(r"(agent|caller)-([1-9][0-9]{0,3})", re.ASCII)
SIDES: Final = ("agent", "caller")


@dataclass(frozen=True, slots=True, order=True)
class SegmentKey:
    """One side of one segment of a recording. Raises BlobNameError for values that can't name a blob."""

    recording: str
    seg: int
    side: str

    def __post_init__(self) -> None:
        check_id(self.recording)
        if self.side not in SIDES:
            raise BlobNameError("side is neither `agent` nor `caller`")
        if isinstance(self.seg, bool) or not 1 <= self.seg <= MAX_SEGMENT:
            raise BlobNameError(f"segment number is outside 1 to {MAX_SEGMENT}")

    @classmethod
    def parse(cls, recording: str, stem: str) -> Self | None:
        """The key whose `stem` this is, or None: a stranger's file."""
        match = _STEM.fullmatch(stem)
        return cls(recording, int(match[2]), match[1]) if match and is_id(recording) else None

    @property
    def stem(self) -> str:
        """File name without its suffix, such as `agent-1`."""
        return f"{self.side}-{self.seg}"


def is_id(text: str) -> bool:
    """Whether `text` is 16 bytes as 32 lower-case hexadecimal characters."""
    return _ID.fullmatch(text) is not None


def check_id(text: str) -> str:
    """`text`, or BlobNameError; the text itself is never repeated."""
    if not is_id(text):
        raise BlobNameError("id isn't 32 lower-case hexadecimal characters")
    return text


def folder_of(recording: str) -> str:
    """`{aa}/{id}`."""
    return f"{check_id(recording)[:2]}/{recording}"
