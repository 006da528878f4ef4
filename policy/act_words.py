"""The words of `act_text`: what an act does, one line per thing and language. Names in braces are filled in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

DE: Final[Mapping[str, str]] = {
    "head": "Vorgang Nr. {seq} zur Vereinbarung „{agreement}“.",
    "first": "Es ist der erste Vorgang; es gibt noch keinen davor.",
    "after": "Er folgt auf den Vorgang mit der Prüfsumme {prev} und auf keinen anderen.",
    "agreement": "Setzt die Vereinbarung mit der Prüfsumme {digest} in Kraft, sofort oder zu ihrem Beginn. "
    "Das braucht die Unterschriften von Arbeitgeber und Betriebsrat.",
    "narrow": "Schränkt die Vereinbarung mit der Prüfsumme {narrows} sofort ein: An ihre Stelle tritt die mit der "
    "Prüfsumme {digest}. Angenommen wird das nur, wenn sie in keinem Punkt mehr erlaubt.",
    "rates": "Ändert, wie viele Gespräche höchstens ausgelost werden. Ein niedrigerer Anteil gilt ab dem nächsten "
    "Gespräch, ein höherer ab dem nächsten Auslosungszeitraum und nur mit beiden Unterschriften.",
    "rate.regular": "Gruppe „{group}“: künftig höchstens {percent} % der Gespräche.",
    "rate.onboarding": "Gruppe „{group}“, Einarbeitung: künftig höchstens {percent} % der Gespräche.",
    "rate.campaign": "Aktion „{group}“: künftig höchstens {percent} % der Gespräche.",
    "resolution": "Stützt sich auf den Beschluss des Betriebsrats vom {date} (Prüfsumme der Niederschrift: {minutes}).",
    "no_resolution": "Ein Beschluss des Betriebsrats ist nicht genannt.",
    "opinion": "Stellungnahme der oder des Datenschutzbeauftragten: „{ref}“.",
    "no_opinion": "Eine Stellungnahme der oder des Datenschutzbeauftragten ist nicht genannt.",
    "suspend": "Stoppt binnen einer Sekunde jede Aufzeichnung. Gespräche laufen weiter; bis jemand, der das darf, es "
    "zurücknimmt, wird nichts aufgezeichnet.",
    "resume": "Nimmt die Aussetzung zurück: Es darf wieder aufgezeichnet werden, was die Vereinbarung erlaubt.",
    "evaluation": "Bestätigt, dass Arbeitgeber und Betriebsrat die Vereinbarung am {date} gemeinsam ausgewertet haben. "
    "Das braucht beide Unterschriften.",
    "key": "Hinterlegt einen neuen Schlüssel für: {role}.",
    "key.print": "Neuer Schlüssel: {key} (Fingerabdruck {fingerprint}).",
    "recipient": "Was diese Partei öffnen können soll, wird künftig verschlüsselt für: {recipient}.",
    "no_recipient": "Verschlüsselt wird für diese Partei nichts.",
    "key.lost": "Er ersetzt einen verlorenen Schlüssel, erst nach 14 Tagen; bis dahin wird nichts aufgezeichnet.",
    "key.old": "Den bisherigen Schlüssel löst er sofort ab; unterschreiben muss das, wer diesen bisherigen hat. Gab es "
    "noch keinen, unterschreibt der Betriebsrat.",
    "document": "Die Vereinbarung, die damit gilt:",
    "changes": "Was sich gegenüber der Vereinbarung ändert, an deren Stelle sie tritt:",
    "no_changes": "Es ändert sich kein Satz.",
    "was": "Bisher: {text}",
    "becomes": "Künftig: {text}",
    "taken": "Vorgang {seq} ist angenommen.",
    "suspended": "Ausgesetzt von: {by}; es wird nichts aufgezeichnet.",
    "in_force": "In Kraft ist jetzt: „{agreement}“, Version {version}.",
    "no_site": "Hier ist kein Gateway eingerichtet (`{file}` fehlt). Das geht auf dem Rechner des Gateways, oder von "
    "diesem aus mit --api, --role und --key.",
    "stands": "In Kraft gesetzt durch Vorgang {seq}; Prüfsumme des Dokuments: {digest}.",
    "as_signed": "Das Dokument, wie es unterschrieben wurde. Was davon heute gilt, sagen die Sätze oben.",
    "nothing_in_force": "Es ist keine Vereinbarung in Kraft.",
    "signers": "Dafür genügt die Unterschrift von: {who}.",
    "or": "oder",
    "ask": "Unterschreiben? (ja/nein)",
    "yes": "ja",
    "unsigned": "Es wurde nichts unterschrieben.",
    "unshown": "Was unterschrieben wird, ist vorher zu bestätigen: Ohne Terminal geht das mit --yes.",
    "document_wanted": "Dieser Vorgang nennt die Vereinbarung nur mit ihrer Prüfsumme; damit zu sehen ist, was "
    "unterschrieben wird, gib sie mit --document FILE an.",
    "document_unwanted": "Zu diesem Vorgang gehört keine Vereinbarung: --document entfällt.",
    "narrows_wrong": "`{file}` ist nicht die Vereinbarung, die hier eingeschränkt wird.",
    "no_act": "`{file}` ist kein Vorgang, wie `fairtap agreement` ihn schreibt: {why}",
    "no_agreement": "`{file}` ist keine Vereinbarung: {why}; alle Fehler zeigt `fairtap agreement check {file}`",
}

EN: Final[Mapping[str, str]] = {
    "head": "Act {seq} about the agreement `{agreement}`.",
    "first": "It is the first act; there is none before it.",
    "after": "It follows the act with digest {prev} and no other.",
    "agreement": "Puts the agreement with digest {digest} into force, at once or when its time begins. That takes the "
    "signatures of employer and works council.",
    "narrow": "Narrows the agreement with digest {narrows} at once: the one with digest {digest} takes its place. It "
    "is taken only if it permits more in no point.",
    "rates": "Changes how many calls are drawn at most. A lower rate holds from the next call on, a higher one from "
    "the next epoch of the draw, and only with both signatures.",
    "rate.regular": "Group `{group}`: from now on at most {percent}% of the calls.",
    "rate.onboarding": "Group `{group}`, onboarding: from now on at most {percent}% of the calls.",
    "rate.campaign": "Campaign `{group}`: from now on at most {percent}% of the calls.",
    "resolution": "Rests on the works council's resolution of {date} (digest of the minutes: {minutes}).",
    "no_resolution": "No resolution of the works council is named.",
    "opinion": "Opinion of the data-protection officer: `{ref}`.",
    "no_opinion": "No opinion of the data-protection officer is named.",
    "suspend": "Stops every recording within a second. Calls go on; nothing is recorded until somebody who may takes "
    "it back.",
    "resume": "Takes the suspension back: what the agreement permits may be recorded again.",
    "evaluation": "Confirms that employer and works council evaluated the agreement together on {date}. That takes "
    "both signatures.",
    "key": "Anchors a new key for: {role}.",
    "key.print": "New key: {key} (fingerprint {fingerprint}).",
    "recipient": "What this party is to open is encrypted from now on for: {recipient}.",
    "no_recipient": "Nothing is encrypted for this party.",
    "key.lost": "It takes a lost key's place, after 14 days only; nothing is recorded until then.",
    "key.old": "It takes the present key's place at once, and whoever holds that one has to sign. Where there was none "
    "yet, the works council signs.",
    "document": "The agreement that holds then:",
    "changes": "What changes against the agreement whose place it takes:",
    "no_changes": "No sentence changes.",
    "was": "So far: {text}",
    "becomes": "From now on: {text}",
    "taken": "Act {seq} is taken.",
    "suspended": "Suspended by: {by}; nothing is recorded.",
    "in_force": "In force now: `{agreement}`, version {version}.",
    "no_site": "no gateway is set up here (`{file}` is missing): do it on the gateway's computer, or from this one "
    "with --api, --role and --key",
    "stands": "Put into force by act {seq}; digest of the document: {digest}.",
    "as_signed": "The document as it was signed. What holds of it today is said above.",
    "nothing_in_force": "No agreement is in force.",
    "signers": "For this it takes the signature of: {who}.",
    "or": "or",
    "ask": "Sign it? (yes/no)",
    "yes": "yes",
    "unsigned": "nothing was signed",
    "unshown": "what is signed has to be confirmed first: without a terminal, say --yes",
    "document_wanted": "this act names the agreement by its digest alone: give it with --document FILE, so that you "
    "see what you sign",
    "document_unwanted": "no agreement belongs to this act: leave --document out",
    "narrows_wrong": "`{file}` isn't the agreement that this act narrows",
    "no_act": "`{file}` isn't an act as `fairtap agreement` writes it: {why}",
    "no_agreement": "`{file}` isn't an agreement: {why}; `fairtap agreement check {file}` shows every fault",
}

NB: Final[Mapping[str, str]] = {
    "head": "Beslutning nr. {seq} om avtalen «{agreement}».",
    "first": "Det er den første beslutningen; det finnes ingen før den.",
    "after": "Den følger etter beslutningen med kontrollsum {prev} og ingen annen.",
    "agreement": "Setter avtalen med kontrollsum {digest} i kraft, straks eller når den begynner. Det krever signatur "
    "fra arbeidsgiveren og de tillitsvalgte.",
    "narrow": "Innskrenker straks avtalen med kontrollsum {narrows}: den med kontrollsum {digest} trer i stedet. "
    "Det godtas bare hvis den ikke tillater mer på noe punkt.",
    "rates": "Endrer hvor mange samtaler som høyst trekkes. En lavere andel gjelder fra neste samtale, en høyere fra "
    "neste trekningsperiode og bare med begge signaturer.",
    "rate.regular": "Gruppe «{group}»: heretter høyst {percent} % av samtalene.",
    "rate.onboarding": "Gruppe «{group}», opplæring: heretter høyst {percent} % av samtalene.",
    "rate.campaign": "Kampanje «{group}»: heretter høyst {percent} % av samtalene.",
    "resolution": "Bygger på vedtaket fra de tillitsvalgte av {date} (protokollens kontrollsum: {minutes}).",
    "no_resolution": "Det er ikke oppgitt noe vedtak fra de tillitsvalgte.",
    "opinion": "Uttalelse fra personvernombudet: «{ref}».",
    "no_opinion": "Det er ikke oppgitt noen uttalelse fra personvernombudet.",
    "suspend": "Stanser alle opptak innen ett sekund. Samtalene fortsetter; ingenting tas opp før noen som har lov til "
    "det, opphever stansen.",
    "resume": "Opphever stansen: det avtalen tillater, kan tas opp igjen.",
    "evaluation": "Bekrefter at arbeidsgiveren og de tillitsvalgte evaluerte avtalen sammen {date}. Det krever begge "
    "signaturer.",
    "key": "Registrerer en ny nøkkel for: {role}.",
    "key.print": "Ny nøkkel: {key} (fingeravtrykk {fingerprint}).",
    "recipient": "Det denne parten skal kunne åpne, krypteres heretter for: {recipient}.",
    "no_recipient": "Ingenting krypteres for denne parten.",
    "key.lost": "Den erstatter en tapt nøkkel, først etter 14 dager; til da tas ingenting opp.",
    "key.old": "Den avløser straks den nåværende nøkkelen, og den som har den nåværende, må signere. Fantes det ingen, "
    "signerer de tillitsvalgte.",
    "document": "Avtalen som da gjelder:",
    "changes": "Hva som endres i forhold til avtalen som den trer i stedet for:",
    "no_changes": "Ingen setning endres.",
    "was": "Hittil: {text}",
    "becomes": "Heretter: {text}",
    "taken": "Beslutning {seq} er godtatt.",
    "suspended": "Stanset av: {by}; ingenting tas opp.",
    "in_force": "Nå gjelder: «{agreement}», versjon {version}.",
    "no_site": "Her er det ikke satt opp noen gateway (`{file}` mangler). Gjør det på gatewayens maskin, eller herfra "
    "med --api, --role og --key.",
    "stands": "Satt i kraft av beslutning {seq}; dokumentets kontrollsum: {digest}.",
    "as_signed": "Dokumentet slik det ble signert. Hva som gjelder i dag, står ovenfor.",
    "nothing_in_force": "Ingen avtale gjelder.",
    "signers": "For dette trengs signatur fra: {who}.",
    "or": "eller",
    "ask": "Signere? (ja/nei)",
    "yes": "ja",
    "unsigned": "Ingenting ble signert.",
    "unshown": "Det som signeres, må bekreftes først: uten terminal gjøres det med --yes.",
    "document_wanted": "Denne beslutningen nevner avtalen bare med kontrollsum: oppgi den med --document FILE, så du "
    "ser hva du signerer.",
    "document_unwanted": "Det hører ingen avtale til denne beslutningen: utelat --document.",
    "narrows_wrong": "`{file}` er ikke avtalen som innskrenkes her.",
    "no_act": "`{file}` er ikke en beslutning slik `fairtap agreement` skriver den: {why}",
    "no_agreement": "`{file}` er ikke en avtale: {why}; alle feil vises av `fairtap agreement check {file}`",
}

ACT_WORDS: Final[Mapping[str, Mapping[str, str]]] = {"de": DE, "en": EN, "nb": NB}
