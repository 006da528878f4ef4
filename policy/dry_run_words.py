"""A dry run in plain sentences, in German, English and Norwegian: for a council member, on pages and in print."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from policy.agreement.schema import Agreement
from policy.draw_rules import MILLION
from policy.dry_run import Limit, RuleEffect
from policy.epochs import LEGS_TO_COUNT
from policy.percent import percent_text

__all__ = ["sentences"]

_WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "de": {
        "regular": "Gruppe „{name}“",
        "onboarding": "Gruppe „{name}“, Einarbeitung",
        "campaign": "Aktion „{name}“",
        "rate": "{rule}: vereinbart sind höchstens {percent} %, wirksam werden {effective} % der Gespräche, etwa "
        "{hits} in der Woche. Gerechnet mit {agents} Beschäftigten und je {legs} Gesprächen in der Woche.",
        "small": "{rule}: ausgelost wird nichts. Es sind {agents} Beschäftigte, nötig sind {least}.",
        "idle": "Damit käme nach dem ersten Zeitraum niemand auf die {count} Gespräche, ab denen jemand für die Größe "
        "der Gruppe zählt: Aufgezeichnet würde dann nichts mehr.",
        "ceiling": "Die Obergrenze greift: Damit {percent} % nie überschritten werden, nimmt sie {share} von 100 "
        "ausgelosten Gesprächen weg.",
        "P1D": "Die Grenze von {count} je Person und Tag greift: Sie nimmt {share} von 100 ausgelosten Gesprächen weg.",
        "P1W": "Die Grenze von {count} je Person und Woche greift: Sie nimmt {share} von 100 ausgelosten Gesprächen "
        "weg.",
        "no_cap": "Keine Grenze je Person greift.",
        "count": "Die Höchstzahl von {count} Aufnahmen ist nach etwa {days} Tagen erreicht, vor dem Ende der Aktion.",
        "no_count": "Die Höchstzahl von {count} Aufnahmen wird bis zum Ende der Aktion nicht erreicht.",
        "nothing": "Nach dieser Vereinbarung werden keine Gespräche ausgelost.",
        "how": "So wurde gerechnet: ganze Wochen mit fünf Arbeitstagen nachgestellt ({weeks}), die Gespräche "
        "gleichmäßig verteilt, jede Regel für sich, Obergrenze und Grenzen je Person geprüft wie im Betrieb. Wer nicht "
        "zustimmt, wird auch nach der Auslosung nicht aufgezeichnet: Das geht von diesen Zahlen noch ab. Ebenso, wo "
        "für dieselben Gespräche noch eine Vereinbarung gilt: Dann zählen der kleinere Anteil und jede Obergrenze.",
    },
    "en": {
        "regular": "Group “{name}”",
        "onboarding": "Group “{name}”, onboarding",
        "campaign": "Campaign “{name}”",
        "rate": "{rule}: at most {percent}% is agreed; in practice {effective}% of the calls takes effect, about "
        "{hits} a week. Calculated for {agents} agents with {legs} calls each a week.",
        "small": "{rule}: nothing is drawn. There are {agents} agents, {least} are needed.",
        "idle": "With that, nobody would have the {count} calls in a period that count towards the size of the group: "
        "after the first period nothing would be recorded.",
        "ceiling": "The ceiling binds: so that {percent}% is never exceeded, it removes {share} of every 100 drawn "
        "calls.",
        "P1D": "The cap of {count} per person and day binds: it removes {share} of every 100 drawn calls.",
        "P1W": "The cap of {count} per person and week binds: it removes {share} of every 100 drawn calls.",
        "no_cap": "No cap per person binds.",
        "count": "The maximum of {count} recordings is reached after about {days} days, before the campaign ends.",
        "no_count": "The maximum of {count} recordings isn't reached before the campaign ends.",
        "nothing": "This agreement draws no calls.",
        "how": "How this was calculated: whole weeks of five working days simulated ({weeks}), the calls spread "
        "evenly, each rule by itself, ceiling and caps checked as in operation. Whoever doesn't agree isn't recorded "
        "even if drawn: that still has to be subtracted from these figures. So it is where another agreement is about "
        "the same calls: then the lower percentage counts, and every ceiling.",
    },
    "nb": {
        "regular": "Gruppe «{name}»",
        "onboarding": "Gruppe «{name}», opplæring",
        "campaign": "Kampanje «{name}»",
        "rate": "{rule}: avtalt er høyst {percent} %, virksomt blir {effective} % av samtalene, omtrent {hits} i uken. "
        "Regnet med {agents} ansatte og {legs} samtaler for hver i uken.",
        "small": "{rule}: ingenting trekkes. Det er {agents} ansatte, {least} trengs.",
        "idle": "Dermed ville ingen ha de {count} samtalene i en periode som skal til for å telle med i gruppens "
        "størrelse: etter den første perioden ville ingenting bli tatt opp.",
        "ceiling": "Taket slår inn: for at {percent} % aldri skal overskrides, tar det bort {share} av 100 trukne "
        "samtaler.",
        "P1D": "Grensen på {count} per person og dag slår inn: den tar bort {share} av 100 trukne samtaler.",
        "P1W": "Grensen på {count} per person og uke slår inn: den tar bort {share} av 100 trukne samtaler.",
        "no_cap": "Ingen grense per person slår inn.",
        "count": "Det høyeste antallet på {count} opptak er nådd etter omtrent {days} dager, før kampanjen slutter.",
        "no_count": "Det høyeste antallet på {count} opptak nås ikke før kampanjen slutter.",
        "nothing": "Denne avtalen trekker ingen samtaler.",
        "how": "Slik ble det regnet: hele uker med fem arbeidsdager simulert ({weeks}), samtalene jevnt fordelt, hver "
        "regel for seg, tak og grenser per person kontrollert som i drift. Den som ikke samtykker, blir heller ikke "
        "tatt opp om samtalen trekkes: det må trekkes fra disse tallene. Likeså der enda en avtale gjelder de samme "
        "samtalene: da teller den laveste andelen, og hvert av takene.",
    },
}


def sentences(agreement: Agreement, effects: Iterable[RuleEffect], language: str) -> tuple[str, ...]:
    """One paragraph for each rule, then how it was reckoned; raises KeyError for another language than de, en, nb."""
    words, shown = _WORDS[language], tuple(effects)
    if not shown:
        return (words["nothing"],)
    weeks = [one.simulation.weeks for one in shown]
    span = str(weeks[0]) if len(set(weeks)) == 1 else f"{min(weeks)}–{max(weeks)}"
    paragraphs = (" ".join(_rule(agreement, one, language)) for one in shown)
    return (*paragraphs, words["how"].format(weeks=span))


def _rule(agreement: Agreement, effect: RuleEffect, language: str) -> Iterator[str]:
    words, load = _WORDS[language], effect.load
    rule = _name(effect.rule, words)
    if effect.too_small:
        yield words["small"].format(rule=rule, agents=load.agents, least=effect.least)
        return
    percent = _decimal(percent_text(effect.ppm), language)
    effective = _number(effect.effective_ppm * 100 / MILLION, language)
    hits = _number(effect.weekly_hits, language)
    yield words["rate"].format(
        rule=rule, percent=percent, effective=effective, hits=hits, agents=load.agents, legs=load.legs
    )
    if effect.idle:
        yield words["idle"].format(count=LEGS_TO_COUNT)
    if effect.share(Limit.CEILING):
        share = _number(100 * effect.share(Limit.CEILING), language)
        yield words["ceiling"].format(percent=percent, share=share)
    yield from _caps(agreement, effect, language)
    if effect.campaign is not None:
        days = effect.count_reached_after_days
        text = words["no_count"] if days is None else words["count"]
        yield text.format(count=effect.campaign.max_recordings, days=None if days is None else round(days))


def _caps(agreement: Agreement, effect: RuleEffect, language: str) -> Iterator[str]:
    words, sample = _WORDS[language], agreement.lanes.sample
    if sample is None:
        return
    stated = {Limit.P1D: sample.caps.per_day, Limit.P1W: sample.caps.per_week}
    for limit, count in stated.items():
        if effect.share(limit):
            yield words[limit].format(count=count, share=_number(100 * effect.share(limit), language))
    if not any(effect.share(limit) for limit in stated):
        yield words["no_cap"]


def _name(rule: str, words: Mapping[str, str]) -> str:
    kind, name, *phase = rule.split("/")
    return words[phase[0] if phase else kind].format(name=name)


def _number(value: float, language: str) -> str:
    """Two digits after the point, one from ten on; less than can be shown isn't nothing."""
    text = f"{value:.2f}" if value < 10 else f"{value:.1f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return _decimal("< 0.01" if text == "0" and value else text, language)


def _decimal(text: str, language: str) -> str:
    return text if language == "en" else text.replace(".", ",")
