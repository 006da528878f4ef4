"""Session descriptions of a simulated phone (RFC 8866, RFC 3264): one audio m-line, G.711 and telephone-event."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from demo.g711 import Codec

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]

PAYLOAD_TYPES: dict[Codec, int] = {"PCMU": 0, "PCMA": 8}
TELEPHONE_EVENT = 101


@dataclass(frozen=True, slots=True)
class Terms:
    """What one description says about the audio m-line."""

    host: str
    port: int
    codecs: tuple[Codec, ...]
    """In the order of preference; unknown ones are left out."""
    telephone_event: int | None
    """Payload type of RFC 4733 events, None where they aren't offered."""
    direction: Direction

    @property
    def hears(self) -> bool:
        """Whether the writer of this description wants media sent to it."""
        return self.port != 0 and self.host != "0.0.0.0" and self.direction in ("sendrecv", "recvonly")

    @property
    def speaks(self) -> bool:
        """Whether the writer of this description may send media."""
        return self.port != 0 and self.direction in ("sendrecv", "sendonly")


def write(terms: Terms, session: int, version: int) -> bytes:
    """The description, `session` and `version` as its `o=` line says them."""
    formats = [str(PAYLOAD_TYPES[codec]) for codec in terms.codecs]
    attributes = [f"a=rtpmap:{PAYLOAD_TYPES[codec]} {codec}/8000" for codec in terms.codecs]
    if terms.telephone_event is not None:
        formats.append(str(terms.telephone_event))
        attributes += [f"a=rtpmap:{terms.telephone_event} telephone-event/8000", f"a=fmtp:{terms.telephone_event} 0-15"]
    family = "IP6" if ":" in terms.host else "IP4"
    lines = [
        "v=0",
        f"o=- {session} {version} IN {family} {terms.host}",
        "s=-",
        f"c=IN {family} {terms.host}",
        "t=0 0",
        f"m=audio {terms.port} RTP/AVP {' '.join(formats)}",
        *attributes,
        "a=ptime:20",
        f"a={terms.direction}",
    ]
    return "".join(f"{line}\r\n" for line in lines).encode()


def read(body: bytes) -> Terms | None:
    """The first audio m-line of a description, None where there is none."""
    host, direction = "", "sendrecv"
    media: list[str] = []
    maps: dict[int, str] = {static: codec for codec, static in PAYLOAD_TYPES.items()}
    for line in body.decode("utf-8", "replace").splitlines():
        kind, _, value = line.partition("=")
        if kind == "m" and media:
            break
        if kind == "m" and value.startswith("audio "):
            media = value.split()
        elif kind == "c":
            host = value.split()[-1]
        elif kind == "a" and value in get_args(Direction):
            direction = value
        elif kind == "a" and value.startswith("rtpmap:"):
            number, _, name = value.removeprefix("rtpmap:").partition(" ")
            maps[int(number)] = name.partition("/")[0].upper()
    if len(media) < 4:
        return None
    return _terms(host, int(media[1]), [int(number) for number in media[3:]], maps, direction)


def agreed(mine: Sequence[Codec], theirs: Terms) -> tuple[Codec, ...]:
    """The codecs of an answer: those of the offer that this phone has, in the offer's order."""
    return tuple(codec for codec in theirs.codecs if codec in mine)


def answering(theirs: Direction) -> Direction:
    """The direction that mirrors an offered one (RFC 3264 §6.1)."""
    mirror: dict[Direction, Direction] = {"sendonly": "recvonly", "recvonly": "sendonly"}
    return mirror.get(theirs, theirs)


def _terms(host: str, port: int, formats: list[int], maps: dict[int, str], direction: str) -> Terms:
    names = [(number, maps.get(number, "")) for number in formats]
    codecs = tuple(codec for _, name in names for codec in PAYLOAD_TYPES if codec == name)
    event = next((number for number, name in names if name == "TELEPHONE-EVENT"), None)
    way = next(known for known in get_args(Direction) if known == direction)
    return Terms(host, port, codecs, event, way)
