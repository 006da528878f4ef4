"""Parties with keys, and chains of acts about the example, signed for real."""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from functools import cache
from typing import Any

from crypto.ssh_key import SigningKey
from crypto.sshsig import sign
from crypto.x25519 import Identity
from policy.act_effects import apply
from policy.acts import ACT_NAMESPACE, Body, NewAgreement, Resolution, parse_act
from policy.agreement.load import load
from policy.agreement.schema import Agreement
from policy.chain import Posted, take
from policy.state import Anchor, State
from tests.unit.policy.green import EXAMPLE, edited

ID = "bv-aufzeichnung-nord"
SIGNED_AT = datetime(2026, 2, 20, 12, 0, tzinfo=UTC)
NOW = datetime(2026, 3, 4, 9, 30, tzinfo=UTC)
EDGE = datetime(2026, 3, 8, 23, 0, tzinfo=UTC)
"""End of the epoch that holds `NOW`: Sunday midnight in Berlin."""
BOTH = ("employer", "council")
RESOLUTION = Resolution(date(2026, 3, 3), "b" * 64)
NEW_MINUTES = {"parties__council__resolution": {"date": "2026-03-03", "minutes_sha256": "b" * 64}}


@cache
def key(role: str) -> SigningKey:
    return SigningKey.generate()


@cache
def recipient(role: str) -> str:
    return str(Identity.generate().recipient)


def anchors(*more: str) -> tuple[Anchor, ...]:
    roles = ("employer", "council", "dpo", *more)
    return tuple(Anchor(r, str(key(r).verify_key), None if r == "employer" else recipient(r)) for r in roles)


def document(**edits: Any) -> bytes:
    return edited({path.replace("__", "/"): value for path, value in edits.items()}) if edits else EXAMPLE.read_bytes()


@cache
def first() -> State:
    """The example in force, both having signed."""
    agreement = load(EXAMPLE.read_bytes())
    return act(State(anchors()), NewAgreement(agreement.digest), BOTH, at=SIGNED_AT, document=agreement)


def act(
    state: State,
    body: Body,
    by: Iterable[str],
    *,
    at: datetime = NOW,
    document: Agreement | None = None,
    session: str | None = None,
    agreement: str = ID,
) -> State:
    """One act applied, signatures taken for granted."""
    return apply(state, parse_act(state.draft(agreement, body)), frozenset(by), at, document, session)


def posted(data: bytes, by: Iterable[str], *, at: datetime = NOW, document: bytes | None = None) -> Posted:
    """An act with real signatures."""
    return Posted(data, {role: sign(key(role), ACT_NAMESPACE, data) for role in by}, at, document)


def post(state: State, body: Body, by: Iterable[str], *, at: datetime = NOW, document: bytes | None = None) -> State:
    """One act signed, verified and applied."""
    return take(state, posted(state.draft(ID, body), by, at=at, document=document))
