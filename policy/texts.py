"""What an agent reads before answering for a purpose, in German, English and Norwegian (requirements R-002, R-013).

Made from the agreement: when its purpose, scope, retention or access changes, so does the text and its hash, and every
yes to the old one is unset. Rates aren't part of it, so that lowering them asks nobody again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from policy.agreement.schema import KEEP_AGENT_SIDE, Agreement
from policy.period import Period
from policy.statements import LANGUAGES
from policy.terms import DRAWN_LANES, Gate, Lane, Purpose, WithdrawalEffect


@dataclass(frozen=True, slots=True)
class _Words:
    """One language: the frame of the text and the words that fill it."""

    frame: str
    purposes: dict[Purpose, str]
    lanes: dict[Lane, str]
    readers: dict[str, str]
    callers: dict[bool, str]
    """Whether the agent's side may be kept alone → what the other party's answer means."""
    gates: dict[Gate, str]
    home: dict[bool, str]
    withdrawn: dict[WithdrawalEffect, str]
    units: dict[str, tuple[str, str]]
    """Unit → singular, plural."""
    nothing: str


_DE = _Words(
    frame="""Darf für den Zweck „{purpose}“ aufgezeichnet werden?

Verantwortlich: {controllers}. Grundlage: „{title}“ ({basis}).
Warum: {necessity}
Welche Gespräche: {lanes}. Standorte: {sites}. Warteschlangen: {queues}; nie: {excluded}.
Wann: nur während Ihre Anzeige leuchtet. {caller} {gate} {home}
Wie lange: Die Aufnahme wird spätestens nach {retention} gelöscht.
Wer sie öffnen kann: {readers}. Sie ist mit Ihrem Schlüssel verschlossen.
Niemals für: Disziplinarmaßnahmen, Vergütung, Ranglisten, Kündigung, Anwesenheitskontrolle, \
Verschriftlichung, Sprach-, Emotions- oder Stimmanalyse, Training von KI.
Ihr Nein: Die Einwilligung ist freiwillig. Ein Nein hat keine Nachteile und braucht keine Begründung, und angezeigt \
wird es nur Ihnen. Keine Antwort gilt als Nein.
Widerruf: Sie können Ihr Ja jederzeit für die Zukunft widerrufen, auch mitten im Gespräch. {withdrawn}""",
    purposes={
        Purpose.COACHING: "Lernen und Unterstützung (coaching)",
        Purpose.PROCESS_QUALITY: "Abläufe verbessern (process_quality)",
        Purpose.DISPUTE: "Nachweis auf Wunsch Ihres Gegenübers (dispute)",
    },
    lanes={
        Lane.SAMPLE: "zufällig ausgeloste Gespräche",
        Lane.CAMPAIGN: "zufällig ausgeloste Gespräche angekündigter Aktionen",
        Lane.CUSTOMER_REQUEST: "Gespräche, die beide Seiten aufzeichnen möchten",
        Lane.AGENT_REQUEST: "Gespräche, die Sie selbst aufzeichnen möchten",
    },
    readers={
        "agent": "Sie selbst",
        "coach": "Ihr Coach, wenn Sie die einzelne Aufnahme freigeben",
        "quorum": "die oder der Datenschutzbeauftragte und der Betriebsrat, nur gemeinsam",
    },
    callers={
        False: "Ihr Gegenüber muss ebenfalls eingewilligt haben.",
        True: "Willigt Ihr Gegenüber ein, werden beide Seiten aufgezeichnet; lehnt es ab, darf Ihre Seite allein "
        "behalten werden.",
    },
    gates={
        Gate.STANDING: "Ihr Ja gilt, bis Sie es widerrufen.",
        Gate.PER_CALL: "Sie werden in jedem Gespräch gefragt.",
        Gate.STANDING_AND_PER_CALL: "Ihr Ja allein genügt nicht: Sie werden zusätzlich in jedem Gespräch gefragt.",
    },
    home={True: "Für das Homeoffice entscheiden Sie gesondert.", False: "Das gilt auch im Homeoffice."},
    withdrawn={
        WithdrawalEffect.DISCARD_CALL: "Eine laufende Aufnahme stoppt dann sofort und wird vernichtet.",
        WithdrawalEffect.STOP_ONLY: "Eine laufende Aufnahme stoppt dann sofort; was bis dahin aufgenommen ist, bleibt "
        "bis zur Löschfrist.",
    },
    units={
        "Y": ("Jahr", "Jahren"),
        "M": ("Monat", "Monaten"),
        "W": ("Woche", "Wochen"),
        "D": ("Tag", "Tagen"),
        "H": ("Stunde", "Stunden"),
        "TM": ("Minute", "Minuten"),
        "S": ("Sekunde", "Sekunden"),
    },
    nothing="keine",
)

_EN = _Words(
    frame="""May calls be recorded for the purpose "{purpose}"?

Controllers: {controllers}. Based on: "{title}" ({basis}).
Why: {necessity}
Which calls: {lanes}. Sites: {sites}. Queues: {queues}; never: {excluded}.
When: only while your light is on. {caller} {gate} {home}
How long: the recording is erased after {retention} at the latest.
Who can open it: {readers}. It is locked with your key.
Never for: disciplinary measures, pay, rankings, dismissal, attendance checks, transcription, \
analysis of speech, emotions or voices, training AI.
Your no: consent is voluntary. A no has no disadvantages and needs no reason, and it is shown to nobody but you. \
No answer means no.
Withdrawal: you can withdraw your yes for the future at any time, even in the middle of a call. {withdrawn}""",
    purposes={
        Purpose.COACHING: "learning and support (coaching)",
        Purpose.PROCESS_QUALITY: "better processes (process_quality)",
        Purpose.DISPUTE: "a record that the other party asked for (dispute)",
    },
    lanes={
        Lane.SAMPLE: "calls drawn by lot",
        Lane.CAMPAIGN: "calls drawn by lot in announced campaigns",
        Lane.CUSTOMER_REQUEST: "calls that both sides want recorded",
        Lane.AGENT_REQUEST: "calls that you yourself want recorded",
    },
    readers={
        "agent": "you",
        "coach": "your coach, if you release that one recording",
        "quorum": "the data-protection officer and the works council, only together",
    },
    callers={
        False: "The other party must have consented too.",
        True: "If the other party says yes, both sides are recorded; if they say no, your side alone may be kept.",
    },
    gates={
        Gate.STANDING: "Your yes holds until you withdraw it.",
        Gate.PER_CALL: "You are asked in every call.",
        Gate.STANDING_AND_PER_CALL: "Your yes alone is not enough: you are asked in every call as well.",
    },
    home={True: "You decide separately for working at home.", False: "This holds when you work at home too."},
    withdrawn={
        WithdrawalEffect.DISCARD_CALL: "A recording in progress then stops at once and is destroyed.",
        WithdrawalEffect.STOP_ONLY: "A recording in progress then stops at once; what was recorded until then is kept "
        "until it is due for erasure.",
    },
    units={
        "Y": ("year", "years"),
        "M": ("month", "months"),
        "W": ("week", "weeks"),
        "D": ("day", "days"),
        "H": ("hour", "hours"),
        "TM": ("minute", "minutes"),
        "S": ("second", "seconds"),
    },
    nothing="none",
)

_NB = _Words(
    frame="""Kan vi ta opp samtaler for formålet «{purpose}»?

Behandlingsansvarlig: {controllers}. Grunnlag: «{title}» ({basis}).
Hvorfor: {necessity}
Hvilke samtaler: {lanes}. Steder: {sites}. Køer: {queues}; aldri: {excluded}.
Når: bare mens lyset ditt er på. {caller} {gate} {home}
Hvor lenge: Opptaket slettes senest etter {retention}.
Hvem som kan åpne det: {readers}. Det er låst med din nøkkel.
Aldri til: disiplinære tiltak, lønn, rangering, oppsigelse, kontroll av oppmøte, transkribering, \
analyse av tale, følelser eller stemmer, trening av KI.
Ditt nei: Samtykket er frivillig. Et nei har ingen ulemper og krever ingen begrunnelse, og det vises bare for deg. \
Manglende svar regnes som nei.
Tilbaketrekking: Du kan når som helst trekke ja-et ditt tilbake for framtiden, også midt i en samtale. {withdrawn}""",
    purposes={
        Purpose.COACHING: "læring og støtte (coaching)",
        Purpose.PROCESS_QUALITY: "bedre arbeidsprosesser (process_quality)",
        Purpose.DISPUTE: "dokumentasjon som den du snakker med, har bedt om (dispute)",
    },
    lanes={
        Lane.SAMPLE: "samtaler som trekkes tilfeldig",
        Lane.CAMPAIGN: "samtaler som trekkes tilfeldig i varslede kampanjer",
        Lane.CUSTOMER_REQUEST: "samtaler som begge parter ønsker å ta opp",
        Lane.AGENT_REQUEST: "samtaler som du selv ønsker å ta opp",
    },
    readers={
        "agent": "du selv",
        "coach": "veilederen din, hvis du frigir det enkelte opptaket",
        "quorum": "personvernombudet og de tillitsvalgte, bare sammen",
    },
    callers={
        False: "Den du snakker med, må også ha samtykket.",
        True: "Sier den du snakker med, ja, tas begge sider opp; sier vedkommende nei, kan din side beholdes alene.",
    },
    gates={
        Gate.STANDING: "Ditt ja gjelder til du trekker det tilbake.",
        Gate.PER_CALL: "Du blir spurt i hver samtale.",
        Gate.STANDING_AND_PER_CALL: "Ditt ja alene er ikke nok: Du blir også spurt i hver samtale.",
    },
    home={True: "For hjemmekontor bestemmer du særskilt.", False: "Dette gjelder også på hjemmekontor."},
    withdrawn={
        WithdrawalEffect.DISCARD_CALL: "Et pågående opptak stopper da med en gang og slettes.",
        WithdrawalEffect.STOP_ONLY: "Et pågående opptak stopper da med en gang; det som alt er tatt opp, beholdes til "
        "slettefristen.",
    },
    units={
        "Y": ("år", "år"),
        "M": ("måned", "måneder"),
        "W": ("uke", "uker"),
        "D": ("dag", "dager"),
        "H": ("time", "timer"),
        "TM": ("minutt", "minutter"),
        "S": ("sekund", "sekunder"),
    },
    nothing="ingen",
)

_WORDS: Final = dict(zip(LANGUAGES, (_DE, _EN, _NB), strict=True))
_TITLE_FALLBACK: Final = ("en", "de")


def consent_text(agreement: Agreement, purpose: Purpose, language: str) -> str:
    """The text shown to an agent before a standing answer for `purpose`; `language` is `de`, `en` or `nb`.

    Raises KeyError for another language or a purpose that the agreement doesn't have.
    """
    words, grounds, consent = _WORDS[language], agreement.purposes[purpose], agreement.consent
    return words.frame.format(
        purpose=words.purposes[purpose],
        controllers=", ".join(agreement.legal.controllers),
        title=_title(agreement, language),
        basis=grounds.legal_basis,
        necessity=grounds.necessity,
        lanes=_listed((words.lanes[lane] for lane in _lanes(agreement, purpose)), words),
        sites=_listed(agreement.scope.sites, words),
        queues=_listed(agreement.scope.queues, words),
        excluded=_listed(agreement.scope.excluded_queues, words),
        caller=words.callers[_may_be_one_sided(agreement, purpose)],
        gate=words.gates[_gate(agreement, purpose)],
        home=words.home[consent.agent.home_office_separate],
        retention=_period(agreement.retention.purposes[purpose], words),
        readers=_listed((words.readers[role] for role in _readers(agreement, purpose)), words),
        withdrawn=words.withdrawn[consent.withdrawal_effect],
    )


def text_sha256(text: str) -> str:
    """SHA-256 (hex) of a text as shown, UTF-8: what a consent statement names."""
    return hashlib.sha256(text.encode()).hexdigest()


def current_texts(agreement: Agreement, purpose: Purpose) -> frozenset[str]:
    """The hashes of the texts in force for a purpose, one per language; empty where it isn't agreed."""
    if purpose not in agreement.purposes:
        return frozenset()
    return frozenset(text_sha256(consent_text(agreement, purpose, language)) for language in LANGUAGES)


def _title(agreement: Agreement, language: str) -> str:
    wanted = (language, *(("no", "nn") if language == "nb" else ()), *_TITLE_FALLBACK, *agreement.title)
    return next(agreement.title[lang] for lang in wanted if lang in agreement.title)


def _lanes(agreement: Agreement, purpose: Purpose) -> list[Lane]:
    lanes = agreement.lanes
    used = [lane for lane in Lane if lane is not Lane.CAMPAIGN and lanes.purpose(lane) is purpose]
    return used + ([Lane.CAMPAIGN] if any(one.purpose is purpose for one in lanes.campaigns) else [])


def _gate(agreement: Agreement, purpose: Purpose) -> Gate:
    """A purpose that only customer requests serve needs a yes in each call, whatever the gate (see `evaluate`)."""
    gate = agreement.consent.agent.gate
    asked_only = _lanes(agreement, purpose) == [Lane.CUSTOMER_REQUEST]
    return Gate.PER_CALL if gate is Gate.STANDING and asked_only else gate


def _may_be_one_sided(agreement: Agreement, purpose: Purpose) -> bool:
    drawn = any(lane in DRAWN_LANES for lane in _lanes(agreement, purpose))
    kept = agreement.consent.caller.on_refusal == KEEP_AGENT_SIDE
    return kept and drawn and purpose is not Purpose.DISPUTE


def _readers(agreement: Agreement, purpose: Purpose) -> list[str]:
    roles = {line.role for line in agreement.access if purpose in line.purposes}
    return [role for role in ("agent", "coach", "quorum") if role in roles or role == "agent"]


def _listed(parts: Iterable[str], words: _Words) -> str:
    return ", ".join(parts) or words.nothing


def _period(period: Period, words: _Words) -> str:
    match = re.fullmatch(r"P(T?)([0-9]+)([YMWDHS])", period.text)
    if match is None:
        return period.text
    unit = "TM" if match[1] and match[3] == "M" else match[3]
    return f"{match[2]} {words.units[unit][match[2] != '1']}"
