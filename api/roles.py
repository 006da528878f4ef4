"""Who may do what: roles, scopes (`resource:action`) and the principal behind a request (agreement.md §3 and §6).

Sign-in reads. A scope never permits a *yes*: that needs the person's own key, which the gateway checks.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

__all__ = ["COACHES", "ROLE_SCOPES", "TOKEN_ROLES", "Principal", "Role"]


class Role(StrEnum):
    """The roles that can sign in or carry a token in this version."""

    AGENT = "agent"
    ENROLLING = "enrolling"
    """Holds a spent enrolment code: may bind keys to its agent, nothing else."""
    COACH = "coach"
    """Hears what agents release to them; council or officer let them in."""
    COACH_ENROLLING = "coach_enrolling"
    """Holds a coach's spent enrolment code."""
    COUNCIL = "council"
    EMPLOYER = "employer"
    DPO = "dpo"
    ADMIN = "admin"
    PBX = "pbx"
    IVR = "ivr"
    """Registered by council or DPO: brings what callers answered it. The agreement has to name it."""


TOKEN_ROLES: Final = (Role.ADMIN, Role.PBX)
"""What an admin may make; every other role comes from council or DPO, or from an anchored key."""

ROLE_SCOPES: Final[dict[Role, frozenset[str]]] = {
    Role.AGENT: frozenset(
        {
            "me:read",
            "me:act",
            "agreements:read",
            "recordings:read",
            "recordings:hold",
            "recordings:release",
            "coaches:read",
            "calls:explain",
            "calls:pause",
            "log:check",
        },
    ),
    Role.ENROLLING: frozenset({"me:read", "me:enrol", "agreements:read"}),
    Role.COACH: frozenset({"coach:read", "released:read", "agreements:read"}),
    Role.COACH_ENROLLING: frozenset({"coach:read", "coach:enrol", "agreements:read"}),
    Role.COUNCIL: frozenset(
        {
            "agents:read",
            "coaches:read",
            "coaches:admit",
            "codes:create",
            "ivrs:register",
            "agreements:read",
            "acts:carry",
            "agreements:suspend",
            "calls:explain",
            "statistics:read",
            "quorum:read",
            "log:check",
            "log:read",
            "epochs:read",
            "epochs:act",
            "openings:read",
        },
    ),
    Role.EMPLOYER: frozenset({"agreements:read", "acts:carry", "agreements:suspend", "statistics:read"}),
    Role.DPO: frozenset(
        {
            "agents:read",
            "coaches:read",
            "coaches:admit",
            "codes:create",
            "ivrs:register",
            "agreements:read",
            "acts:carry",
            "statistics:read",
            "quorum:read",
            "recordings:hold",
            "log:check",
            "log:read",
        },
    ),
    Role.ADMIN: frozenset(
        {"agents:read", "agents:create", "agreements:read", "acts:carry", "calls:read", "calls:explain", "site:read"},
    ),
    Role.PBX: frozenset({"calls:read", "calls:pause", "calls:place"}),
    Role.IVR: frozenset({"calls:answer"}),
}


COACHES: Final = frozenset({Role.COACH, Role.COACH_ENROLLING})


@dataclass(frozen=True, slots=True)
class Principal:
    """Who sent a request, as far as a session or token shows it."""

    role: Role
    ref: str
    """Random reference of the session or token."""
    scopes: frozenset[str]
    agent: str | None = None
    """The agent that the session is bound to: sessions of agents only, never tokens."""
    coach: str | None = None
    """Likewise the coach."""
    expires: int | None = None
    """Seconds since 1970; `None`: until revoked."""
    name: str | None = None
    """Of a registered machine: `NAME` where the agreement says `ivr:NAME`."""
    by_cookie: bool = False
    """The credential travels by itself: unsafe methods need their own origin."""
