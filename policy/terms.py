"""The words of the works agreement that the whole project shares, as closed enums.

Lanes, sides, purposes, phases and answers; no rules here (see `decision`, `evaluate`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Lane(StrEnum):
    """Why a leg may be recorded; the members stand in the order in which lanes are tried."""

    CUSTOMER_REQUEST = "customer_request"
    AGENT_REQUEST = "agent_request"
    CAMPAIGN = "campaign"
    SAMPLE = "sample"


DRAWN_LANES: frozenset[Lane] = frozenset({Lane.CAMPAIGN, Lane.SAMPLE})
ASKED_LANES: frozenset[Lane] = frozenset({Lane.CUSTOMER_REQUEST, Lane.AGENT_REQUEST})


OTHER_QUEUES: Final = "other"
"""The log's `q` of a queue that no agreement names, or in which fewer than `min_agents` agents work."""


class Side(StrEnum):
    """One of the two sides of an agent leg; `CALLER` is the outside party, whoever dialled."""

    AGENT = "agent"
    CALLER = "caller"


class Purpose(StrEnum):
    """The purposes an agreement may name. Closed: what isn't here can't be agreed on."""

    COACHING = "coaching"
    PROCESS_QUALITY = "process_quality"
    DISPUTE = "dispute"


class Phase(StrEnum):
    """Where an agent stands in the roster: the first weeks, or afterwards."""

    ONBOARDING = "onboarding"
    REGULAR = "regular"


class ConsentState(StrEnum):
    """An answer. `UNSET` is a value (nobody answered yet); a missing answer is `None` in the facts and denies."""

    YES = "yes"
    NO = "no"
    UNSET = "unset"


class Gate(StrEnum):
    """What the agreement asks of the agent before a leg may be recorded."""

    STANDING = "standing"
    PER_CALL = "per_call"
    STANDING_AND_PER_CALL = "standing_and_per_call"


class Mode(StrEnum):
    """Whether both parties must have said yes, or the agent's side may be kept alone."""

    ALL_PARTY = "all_party"
    PER_LEG = "per_leg"


class WithdrawalEffect(StrEnum):
    """What happens to the audio when somebody withdraws during the call."""

    DISCARD_CALL = "discard_call"
    STOP_ONLY = "stop_only"
