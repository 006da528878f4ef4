"""A call as the journal keeps it: enough to relay, re-negotiate and end it after a restart, and never to record it.

Without the extension, the queue and the outside party: what isn't written can't leak.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from pydantic import TypeAdapter, ValidationError

from gateway.call.audio_line import Lines
from gateway.call.caller_word import CallerWord
from gateway.call.core import Call
from gateway.call.further_lines import FurtherLines
from gateway.call.leg import Leg
from gateway.call.model import DialogTag, NewCall, SipCallId
from gateway.call.negotiation import DialogMedia, Negotiation
from gateway.errors import GatewayError
from gateway.media.plane import Address, CallRef, FlowId
from policy.decision import Side

__all__ = ["CallSnapshot", "SnapshotError", "read_snapshot", "restore", "snapshot_of"]


class SnapshotError(GatewayError):
    """A journal entry that isn't a call."""


@dataclass(frozen=True, slots=True)
class CallSnapshot:
    """See the module."""

    ref: CallRef
    call_id: SipCallId
    uac_tag: str
    uac: Side
    worker: int
    since: datetime
    ports: dict[FlowId, Address]
    dialogs: dict[DialogTag, DialogMedia]
    initial: tuple[Side, Lines] | None
    chosen: DialogTag | None
    fixed: bool
    answered: DialogTag | None
    record_aware: frozenset[Side] = frozenset()
    initial_further: tuple[Side, FurtherLines] | None = None


_SNAPSHOT: TypeAdapter[CallSnapshot] = TypeAdapter(CallSnapshot)


def snapshot_of(call: Call) -> bytes | None:
    """The entry of a call, or None for one that has no ports."""
    if call.worker is None:
        return None
    media = call.negotiation
    return _SNAPSHOT.dump_json(
        CallSnapshot(
            ref=call.ref,
            call_id=SipCallId(_storable(call.new.call_id)),
            uac_tag=_storable(call.new.uac_tag),
            uac=call.new.uac,
            worker=call.worker,
            since=call.since,
            ports=media.ports,
            dialogs={DialogTag(_storable(tag)): dialog for tag, dialog in media.dialogs.items()},
            initial=media.initial,
            initial_further=media.initial_further,
            chosen=_tag(media.chosen, _storable),
            fixed=media.fixed,
            answered=_tag(call.answered_dialog, _storable),
            record_aware=frozenset(call.record_aware),
        )
    )


def read_snapshot(entry: bytes) -> CallSnapshot:
    """Read an entry; raises `SnapshotError`."""
    try:
        kept = _SNAPSHOT.validate_json(entry)
        return replace(
            kept,
            call_id=SipCallId(_as_received(kept.call_id)),
            uac_tag=_as_received(kept.uac_tag),
            dialogs={DialogTag(_as_received(tag)): dialog for tag, dialog in kept.dialogs.items()},
            chosen=_tag(kept.chosen, _as_received),
            answered=_tag(kept.answered, _as_received),
        )
    except ValidationError as error:
        raise SnapshotError(f"journal entry with {error.error_count()} faults") from None
    except UnicodeError:
        raise SnapshotError("journal entry with a reference that was never received") from None


def _storable(text: str) -> str:
    """A peer's Call-ID or tag, whose bytes need not be UTF-8, as text that JSON can hold: one character a byte."""
    return text.encode("utf-8", "surrogateescape").decode("latin-1")


def _as_received(text: str) -> str:
    return text.encode("latin-1").decode("utf-8", "surrogateescape")


def _tag(tag: DialogTag | None, spelled: Callable[[str], str]) -> DialogTag | None:
    return None if tag is None else DialogTag(spelled(tag))


def restore(
    kept: CallSnapshot,
    hosts: dict[Side, str],
    nat_networks: dict[Side, tuple[str, ...]],
    make_leg: Callable[[str, CallerWord], Leg],
) -> Call:
    """The call again, marked as adopted: it has no leg and gets none."""
    media = Negotiation(
        call=kept.ref,
        ports=dict(kept.ports),
        dialogs=dict(kept.dialogs),
        initial=kept.initial,
        initial_further=kept.initial_further,
        chosen=kept.chosen,
        fixed=kept.fixed,
        nat_networks=nat_networks,
        hosts=hosts,
    )
    return Call(
        ref=kept.ref,
        new=NewCall(kept.call_id, kept.uac_tag, kept.uac, None, None, None),
        negotiation=media,
        worker=kept.worker,
        since=kept.since,
        make_leg=make_leg,
        adopted=True,
        answered_dialog=kept.answered,
        record_aware=set(kept.record_aware),
    )
