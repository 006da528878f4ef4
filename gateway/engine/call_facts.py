"""What an answered call looked like to a plain proxy, and why it could not have been recorded whatever was agreed."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from gateway.call.core import Call

__all__ = ["HINDRANCES", "CallFacts", "facts_of", "facts_unwished"]

HINDRANCES: Final = {
    "unanchored": "its media didn't pass here: no ports, no worker, or a description that can't be read",
    "restarted": "it outlived a restart of the gateway",
    "encrypted": "SRTP or DTLS whose keys aren't known here",
    "no_line": "no audio line that both took: it began on hold, or was video or fax alone",
    "several_lines": "more than one audio line at once",
    "codec": "no codec in common that can be kept",
    "no_lease": "nobody said who is on it (`fairtap link`)",
    "no_extension": "nobody said whose extension it is",
    "no_wish": "its proxy never said `start recording`, so it can't be told from one that nobody answered",
    "internal": "both ends are the house's own",
}
"""Each with what to tell an admin."""


@dataclass(frozen=True, slots=True)
class CallFacts:
    """Without anybody in it."""

    codec: str | None
    srtp: bool
    queue: bool
    """Somebody said its queue: needed only where the agreement names queues."""
    hindrances: tuple[str, ...]
    """Keys of `HINDRANCES`."""


def facts_of(call: Call, *, internal: bool) -> CallFacts:
    """Of a call that was answered; whether a lease names anybody comes later (`no_lease`)."""
    media = call.negotiation
    hindrances = tuple(_hindrances(call, internal=internal))
    return CallFacts(media.spoken(), media.srtp_seen, call.new.queue is not None, hindrances)


def facts_unwished(call: Call) -> CallFacts:
    """Of a call that a proxy never wished to have recorded, and in which both spoke."""
    media = call.negotiation
    return CallFacts(media.spoken(), media.srtp_seen, call.new.queue is not None, ("no_wish",))


def _hindrances(call: Call, *, internal: bool) -> Iterator[str]:
    media = call.negotiation
    if call.adopted:
        yield "restarted"
        return
    if call.worker is None or not media.ports:
        yield "unanchored"
    elif media.encrypted:
        yield "encrypted"
    elif media.line() is None:
        yield {0: "no_line", 1: "codec"}.get(media.active_lines(), "several_lines")
    if not call.needs_lease and call.new.extension is None:
        yield "no_extension"
    if internal:
        yield "internal"
