"""The world of `log_world` under two agreements that overlap in one queue; in the second week one of them loses a line.

`tally` counts them anew from the entries and the documents' own words: no rule list, no place, nothing of the product.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from fractions import Fraction
from math import ceil

from policy.acts import Narrow
from policy.agreement.load import canonical_document
from policy.epochs import RosterLeaf
from policy.log_entry import Act, Call, Entry, Out
from tests.peers.log_world import Host
from tests.unit.policy.green import edited

NORTH, SOUTH = "bv-aufzeichnung-nord", "bv-aufzeichnung-sued"
QUEUES = {NORTH: {"service-strom", "service-gas"}, SOUTH: {"service-gas", "service-wasser"}}
FREELY = {"per_agent": {"P1D": 9, "P1W": 40}}
RATES = {
    NORTH: {("team-a", "onboarding"): "20", ("team-a", "regular"): "12", ("team-b", "regular"): "15"},
    SOUTH: {("team-b", "regular"): "7.5", ("team-a", "regular"): "20", ("team-a", "onboarding"): "18"},
}
"""The lines of each, in its own order."""
LOST = ("team-a", "onboarding")
"""The first line of the first agreement, which a narrowing drops: those behind it keep their places."""


def document(agreement: str, rates: Mapping[tuple[str, str], str], **edits: object) -> bytes:
    """One of the two, with these lines."""
    lines = [
        {"group": group, "phase": phase, "percent": percent} | ({"max_days": 42} if phase == "onboarding" else {})
        for (group, phase), percent in rates.items()
    ]
    lanes = {"lanes/sample/rates": lines, "lanes/sample/caps": FREELY, "lanes/campaigns": []}
    named = {name.replace("__", "/"): value for name, value in edits.items()}
    return canonical_document(edited({"id": agreement, **lanes, "scope/queues": sorted(QUEUES[agreement]), **named}))


DOCUMENTS = tuple(document(agreement, rates) for agreement, rates in RATES.items())
NARROWED = document(NORTH, {line: rate for line, rate in RATES[NORTH].items() if line != LOST}, version=2)


class TwoAgreements(Host):
    """See the module."""

    queues = ("service-strom", "service-gas", "service-wasser", "elsewhere")  # type: ignore[assignment]  # more of them
    documents = DOCUMENTS  # type: ignore[assignment]  # more of them

    def act(self, at: datetime) -> None:
        """The first agreement loses its first line."""
        old, new = (hashlib.sha256(one).hexdigest() for one in (DOCUMENTS[0], NARROWED))
        self.enact(Narrow(new, old), at, NARROWED)


def over_the_rate(entries: Iterable[Entry], rosters: Mapping[str, Iterable[RosterLeaf]]) -> list[tuple[str, str]]:
    """Every hit (epoch, rule) at which some rule of some agreement had more hits than its share of its own legs."""
    entries = list(entries)
    outs = {(one.e, one.a, one.n): one.o for one in entries if isinstance(one, Out) and one.o != "wish"}
    leaves = {(epoch, leaf.a): leaf for epoch, those in rosters.items() for leaf in those}
    rates = {agreement: dict(lines) for agreement, lines in RATES.items()}
    legs, hits, found = Counter[object](), Counter[object](), []
    for entry in entries:
        if isinstance(entry, Act) and entry.type == "narrow":
            del rates[NORTH][LOST]
        if not isinstance(entry, Call):
            continue
        leaf = leaves[entry.e, entry.a]
        line = (leaf.group, leaf.phase.value)
        about = [one for one in rates if entry.q in QUEUES[one]]
        hit = outs.get((entry.e, entry.a, entry.n)) == "hit"
        if not about or any(line not in rates[one] for one in about):
            assert not hit, "no rule, and recorded"
            continue
        for one in about:
            rule = (entry.e, one, line)
            legs[rule] += 1
            hits[rule] += hit
            if hit and hits[rule] > ceil(Fraction(rates[one][line]) / 100 * legs[rule]):
                found.append((entry.e, f"{one} {'/'.join(line)}"))
    return found
