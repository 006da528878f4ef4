"""The example agreement, edited copies of it, and facts under which a drawn leg is recorded."""

import copy
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from policy.agreement.load import Agreement, load
from policy.consent import nothing_said
from policy.decision import CallerAnswer, ConsentState, Facts, Lane, Phase, Purpose, Rule, StandingAnswer

EXAMPLE = Path(__file__).parents[3] / "deploy" / "agreement.example.yaml"
DELETED = object()
NOW = datetime(2026, 3, 4, 9, 30, tzinfo=UTC)

YES, NO, UNSET = ConsentState.YES, ConsentState.NO, ConsentState.UNSET
PROVEN_YES = CallerAnswer(YES, "dtmf", receipt=True)
CALLER_NO = CallerAnswer(NO, "dtmf")


@cache
def plain_example() -> Any:
    return YAML(typ="safe", pure=True).load(EXAMPLE.read_text())


def edited(edits: Mapping[str, Any]) -> bytes:
    """The example with fields replaced, added or (`DELETED`) left out, one JSON value a line: JSON is YAML too."""
    document = copy.deepcopy(plain_example())
    for path, value in edits.items():
        *way, last = [int(part) if part.isdigit() else part for part in path.split("/")]
        place = document
        for part in way:
            place = place[part]
        if value is DELETED:
            del place[last]
        elif isinstance(place, list) and last == len(place):
            place.append(value)
        else:
            place[last] = value
    return json.dumps(document, indent=1, ensure_ascii=False).encode()


def agreement(**edits: Any) -> Agreement:
    """The example loaded, with `a__b=value` edits."""
    return load(edited({path.replace("__", "/"): value for path, value in edits.items()}))


@cache
def example() -> Agreement:
    return load(EXAMPLE.read_bytes())


@cache
def per_leg() -> Agreement:
    return agreement(consent__mode="per_leg", consent__caller__on_refusal="agent_side", legal__per_leg_opinion="G-1")


SAMPLE_RULE = Rule(Lane.SAMPLE, Purpose.COACHING, 30_000, "sample/team-a/regular")


def green(**changes: Any) -> Facts:
    """All green, drawn under the sample rate of 3 %; every input that could be missing is there."""
    facts = Facts(
        wallclock=NOW,
        clock_trusted=True,
        agreements=(example(),),
        signatures_valid=True,
        suspended=False,
        evaluation_overdue=False,
        epoch_dark=False,
        draw_authority_ready=True,
        log_unwitnessed=False,
        restored=False,
        storage_available=True,
        site="hamburg",
        queue="service-strom",
        group="team-a",
        phase=Phase.REGULAR,
        group_size=8,
        campaign_agents=8,
        seat_bound=True,
        key_available=True,
        blackout=False,
        agent_informed=True,
        home_office=False,
        protected_party=False,
        party_known=True,
        party_internal=False,
        media_supported=True,
        media_encrypted=False,
        no_media=False,
        leak_ok=True,
        rule=SAMPLE_RULE,
        drawn=True,
        ceiling_ok=True,
        caps_ok=True,
        campaign_full=False,
        caller_wants_record=False,
        agent_wants_record=False,
        agent_request=False,
        wish_caps_ok=True,
        quorum_ready=True,
        agent_standing={purpose: StandingAnswer(YES) for purpose in Purpose},
        agent_per_call=nothing_said(),
        caller=dict.fromkeys(Purpose, PROVEN_YES),
        withdrawn_by_agent=False,
        withdrawn_by_caller=False,
        caller_notice_played=True,
        ack_age_ms=200,
        paused=False,
    )
    return replace(facts, **changes)
