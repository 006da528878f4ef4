"""The words of `messages`: one line per reason and language. Names in braces are filled in; no rules here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from policy.agreement.faults import FaultCode as F
from policy.endings import Ends
from policy.errors import ActFault as A

PARTIES: Final[Mapping[str, Mapping[str, str]]] = {
    "de": {
        "and": "und",
        "employer": "Arbeitgeber",
        "council": "Betriebsrat",
        "council2": "Betriebsrat (zweiter Schlüssel)",
        "council3": "Betriebsrat (dritter Schlüssel)",
        "dpo": "Datenschutzbeauftragte(r)",
    },
    "en": {
        "and": "and",
        "employer": "the employer",
        "council": "the works council",
        "council2": "the works council (second key)",
        "council3": "the works council (third key)",
        "dpo": "the data-protection officer",
    },
    "nb": {
        "and": "og",
        "employer": "arbeidsgiveren",
        "council": "de tillitsvalgte",
        "council2": "de tillitsvalgte (andre nøkkel)",
        "council3": "de tillitsvalgte (tredje nøkkel)",
        "dpo": "personvernombudet",
    },
}


def _three(de: str, en: str, nb: str) -> Mapping[str, str]:
    return {"de": de, "en": en, "nb": nb}


ACTS: Final[Mapping[str, Mapping[str, str]]] = {
    A.MALFORMED: _three(
        "Dieser Vorgang ist nicht lesbar: „{field}“ hat nicht die vorgeschriebene Form. Es hat sich nichts geändert.",
        "This act can't be read: `{field}` doesn't have the prescribed form. Nothing has changed.",
        "Denne beslutningen kan ikke leses: «{field}» har ikke riktig form. Ingenting er endret.",
    ),
    A.SIGNATURE: _three(
        "Die Unterschrift von „{role}“ passt nicht zu diesem Text und zum hinterlegten Schlüssel.",
        "The signature of `{role}` doesn't match this text and the anchored key.",
        "Signaturen til «{role}» passer ikke til denne teksten og den registrerte nøkkelen.",
    ),
    A.STALE: _three(
        "Seit dieser Unterschrift ist ein anderer Vorgang in Kraft getreten. Der nächste hat die Nummer {next}: "
        "Bitte den aktuellen Stand abrufen und neu unterschreiben.",
        "Another act has taken effect since this one was signed. The next one has number {next}: "
        "please fetch the current state and sign again.",
        "En annen beslutning har trådt i kraft siden denne ble signert. Den neste har nummer {next}: "
        "hent gjeldende status og signer på nytt.",
    ),
    A.CLOCK_BACK: _three(
        "Die Uhr des Servers geht nach: Sie zeigt eine Zeit vor dem letzten Vorgang. Bis sie stimmt, wird nichts "
        "angenommen.",
        "The server's clock is earlier than the last act. Nothing is accepted until it is right.",
        "Serverens klokke går etter: den viser en tid før den forrige beslutningen. Ingenting godtas før den stemmer.",
    ),
    A.CLOCK_UNTRUSTED: _three(
        "Die Uhr des Servers ist gesprungen oder geht nach. Bis sie eine Minute lang richtig ging, wird nur eine "
        "Aussetzung angenommen.",
        "The server's clock has jumped or is behind. Until it has been right for a minute, only a suspension is taken.",
        "Serverens klokke har hoppet eller går etter. Til den har gått riktig i ett minutt, godtas bare en stans.",
    ),
    A.UNKNOWN_AGREEMENT: _three(
        "Eine Vereinbarung „{agreement}“ ist hier nicht in Kraft und nicht vorgemerkt.",
        "No agreement `{agreement}` is in force or signed ahead here.",
        "Ingen avtale «{agreement}» gjelder eller er signert på forhånd her.",
    ),
    A.DOCUMENT_MISSING: _three(
        "Die Vereinbarung selbst, auf die sich die Unterschriften beziehen, fehlt.",
        "The agreement itself, to which the signatures refer, is missing.",
        "Selve avtalen som signaturene gjelder, mangler.",
    ),
    A.DOCUMENT_DIFFERS: _three(
        "Der Vorgang nennt ein anderes Dokument als das, das ihm beiliegt.",
        "The act names another document than the one that is with it.",
        "Beslutningen viser til et annet dokument enn det som følger med.",
    ),
    A.NARROWS_ANOTHER: _three(
        "Das Dokument, das hier eingeschränkt werden soll, gilt nicht (mehr).",
        "The document that this would narrow is not in force (any more).",
        "Dokumentet som skal innskrenkes, gjelder ikke (lenger).",
    ),
    A.ANCHOR_UNKNOWN: _three(
        "Die Vereinbarung nennt den Schlüssel „{role}“; für diese Partei ist keiner dieses Namens hinterlegt.",
        "The agreement names the key `{role}`; none of that name is anchored for this party.",
        "Avtalen nevner nøkkelen «{role}»; ingen med det navnet er registrert for denne parten.",
    ),
    A.NOBODY_SIGNED: _three(
        "Der Vorgang trägt keine Unterschrift.",
        "The act carries no signature.",
        "Beslutningen har ingen signatur.",
    ),
    A.MUST_SIGN_TOO: _three(
        "Diese Unterschriften allein genügen nicht. Es muss noch unterschreiben: {missing}. Es geht um: {fields}.",
        "These signatures alone are not enough. Still to sign: {missing}. This concerns: {fields}.",
        "Disse signaturene er ikke nok. Det mangler signatur fra: {missing}. Det gjelder: {fields}.",
    ),
    "must_sign_all": _three(
        "Diese Unterschriften allein genügen nicht. Es muss noch unterschreiben: {missing}.",
        "These signatures alone are not enough. Still to sign: {missing}.",
        "Disse signaturene er ikke nok. Det mangler signatur fra: {missing}.",
    ),
    A.NOT_ALONE: _three(
        "Nach dieser Vereinbarung kann allein aussetzen nur: {missing}.",
        "Under this agreement only {missing} may suspend alone.",
        "Etter denne avtalen kan bare {missing} stanse opptak alene.",
    ),
    A.NOT_NARROWER: _three(
        "Das ist mehr als eine Einschränkung: {fields}. Dafür braucht es eine neue Vereinbarung, die beide Seiten "
        "unterschreiben.",
        "This does more than narrow: {fields}. That takes a new agreement signed by both parties.",
        "Dette er ikke bare en innskrenkning: {fields}. Da trengs en ny avtale som begge har signert.",
    ),
    A.VERSION_NOT_NEWER: _three(
        "Die Version {version} ist nicht neuer als die vorhandenen. Bitte eine höhere Versionsnummer eintragen.",
        "Version {version} exists already or is older than the one in force. Please enter a higher version number.",
        "Versjon {version} finnes allerede eller er eldre enn den som gjelder. Skriv inn et høyere versjonsnummer.",
    ),
    A.DEMO_OFF_LOOPBACK: _three(
        'Eine Vereinbarung zur Vorführung (demo: "yes") gilt nur, wo niemand von außen anrufen kann.',
        'An agreement for a demo (demo: "yes") holds only where nobody can call from outside.',
        'En avtale for en demonstrasjon (demo: "yes") gjelder bare der ingen kan ringe utenfra.',
    ),
    A.ENDED: _three(
        "Die Laufzeit dieser Vereinbarung ist schon vorbei.",
        "This agreement has already ended.",
        "Denne avtalen er allerede utløpt.",
    ),
    A.UNCHANGED: _three(
        "Das ändert nichts: Es gilt schon so.",
        "This changes nothing: it is already so.",
        "Dette endrer ingenting: slik er det allerede.",
    ),
    A.UNKNOWN_RULE: _three(
        "Die Vereinbarung kennt keinen Anteil „{rule}“.",
        "The agreement has no rate `{rule}`.",
        "Avtalen har ingen andel «{rule}».",
    ),
    A.RATE_REFUSED: _three(
        "Dieser Anteil liegt über dem, was eine Vereinbarung erlauben kann: {fields}.",
        "This rate is above what any agreement can permit: {fields}.",
        "Denne andelen er høyere enn noen avtale kan tillate: {fields}.",
    ),
    A.RESOLUTION_MISSING: _three(
        "Für eine Ausweitung braucht es einen Beschluss des Betriebsrats mit Datum und Niederschrift. Es geht um: "
        "{fields}.",
        "A widening needs a resolution of the works council, with date and minutes. This concerns: {fields}.",
        "En utvidelse krever et vedtak fra de tillitsvalgte, med dato og møteprotokoll. Det gjelder: {fields}.",
    ),
    A.RESOLUTION_OLD: _three(
        "Auf diesen Beschluss stützt sich schon ein früherer Vorgang; es braucht einen neuen. Es geht um: {fields}.",
        "An earlier act already rests on this resolution; a new one is needed. This concerns: {fields}.",
        "En tidligere beslutning bygger allerede på dette vedtaket; det trengs et nytt. Det gjelder: {fields}.",
    ),
    A.OPINION_MISSING: _three(
        "Für eine Ausweitung braucht es eine Stellungnahme der oder des Datenschutzbeauftragten. Es geht um: {fields}.",
        "A widening needs an opinion of the data-protection officer. This concerns: {fields}.",
        "En utvidelse krever en uttalelse fra personvernombudet. Det gjelder: {fields}.",
    ),
    A.NOT_SUSPENDED: _three(
        "Es ist nichts ausgesetzt.",
        "Nothing is suspended.",
        "Ingenting er stanset.",
    ),
    A.SUSPENDED_BY_OTHERS: _three(
        "Wieder aufnehmen kann nur, wer ausgesetzt hat, und der Betriebsrat: {missing}.",
        "Only whoever suspended, and the works council, can resume: {missing}.",
        "Bare den som stanset, og de tillitsvalgte kan gjenoppta: {missing}.",
    ),
    A.DAY_AHEAD: _three(
        "Der Tag der Auswertung liegt in der Zukunft: {day}.",
        "The day of the evaluation is in the future: {day}.",
        "Dagen for evalueringen ligger i framtiden: {day}.",
    ),
    A.DAY_NOT_NEWER: _three(
        "Eine Auswertung vom {day} ist schon bestätigt; eine neue muss ein späteres Datum haben.",
        "An evaluation of {day} is already signed off; a new one must be later.",
        "En evaluering fra {day} er allerede bekreftet; en ny må ha en senere dato.",
    ),
    A.KEY_KNOWN: _three(
        "Dieser Schlüssel gehört schon einer anderen Partei: jede hat ihren eigenen.",
        "This key already belongs to another party: each has its own.",
        "Denne nøkkelen tilhører allerede en annen part: hver har sin egen.",
    ),
    A.KEY_UNKNOWN_ROLE: _three(
        "Für „{role}“ ist kein Schlüssel hinterlegt, der ersetzt werden könnte.",
        "No key is anchored for {role} that could be replaced.",
        "Det er ikke registrert noen nøkkel for {role} som kan byttes.",
    ),
    A.KEY_NEEDS_RECIPIENT: _three(
        "Für „{role}“ braucht es auch einen öffentlichen Empfängerschlüssel (age1…).",
        "{role} needs a recipient (age1…) too.",
        "{role} trenger også en mottakernøkkel (age1…).",
    ),
}

ENDS: Final[Mapping[Ends, Mapping[str, tuple[str, str]]]] = {
    Ends.AGREEMENT: {
        "de": (
            "Morgen endet die Vereinbarung „{name}“. Danach wird nichts mehr aufgezeichnet.",
            "In {days} Tagen endet die Vereinbarung „{name}“. Danach wird nichts mehr aufgezeichnet.",
        ),
        "en": (
            "The agreement `{name}` ends in one day. Nothing is recorded after that.",
            "The agreement `{name}` ends in {days} days. Nothing is recorded after that.",
        ),
        "nb": (
            "Avtalen «{name}» utløper om én dag. Etter det tas ingenting opp.",
            "Avtalen «{name}» utløper om {days} dager. Etter det tas ingenting opp.",
        ),
    },
    Ends.EVALUATION: {
        "de": (
            "Noch ein Tag für die gemeinsame Auswertung von „{name}“. Ohne sie wird die Aufzeichnung ausgesetzt.",
            "Noch {days} Tage für die gemeinsame Auswertung von „{name}“. Ohne sie wird die Aufzeichnung ausgesetzt.",
        ),
        "en": (
            "One day left for both parties' evaluation of `{name}`. Without it, recording is suspended.",
            "{days} days left for both parties' evaluation of `{name}`. Without it, recording is suspended.",
        ),
        "nb": (
            "Én dag igjen til partenes evaluering av «{name}». Uten den stanses opptak.",
            "{days} dager igjen til partenes evaluering av «{name}». Uten den stanses opptak.",
        ),
    },
    Ends.CAMPAIGN: {
        "de": ("Morgen endet die Aktion „{name}“.", "In {days} Tagen endet die Aktion „{name}“."),
        "en": ("The campaign `{name}` ends in one day.", "The campaign `{name}` ends in {days} days."),
        "nb": ("Kampanjen «{name}» slutter om én dag.", "Kampanjen «{name}» slutter om {days} dager."),
    },
}
"""One day, several days."""

FIRST_LINE: Final = {"de": "Zeile {line}, Feld „{field}“: {what}", "nb": "Linje {line}, felt «{field}»: {what}"}


def _two(de: str, nb: str) -> Mapping[str, str]:
    return {"de": de, "nb": nb}


FAULTS: Final[Mapping[F, Mapping[str, str]]] = {
    F.TOO_LARGE: _two("Die Datei ist größer als 256 KiB.", "Filen er større enn 256 KiB."),
    F.NOT_UTF8: _two("Die Datei ist kein UTF-8-Text.", "Filen er ikke UTF-8-tekst."),
    F.NOT_YAML: _two("Die Datei ist kein lesbares YAML 1.2.", "Filen er ikke lesbar YAML 1.2."),
    F.TOO_DEEP: _two("Die Datei ist zu tief verschachtelt.", "Filen er nøstet for dypt."),
    F.TOO_MANY_VALUES: _two("Die Datei hat zu viele Werte.", "Filen har for mange verdier."),
    F.ANCHOR_OR_ALIAS: _two("YAML-Anker und -Verweise sind nicht zulässig.", "YAML-ankre og -alias godtas ikke."),
    F.TAG: _two("YAML-Tags sind nicht zulässig.", "YAML-tagger godtas ikke."),
    F.DUPLICATE_KEY: _two("Das Feld steht zweimal da.", "Feltet står to ganger."),
    F.BOOLEAN: _two(
        "YAML liest das als wahr oder falsch; bitte in Anführungszeichen setzen.",
        "YAML leser dette som sant eller usant; sett det i anførselstegn.",
    ),
    F.UNKNOWN_FIELD: _two(
        "Dieses Feld gibt es hier nicht; nichts darin würde durchgesetzt.",
        "Dette feltet finnes ikke her; ingenting i det ville bli håndhevet.",
    ),
    F.MISSING_FIELD: _two("Die Angabe fehlt.", "Opplysningen mangler."),
    F.WRONG_TYPE: _two(
        "Hier steht etwas anderes als verlangt (etwa Text statt Zahl).",
        "Her står noe annet enn det som kreves (for eksempel tekst i stedet for tall).",
    ),
    F.WRONG_VALUE: _two("Dieser Wert ist hier nicht zulässig.", "Denne verdien godtas ikke her."),
    F.NO_END: _two("Eine Vereinbarung braucht ein Ende.", "En avtale trenger en sluttdato."),
    F.END_BEFORE_START: _two("Das Ende muss nach dem Anfang liegen.", "Slutten må komme etter starten."),
    F.VALIDITY_TOO_LONG: _two(
        "Die Laufzeit ist länger als zulässig (24 Monate; bei Regelungsabrede oder Duldung 6).",
        "Avtalen varer lenger enn tillatt (24 måneder, uformelle avtaler 6).",
    ),
    F.RATE_TOO_HIGH: _two("Der Anteil liegt über der Obergrenze.", "Andelen er over taket."),
    F.RATE_SUM_TOO_HIGH: _two(
        "Stichprobe und Aktion liegen zusammen über der Obergrenze.", "Stikkprøve og kampanje er sammen over taket."
    ),
    F.PURPOSE_PROHIBITED: _two(
        "Diesen Zweck kann keine Vereinbarung erlauben.", "Ingen avtale kan tillate dette formålet."
    ),
    F.PROHIBITION_MISSING: _two(
        "In der Liste der Verbote fehlt ein Pflichteintrag.", "Et påbudt punkt mangler i listen over forbud."
    ),
    F.PERSON_SELECTOR: _two(
        "Nach Personen darf nicht ausgewählt werden, nur nach Gruppen.",
        "Man kan ikke velge ut personer, bare grupper.",
    ),
    F.MIN_AGENTS_TOO_LOW: _two(
        "Weniger als 5 Personen: Einzelne wären erkennbar.", "Under 5 personer: enkeltpersoner ville kunne gjenkjennes."
    ),
    F.ANCHOR_MISSING: _two(
        "Für diese Partei ist kein eigener hinterlegter Schlüssel angegeben.",
        "Det er ikke oppgitt noen egen registrert nøkkel for denne parten.",
    ),
    F.SIGNATURES_MISSING: _two(
        "Eine Ausweitung braucht die Unterschriften beider Parteien.", "En utvidelse krever signatur fra begge parter."
    ),
    F.RESOLUTION_MISSING: _two("Es fehlt der Beschluss des Betriebsrats.", "Vedtaket fra de tillitsvalgte mangler."),
    F.AGENT_GATE_TOO_WEAK: _two(
        "Bei dieser Form der Absprache muss die beschäftigte Person in jedem Gespräch einwilligen.",
        "Med denne avtaleformen må den ansatte samtykke i hver samtale.",
    ),
    F.CAMPAIGN_NOTICE_TOO_SHORT: _two(
        "Eine Aktion muss mindestens 7 Tage vorher angekündigt sein.", "En kampanje må varsles minst 7 dager før."
    ),
    F.CAMPAIGN_OPEN_ENDED: _two("Eine Aktion braucht Anfang und Ende.", "En kampanje trenger start og slutt."),
    F.CAMPAIGN_WITHOUT_COUNT: _two("Eine Aktion braucht eine Höchstzahl.", "En kampanje trenger et høyeste antall."),
    F.OPT_OUT: _two(
        "Schweigen gilt nie als Einwilligung: opt_in eintragen.", "Taushet er aldri et samtykke: skriv opt_in."
    ),
    F.PER_LEG_WITHOUT_OPINION: _two(
        "Einseitige Aufzeichnung braucht hier ein Rechtsgutachten (legal.per_leg_opinion).",
        "Ensidig opptak krever her en juridisk vurdering (legal.per_leg_opinion).",
    ),
    F.NOT_MANDATORY: _two("Das ist verpflichtend und nicht abwählbar.", "Dette er påbudt og kan ikke velges bort."),
    F.LIGHT_AGE_TOO_LONG: _two(
        "Die Bestätigung der Anzeige darf höchstens 5000 ms alt sein.",
        "Bekreftelsen av lyset kan være høyst 5000 ms gammel.",
    ),
    F.PERIOD_TOO_LONG: _two("Die Dauer liegt über dem Höchstwert.", "Varigheten er over det høyeste som er tillatt."),
    F.PURPOSE_WITHOUT_GROUNDS: _two(
        "Ein Zweck braucht Rechtsgrundlage, Erforderlichkeit und mildere Mittel.",
        "Et formål trenger rettslig grunnlag, nødvendighet og mildere midler.",
    ),
    F.DPIA_MISSING: _two(
        "Es fehlt der Verweis auf die Datenschutz-Folgenabschätzung.",
        "Henvisningen til vurderingen av personvernkonsekvenser mangler.",
    ),
    F.POWERS_WITHOUT_CLAUSE: _two(
        "Befugnisse des Betriebsrats brauchen einen Verweis auf die Regelung, aus der sie folgen.",
        "For de tillitsvalgtes fullmakter må det vises til bestemmelsen de bygger på.",
    ),
    F.CAP_LONGER_THAN_EPOCH: _two(
        "Eine Grenze für mehr als den Auslosungszeitraum lässt sich nicht prüfen.",
        "En grense for mer enn trekningsperioden kan ikke kontrolleres.",
    ),
    F.NO_QUORUM: _two(
        "Es fehlt, wer die Aufnahme auf Wunsch der Kundschaft außerdem öffnen darf (role: quorum).",
        "Det mangler hvem andre som kan åpne opptak på kundens ønske (role: quorum).",
    ),
}
"""English is the loader's own sentence, which knows the values."""
