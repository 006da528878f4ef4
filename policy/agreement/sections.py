"""One function per section of the document: reads its fields strictly into `schema`'s values.

Checks a field's own form only; what fields mean together is `refusals`' business.
"""

from __future__ import annotations

import re
from datetime import UTC, tzinfo
from typing import Final

from policy.agreement import schema
from policy.agreement.faults import FaultCode
from policy.agreement.reader import HEX_SHA256, TOKEN, Section, ZoneSource
from policy.period import Period
from policy.terms import Gate, Mode, Phase, Purpose, WithdrawalEffect

API_VERSION: Final = "fairtap.agreement/v1"
PROHIBITED: Final = (
    "discipline",
    "bonus",
    "ranking",
    "dismissal",
    "attendance",
    "speech_analytics",
    "transcription",
    "emotion",
    "biometrics",
    "ai_training",
)
"""What no agreement can permit; every document lists all of them."""

LANGUAGES: Final = ("de", "en", "nb")
TITLE_LANGUAGES: Final = (*LANGUAGES, "no", "nn", "da")
ROLES: Final = ("agent", "coach", "quorum")
DEMO_EPOCHS: Final = tuple(f"PT{minutes}M" for minutes in range(1, 11))

_ANY = re.compile(r"(?s).+")
_COUNTRY = re.compile(r"[A-Z]{2}", re.ASCII)
_PLACE = re.compile(
    r"(?:Africa|America|Antarctica|Arctic|Asia|Atlantic|Australia|Europe|Indian|Pacific)/[A-Za-z0-9/_+-]{1,50}|UTC",
    re.ASCII,
)
"""Not `localtime`, `Factory`, `right/…`: what these mean depends on the machine, or nobody lives by it."""
_REGION = re.compile(r"[A-Z][A-Z0-9-]{1,15}", re.ASCII)
_CHANNEL = re.compile(r"dtmf|agent_key|ivr:[a-z0-9][a-z0-9-]{0,31}", re.ASCII)
_KEY = re.compile(r"[0-9]", re.ASCII)
_CODE = re.compile(r"\*?[0-9]{1,4}", re.ASCII)
_PURPOSES = tuple(purpose.value for purpose in Purpose)


def read_agreement(root: Section, zones: ZoneSource, digest: str) -> schema.Agreement:
    """Read the whole document; faults are noted in the root's report."""
    with root:
        root.one_of("apiVersion", (API_VERSION,))
        demo = root.yes_no("demo")
        validity = _validity(root, zones)
        purposes = _purposes(root)
        return schema.Agreement(
            id=root.text("id", TOKEN),
            version=root.integer("version", 1, 1_000_000),
            demo=demo,
            title=_title(root),
            instrument=root.choice("instrument", schema.Instrument),
            jurisdiction=root.text("jurisdiction", _COUNTRY),
            signed_document=_signed_document(root),
            parties=_parties(root),
            validity=validity,
            legal=_legal(root),
            scope=_scope(root),
            purposes=purposes,
            prohibited=frozenset(root.texts("prohibited")),
            draw=_draw(root, demo),
            lanes=_lanes(root, validity.zone),
            consent=_consent(root),
            indicator=_indicator(root),
            pause=_pause(root),
            access=_access(root),
            evaluations_per_year=_evaluations(root),
            retention=_retention(root),
            storage_regions=_storage(root),
            statistics=_statistics(root),
            council_powers=_council_powers(root),
            change=_change(root),
            digest=digest,
        )


def _title(root: Section) -> dict[str, str]:
    with root.section("title") as title:
        texts = {lang: title.text(lang) for lang in TITLE_LANGUAGES if title.has(lang)}
        if not texts and not title.absent:
            root.refuse(FaultCode.MISSING_FIELD, "title", "needs a title in at least one language")
        return texts


def _signed_document(root: Section) -> schema.SignedDocument:
    with root.section("signed_document") as signed:
        return schema.SignedDocument(signed.text("sha256", HEX_SHA256), signed.one_of("form", ("qes", "wet_ink")))


def _anchor(party: Section) -> str:
    return party.text("anchor", TOKEN, missing=FaultCode.ANCHOR_MISSING, why="names no anchored key")


def _parties(root: Section) -> schema.Parties:
    with root.section("parties") as parties:
        with parties.section("employer") as employer:
            of_employer = schema.Employer(employer.text("name"), _anchor(employer))
        with parties.section("council") as council:
            of_council = schema.Council(
                council.text("name"), council.text("body"), _anchor(council), _resolution(council)
            )
        with parties.section("dpo") as dpo:
            of_dpo = schema.Dpo(_anchor(dpo), dpo.text("opinion_ref"))
        return schema.Parties(of_employer, of_council, of_dpo)


def _resolution(council: Section) -> schema.Resolution:
    if not council.absent and not council.has("resolution"):
        council.refuse(FaultCode.RESOLUTION_MISSING, "resolution", "the council's resolution is missing")
    with council.section("resolution", optional=True) as resolution:
        return schema.Resolution(resolution.day("date"), resolution.text("minutes_sha256", HEX_SHA256))


def _validity(root: Section, zones: ZoneSource) -> schema.Validity:
    with root.section("validity") as validity:
        name = validity.text("timezone")
        zone = _zone(validity, name, zones)
        start = validity.instant("start", zone, missing=FaultCode.MISSING_FIELD, why="missing")
        end = validity.instant("end", zone, missing=FaultCode.NO_END, why="an agreement needs an end")
        with validity.section("evaluation") as evaluation:
            terms = schema.EvaluationTerms(evaluation.period("every"), evaluation.day("next_due"))
        return schema.Validity(start, end, name, zone, terms)


def _zone(validity: Section, name: str, zones: ZoneSource) -> tzinfo:
    if name:
        try:
            if _PLACE.fullmatch(name):
                return zones(name)
        except Exception:  # whatever the source of zones raises: the name is at fault
            pass
        validity.refuse(FaultCode.WRONG_VALUE, "timezone", f"no place's time zone `{name[:40]}`; one is Europe/Berlin")
    return UTC


def _legal(root: Section) -> schema.Legal:
    with root.section("legal") as legal:
        return schema.Legal(
            dpia_ref=legal.optional_text("dpia_ref"),
            after_effect=legal.one_of("after_effect", ("restrictions_only", "none")),
            controllers=legal.texts("controllers", _ANY, least=1),
            consultation=legal.optional_day("consultation"),
            per_leg_opinion=legal.optional_text("per_leg_opinion"),
        )


def _scope(root: Section) -> schema.Scope:
    with root.section("scope", selector=True) as scope:
        with scope.section("groups") as groups:
            least = {name: _group(groups, name) for name in groups.names()}
        return schema.Scope(
            scope.texts("sites", least=1), scope.texts("queues", least=1),
            scope.texts("excluded_queues", optional=True), least,
        )  # fmt: skip


def _group(groups: Section, name: str) -> int:
    with groups.section(name) as group:
        if not TOKEN.fullmatch(name):
            groups.refuse(FaultCode.WRONG_VALUE, name, "a group's name has letters, digits, dots and hyphens only")
        return group.integer("min_agents", 0, 1_000_000)


def _purposes(root: Section) -> dict[Purpose, schema.Grounds]:
    grounds = {}
    with root.section("purposes") as purposes:
        for name in purposes.names():
            with purposes.section(name) as purpose:
                found = _grounds(purpose)
            if name in _PURPOSES:
                grounds[Purpose(name)] = found
            elif name in PROHIBITED:
                purposes.refuse(FaultCode.PURPOSE_PROHIBITED, name, "no agreement can permit this purpose")
            else:
                purposes.refuse(FaultCode.UNKNOWN_FIELD, name, f"no such purpose; there are {', '.join(_PURPOSES)}")
    return grounds


def _grounds(purpose: Section) -> schema.Grounds:
    code, why = FaultCode.PURPOSE_WITHOUT_GROUNDS, "a purpose needs its legal basis, necessity and milder means"
    basis = purpose.text("legal_basis", missing=code, why=why)
    necessity = purpose.text("necessity", missing=code, why=why)
    milder = purpose.texts("milder_means", _ANY, optional=True)
    if not milder and not purpose.absent:
        purpose.refuse(code, "milder_means", why)
    return schema.Grounds(basis, necessity, milder)


def _draw(root: Section, demo: bool) -> schema.DrawTerms:
    with root.section("draw", selector=True) as draw:
        epoch = draw.period("epoch")
        allowed = ("P1D", "P1W", *(DEMO_EPOCHS if demo else ()))
        if epoch.text and epoch.text not in allowed:
            shown = "P1D, P1W" + (" or PT1M to PT10M" if demo else "")
            draw.refuse(FaultCode.WRONG_VALUE, "epoch", f"`{epoch.text}` is not one of {shown}")
        return schema.DrawTerms(epoch, draw.period("cosign_max_age"))


def _purpose(lane: Section) -> Purpose:
    """The purpose of a lane; a prohibited one has its own refusal."""
    text = lane.text("purpose")
    if text in PROHIBITED:
        lane.refuse(FaultCode.PURPOSE_PROHIBITED, "purpose", f"no agreement can permit the purpose `{text}`")
    elif text and text not in _PURPOSES:
        lane.refuse(FaultCode.WRONG_VALUE, "purpose", f"`{text[:40]}` is not one of {', '.join(_PURPOSES)}")
    return Purpose(text) if text in _PURPOSES else Purpose.COACHING


def _lanes(root: Section, zone: tzinfo) -> schema.Lanes:
    with root.section("lanes", selector=True) as lanes:
        return schema.Lanes(
            sample=_sample(lanes) if lanes.has("sample") else None,
            campaigns=tuple(_campaign(one, zone) for one in lanes.sections("campaigns", optional=True)),
            customer_request=_customer_request(lanes) if lanes.has("customer_request") else None,
            agent_request=_agent_request(lanes) if lanes.has("agent_request") else None,
        )


def _sample(lanes: Section) -> schema.SampleLane:
    with lanes.section("sample") as sample:
        rates = tuple(_rate(one) for one in sample.sections("rates"))
        with sample.section("caps", optional=True) as caps, caps.section("per_agent", optional=True) as agent:
            per_day, per_week = _cap(agent, "P1D"), _cap(agent, "P1W")
        return schema.SampleLane(_purpose(sample), rates, schema.Caps(per_day, per_week))


def _rate(rate: Section) -> schema.Rate:
    phase = rate.choice("phase", Phase)
    max_days = None
    if phase is Phase.ONBOARDING:
        max_days = rate.integer("max_days", 1, 366, why="onboarding ends: say after how many days")
    return schema.Rate(rate.text("group", TOKEN), phase, rate.ppm("percent"), max_days)


def _cap(per_agent: Section, name: str) -> int | None:
    return per_agent.integer(name, 0, 100_000) if per_agent.has(name) else None


def _campaign(campaign: Section, zone: tzinfo) -> schema.Campaign:
    open_ended, no_count = FaultCode.CAMPAIGN_OPEN_ENDED, FaultCode.CAMPAIGN_WITHOUT_COUNT
    return schema.Campaign(
        id=campaign.text("id", TOKEN),
        purpose=_purpose(campaign),
        queue=campaign.text("queue", TOKEN),
        start=campaign.instant("start", zone, missing=open_ended, why="a campaign needs a start"),
        end=campaign.instant("end", zone, missing=open_ended, why="a campaign needs an end"),
        announced_at=campaign.day("announced_at"),
        max_recordings=campaign.integer("max_recordings", 0, 1_000_000, missing=no_count, why="needs a count"),
        ppm=campaign.ppm("percent"),
        min_eligible_agents=campaign.integer("min_eligible_agents", 0, 1_000_000),
    )


def _customer_request(lanes: Section) -> schema.CustomerRequestLane:
    with lanes.section("customer_request") as lane:
        with lane.section("per_agent", optional=True) as per_agent:
            per_week = _cap(per_agent, "P1W")
        return schema.CustomerRequestLane(_purpose(lane), per_week)


def _agent_request(lanes: Section) -> schema.AgentRequestLane:
    with lanes.section("agent_request") as lane:
        return schema.AgentRequestLane(_purpose(lane))


def _consent(root: Section) -> schema.ConsentTerms:
    with root.section("consent") as consent:
        return schema.ConsentTerms(
            mode=consent.choice("mode", Mode),
            caller=_caller(consent),
            agent=_agent(consent),
            withdrawal_effect=consent.choice("withdrawal_effect", WithdrawalEffect),
            prompts=tuple(_prompt(one) for one in consent.sections("prompts")),
        )


def _caller(consent: Section) -> schema.CallerTerms:
    with consent.section("caller") as caller:
        return schema.CallerTerms(
            model=caller.one_of("model", ("opt_in", "opt_out")),
            channels=caller.texts("channels", _CHANNEL, least=1),
            silence=caller.one_of("silence", ("refuse",)),
            on_refusal=caller.one_of("on_refusal", ("record_nothing", schema.KEEP_AGENT_SIDE)),
        )


def _agent(consent: Section) -> schema.AgentTerms:
    with consent.section("agent") as agent:
        return schema.AgentTerms(
            gate=agent.choice("gate", Gate),
            home_office_separate=agent.yes_no("home_office_separate"),
            refusal_visible_to=agent.choices("refusal_visible_to", ("agent",)),
        )


def _prompt(prompt: Section) -> schema.Prompt:
    consent_key, refuse_key = prompt.text("consent_key", _KEY), prompt.text("refuse_key", _KEY)
    if consent_key and consent_key == refuse_key:
        prompt.refuse(FaultCode.WRONG_VALUE, "refuse_key", "is the key for yes too")
    return schema.Prompt(
        id=prompt.text("id", TOKEN),
        language=prompt.one_of("language", LANGUAGES),
        sha256=prompt.text("sha256", HEX_SHA256),
        consent_key=consent_key,
        refuse_key=refuse_key,
        withdraw_code=prompt.text("withdraw_code", _CODE),
    )


def _indicator(root: Section) -> schema.IndicatorTerms:
    mandatory = FaultCode.NOT_MANDATORY
    with root.section("indicator") as indicator:
        beep = indicator.optional_text("beep_every")
        return schema.IndicatorTerms(
            ack_max_age_ms=indicator.integer("ack_max_age_ms", 100, 3_600_000),
            on_loss=indicator.one_of("on_loss", ("stop",), mandatory),
            caller_notice=indicator.one_of("caller_notice", ("mandatory",), mandatory),
            agent_tone=indicator.one_of("agent_tone", ("mandatory",), mandatory),
            beep_every=indicator.optional_period("beep_every") if beep not in (None, "none") else None,
        )


def _pause(root: Section) -> schema.PauseTerms:
    with root.section("pause") as pause:
        return schema.PauseTerms(
            pause.choices("triggers", ("dtmf", "api"), least=0),
            pause.period("max"),
            pause.one_of("on_timeout", ("stop",)),
        )


def _access(root: Section) -> tuple[schema.AccessLine, ...]:
    return tuple(_access_line(one) for one in root.sections("access"))


def _access_line(line: Section) -> schema.AccessLine:
    role = line.one_of("role", ROLES)
    purposes = tuple(Purpose(text) for text in line.choices("purposes", _PURPOSES))
    release, ttl = None, None
    members: tuple[str, ...] = ()
    if role == "agent":
        release = line.one_of("release", ("none_needed",))
    elif role == "coach":
        release, ttl = line.one_of("release", ("agent_per_item",)), line.period("ttl")
    elif role == "quorum":
        members = line.choices("members", ("dpo", "council"), least=2)
    return schema.AccessLine(role, purposes, release, ttl, members)


def _evaluations(root: Section) -> int:
    with root.section("evaluations") as evaluations:
        return evaluations.integer("per_agent_per_year", 0, 1_000)


def _retention(root: Section) -> schema.RetentionTerms:
    with root.section("retention") as retention:
        purposes: dict[Purpose, Period] = {
            purpose: retention.period(purpose) for purpose in Purpose if retention.has(purpose)
        }
        return schema.RetentionTerms(purposes, retention.period("receipts"), retention.period("log"))


def _storage(root: Section) -> tuple[str, ...]:
    with root.section("storage") as storage:
        return storage.texts("regions", _REGION, least=1)


def _statistics(root: Section) -> schema.StatisticsTerms:
    with root.section("statistics") as statistics:
        return schema.StatisticsTerms(
            statistics.integer("min_agents", 0, 1_000_000), statistics.integer("min_calls", 1, 1_000_000)
        )


def _council_powers(root: Section) -> schema.CouncilPowers | None:
    if not root.has("council_powers"):
        return None
    with root.section("council_powers") as powers:
        clause = powers.text("clause_ref", missing=FaultCode.POWERS_WITHOUT_CLAUSE, why="name the clause they rest on")
        dark = powers.optional_period("dark")
        return schema.CouncilPowers(powers.yes_no("lower"), powers.yes_no("suspend"), dark, clause)


def _change(root: Section) -> schema.ChangeTerms:
    with root.section("change") as change, change.section("raise") as terms:
        return schema.ChangeTerms(
            terms.choices("signatures", ("employer", "council", "dpo"), least=0),
            terms.choices("needs", ("council_resolution", "dpo_opinion"), least=0),
        )
