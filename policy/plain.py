"""A whole agreement in plain sentences, German, English or Norwegian, for pages and print; generated, never stored.

Says every field, so that whatever changes in the document changes the text. What an agent reads before answering for
one purpose is `texts`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from policy.agreement.schema import KEEP_AGENT_SIDE, AccessLine, Agreement, Campaign, Prompt, Rate
from policy.epochs import LEGS_TO_COUNT
from policy.percent import percent_text
from policy.period import Period
from policy.plain_words import UNITS, WORDS
from policy.terms import Phase, Purpose

__all__ = ["Paragraph", "paragraphs", "plain", "remarks"]


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A heading and the sentences under it."""

    heading: str
    sentences: tuple[str, ...]


def plain(agreement: Agreement, language: str) -> str:
    """The whole text; raises KeyError for another language than `de`, `en`, `nb`."""
    parts = (f"{one.heading}\n\n" + "\n".join(one.sentences) for one in paragraphs(agreement, language))
    return "\n\n".join(parts) + "\n"


def paragraphs(agreement: Agreement, language: str) -> tuple[Paragraph, ...]:
    """The text by paragraphs, in a fixed order."""
    speaker = _Speaker(agreement, language)
    return tuple(Paragraph(speaker.words[f"h.{name}"], tuple(say(speaker))) for name, say in _PARAGRAPHS.items())


def remarks(agreement: Agreement, language: str, now: datetime) -> tuple[str, ...]:
    """What is easily overlooked, a sentence each: its end, what small groups mean, what keeping one side does."""
    speaker = _Speaker(agreement, language)
    return (*_over(speaker, now), *_groups(speaker), *_one_sided(speaker))


class _Speaker:
    """The words of one language, and how it writes values."""

    def __init__(self, agreement: Agreement, language: str) -> None:
        self.agreement = agreement
        self.words = WORDS[language]
        self._language = language

    def say(self, key: str, **values: object) -> str:
        """One sentence, its gaps filled; texts of the document are in quotation marks."""
        text = self.words[key].format_map({name: self._value(value) for name, value in values.items()})
        return text[:1].upper() + text[1:]

    def word(self, key: str) -> str:
        """A word, or the document's own in quotation marks where there is none for it."""
        return self.words.get(key) or self.quoted(key)

    def listed(self, items: Iterable[str], say: Callable[[str], str] | None = None) -> Said:
        """Items with commas, or the word for none."""
        shown = [(say or self.quoted)(item) for item in items]
        return Said(", ".join(shown) or self.words["none"])

    def quoted(self, text: str) -> str:
        """A text of the document."""
        return self.words["quote"].format(text)

    def percent(self, ppm: int) -> Said:
        """A percentage with the language's decimal sign."""
        text = percent_text(ppm)
        return Said(text if self._language == "en" else text.replace(".", ","))

    def _value(self, value: object) -> str:
        if isinstance(value, Said):
            return value.text
        if isinstance(value, datetime):
            return self._instant(value)
        if isinstance(value, date):
            return value.strftime(self.words["date"])
        if isinstance(value, Period):
            return self._period(value)
        if isinstance(value, Purpose):
            return self.words[value]
        return str(value) if isinstance(value, int) else self.quoted(str(value))

    def _instant(self, instant: datetime) -> str:
        local = instant.astimezone(self.agreement.validity.zone)
        time = local.strftime("%H:%M:%S" if local.second else "%H:%M")
        return self.words["clock"].format(date=local.strftime(self.words["date"]), time=time)

    def _period(self, period: Period) -> str:
        unit = period.text[-1] if "T" not in period.text else "T" + period.text[-1]
        count = period.text.strip("PTYMWDHS")
        return f"{count} {UNITS[self._language][unit][count != '1']}"


@dataclass(frozen=True, slots=True)
class Said:
    """Words that stand in a sentence as they are."""

    text: str


def _head(speaker: _Speaker) -> Iterator[str]:
    one, say = speaker.agreement, speaker.say
    titles = Said(", ".join(f"{speaker.quoted(text)} ({language})" for language, text in one.title.items()))
    yield say(
        "head", title=titles, id=one.id, version=one.version, instrument=Said(speaker.word(one.instrument)),
        jurisdiction=one.jurisdiction,
    )  # fmt: skip
    yield say("demo.yes" if one.demo else "demo.no")
    yield say("signed", sha256=Said(one.signed_document.sha256), form=Said(speaker.words[_form(one)]))


def _form(agreement: Agreement) -> str:
    return f"form.{agreement.signed_document.form}"


def _parties(speaker: _Speaker) -> Iterator[str]:
    parties, say = speaker.agreement.parties, speaker.say
    council = parties.council
    yield say("employer", name=parties.employer.name, anchor=parties.employer.anchor)
    yield say(
        "council", name=council.name, body=council.body, anchor=council.anchor, date=council.resolution.date,
        minutes=Said(council.resolution.minutes_sha256),
    )  # fmt: skip
    yield say("dpo", anchor=parties.dpo.anchor, opinion=parties.dpo.opinion_ref)


def _validity(speaker: _Speaker) -> Iterator[str]:
    validity = speaker.agreement.validity
    yield speaker.say("validity", start=validity.start, end=validity.end, timezone=validity.timezone)
    yield speaker.say("evaluation", every=validity.evaluation.every, due=validity.evaluation.next_due)


def _legal(speaker: _Speaker) -> Iterator[str]:
    legal, say, nothing = speaker.agreement.legal, speaker.say, Said(speaker.words["not_given"])
    yield say("dpia", ref=legal.dpia_ref if legal.dpia_ref is not None else nothing)
    yield say("per_leg_opinion", ref=legal.per_leg_opinion if legal.per_leg_opinion is not None else nothing)
    yield say("consultation", date=legal.consultation) if legal.consultation else say("no_consultation")
    yield say("controllers", names=speaker.listed(legal.controllers))
    yield say(f"after.{legal.after_effect}")


def _over(speaker: _Speaker, now: datetime) -> Iterator[str]:
    if speaker.agreement.validity.end <= now:
        yield speaker.say("over", end=speaker.agreement.validity.end)


def _groups(speaker: _Speaker) -> Iterator[str]:
    lanes = speaker.agreement.lanes
    key = "group" if lanes.customer_request is not None or lanes.agent_request is not None else "group.drawn_only"
    legs = 0 if speaker.agreement.demo else LEGS_TO_COUNT
    groups = speaker.agreement.scope.groups
    yield from (speaker.say(key, group=name, least=least, legs=legs) for name, least in groups.items())


def _scope(speaker: _Speaker) -> Iterator[str]:
    scope, listed = speaker.agreement.scope, speaker.listed
    yield speaker.say(
        "scope", sites=listed(scope.sites), queues=listed(scope.queues), excluded=listed(scope.excluded_queues)
    )
    yield from _groups(speaker)
    if not scope.groups:
        yield speaker.say("no_groups")


def _purposes(speaker: _Speaker) -> Iterator[str]:
    for purpose, grounds in speaker.agreement.purposes.items():
        yield speaker.say(
            "purpose", purpose=purpose, necessity=grounds.necessity, basis=grounds.legal_basis,
            milder=speaker.listed(grounds.milder_means),
        )  # fmt: skip
    yield speaker.say("prohibited", items=speaker.listed(sorted(speaker.agreement.prohibited), speaker.word))


def _draw(speaker: _Speaker) -> Iterator[str]:
    one, say = speaker.agreement, speaker.say
    yield say("draw", epoch=one.draw.epoch, cosign=one.draw.cosign_max_age)
    sample = one.lanes.sample
    if sample is None:
        yield say("no_sample")
    else:
        yield say("sample", purpose=sample.purpose)
        yield from (_rate(speaker, rate) for rate in sample.rates)
        for name, count in (("day", sample.caps.per_day), ("week", sample.caps.per_week)):
            yield say(f"cap.{name}", count=count) if count is not None else say(f"no_cap.{name}")
    yield from (_campaign(speaker, campaign) for campaign in one.lanes.campaigns)
    if not one.lanes.campaigns:
        yield say("no_campaigns")


def _rate(speaker: _Speaker, rate: Rate) -> str:
    percent = speaker.percent(rate.ppm)
    if rate.phase is Phase.ONBOARDING:
        return speaker.say("rate.onboarding", group=rate.group, percent=percent, days=rate.max_days)
    return speaker.say("rate.regular", group=rate.group, percent=percent)


def _campaign(speaker: _Speaker, one: Campaign) -> str:
    return speaker.say(
        "campaign", id=one.id, purpose=one.purpose, queue=one.queue, start=one.start, end=one.end,
        announced=one.announced_at, percent=speaker.percent(one.ppm), count=one.max_recordings,
        least=one.min_eligible_agents,
    )  # fmt: skip


def _asked(speaker: _Speaker) -> Iterator[str]:
    lanes, say = speaker.agreement.lanes, speaker.say
    if lanes.customer_request is None:
        yield say("no_customer_request")
    else:
        yield say("customer_request", purpose=lanes.customer_request.purpose)
        count = lanes.customer_request.per_week
        yield say("wishes", count=count) if count is not None else say("no_wishes")
    own = lanes.agent_request
    yield say("agent_request", purpose=own.purpose) if own is not None else say("no_agent_request")


def _consent(speaker: _Speaker) -> Iterator[str]:
    consent, say = speaker.agreement.consent, speaker.say
    yield say(f"mode.{consent.mode}")
    yield say(f"model.{consent.caller.model}")
    yield say("channels", names=speaker.listed(consent.caller.channels, speaker.word))
    yield say(f"refusal.{consent.caller.on_refusal}")
    yield from _one_sided(speaker)
    yield say(f"gate.{consent.agent.gate}")
    yield say("home.yes" if consent.agent.home_office_separate else "home.no")
    yield say("visible", roles=_roles(speaker, consent.agent.refusal_visible_to))
    yield say(f"withdrawal.{consent.withdrawal_effect}")
    yield from (_prompt(speaker, prompt) for prompt in consent.prompts)
    if not consent.prompts:
        yield say("no_prompts")


def _one_sided(speaker: _Speaker) -> Iterator[str]:
    if speaker.agreement.consent.caller.on_refusal == KEEP_AGENT_SIDE:
        yield speaker.say("one_sided")


def _prompt(speaker: _Speaker, one: Prompt) -> str:
    return speaker.say(
        "prompt", id=one.id, language=Said(one.language), sha256=Said(one.sha256), yes=one.consent_key,
        no=one.refuse_key, withdraw=one.withdraw_code,
    )  # fmt: skip


def _light(speaker: _Speaker) -> Iterator[str]:
    light, pause, say = speaker.agreement.indicator, speaker.agreement.pause, speaker.say
    yield say("light", ms=light.ack_max_age_ms)
    yield say("beep", every=light.beep_every) if light.beep_every is not None else say("no_beep")
    yield say("pause", triggers=speaker.listed(pause.triggers, speaker.word), most=pause.max)


def _access(speaker: _Speaker) -> Iterator[str]:
    yield from (_access_line(speaker, line) for line in speaker.agreement.access)
    if not speaker.agreement.access:
        yield speaker.say("no_access")
    yield speaker.say("evaluations", count=speaker.agreement.evaluations_per_year)


def _access_line(speaker: _Speaker, line: AccessLine) -> str:
    values: dict[str, object] = {"purposes": speaker.listed(line.purposes, speaker.word)}
    if line.role == "coach":
        values["ttl"] = line.ttl
    if line.role == "quorum":
        values["members"] = _roles(speaker, line.members)
    return speaker.say(f"access.{line.role}", **values)


def _roles(speaker: _Speaker, roles: Iterable[str]) -> Said:
    return speaker.listed(roles, lambda role: speaker.words[f"role.{role}"])


def _retention(speaker: _Speaker) -> Iterator[str]:
    retention, say = speaker.agreement.retention, speaker.say
    yield from (say("retention", purpose=purpose, time=time) for purpose, time in retention.purposes.items())
    yield say("receipts", time=retention.receipts)
    yield say("log", time=retention.log)
    yield say("regions", names=speaker.listed(speaker.agreement.storage_regions))


def _statistics(speaker: _Speaker) -> Iterator[str]:
    one, say = speaker.agreement, speaker.say
    yield say("statistics", agents=one.statistics.min_agents, calls=one.statistics.min_calls)
    powers = one.council_powers
    if powers is None:
        yield say("no_powers")
    else:
        yield say("powers", clause=powers.clause_ref)
        yield say("lower.yes" if powers.lower else "lower.no")
        yield say("suspend.yes" if powers.suspend else "suspend.no")
        yield say("dark", time=powers.dark) if powers.dark is not None else say("no_dark")
    needs = speaker.listed(one.change.needs, speaker.word)
    yield say("change", who=_roles(speaker, one.change.signatures), needs=needs)


_PARAGRAPHS: Final[dict[str, Callable[[_Speaker], Iterator[str]]]] = {
    "agreement": _head,
    "parties": _parties,
    "validity": _validity,
    "legal": _legal,
    "scope": _scope,
    "purposes": _purposes,
    "draw": _draw,
    "asked": _asked,
    "consent": _consent,
    "light": _light,
    "access": _access,
    "retention": _retention,
    "statistics": _statistics,
}
