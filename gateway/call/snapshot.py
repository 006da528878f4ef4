"""A call as the journal keeps it: enough to relay, re-negotiate and end it after a restart, and never to record it.

Without the extension, the queue and the outside party: what isn't written can't leak.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from pydantic import TypeAdapter, ValidationError

from gateway.call.core import Call
from gateway.call.leg import Leg
from gateway.call.model import DialogTag, NewCall, SipCallId
from gateway.call.negotiation import DialogMedia, Lines, Negotiation
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


_SNAPSHOT: TypeAdapter[CallSnapshot] = TypeAdapter(CallSnapshot)


def snapshot_of(call: Call) -> bytes | None:
    """The entry of a call, or None for one that has no ports."""
    if call.worker is None:
        return None
    media = call.negotiation
    return _SNAPSHOT.dump_json(
        CallSnapshot(
            ref=call.ref,
            call_id=call.new.call_id,
            uac_tag=call.new.uac_tag,
            uac=call.new.uac,
            worker=call.worker,
            since=call.since,
            ports=media.ports,
            dialogs=media.dialogs,
            initial=media.initial,
            chosen=media.chosen,
            fixed=media.fixed,
            answered=call.answered_dialog,
        )
    )


def read_snapshot(entry: bytes) -> CallSnapshot:
    """Read an entry; raises `SnapshotError`."""
    try:
        return _SNAPSHOT.validate_json(entry)
    except ValidationError as error:
        raise SnapshotError(f"journal entry with {error.error_count()} faults") from None


def restore(
    kept: CallSnapshot,
    hosts: dict[Side, str],
    nat_networks: dict[Side, tuple[str, ...]],
    make_leg: Callable[[str], Leg],
) -> Call:
    """The call again, marked as adopted: it has no leg and gets none."""
    media = Negotiation(
        call=kept.ref,
        ports=dict(kept.ports),
        dialogs=dict(kept.dialogs),
        initial=kept.initial,
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
    )
