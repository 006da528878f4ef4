"""The chain of acts from its first to its last: signatures verified, documents read, each act applied.

Used for an act that comes in (`take`) and, on every load and start, for the whole chain (`fold`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from crypto.errors import CryptoError
from crypto.ssh_key import VerifyKey
from crypto.sshsig import verify
from policy.act_effects import apply
from policy.acts import ACT_NAMESPACE, parse_act
from policy.agreement.load import load
from policy.agreement.reader import ZoneSource
from policy.errors import ActFault, BadSignature
from policy.state import Anchor, State


@dataclass(frozen=True, slots=True)
class Posted:
    """An act as it came in, or as it is kept."""

    act: bytes = field(repr=False)
    """Canonical JSON, as signed."""
    signatures: Mapping[str, str] = field(repr=False, hash=False)
    """Anchor role → armoured SSHSIG."""
    at: datetime
    """When it was taken, by the gateway's clock."""
    document: bytes | None = field(default=None, repr=False)
    session: str | None = None
    """The party whose session asked: counts for a suspension only."""


def take(state: State, posted: Posted, zones: ZoneSource = ZoneInfo) -> State:
    """The state after one more act. Raises `ActError`, or `AgreementRefused` for the document it carries."""
    act = parse_act(posted.act)
    signed = signers(posted.act, posted.signatures, state.anchors_at(posted.at))
    document = load(posted.document, zones) if posted.document is not None else None
    return apply(state, act, signed, posted.at, document, posted.session)


def history(anchors: Iterable[Anchor], posts: Iterable[Posted], zones: ZoneSource = ZoneInfo) -> Iterator[State]:
    """The state before a chain and after each of its acts; raises what `take` raises."""
    state = State(tuple(anchors))
    yield state
    for posted in posts:
        state = take(state, posted, zones)
        yield state


def fold(anchors: Iterable[Anchor], posts: Iterable[Posted], zones: ZoneSource = ZoneInfo) -> State:
    """The state after a whole chain, from the anchors as they were first set; raises what `take` raises."""
    *_, state = history(anchors, posts, zones)
    return state


def signers(act: bytes, signatures: Mapping[str, str], anchors: Iterable[Anchor]) -> frozenset[str]:
    """The roles that signed these bytes; one signature that doesn't hold refuses all (`BadSignature`)."""
    keys = {anchor.role: anchor.key for anchor in anchors}
    for role, armored in signatures.items():
        try:
            verify(VerifyKey.parse(keys[role]), ACT_NAMESPACE, act, armored)
        except (CryptoError, KeyError):
            shown = role if role in keys else "unknown"
            raise BadSignature(ActFault.SIGNATURE, role=shown) from None
    return frozenset(signatures)
