"""What a well-formed document still can't say (agreement.md §2): one function per rule, each with its own codes.

A rule whose fields are already at fault is skipped, so that no fault is told twice. Rules that a single field breaks
by its form or absence (no end, no anchor, no grounds, no clause, unknown fields) are found while reading.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from policy.agreement.faults import FaultCode
from policy.agreement.reader import Report
from policy.agreement.schema import KEEP_AGENT_SIDE, Agreement, Campaign, Instrument
from policy.agreement.sections import PROHIBITED
from policy.percent import PPM_PER_PERCENT
from policy.period import Period, parse_period
from policy.profiles import profile_of
from policy.terms import OTHER_QUEUES, Gate, Mode, Phase, Purpose

Found = Iterator[tuple[FaultCode, str, str]]
"""Code, field, message."""
Rule = Callable[[Agreement], Found]

MAX_VALIDITY: Final = parse_period("P24M")
MAX_VALIDITY_INFORMAL: Final = parse_period("P6M")
INFORMAL: Final = frozenset({Instrument.DULDUNG, Instrument.REGELUNGSABREDE})
MAX_PPM: Final = {Phase.REGULAR: 20 * PPM_PER_PERCENT, Phase.ONBOARDING: 50 * PPM_PER_PERCENT}
MIN_AGENTS: Final = 5
CAMPAIGN_NOTICE: Final = timedelta(days=7)
MAX_ACK_AGE_MS: Final = 5_000
MAX_PAUSE: Final = parse_period("PT10M")
MAX_TTL: Final = parse_period("P14D")
MAX_EVALUATION: Final = parse_period("P6M")
MAX_RETENTION: Final = {
    Purpose.COACHING: parse_period("P42D"),
    Purpose.PROCESS_QUALITY: parse_period("P42D"),
    Purpose.DISPUTE: parse_period("P3Y"),
}
MAX_RECEIPTS: Final = parse_period("P5Y")
MAX_LOG: Final = parse_period("P12M")


def check_rules(agreement: Agreement, report: Report) -> None:
    """Run every rule whose fields could be read, and note what it finds."""
    faults = [
        found
        for rule, fields in RULES.items()
        if all(report.clean(field) for field in fields)
        for found in rule(agreement)
    ]
    for code, field, message in faults:
        report.add(code, field, message)


def _validity(agreement: Agreement) -> Found:
    validity = agreement.validity
    if validity.end <= validity.start:
        yield FaultCode.END_BEFORE_START, "validity.end", "must come after the start"
        return
    longest = MAX_VALIDITY_INFORMAL if agreement.instrument in INFORMAL else MAX_VALIDITY
    start, end = (_local(instant, agreement) for instant in (validity.start, validity.end))
    if end > longest.after(start):
        yield (
            FaultCode.VALIDITY_TOO_LONG,
            "validity.end",
            f"more than {longest.months} months after the start ({agreement.instrument.value})",
        )


def _local(instant: datetime, agreement: Agreement) -> datetime:
    """Local time without zone: months are counted by the parties' calendar."""
    return instant.astimezone(agreement.validity.zone).replace(tzinfo=None)


def _rates(agreement: Agreement) -> Found:
    sample = agreement.lanes.sample
    for place, rate in enumerate(sample.rates if sample else ()):
        most = MAX_PPM[rate.phase]
        if rate.ppm > most:
            yield (
                FaultCode.RATE_TOO_HIGH,
                f"lanes.sample.rates[{place}].percent",
                f"{_percent(rate.ppm)} is above the ceiling of {_percent(most)} percent for the {rate.phase} phase",
            )


def _campaign_rates(agreement: Agreement) -> Found:
    most = MAX_PPM[Phase.REGULAR]
    for place, campaign in enumerate(agreement.lanes.campaigns):
        field = f"lanes.campaigns[{place}].percent"
        if campaign.ppm > most:
            message = f"{_percent(campaign.ppm)} is above the ceiling of {_percent(most)} percent"
            yield FaultCode.RATE_TOO_HIGH, field, message
        else:
            yield from _sums(agreement, campaign, field)


def _sums(agreement: Agreement, campaign: Campaign, field: str) -> Found:
    for phase, most in MAX_PPM.items():
        rates = agreement.lanes.sample.rates if agreement.lanes.sample else ()
        total = campaign.ppm + max((rate.ppm for rate in rates if rate.phase is phase), default=0)
        if total > most:
            yield (
                FaultCode.RATE_SUM_TOO_HIGH,
                field,
                f"with the {phase} sample rate {_percent(total)} percent, above the ceiling of {_percent(most)}",
            )


def _percent(ppm: int) -> str:
    return f"{ppm / PPM_PER_PERCENT:g}"


def _queue_names(agreement: Agreement) -> Found:
    if OTHER_QUEUES in agreement.scope.queues:
        place = agreement.scope.queues.index(OTHER_QUEUES)
        message = f"`{OTHER_QUEUES}` is what the log calls the queues that it doesn't name: give this one another name"
        yield FaultCode.WRONG_VALUE, f"scope.queues[{place}]", message


def _rate_lines(agreement: Agreement) -> Found:
    seen = set()
    sample = agreement.lanes.sample
    for place, rate in enumerate(sample.rates if sample else ()):
        field = f"lanes.sample.rates[{place}].group"
        if rate.group not in agreement.scope.groups:
            yield FaultCode.WRONG_VALUE, field, f"`{rate.group}` is not a group of scope.groups"
        if (rate.group, rate.phase) in seen:
            yield FaultCode.WRONG_VALUE, field, f"a second rate for `{rate.group}`, {rate.phase}"
        seen.add((rate.group, rate.phase))


def _prohibitions(agreement: Agreement) -> Found:
    for item in PROHIBITED:
        if item not in agreement.prohibited:
            yield FaultCode.PROHIBITION_MISSING, "prohibited", f"must list `{item}`"
    for purpose in agreement.purposes:
        if purpose in agreement.prohibited:
            yield FaultCode.PURPOSE_PROHIBITED, f"purposes.{purpose}", "is on the document's own list `prohibited`"


def _group_sizes(agreement: Agreement) -> Found:
    sizes = {f"scope.groups.{name}.min_agents": least for name, least in agreement.scope.groups.items()}
    for place, campaign in enumerate(agreement.lanes.campaigns):
        sizes[f"lanes.campaigns[{place}].min_eligible_agents"] = campaign.min_eligible_agents
    sizes["statistics.min_agents"] = agreement.statistics.min_agents
    for field, least in sizes.items():
        if least < MIN_AGENTS:
            yield FaultCode.MIN_AGENTS_TOO_LOW, field, f"{least} is under {MIN_AGENTS}: it would single people out"


def _anchors(agreement: Agreement) -> Found:
    parties = agreement.parties
    anchors = {"employer": parties.employer.anchor, "council": parties.council.anchor, "dpo": parties.dpo.anchor}
    for (first, one), (second, other) in pairwise([*anchors.items(), ("employer", anchors["employer"])]):
        if one == other:
            yield FaultCode.ANCHOR_MISSING, f"parties.{second}.anchor", f"is the key of the {first} too"


def _signatures(agreement: Agreement) -> Found:
    for party in ("employer", "council"):
        if party not in agreement.change.signatures:
            yield FaultCode.SIGNATURES_MISSING, "change.raise.signatures", f"a raise needs the {party}'s signature"
    if "council_resolution" not in agreement.change.needs:
        yield FaultCode.RESOLUTION_MISSING, "change.raise.needs", "a raise needs `council_resolution`"


def _gate(agreement: Agreement) -> Found:
    if agreement.instrument in INFORMAL and agreement.consent.agent.gate is Gate.STANDING:
        yield (
            FaultCode.AGENT_GATE_TOO_WEAK,
            "consent.agent.gate",
            f"under {agreement.instrument.value} each call needs the agent's yes: per_call or standing_and_per_call",
        )


def _campaign_notice(agreement: Agreement) -> Found:
    ids = [campaign.id for campaign in agreement.lanes.campaigns]
    for place, campaign in enumerate(agreement.lanes.campaigns):
        field = f"lanes.campaigns[{place}]"
        start = _local(campaign.start, agreement)
        if start - datetime.combine(campaign.announced_at, datetime.min.time()) < CAMPAIGN_NOTICE:
            message = f"less than {CAMPAIGN_NOTICE.days} days before the campaign starts"
            yield FaultCode.CAMPAIGN_NOTICE_TOO_SHORT, f"{field}.announced_at", message
        if campaign.end <= campaign.start:
            yield FaultCode.CAMPAIGN_OPEN_ENDED, f"{field}.end", "must come after the campaign's start"
        if ids.index(campaign.id) != place:
            yield FaultCode.WRONG_VALUE, f"{field}.id", "another campaign has this id"
        if campaign.queue not in agreement.scope.queues:
            yield FaultCode.WRONG_VALUE, f"{field}.queue", f"`{campaign.queue}` is not a queue of scope.queues"


def _caller_model(agreement: Agreement) -> Found:
    profile = profile_of(agreement.jurisdiction)
    if agreement.consent.caller.model == "opt_out" and profile.forbids_opt_out:
        yield (
            FaultCode.OPT_OUT,
            "consent.caller.model",
            f"opt_out is not possible in {agreement.jurisdiction}: silence is never a yes; write opt_in",
        )


def _per_leg(agreement: Agreement) -> Found:
    per_leg = agreement.consent.mode is Mode.PER_LEG
    if per_leg and profile_of(agreement.jurisdiction).per_leg_needs_opinion and not agreement.legal.per_leg_opinion:
        yield (
            FaultCode.PER_LEG_WITHOUT_OPINION,
            "consent.mode",
            f"per_leg in {agreement.jurisdiction} needs legal.per_leg_opinion",
        )
    if not per_leg and agreement.consent.caller.on_refusal == KEEP_AGENT_SIDE:
        yield FaultCode.WRONG_VALUE, "consent.caller.on_refusal", "all_party records nothing after a refusal"


def _light(agreement: Agreement) -> Found:
    if agreement.indicator.ack_max_age_ms > MAX_ACK_AGE_MS:
        message = f"{agreement.indicator.ack_max_age_ms} is over {MAX_ACK_AGE_MS} ms"
        yield FaultCode.LIGHT_AGE_TOO_LONG, "indicator.ack_max_age_ms", message


def _retention_periods(agreement: Agreement) -> Found:
    retention = agreement.retention
    for purpose, period in retention.purposes.items():
        yield from _at_most(period, MAX_RETENTION[purpose], f"retention.{purpose}")
        if purpose not in agreement.purposes:
            yield FaultCode.WRONG_VALUE, f"retention.{purpose}", "is not a purpose of `purposes`"
    for purpose in agreement.purposes:
        if purpose not in retention.purposes:
            yield FaultCode.MISSING_FIELD, f"retention.{purpose}", "missing: say how long its recordings are kept"
    yield from _at_most(retention.receipts, MAX_RECEIPTS, "retention.receipts")
    yield from _at_most(retention.log, MAX_LOG, "retention.log")


def _other_periods(agreement: Agreement) -> Found:
    yield from _at_most(agreement.pause.max, MAX_PAUSE, "pause.max")
    yield from _at_most(agreement.validity.evaluation.every, MAX_EVALUATION, "validity.evaluation.every")
    for place, line in enumerate(agreement.access):
        if line.ttl is not None:
            yield from _at_most(line.ttl, MAX_TTL, f"access[{place}].ttl")


def _at_most(period: Period, most: Period, field: str) -> Found:
    if period.longest_seconds > most.longest_seconds:
        yield FaultCode.PERIOD_TOO_LONG, field, f"{period} is over the maximum of {most}"


def _first_evaluation(agreement: Agreement) -> Found:
    validity = agreement.validity
    if validity.evaluation.next_due > MAX_EVALUATION.after(_local(validity.start, agreement)).date():
        message = f"{validity.evaluation.next_due} is more than {MAX_EVALUATION} after validity.start"
        yield FaultCode.PERIOD_TOO_LONG, "validity.evaluation.next_due", message


def _dpia(agreement: Agreement) -> Found:
    if profile_of(agreement.jurisdiction).needs_dpia and not agreement.legal.dpia_ref:
        yield (
            FaultCode.DPIA_MISSING,
            "legal.dpia_ref",
            f"missing: {agreement.jurisdiction} needs a reference to the DPIA",
        )


def _lane_purposes(agreement: Agreement) -> Found:
    lanes = agreement.lanes
    used = {f"lanes.campaigns[{place}].purpose": one.purpose for place, one in enumerate(lanes.campaigns)}
    sections = {
        "sample": lanes.sample,
        "customer_request": lanes.customer_request,
        "agent_request": lanes.agent_request,
    }
    used |= {f"lanes.{name}.purpose": section.purpose for name, section in sections.items() if section is not None}
    used |= {f"access[{i}].purposes": purpose for i, line in enumerate(agreement.access) for purpose in line.purposes}
    for field, purpose in used.items():
        if purpose not in agreement.purposes:
            yield FaultCode.WRONG_VALUE, field, f"`{purpose}` is not a purpose of `purposes`"


def _caps(agreement: Agreement) -> Found:
    sample = agreement.lanes.sample
    if sample is None:
        return
    caps = {"P1D": sample.caps.per_day, "P1W": sample.caps.per_week}
    for text, cap in caps.items():
        if cap is not None and parse_period(text).longest_seconds > agreement.draw.epoch.longest_seconds:
            field = f"lanes.sample.caps.per_agent.{text}"
            yield (
                FaultCode.CAP_LONGER_THAN_EPOCH,
                field,
                f"longer than the epoch {agreement.draw.epoch}: can't be checked",
            )
    if not agreement.demo and sample.caps.per_day is None and sample.caps.per_week is None:
        yield FaultCode.MISSING_FIELD, "lanes.sample.caps.per_agent", "needs a cap per agent, P1D or P1W"


def _quorum(agreement: Agreement) -> Found:
    lane = agreement.lanes.customer_request
    quorum = {p for line in agreement.access if line.role == "quorum" for p in line.purposes}
    if lane is not None and lane.purpose not in quorum:
        yield (
            FaultCode.NO_QUORUM,
            "lanes.customer_request",
            f"needs a line `role: quorum` in `access` for {lane.purpose}: who else may open the caller's record",
        )


RULES: Final[dict[Rule, tuple[str, ...]]] = {
    _validity: ("validity.start", "validity.end", "validity.timezone", "instrument"),
    _rates: ("lanes.sample.rates",),
    _campaign_rates: ("lanes.campaigns", "lanes.sample.rates"),
    _queue_names: ("scope.queues",),
    _rate_lines: ("lanes.sample.rates", "scope.groups"),
    _prohibitions: ("prohibited", "purposes"),
    _group_sizes: ("scope.groups", "lanes.campaigns", "statistics"),
    _anchors: ("parties",),
    _signatures: ("change",),
    _gate: ("instrument", "consent.agent"),
    _campaign_notice: ("lanes.campaigns", "validity.timezone", "scope.queues"),
    _caller_model: ("jurisdiction", "consent.caller.model"),
    _per_leg: ("jurisdiction", "consent.mode", "consent.caller.on_refusal", "legal.per_leg_opinion"),
    _light: ("indicator.ack_max_age_ms",),
    _retention_periods: ("retention", "purposes"),
    _other_periods: ("pause.max", "validity.evaluation.every", "access"),
    _first_evaluation: ("validity",),
    _dpia: ("jurisdiction", "legal.dpia_ref"),
    _lane_purposes: ("lanes", "access", "purposes"),
    _caps: ("lanes.sample.caps", "draw.epoch"),
    _quorum: ("access", "lanes.customer_request"),
}
"""Each rule with the fields it reads."""
