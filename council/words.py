"""What each finding says, in German, English and Norwegian: one sentence, with the values of the finding in braces.

Read by people without a degree in computing: what is wrong, and what it can mean.
"""

from __future__ import annotations

from typing import Final

from council.codes import Code
from council.finding import Finding

LANGUAGES: Final = ("de", "en", "nb")

_EN: Final = {
    Code.ANCHOR_MISSING: "The log doesn't name the key of `{role}`: it is unclear whose signatures count.",
    Code.ANCHOR_DIFFERS: "The log's key of `{role}` is not the one that you hold.",
    Code.ANCHOR_CHAIN: "The key of `{role}` was changed without a signed act.",
    Code.CHECKPOINT_UNREADABLE: "The log has no readable checkpoint: what it claims is unclear.",
    Code.CHECKPOINT_SIGNATURE: "The checkpoint isn't signed by the log's own key.",
    Code.COSIGNATURE: "A signature under this checkpoint isn't valid.",
    Code.ROLLED_BACK: "The log has {size} entries, but you have seen {kept}: entries were taken away.",
    Code.FORKED: "You have seen another history of the first {size} entries: the log was rewritten. Keep both.",
    Code.EVIDENCE: "You were once shown another history of this log, kept in this folder. Take the folder away once it "
    "is explained.",
    Code.BUNDLE: "Entries are missing or damaged here; nothing after them can be checked.",
    Code.ENTRY: "This is not an entry that the log may hold.",
    Code.TILE: "The entry and its hash don't match: one of them was changed.",
    Code.ROOT: "The {size} entries don't add up to the root that the checkpoint states.",
    Code.ECOMMIT_REPEATED: "Epoch {epoch} was committed to a second time: the draw could be chosen.",
    Code.ECOMMIT_SIGNATURE: "The council's commitment to epoch {epoch} isn't signed by the council's key.",
    Code.EOPEN_ORDER: "Epoch {epoch} is opened or halted out of turn.",
    Code.EOPEN_COSIGNATURE: "Epoch {epoch} was opened without your cosignature of a checkpoint that holds its "
    "commitments.",
    Code.EPOCH_FOREIGN: "Epoch {epoch} doesn't belong to this log, or no agreement in force counts it so.",
    Code.EPOCH_TWICE: "Epoch {epoch} is drawn in two logs: after a restore nothing may be drawn until the next one.",
    Code.LEG_OUTSIDE_EPOCH: "A leg was entered while epoch {epoch} wasn't open.",
    Code.REVEAL_ORDER: "The shares of epoch {epoch} are revealed out of turn.",
    Code.REVEAL_MISSING: "Epoch {epoch} is over, and its counts and shares haven't come within 24 hours.",
    Code.SHARE_HOST: "The host's share of epoch {epoch} is not the one that it had committed to.",
    Code.SHARE_COUNCIL: "The council's share of epoch {epoch} is not the one that it had committed to.",
    Code.ROSTER: "The roster of epoch {epoch} is not the one that the log fixed beforehand.",
    Code.COUNTER_GAP: "A leg is missing: this one has number {n}, the agent's next was {expected}.",
    Code.COUNTER_REPEATED: "A number was used again: this leg has {n}, the agent's next was {expected}.",
    Code.ACT_MISSING: "Act {seq} stands in the log, but the act itself isn't at hand.",
    Code.ACT_UNLOGGED: "Act {seq} exists, but the log doesn't have it: it can't have been in force.",
    Code.ACT_FILE: "This file is not an act.",
    Code.ACT_REFUSED: "Act {seq} isn't valid: a signature, the order or the permission is wrong.",
    Code.ACT_LATE: "Act {seq} was entered on a later day than it was made: in between, legs went by the old rules.",
    Code.POLICY: "The epoch names other acts than those in force.",
    Code.RULE: "The leg is entered under rule {rule}, which doesn't apply to this agent, queue and day.",
    Code.OUT_MISSING: "The outcome of this leg was never stated, though epoch {epoch} is closed.",
    Code.OUT_REPEATED: "The outcome of this leg was stated twice.",
    Code.OUT_WITHOUT_LEG: "An outcome without a leg.",
    Code.OUT_LATE: "The outcome of a leg of epoch {epoch} was stated after the epoch was closed.",
    Code.HIT_NOT_DRAWN: "The log calls this leg drawn, but the draw didn't draw it.",
    Code.DRAWN_NOT_SAID: "The draw drew this leg, but the log says no.",
    Code.CEILING: "This hit exceeds the agreed percentage.",
    Code.AGENT_CAP: "This hit exceeds the agent's cap.",
    Code.CAMPAIGN_FULL: "This hit exceeds the campaign's number.",
    Code.CAP_WITHOUT_REASON: "The leg was set aside as too many, though there was room.",
    Code.OUTSIDE_ROSTER: "An agent who isn't in the roster of epoch {epoch} was drawn.",
    Code.MANIFEST_FILE: "This file is not a manifest, inventory or opening of this log.",
    Code.MANIFEST_SIGNATURE: "The manifest was changed, or isn't signed by the gateway.",
    Code.MANIFEST_WITHOUT_ENTRY: "A recording that no drawn leg and no wish of the log vouches for.",
    Code.ENTRY_WITHOUT_MANIFEST: "The log vouches for a recording whose manifest isn't at hand.",
    Code.INVENTORY: "The list of recordings of epoch {epoch} is not what the log fixed, or is shorter than "
    "its hits and wishes.",
    Code.KEPT_TOO_MANY: "More recordings ({kept}) than hits and wishes.",
    Code.ECLOSE_ORDER: "Epoch {epoch} is closed out of turn.",
    Code.ECLOSE_COUNTS: "The count `{what}` of epoch {epoch} is not what its entries give.",
    Code.DAY_ORDER: "Day {day} of epoch {epoch} stands out of turn.",
    Code.DAY_EARLY: "This stands in a checkpoint cosigned at {cosigned}, before its day had come.",
    Code.CALL_WITHOUT_ENTRY: "A call that the log doesn't have: it bypassed the gateway, or the leg was left out.",
    Code.LEG_WITHOUT_CALL: "A leg for which the telephone system knows no call: it may be invented.",
    Code.OPENING: "The opening doesn't match the entry, or is missing.",
    Code.LEG_TWICE: "The same leg was entered twice.",
    Code.UNLIKELY: "A fair draw yields so many or so few drawn legs only with probability {p}.",
    Code.STEERING: "Drawn calls differ from the others in `{what}`; chance alone does that with probability {p}.",
}

_DE: Final = {
    Code.ANCHOR_MISSING: "Das Protokoll nennt den Schlüssel von `{role}` nicht: Wessen Unterschrift zählt, ist offen.",
    Code.ANCHOR_DIFFERS: "Der Schlüssel von `{role}` im Protokoll ist nicht der, den Sie haben.",
    Code.ANCHOR_CHAIN: "Der Schlüssel von `{role}` wurde ohne unterschriebenen Vorgang gewechselt.",
    Code.CHECKPOINT_UNREADABLE: "Das Protokoll hat keinen lesbaren Prüfpunkt: Was es behauptet, ist offen.",
    Code.CHECKPOINT_SIGNATURE: "Der Prüfpunkt trägt nicht die Unterschrift des Protokolls.",
    Code.COSIGNATURE: "Eine Unterschrift unter diesem Prüfpunkt gilt nicht.",
    Code.ROLLED_BACK: "Das Protokoll hat {size} Einträge, Sie haben aber schon {kept} gesehen: Es wurde gekürzt.",
    Code.FORKED: "Sie haben für die ersten {size} Einträge eine andere Fassung gesehen: Das Protokoll wurde "
    "umgeschrieben. Bewahren Sie beide auf.",
    Code.EVIDENCE: "Ihnen wurde einmal eine andere Fassung dieses Protokolls gezeigt; sie liegt in diesem Ordner. "
    "Nehmen Sie ihn weg, sobald das geklärt ist.",
    Code.BUNDLE: "Hier fehlen Einträge, oder sie sind beschädigt; was danach kommt, lässt sich nicht prüfen.",
    Code.ENTRY: "Das ist kein Eintrag, den das Protokoll enthalten darf.",
    Code.TILE: "Eintrag und Prüfsumme passen nicht zusammen: Eines von beiden wurde verändert.",
    Code.ROOT: "Die {size} Einträge ergeben nicht die Wurzel, die der Prüfpunkt nennt.",
    Code.ECOMMIT_REPEATED: "Für Epoche {epoch} gibt es eine zweite Festlegung: Die Auslosung ließe sich aussuchen.",
    Code.ECOMMIT_SIGNATURE: "Die Festlegung des Betriebsrats für Epoche {epoch} trägt nicht seine Unterschrift.",
    Code.EOPEN_ORDER: "Epoche {epoch} wird außer der Reihe eröffnet oder angehalten.",
    Code.EOPEN_COSIGNATURE: "Epoche {epoch} wurde eröffnet, ohne dass Sie einen Prüfpunkt mit ihren Festlegungen "
    "gegengezeichnet haben.",
    Code.EPOCH_FOREIGN: "Epoche {epoch} gehört nicht in dieses Protokoll, oder keine geltende Vereinbarung kennt sie "
    "so.",
    Code.EPOCH_TWICE: "Epoche {epoch} wird in zwei Protokollen ausgelost: Nach einer Wiederherstellung darf bis zur "
    "nächsten Epoche nichts ausgelost werden.",
    Code.LEG_OUTSIDE_EPOCH: "Ein Gespräch wurde eingetragen, während Epoche {epoch} nicht offen war.",
    Code.REVEAL_ORDER: "Die Geheimnisse der Epoche {epoch} werden außer der Reihe offengelegt.",
    Code.REVEAL_MISSING: "Epoche {epoch} ist vorbei, doch Zahlen und Geheimnisse kamen nicht binnen 24 Stunden.",
    Code.SHARE_HOST: "Das Geheimnis des Betreibers für Epoche {epoch} ist nicht das, auf das er sich festgelegt hatte.",
    Code.SHARE_COUNCIL: "Das Geheimnis des Betriebsrats für Epoche {epoch} ist nicht das, auf das er sich festgelegt "
    "hatte.",
    Code.ROSTER: "Die Liste der Beschäftigten für Epoche {epoch} ist nicht die, die das Protokoll vorher festhielt.",
    Code.COUNTER_GAP: "Ein Gespräch fehlt: Dieses hat die Nummer {n}, die nächste wäre {expected} gewesen.",
    Code.COUNTER_REPEATED: "Eine Nummer kommt doppelt vor: Dieses Gespräch hat {n}, die nächste wäre {expected} "
    "gewesen.",
    Code.ACT_MISSING: "Vorgang {seq} steht im Protokoll, der Vorgang selbst liegt aber nicht vor.",
    Code.ACT_UNLOGGED: "Vorgang {seq} gibt es, das Protokoll kennt ihn aber nicht: Er kann nicht gegolten haben.",
    Code.ACT_FILE: "Diese Datei ist kein Vorgang.",
    Code.ACT_REFUSED: "Vorgang {seq} ist nicht gültig: Unterschrift, Reihenfolge oder Befugnis stimmen nicht.",
    Code.ACT_LATE: "Vorgang {seq} wurde erst an einem späteren Tag eingetragen: Dazwischen galten noch die alten "
    "Regeln.",
    Code.POLICY: "Die Epoche nennt andere Vorgänge als die geltenden.",
    Code.RULE: "Das Gespräch ist unter Regel {rule} eingetragen, die für diese Person, Warteschlange und diesen Tag "
    "nicht gilt.",
    Code.OUT_MISSING: "Was aus diesem Gespräch wurde, steht nirgends, obwohl Epoche {epoch} abgeschlossen ist.",
    Code.OUT_REPEATED: "Was aus diesem Gespräch wurde, steht zweimal da.",
    Code.OUT_WITHOUT_LEG: "Ein Ergebnis ohne Gespräch.",
    Code.OUT_LATE: "Das Ergebnis eines Gesprächs der Epoche {epoch} kam erst nach deren Abschluss.",
    Code.HIT_NOT_DRAWN: "Laut Protokoll ausgelost, die Auslosung ergab aber: nein.",
    Code.DRAWN_NOT_SAID: "Die Auslosung traf dieses Gespräch, das Protokoll sagt aber: nein.",
    Code.CEILING: "Dieser Treffer überschreitet den vereinbarten Anteil.",
    Code.AGENT_CAP: "Dieser Treffer überschreitet die Obergrenze für die einzelne Person.",
    Code.CAMPAIGN_FULL: "Dieser Treffer überschreitet die Zahl, die für die Aktion vereinbart ist.",
    Code.CAP_WITHOUT_REASON: "Das Gespräch wurde als überzählig ausgelassen, obwohl noch Platz war.",
    Code.OUTSIDE_ROSTER: "Ausgelost wurde jemand, der nicht auf der Liste der Epoche {epoch} steht.",
    Code.MANIFEST_FILE: "Diese Datei ist keine Begleitdatei, kein Verzeichnis und keine Öffnung dieses Protokolls.",
    Code.MANIFEST_SIGNATURE: "Die Begleitdatei wurde verändert oder ist nicht vom Gateway unterschrieben.",
    Code.MANIFEST_WITHOUT_ENTRY: "Eine Aufnahme, zu der im Protokoll weder ein Treffer noch ein Wunsch steht.",
    Code.ENTRY_WITHOUT_MANIFEST: "Das Protokoll kennt eine Aufnahme, deren Begleitdatei nicht vorliegt.",
    Code.INVENTORY: "Das Verzeichnis der Aufnahmen von Epoche {epoch} ist nicht das, welches das Protokoll festhielt, "
    "oder kürzer als ihre Treffer und Wünsche.",
    Code.KEPT_TOO_MANY: "Mehr Aufnahmen ({kept}) als Treffer und Wünsche.",
    Code.ECLOSE_ORDER: "Epoche {epoch} wird außer der Reihe abgeschlossen.",
    Code.ECLOSE_COUNTS: "Die Zahl `{what}` der Epoche {epoch} stimmt nicht mit den Einträgen überein.",
    Code.DAY_ORDER: "Tag {day} der Epoche {epoch} steht außer der Reihe.",
    Code.DAY_EARLY: "Das steht in einem Prüfpunkt, der am {cosigned} gegengezeichnet wurde, also vor dem Tag selbst.",
    Code.CALL_WITHOUT_ENTRY: "Ein Anruf, den das Protokoll nicht kennt: am Gateway vorbei geführt oder ausgelassen.",
    Code.LEG_WITHOUT_CALL: "Ein Gespräch, zu dem die Telefonanlage keinen Anruf kennt: womöglich erfunden.",
    Code.OPENING: "Die Öffnung passt nicht zum Eintrag oder fehlt.",
    Code.LEG_TWICE: "Dasselbe Gespräch wurde zweimal eingetragen.",
    Code.UNLIKELY: "So viele oder so wenige Treffer ergibt eine faire Auslosung nur mit Wahrscheinlichkeit {p}.",
    Code.STEERING: "Ausgeloste Gespräche unterscheiden sich von den übrigen bei `{what}`; durch Zufall allein "
    "geschieht das mit Wahrscheinlichkeit {p}.",
}

_NB: Final = {
    Code.ANCHOR_MISSING: "Loggen nevner ikke nøkkelen til `{role}`: det er uklart hvem sine signaturer som gjelder.",
    Code.ANCHOR_DIFFERS: "Nøkkelen til `{role}` i loggen er ikke den du har.",
    Code.ANCHOR_CHAIN: "Nøkkelen til `{role}` ble byttet uten en signert beslutning.",
    Code.CHECKPOINT_UNREADABLE: "Loggen har ikke noe lesbart kontrollpunkt: hva den påstår, er uklart.",
    Code.CHECKPOINT_SIGNATURE: "Kontrollpunktet er ikke signert med loggens egen nøkkel.",
    Code.COSIGNATURE: "En signatur under dette kontrollpunktet er ikke gyldig.",
    Code.ROLLED_BACK: "Loggen har {size} poster, men du har sett {kept}: poster er tatt bort.",
    Code.FORKED: "Du har sett en annen historie for de første {size} postene: loggen er skrevet om. Ta vare på begge.",
    Code.EVIDENCE: "Du er en gang blitt vist en annen historie av denne loggen; den ligger i denne mappen. Ta den bort "
    "når saken er oppklart.",
    Code.BUNDLE: "Her mangler poster, eller de er skadet; det som kommer etter, kan ikke kontrolleres.",
    Code.ENTRY: "Dette er ikke en post som loggen kan inneholde.",
    Code.TILE: "Posten og kontrollsummen passer ikke sammen: en av dem er endret.",
    Code.ROOT: "De {size} postene gir ikke roten som kontrollpunktet oppgir.",
    Code.ECOMMIT_REPEATED: "Epoke {epoch} har fått enda en forpliktelse: trekningen kunne velges.",
    Code.ECOMMIT_SIGNATURE: "De tillitsvalgtes forpliktelse for epoke {epoch} er ikke signert med deres nøkkel.",
    Code.EOPEN_ORDER: "Epoke {epoch} åpnes eller stanses i feil rekkefølge.",
    Code.EOPEN_COSIGNATURE: "Epoke {epoch} ble åpnet uten at du hadde kontrasignert et kontrollpunkt med "
    "forpliktelsene.",
    Code.EPOCH_FOREIGN: "Epoke {epoch} hører ikke til denne loggen, eller ingen gjeldende avtale teller den slik.",
    Code.EPOCH_TWICE: "Epoke {epoch} trekkes i to logger: etter en gjenoppretting kan ingenting trekkes før den neste.",
    Code.LEG_OUTSIDE_EPOCH: "En samtale ble ført inn mens epoke {epoch} ikke var åpen.",
    Code.REVEAL_ORDER: "Hemmelighetene for epoke {epoch} legges fram i feil rekkefølge.",
    Code.REVEAL_MISSING: "Epoke {epoch} er over, men tall og hemmeligheter kom ikke innen 24 timer.",
    Code.SHARE_HOST: "Driftens hemmelighet for epoke {epoch} er ikke den som den forpliktet seg til.",
    Code.SHARE_COUNCIL: "De tillitsvalgtes hemmelighet for epoke {epoch} er ikke den som de forpliktet seg til.",
    Code.ROSTER: "Listen over ansatte for epoke {epoch} er ikke den som loggen låste på forhånd.",
    Code.COUNTER_GAP: "En samtale mangler: denne har nummer {n}, det neste var {expected}.",
    Code.COUNTER_REPEATED: "Et nummer er brukt igjen: denne samtalen har {n}, det neste var {expected}.",
    Code.ACT_MISSING: "Beslutning {seq} står i loggen, men selve beslutningen mangler.",
    Code.ACT_UNLOGGED: "Beslutning {seq} finnes, men loggen har den ikke: den kan ikke ha vært gjeldende.",
    Code.ACT_FILE: "Denne filen er ikke en beslutning.",
    Code.ACT_REFUSED: "Beslutning {seq} er ikke gyldig: en signatur, rekkefølgen eller fullmakten er feil.",
    Code.ACT_LATE: "Beslutning {seq} ble ført inn en senere dag: imellom gjaldt de gamle reglene.",
    Code.POLICY: "Epoken nevner andre beslutninger enn de gjeldende.",
    Code.RULE: "Samtalen er ført under regel {rule}, som ikke gjelder for denne personen, køen og dagen.",
    Code.OUT_MISSING: "Utfallet av samtalen er aldri oppgitt, selv om epoke {epoch} er lukket.",
    Code.OUT_REPEATED: "Utfallet av samtalen er oppgitt to ganger.",
    Code.OUT_WITHOUT_LEG: "Et utfall uten samtale.",
    Code.OUT_LATE: "Utfallet av en samtale i epoke {epoch} kom etter at epoken var lukket.",
    Code.HIT_NOT_DRAWN: "Loggen sier trukket ut, men trekningen traff den ikke.",
    Code.DRAWN_NOT_SAID: "Trekningen traff samtalen, men loggen sier nei.",
    Code.CEILING: "Dette treffet går over den avtalte andelen.",
    Code.AGENT_CAP: "Dette treffet går over taket for den enkelte.",
    Code.CAMPAIGN_FULL: "Dette treffet går over antallet som er avtalt for kampanjen.",
    Code.CAP_WITHOUT_REASON: "Samtalen ble utelatt som overtallig, selv om det var plass.",
    Code.OUTSIDE_ROSTER: "Noen som ikke står på listen for epoke {epoch}, ble trukket ut.",
    Code.MANIFEST_FILE: "Denne filen er ikke følgefil, register eller åpning for denne loggen.",
    Code.MANIFEST_SIGNATURE: "Følgefilen er endret eller ikke signert av gatewayen.",
    Code.MANIFEST_WITHOUT_ENTRY: "Et opptak som verken et treff eller et ønske i loggen forklarer.",
    Code.ENTRY_WITHOUT_MANIFEST: "Loggen viser til et opptak der følgefilen mangler.",
    Code.INVENTORY: "Registeret over opptak i epoke {epoch} er ikke det som loggen låste, eller er kortere enn "
    "treff og ønsker.",
    Code.KEPT_TOO_MANY: "Flere opptak ({kept}) enn treff og ønsker.",
    Code.ECLOSE_ORDER: "Epoke {epoch} lukkes i feil rekkefølge.",
    Code.ECLOSE_COUNTS: "Tallet `{what}` for epoke {epoch} stemmer ikke med postene.",
    Code.DAY_ORDER: "Dag {day} i epoke {epoch} står i feil rekkefølge.",
    Code.DAY_EARLY: "Dette står i et kontrollpunkt som ble kontrasignert {cosigned}, før dagen var kommet.",
    Code.CALL_WITHOUT_ENTRY: "Et anrop som loggen ikke har: det gikk utenom gatewayen, eller samtalen er utelatt.",
    Code.LEG_WITHOUT_CALL: "En samtale som telefonsystemet ikke har noe anrop til: den kan være oppdiktet.",
    Code.OPENING: "Åpningen passer ikke til posten, eller mangler.",
    Code.LEG_TWICE: "Den samme samtalen er ført inn to ganger.",
    Code.UNLIKELY: "Så mange eller så få treff gir en rettferdig trekning bare med sannsynlighet {p}.",
    Code.STEERING: "Trukne samtaler skiller seg fra de andre i `{what}`; tilfeldighet alene gjør det med sannsynlighet "
    "{p}.",
}

SENTENCES: Final = {"de": _DE, "en": _EN, "nb": _NB}


def say(finding: Finding, language: str) -> str:
    """The finding's sentence."""
    return SENTENCES[language][finding.code].format_map(finding.values)
