"""Which logs there are, and what they say of an agent's own legs."""

from __future__ import annotations

from base64 import b64decode

from pydantic import BaseModel

from api.reads import DrawnEpoch, DrawRow, OwnDraws, Proven
from policy.epochs import RosterLeaf, RosterPlace
from policy.terms import Phase


class LogListOut(BaseModel):
    """The site's logs by origin, oldest first, and the verifier key that signs their checkpoints."""

    gateway: str
    logs: list[str]


class OwnEntry(BaseModel):
    """An entry of the log about the agent: its leaf, what opens its commitment, a tlog-proof once it is published."""

    id: int
    origin: str
    index: int
    kind: str
    told: dict[str, str | int | None]
    salt: str
    entry: str
    proof: str | None


class OwnEntryPage(BaseModel):
    """Entries, oldest first, and where they go on."""

    items: list[OwnEntry]
    next: int | None


class ProvenOut(BaseModel):
    """A leaf of the log, with a tlog-proof once it is published."""

    origin: str
    index: int
    entry: str
    proof: str | None


class OwnDraw(BaseModel):
    """An entry of one of the agent's legs; what opens it, an age file for the agent in base64."""

    id: int
    kind: str
    sealed: str
    entry: ProvenOut

    def told(self) -> DrawRow:
        """As it is checked. Raises ValueError for what isn't base64."""
        return DrawRow(self.id, self.kind, b64decode(self.sealed, validate=True), Proven(**self.entry.model_dump()))


class RosterLeafOut(BaseModel):
    """An agent's entry of an epoch's roster."""

    a: str
    group: str
    phase: Phase


class RosterPlaceOut(BaseModel):
    """The agent's own entry, and the inclusion proof (RFC 9162) to the root that `ecommit` names."""

    leaf: RosterLeafOut
    index: int
    path: list[str]

    def told(self) -> RosterPlace:
        """As it is checked."""
        return RosterPlace(RosterLeaf(**self.leaf.model_dump()), self.index, self.path)


class DrawnEpochOut(BaseModel):
    """What the legs of an epoch were drawn from: commitments, shares once they are revealed, rates (ppm) by rule."""

    name: str
    ecommit: ProvenOut | None
    reveal: ProvenOut | None
    rates: dict[str, list[int]]
    place: RosterPlaceOut | None = None

    def told(self) -> DrawnEpoch:
        """As it is checked."""
        place = self.place.told() if self.place is not None else None
        return DrawnEpoch(self.name, _proven(self.ecommit), _proven(self.reveal), self.rates, place)


class OwnDrawPage(BaseModel):
    """Entries of legs, oldest first, the epochs they are of, and where they go on."""

    items: list[OwnDraw]
    epochs: list[DrawnEpochOut]
    next: int | None

    def told(self) -> OwnDraws:
        """As they are checked. Raises ValueError for what isn't base64."""
        return OwnDraws([one.told() for one in self.items], [one.told() for one in self.epochs])


def _proven(one: ProvenOut | None) -> Proven | None:
    return None if one is None else Proven(**one.model_dump())
