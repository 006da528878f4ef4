"""Agents' signed statements as they lie in the database, verified anew whenever they are read.

Keys, seats and yeses are the agent's own statements; a row that somebody else wrote or changed counts for nothing. What
only takes a permission away (a no, a blackout, a release) needs no proof. Not seen here: a row that was put back.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from crypto.errors import CryptoError
from crypto.ssh_key import VerifyKey
from crypto.sshsig import verify
from policy.errors import PolicyError
from policy.release import RELEASE_NAMESPACE, Release, parse_release
from policy.statements import (
    CONSENT_NAMESPACE,
    ENROLMENT_NAMESPACE,
    SEAT_NAMESPACE,
    parse_consent,
    parse_enrolment,
    parse_seat,
)
from policy.terms import ConsentState
from storage.coaches import Coach
from storage.consents import StandingConsent
from storage.releases import StoredRelease
from storage.roster import Agent, AgentKey, Seat

__all__ = ["proven_agent", "proven_answer", "proven_coach", "proven_release", "proven_seat", "seated_at_home"]

T = TypeVar("T")


def proven_agent(line: Agent, key: AgentKey | None) -> Agent:
    """The roster line with its keys, if its newest enrolment `key` is signed and says so; else without any."""
    own = line.signing_key
    said = _signed(own, ENROLMENT_NAMESPACE, key.statement, key.signature, parse_enrolment) if key else None
    if said is not None and (said.agent, said.recipient) == (line.id, line.recipient):
        return line
    return replace(line, recipient=None, signing_key=None)


def proven_coach(line: Coach) -> Coach:
    """The coach with the newest enrolment, if it is signed and says so; else without."""
    key = line.key
    if key is not None:
        said = _signed(key.signing_key, ENROLMENT_NAMESPACE, key.statement, key.signature, parse_enrolment)
        if said is None or (said.agent, said.recipient) != (line.id, key.recipient):
            return replace(line, key=None)
    return line


def proven_release(line: Agent, kept: StoredRelease, side: str, seg: int) -> Release | None:
    """What the recording's agent signed for one side and segment of a release, if that is what the row says."""
    part = next((one for one in kept.parts if (one.side, one.seg) == (side, seg)), None)
    if part is None:
        return None
    said = _signed(line.signing_key, RELEASE_NAMESPACE, part.document, part.signature, parse_release)
    if said is None or (said.side, said.seg, said.until_at) != (side, seg, kept.until):
        return None
    told = (said.id, said.recording, said.to, said.purpose.value)
    return said if told == (kept.id, kept.recording, kept.coach, kept.purpose) else None


def proven_seat(line: Agent, seat: Seat | None) -> Seat | None:
    """The seat, if the agent's own claim says so."""
    said = _signed(line.signing_key, SEAT_NAMESPACE, seat.statement, seat.signature, parse_seat) if seat else None
    if seat is None or said is None:
        return None
    same = (said.agent, said.extension, said.session, said.seq) == (line.id, seat.extension, seat.session, seat.seq)
    return seat if same else None


def seated_at_home(line: Agent, seat: Seat | None) -> bool:
    """Whether the agent sits at home: as the claim of a proven seat says, else as the roster has it."""
    said = parse_seat(seat.statement.encode()) if seat is not None else None
    return line.home_office if said is None or said.place is None else said.place == "home"


def proven_answer(line: Agent, kept: StandingConsent) -> StandingConsent:
    """The answer as it is, its text only as far as the agent signed it; a yes that they didn't sign is unset."""
    written = kept.statement
    key = line.signing_key
    said = _signed(key, CONSENT_NAMESPACE, written.document, written.signature, parse_consent) if written else None
    if written is not None and said is not None:
        told = (said.agent, said.purpose, said.answer, said.home_office, said.text_sha256, said.seq)
        if told == (line.id, kept.purpose, kept.answer.value, kept.home_office, written.text_sha256, kept.seq):
            return kept
    answer = ConsentState.UNSET if kept.answer is ConsentState.YES else kept.answer
    return replace(kept, answer=answer, statement=None)


def _signed(key: str | None, namespace: str, document: str, signature: str, parse: Callable[[bytes], T]) -> T | None:
    """What a statement says, if that key signed it."""
    if key is None:
        return None
    try:
        verify(VerifyKey.parse(key), namespace, document.encode(), signature)
        return parse(document.encode())
    except (CryptoError, PolicyError):
        return None
