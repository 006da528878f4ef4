"""The words of a report: its first lines (what no check can show), its headings, what each figure means and doesn't."""

from __future__ import annotations

from typing import Final

LIMITS: Final = {
    "en": (
        "Whoever controls the host can know which of an agent's next calls is drawn, and choose the call that takes "
        "that place: this check proves how often, not which.",
        "A modified gateway, or a tap beside it, can keep audio of a call that the log calls `no`. Published builds "
        "and inspection from outside help against it; no log can show it.",
        "Calls that bypass the gateway are found only by counts from outside, such as the telephone system's records.",
        "An agreement can forbid use inside the company and oblige deletion; it can't bind a court. What protects is "
        "that nothing was recorded, that it is deleted, or that only the agent can open it.",
    ),
    "de": (
        "Wer den Rechner beherrscht, kann wissen, welches der nächsten Gespräche einer Person ausgelost ist, und "
        "wählen, welches Gespräch an diese Stelle kommt: Diese Prüfung beweist, wie oft, nicht welches.",
        "Ein verändertes Gateway oder ein Abgriff daneben kann Ton eines Gesprächs behalten, zu dem das Protokoll "
        "`nein` sagt. Dagegen helfen veröffentlichte Programmstände und Prüfungen von außen; ein Protokoll kann es "
        "nicht zeigen.",
        "Gespräche am Gateway vorbei finden sich nur durch Zählungen von außen, etwa in den Verbindungsdaten der "
        "Telefonanlage.",
        "Eine Vereinbarung kann die Verwendung im Betrieb verbieten und zum Löschen verpflichten; ein Gericht bindet "
        "sie nicht. Es schützt, dass nichts aufgenommen wurde, dass es gelöscht ist oder dass nur die betroffene "
        "Person es öffnen kann.",
    ),
    "nb": (
        "Den som kontrollerer maskinen, kan vite hvilken av en ansatts neste samtaler som er trukket, og velge hvilken "
        "samtale som kommer på den plassen: kontrollen beviser hvor ofte, ikke hvilken.",
        "En endret gateway, eller et avlyttingspunkt ved siden av, kan beholde lyd fra en samtale som loggen kaller "
        "`nei`. Publiserte programversjoner og kontroll utenfra motvirker det; ingen logg kan vise det.",
        "Samtaler utenom gatewayen finnes bare ved telling utenfra, som i telefonsystemets trafikkdata.",
        "En avtale kan forby bruk i virksomheten og pålegge sletting; den binder ingen domstol. Det som beskytter, er "
        "at ingenting ble tatt opp, at det er slettet, eller at bare den ansatte kan åpne det.",
    ),
}

WORDS: Final = {
    "en": {
        "title": "Check of the recording log",
        "limits": "What this check can't show",
        "green": "Green: everything that was checked is as it should be.",
        "yellow": "Yellow: nothing wrong was found, but not everything could be checked.",
        "red": "Red: {total} findings. Don't cosign; talk to the employer and keep this page.",
        "findings": "Findings",
        "none": "No findings.",
        "more": "and {more} more",
        "missing": "Not checked",
        "missing.acts": "The signed acts weren't available: rules and percentages couldn't be checked.",
        "missing.roster": "The rosters weren't available: who may be drawn, and the counts per group, couldn't be "
        "checked.",
        "missing.reveal": "A closed epoch isn't revealed yet: its draw can't be computed.",
        "missing.cdr": "No records of the telephone system were given: calls that bypass the gateway can't be seen.",
        "missing.manifests": "The inventory of recordings that the log committed to isn't here for every epoch: what "
        "was kept can't be compared with it.",
        "missing.openings": "The opening file of an epoch isn't here: its calls can't be compared with the records.",
        "missing.records": "The records of the telephone system don't cover all of the time: {uncovered} calls in the "
        "log lie outside it.",
        "missing.restore": "An older state of the site was restored while an epoch was open: its draw can't be "
        "computed any more. Ask when and why.",
        "missing.seen": "No checkpoints that you had kept were given: a rewritten log can't be seen.",
        "log": "Log",
        "followed": "Ended by a restore; {origin} took its place. Compare with what you were told of it.",
        "entries": "Entries",
        "entries.means": "How many entries the log has; all were read. It doesn't say whether a call was left out.",
        "root": "Root",
        "root.means": "The fingerprint of all entries. Colleagues who see another one at the same size were shown "
        "another log.",
        "anchors.means": "The keys whose signatures count here. Compare them with those you were given on paper; the "
        "log can't know whose they are.",
        "missing.key": "The log's key was taken from the folder itself: whether it is your gateway's, only you can "
        "tell.",
        "epochs": "Draws",
        "epoch": "Epoch",
        "legs": "Calls",
        "legs.means": "Each agent's part in a call. It doesn't say how long it lasted or who called.",
        "unruled": "Under no percentage",
        "unruled.means": "Calls for which a percentage may hold, entered under none, so that they were never drawn. "
        "That is right where the agreement doesn't name the agent's site or the queue; the log can't show where that "
        "is so.",
        "unruled_most": "Most of one agent",
        "unruled_most.means": "The largest share of such calls, in percent, and the pseudonym that has it. Far above "
        "the others' it asks for a reason: whoever withholds calls from the draw spares somebody.",
        "drawn": "Drawn",
        "drawn.means": "What the draw, computed again here from both secret shares, drew. Which call took the drawn "
        "place, it doesn't say.",
        "hits": "Hits",
        "hits.means": "Drawn calls under percentage and caps. It doesn't say whether a recording was kept.",
        "caps": "Over the limit",
        "caps.means": "Drawn calls that were too many and left out.",
        "wishes": "Asked for",
        "wishes.means": "Records that somebody asked for, without a draw. Why, the log doesn't say.",
        "kept": "Fifths recorded",
        "kept.means": "At least so many fifths of an agent's hits, on average, in the log's 13 weeks; said at their "
        "end alone. It is the gateway's word, and it can't show whose calls they were.",
        "state": "State",
        "state.running": "running",
        "state.dark": "dark (no draw)",
        "state.closed": "closed",
        "state.revealed": "checked",
        "fairness": "Fairness",
        "fairness.means": "The least likely agent's share of draws has probability {p} in a fair draw (exact, "
        "corrected for {tested} comparisons). Names aren't known here, and one unlikely value in a thousand checks is "
        "normal.",
        "fairness.none": "Nothing to compare yet.",
        "steering": "Were calls chosen?",
        "steering.seconds": "Length of calls",
        "steering.time_of_day": "Time of day",
        "steering.means": "Drawn and other calls differ by chance alone with probability {p}. A small value hints that "
        "calls were chosen; a large one doesn't rule it out.",
        "calls": "Telephone system",
        "calls.means": "{matched} of {rows} answered calls in its records have an entry. It says nothing about calls "
        "that its records lack.",
        "waiting": "{waiting} manifests belong to epochs whose inventory isn't published yet.",
        "printed": "Made on {at} by fairtap-council, without a network.",
        "demo": "DEMO: keys and agreement are made for a demonstration.",
    },
    "de": {
        "title": "Prüfung des Aufzeichnungsprotokolls",
        "limits": "Was diese Prüfung nicht zeigen kann",
        "green": "Grün: Alles, was geprüft wurde, ist in Ordnung.",
        "yellow": "Gelb: Nichts Falsches gefunden, aber nicht alles ließ sich prüfen.",
        "red": "Rot: {total} Befunde. Nicht gegenzeichnen; mit dem Arbeitgeber sprechen und diese Seite aufbewahren.",
        "findings": "Befunde",
        "none": "Keine Befunde.",
        "more": "und {more} weitere",
        "missing": "Nicht geprüft",
        "missing.acts": "Die unterschriebenen Vorgänge lagen nicht vor: Regeln und Anteile ließen sich nicht prüfen.",
        "missing.roster": "Die Listen lagen nicht vor: Wer ausgelost werden darf und die Zahlen je Gruppe ließen sich "
        "nicht prüfen.",
        "missing.reveal": "Eine abgeschlossene Epoche ist noch nicht offengelegt: Ihre Auslosung lässt sich nicht "
        "nachrechnen.",
        "missing.cdr": "Es lagen keine Verbindungsdaten vor: Gespräche am Gateway vorbei sind nicht zu sehen.",
        "missing.manifests": "Das Verzeichnis der Aufnahmen, auf das sich das Protokoll festlegt, liegt nicht für jede "
        "Epoche vor: Was aufbewahrt wurde, lässt sich damit nicht vergleichen.",
        "missing.openings": "Die Öffnungsdatei einer Epoche liegt nicht vor: Ihre Gespräche lassen sich nicht mit den "
        "Verbindungsdaten vergleichen.",
        "missing.records": "Die Verbindungsdaten decken nicht die ganze Zeit ab: {uncovered} Gespräche im Protokoll "
        "liegen außerhalb.",
        "missing.restore": "Während einer offenen Epoche wurde ein älterer Stand eingespielt: Ihre Auslosung lässt "
        "sich nicht mehr berechnen. Fragen Sie, wann und warum.",
        "missing.seen": "Es lagen keine von Ihnen aufbewahrten Prüfpunkte vor: Ein umgeschriebenes Protokoll fiele "
        "nicht auf.",
        "log": "Protokoll",
        "followed": "Durch eine Wiederherstellung beendet; {origin} trat an seine Stelle. Vergleichen Sie, was Ihnen "
        "dazu gesagt wurde.",
        "entries": "Einträge",
        "entries.means": "So viele Einträge hat das Protokoll, alle wurden gelesen. Ob ein Gespräch ausgelassen wurde, "
        "sagt die Zahl nicht.",
        "root": "Wurzel",
        "root.means": "Der Fingerabdruck aller Einträge. Wer bei gleicher Größe einen anderen sieht, bekam ein anderes "
        "Protokoll gezeigt.",
        "anchors.means": "Die Schlüssel, deren Unterschrift hier zählt. Vergleichen Sie sie mit denen, die Sie auf "
        "Papier haben; wem sie gehören, weiß das Protokoll nicht.",
        "missing.key": "Der Schlüssel des Protokolls stammt aus dem Ordner selbst: Ob er zu Ihrem Gateway gehört, "
        "können nur Sie sagen.",
        "epochs": "Auslosungen",
        "epoch": "Epoche",
        "legs": "Gespräche",
        "legs.means": "Der Anteil einer beschäftigten Person an einem Gespräch. Wie lange es dauerte und mit wem, sagt "
        "die Zahl nicht.",
        "unruled": "Unter keinem Prozentsatz",
        "unruled.means": "Gespräche, für die ein Prozentsatz gelten kann, die aber unter keinem eingetragen sind, "
        "also nie ausgelost wurden. Das stimmt, wo die Vereinbarung den Standort der Person oder die Warteschlange "
        "nicht nennt; wo das so ist, zeigt das Protokoll nicht.",
        "unruled_most": "Höchster Anteil einer Person",
        "unruled_most.means": "Der größte Anteil solcher Gespräche in Prozent und das Pseudonym dazu. Liegt er weit "
        "über den anderen, fragen Sie nach dem Grund: Wer Gespräche der Auslosung vorenthält, schont jemanden.",
        "drawn": "Ausgelost",
        "drawn.means": "Was die Auslosung traf, hier aus beiden Geheimnissen nachgerechnet. Welches Gespräch an die "
        "ausgeloste Stelle kam, sagt sie nicht.",
        "hits": "Treffer",
        "hits.means": "Ausgeloste Gespräche innerhalb von Anteil und Obergrenzen. Ob eine Aufnahme blieb, sagt die "
        "Zahl nicht.",
        "caps": "Überzählig",
        "caps.means": "Ausgeloste Gespräche, die zu viel waren und ausgelassen wurden.",
        "wishes": "Gewünscht",
        "wishes.means": "Aufzeichnungen auf Wunsch, ohne Auslosung. Warum, sagt das Protokoll nicht.",
        "kept": "Fünftel aufgezeichnet",
        "kept.means": "Mindestens so viele Fünftel der Treffer einer Person, im Mittel, in den 13 Wochen des "
        "Protokolls; nur an deren Ende. So gibt es das Gateway an; wessen Gespräche es waren, sagt die Zahl nicht.",
        "state": "Stand",
        "state.running": "läuft",
        "state.dark": "ohne Auslosung",
        "state.closed": "abgeschlossen",
        "state.revealed": "geprüft",
        "fairness": "Fairness",
        "fairness.means": "Der unwahrscheinlichste Anteil einer Person kommt bei fairer Auslosung mit "
        "Wahrscheinlichkeit {p} vor (exakt, für {tested} Vergleiche berichtigt). Namen sind hier unbekannt; ein "
        "Ausreißer unter tausend Prüfungen ist normal.",
        "fairness.none": "Noch nichts zu vergleichen.",
        "steering": "Wurde ausgesucht?",
        "steering.seconds": "Gesprächsdauer",
        "steering.time_of_day": "Tageszeit",
        "steering.means": "Ausgeloste und übrige Gespräche unterscheiden sich durch Zufall so mit Wahrscheinlichkeit "
        "{p}. Ein kleiner Wert deutet auf Auswahl; ein großer schließt sie nicht aus.",
        "calls": "Telefonanlage",
        "calls.means": "{matched} von {rows} angenommenen Anrufen in ihren Verbindungsdaten haben einen Eintrag. Über "
        "Anrufe, die dort fehlen, sagt das nichts.",
        "waiting": "{waiting} Begleitdateien gehören zu Epochen, deren Verzeichnis noch nicht veröffentlicht ist.",
        "printed": "Erstellt am {at} mit fairtap-council, ohne Netz.",
        "demo": "DEMO: Schlüssel und Vereinbarung sind für eine Vorführung gemacht.",
    },
    "nb": {
        "title": "Kontroll av opptaksloggen",
        "limits": "Dette kan kontrollen ikke vise",
        "green": "Grønt: alt som ble kontrollert, er som det skal være.",
        "yellow": "Gult: ingenting galt er funnet, men ikke alt kunne kontrolleres.",
        "red": "Rødt: {total} funn. Ikke kontrasigner; snakk med arbeidsgiveren og ta vare på denne siden.",
        "findings": "Funn",
        "none": "Ingen funn.",
        "more": "og {more} til",
        "missing": "Ikke kontrollert",
        "missing.acts": "De signerte beslutningene manglet: regler og andeler kunne ikke kontrolleres.",
        "missing.roster": "Listene manglet: hvem som kan trekkes, og tallene per gruppe, kunne ikke kontrolleres.",
        "missing.reveal": "En lukket epoke er ikke lagt fram ennå: trekningen kan ikke regnes ut.",
        "missing.cdr": "Ingen trafikkdata ble lagt fram: samtaler utenom gatewayen vises ikke.",
        "missing.manifests": "Registeret over opptak som loggen låste, mangler for minst én epoke: det som er tatt "
        "vare på, kan ikke sammenlignes med det.",
        "missing.openings": "Åpningsfilen for en epoke mangler: samtalene i den kan ikke sammenlignes med trafikkdata.",
        "missing.records": "Trafikkdataene dekker ikke hele tiden: {uncovered} samtaler i loggen ligger utenfor.",
        "missing.restore": "En eldre tilstand ble gjenopprettet mens en epoke var åpen: trekningen i den kan ikke "
        "regnes ut lenger. Spør når og hvorfor.",
        "missing.seen": "Ingen kontrollpunkter som du har tatt vare på, ble lagt fram: en omskrevet logg ville ikke "
        "bli oppdaget.",
        "log": "Logg",
        "followed": "Avsluttet av en gjenoppretting; {origin} tok over. Sammenlign med det dere ble fortalt.",
        "entries": "Poster",
        "entries.means": "Så mange poster har loggen, og alle er lest. Om en samtale er utelatt, sier tallet ikke.",
        "root": "Rot",
        "root.means": "Fingeravtrykket av alle postene. Kolleger som ser et annet ved samme størrelse, ble vist en "
        "annen logg.",
        "anchors.means": "Nøklene hvis signaturer gjelder her. Sammenlign dem med dem du har på papir; hvem de "
        "tilhører, vet loggen ikke.",
        "missing.key": "Loggens nøkkel ble hentet fra selve mappen: om den tilhører gatewayen deres, kan bare du si.",
        "epochs": "Trekninger",
        "epoch": "Epoke",
        "legs": "Samtaler",
        "legs.means": "En ansatts del i en samtale. Hvor lenge og med hvem, sier tallet ikke.",
        "unruled": "Under ingen prosentsats",
        "unruled.means": "Samtaler som en prosentsats kan gjelde for, men som er ført opp under ingen, og som derfor "
        "aldri ble trukket. Det er riktig der avtalen ikke nevner den ansattes sted eller køen; loggen viser ikke "
        "hvor det er slik.",
        "unruled_most": "Høyeste andel hos én ansatt",
        "unruled_most.means": "Den største andelen slike samtaler i prosent, og pseudonymet som har den. Ligger den "
        "langt over de andres, bør dere spørre hvorfor: den som holder samtaler utenfor trekningen, skåner noen.",
        "drawn": "Trukket",
        "drawn.means": "Det trekningen traff, regnet ut på nytt her fra begge hemmelighetene. Hvilken samtale som kom "
        "på den trukne plassen, sier den ikke.",
        "hits": "Treff",
        "hits.means": "Trukne samtaler under andel og tak. Om et opptak ble beholdt, sier tallet ikke.",
        "caps": "Over grensen",
        "caps.means": "Trukne samtaler som var for mange og ble utelatt.",
        "wishes": "Ønsket",
        "wishes.means": "Opptak som noen ba om, uten trekning. Hvorfor, sier loggen ikke.",
        "kept": "Femdeler tatt opp",
        "kept.means": "Minst så mange femdeler av en ansatts treff, i gjennomsnitt, i loggens 13 uker; oppgis bare når "
        "de er over. Det er gatewayens ord, og det viser ikke hvem sine samtaler det var.",
        "state": "Status",
        "state.running": "pågår",
        "state.dark": "uten trekning",
        "state.closed": "lukket",
        "state.revealed": "kontrollert",
        "fairness": "Rettferdighet",
        "fairness.means": "Den minst sannsynlige andelen til en ansatt har sannsynlighet {p} i en rettferdig trekning "
        "(eksakt, korrigert for {tested} sammenligninger). Navn er ukjent her, og ett avvik på tusen kontroller er "
        "normalt.",
        "fairness.none": "Ingenting å sammenligne ennå.",
        "steering": "Ble samtaler valgt ut?",
        "steering.seconds": "Samtalens lengde",
        "steering.time_of_day": "Tid på dagen",
        "steering.means": "Trukne og andre samtaler skiller seg slik ved en tilfeldighet med sannsynlighet {p}. En "
        "liten verdi tyder på utvelgelse; en stor utelukker den ikke.",
        "calls": "Telefonsystem",
        "calls.means": "{matched} av {rows} besvarte anrop i trafikkdataene har en post. Om anrop som mangler der, "
        "sier det ingenting.",
        "waiting": "{waiting} følgefiler hører til epoker der registeret ikke er publisert ennå.",
        "printed": "Laget {at} av fairtap-council, uten nett.",
        "demo": "DEMO: nøkler og avtale er laget for en demonstrasjon.",
    },
}
