"""A whole valid block of a site's log, small and fast, with all that the council has beside it; and ways to spoil it.

The host's side is simulated with the product's own rules. What a test changes in `entries` before `write`, the host
signs and the council cosigns like everything else; what it changes in files afterwards, nobody signed.
"""

import hashlib
import random
from collections import Counter
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from crypto.checkpoint import Checkpoint
from crypto.commitment import pseudonym
from crypto.cosignature import cosign
from crypto.draw import ROLES as DRAW_ROLES
from crypto.draw import agent_key, combine, draw_output, drawn, epoch_commitment
from crypto.jcs import canonical
from crypto.merkle import Frontier, leaf_hash, root_of
from crypto.signed_note import NoteSignature, SignedNote, VerifierKey
from crypto.ssh_key import SigningKey
from crypto.sshsig import sign
from crypto.tlog_tiles import HEIGHT, WIDTH, encode_bundle, encode_hashes, fold, tiles_of
from crypto.x25519 import Identity
from policy import draw_rules, log_entry
from policy.act_file import print_act
from policy.acts import ACT_NAMESPACE, Act, Body, NewAgreement, Rates, type_of
from policy.agreement.load import canonical_document, load
from policy.chain import Posted, take
from policy.chain import fold as fold_acts
from policy.epoch_rules import EpochRules, Ruled
from policy.epoch_statement import commit
from policy.epochs import RosterLeaf, in_roster_order, roster_root
from policy.intersection import covering
from policy.inventory import inventory_root, print_inventory, side_leaf
from policy.log_entry import Entry
from policy.opening import CallOpening, OutOpening
from policy.state import Anchor, State
from policy.terms import Phase
from tests.unit.policy.green import edited

ORIGIN = "hamburg/fairtap/2026-14"
EPOCHS = ("2026-W14", "2026-W15", "2026-W16")
START = datetime(2026, 3, 29, 22, tzinfo=UTC)  # Monday 30 March, midnight in Berlin
WEEK = timedelta(days=7)
AGENTS = 16
LEGS = 24
"""Of an agent in a week."""
KEYS = {name: SigningKey.generate() for name in ("log", "employer", "council", "dpo", "stranger")}
RECIPIENTS = {role: str(Identity.generate().recipient) for role in ("council", "dpo")}
AGREEMENT = "bv-aufzeichnung-nord"
DOCUMENT = canonical_document(
    edited(
        {
            "lanes/sample/rates/0/percent": "10",
            "lanes/sample/rates/1/percent": "10",
            "lanes/sample/rates/2/percent": "10",
            "lanes/campaigns/0/percent": "10",
            "lanes/campaigns/0/max_recordings": 5,
            "lanes/sample/caps": {"per_agent": {"P1D": 1, "P1W": 4}},
            "statistics/min_calls": 20,
        }
    )
)


@dataclass(frozen=True)
class PendingOpen:
    """An `eopen` whose cosignature is made when the log is written: of the checkpoint before it, at this time."""

    e: str
    at: datetime
    by: str = "council"
    lag: int = 0
    """Entries between the checkpoint and the `eopen`."""


Item = Entry | PendingOpen | bytes


@dataclass
class World:
    """What stands, before and after it is written down."""

    origin: str = ORIGIN
    entries: list[Item] = field(default_factory=list)
    acts: list[Posted] = field(default_factory=list)
    rosters: dict[str, list[RosterLeaf]] = field(default_factory=dict)
    shares: dict[tuple[str, str], bytes] = field(default_factory=dict)
    openings: list[CallOpening] = field(default_factory=list)
    out_openings: list[OutOpening] = field(default_factory=list)
    manifests: dict[str, list[bytes]] = field(default_factory=dict)
    inventories: dict[str, list[str]] = field(default_factory=dict)
    cdr: list[tuple[str, datetime, int]] = field(default_factory=list)
    kept: list[bytes] = field(default_factory=list)
    """Notes that the council cosigned and kept, once written."""
    leaves: list[bytes] = field(default_factory=list)
    now: datetime = START + 2 * WEEK + timedelta(hours=30)

    def copy(self) -> "World":
        """Another one to spoil; the values in it are never changed in place."""
        own = {item.name: copy(getattr(self, item.name)) for item in fields(self)}
        return World(**own)

    # -- finding things

    def where(self, kind: type | str, nth: int = 0, **values: object) -> int:
        """Index of the nth entry of a kind with these fields."""
        wanted = log_entry.KINDS[kind] if isinstance(kind, str) else kind
        found = (
            index
            for index, entry in enumerate(self.entries)
            if isinstance(entry, wanted) and all(getattr(entry, key) == value for key, value in values.items())
        )
        return next(index for place, index in enumerate(found) if place == nth)

    def change(self, index: int, **values: object) -> None:
        """Other fields for one entry."""
        self.entries[index] = replace(self.entries[index], **values)  # type: ignore[type-var]  # an Entry

    # -- writing down

    def write(self, folder: Path, *, log: bool = True, manifests: bool = True) -> "World":
        """The log, the acts and everything else as files, as the council's folder has them."""
        if log:
            self._write_log(folder / "log")
        (folder / "acts").mkdir(parents=True, exist_ok=True)
        for number, posted in enumerate(self.acts, 1):
            (folder / "acts" / f"{number:06}.json").write_bytes(print_act(posted))
        (folder / "rosters").mkdir(exist_ok=True)
        for epoch, leaves in self.rosters.items():
            told = {"leaves": [leaf.fields() for leaf in leaves]}
            (folder / "rosters" / f"{epoch}.json").write_bytes(canonical(told))
        (folder / "seen").mkdir(exist_ok=True)
        for note_bytes in self.kept:
            size = note_bytes.split(b"\n")[1].decode()
            (folder / "seen" / f"{size}.note").write_bytes(note_bytes)
        if manifests:
            self._write_manifests(folder / "manifests")
        (folder / "openings").mkdir(exist_ok=True)
        for epoch in EPOCHS:
            calls = [one for one in self.openings if one.lane is None and self._epoch_of(one) == epoch]
            (folder / "openings" / epoch).write_bytes(b"".join(one.line() + b"\n" for one in calls))
        (folder / "cdr.csv").write_text(self._cdr())
        return self

    def _epoch_of(self, opening: CallOpening) -> str | None:
        entry = self.entries[opening.entry] if opening.entry < len(self.entries) else None
        return getattr(entry, "e", None)

    def _write_log(self, folder: Path) -> None:
        self.leaves, self.kept = [], []
        frontier, hashes = Frontier(), list[bytes]()
        for item in self.entries:
            data = self._printed(item, frontier, hashes)
            self.leaves.append(data)
            hashes.append(leaf_hash(data))
            frontier.append(hashes[-1])
        note = Checkpoint(self.origin, frontier.size, frontier.root()).signed(KEYS["log"])
        self.kept.append(bytes(cosigned(note, self.now)))
        write_log(folder, self.leaves, hashes, self.kept[-1])

    def _printed(self, item: Item, frontier: Frontier, hashes: list[bytes]) -> bytes:
        if isinstance(item, bytes):
            return item
        if not isinstance(item, PendingOpen):
            return encoded(item)
        size = len(hashes) - item.lag
        root = root_of(hashes[:size]) if item.lag else frontier.root()
        note = cosigned(Checkpoint(self.origin, size, root).signed(KEYS["log"]), item.at, item.by)
        if item.by == "council":
            self.kept.append(bytes(note))
        return log_entry.encode(log_entry.EOpen(item.e, str(note.signatures[-1])))

    def _write_manifests(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        for epoch, leaves in self.inventories.items():
            (folder / f"{epoch}.inventory").write_bytes(print_inventory(epoch, leaves))
        for found in self.manifests.values():
            for data in found:
                name = folder / digest_of(data)[:16]
                name.with_suffix(".manifest.json").write_bytes(data)
                name.with_suffix(".manifest.sig").write_text(signed(data))
        for opening in self.out_openings:
            (folder / f"{opening.entry}.out").write_bytes(opening.line())

    def _cdr(self) -> str:
        rows = [f"{call_id},200,{at:%Y-%m-%d %H:%M:%S},{seconds}" for call_id, at, seconds in self.cdr]
        return "\n".join(["callid,sip_code,time,duration", *rows]) + "\n"


@cache
def _encoded(entry: Entry) -> bytes:
    return log_entry.encode(entry)


def encoded(entry: Entry) -> bytes:
    """The leaf, printed once for all worlds that share it."""
    return log_entry.encode(entry) if isinstance(entry, log_entry.EClose) else _encoded(entry)


@cache
def signed(manifest: bytes) -> str:
    """The gateway's signature of a manifest."""
    return sign(KEYS["log"], "fairtap-recording@v1", manifest)


def cosigned(note: SignedNote, at: datetime, by: str = "council") -> SignedNote:
    """The note with a cosignature more."""
    line: NoteSignature = cosign(note.text, f"hamburg/{by}", KEYS[by], int(at.timestamp()))
    return SignedNote(note.text, (*note.signatures, line))


def write_log(folder: Path, leaves: list[bytes], hashes: list[bytes], checkpoint: bytes) -> None:
    """Tiles, bundles and checkpoint, and the log's verifier key."""
    levels = [hashes]
    while len(levels[-1]) >= WIDTH:
        below = levels[-1]
        levels.append([fold(below[i : i + WIDTH]) for i in range(0, len(below) - WIDTH + 1, WIDTH)])
    assert len(levels) <= HEIGHT
    for tile in tiles_of(len(leaves)):
        first = tile.index * WIDTH
        if tile.level is None:
            data = encode_bundle(leaves[first : first + tile.width])
        else:
            data = encode_hashes(levels[tile.level][first : first + tile.width])
        path = folder / tile.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (folder / "checkpoint").write_bytes(checkpoint)
    (folder / "vkey").write_text(f"{VerifierKey(ORIGIN, KEYS['log'].verify_key)}\n")


# -- the host, simulated


class Host:
    """Runs the site for two weeks and a day."""

    queues = ("service-strom", "service-gas", "elsewhere")
    """Of the legs."""
    documents = (DOCUMENT,)
    """Of the agreements, from the start."""

    def __init__(self, seed: int, legs: int = LEGS, agents: int = AGENTS, origin: str = ORIGIN) -> None:
        self.dice = random.Random(seed)
        self.legs = legs
        self.world = World(origin)
        self.agents = [
            (self.dice.randbytes(32), "team-a" if i % 2 else "team-b", Phase.ONBOARDING if i < 3 else Phase.REGULAR)
            for i in range(agents)
        ]
        self.states = [State(())]
        self.rules: dict[str, EpochRules] = {}
        self.campaigns: Counter[tuple[str, str | None]] = Counter()
        self.call = 0
        self.why: dict[tuple[str, str, int], str] = {}
        """Legs that were capped → the first gate that was closed."""

    def log(self, item: Item) -> int:
        """Append; the index."""
        if isinstance(item, PendingOpen):
            start = START + EPOCHS.index(item.e) * WEEK if item.e in EPOCHS else item.at
            self.rules[item.e] = EpochRules((start, start + WEEK), self.states, len(self.states) - 1)
        self.world.entries.append(item)
        return len(self.world.entries) - 1

    def run(self) -> World:
        """The whole story."""
        self.begin()
        self.commit(EPOCHS[0])
        self.log(log_entry.Key("ab" * 32))
        self.log(PendingOpen(EPOCHS[0], START - timedelta(days=1), lag=1))
        for number, epoch in enumerate(EPOCHS[:2]):
            self.commit(EPOCHS[number + 1])
            self.week(epoch, START + number * WEEK)
            self.log(PendingOpen(EPOCHS[number + 1], START + (number + 1) * WEEK - timedelta(hours=5)))
            self.close(epoch)
        self.log(log_entry.X(EPOCHS[2], "protected"))
        for salt, group, phase in self.agents[:4]:
            self.leg(EPOCHS[2], START + 2 * WEEK + timedelta(hours=9), (salt, group, phase), out=group == "team-a")
        return self.world

    def begin(self) -> None:
        """Anchors, build, and the agreement."""
        for role in ("employer", "council", "dpo"):
            key = KEYS[role].verify_key.line()
            self.log(log_entry.Anchor(role, key, RECIPIENTS.get(role), 1, None))
        self.log(log_entry.Build("c0" * 32, "c1" * 32, "c2" * 32))
        anchors = [Anchor(role, KEYS[role].verify_key.line(), RECIPIENTS.get(role)) for role in KEYS if role in ROLES]
        self.states = [fold_acts(anchors, [])]
        for document in self.documents:
            digest = hashlib.sha256(document).hexdigest()
            self.enact(NewAgreement(digest), START - timedelta(days=3), document, load(document).id)

    @property
    def state(self) -> State:
        """After the last act."""
        return self.states[-1]

    def enact(self, body: Body, at: datetime, document: bytes | None = None, agreement: str = AGREEMENT) -> None:
        """A signed act and its entry."""
        act = Act(type_of(body), agreement, self.state.seq + 1, self.state.digest, body)
        signers = ("employer", "council") if document is not None else ("council",)
        signatures = {role: sign(KEYS[role], ACT_NAMESPACE, act.canonical()) for role in signers}
        posted = Posted(act.canonical(), signatures, at, document)
        self.world.acts.append(posted)
        self.states.append(take(self.state, posted))
        self.log(log_entry.Act(act.digest, act.type.value, act.seq))

    def commit(self, epoch: str) -> None:
        """Both shares, the roster, and `ecommit`."""
        shares = {role: self.dice.randbytes(32) for role in ("host", "council")}
        self.world.shares.update({(epoch, role): share for role, share in shares.items()})
        said, csig = commit(self.world.origin, epoch, shares["council"], KEYS["council"])
        leaves = [RosterLeaf(self.a(salt, epoch), group, phase) for salt, group, phase in self.agents]
        self.world.rosters[epoch] = list(in_roster_order(leaves))
        h = epoch_commitment("host", self.world.origin, epoch, shares["host"]).hex()
        assert self.state.digest is not None
        roster = roster_root(leaves).hex()
        self.log(log_entry.ECommit(epoch, h, said.c, csig, self.state.digest, roster, len(leaves)))

    def a(self, salt: bytes, epoch: str) -> str:
        """The pseudonym."""
        return pseudonym(salt, self.world.origin, epoch).hex()

    def week(self, epoch: str, start: datetime) -> None:
        """Legs in an order of their own, each with its end a few entries later; a wish now and then; rates lowered."""
        legs = [
            (start + timedelta(days=day, hours=8, seconds=self.dice.randrange(30_000)), agent)
            for agent in self.agents
            for day in (self.dice.randrange(5) for _ in range(self.legs))
        ]
        self.counters: Counter[tuple[str, bool]] = Counter()
        self.of_rule: Counter[object] = Counter()
        self.hits: Counter[object] = Counter()
        self.waiting: list[tuple[int, log_entry.Out]] = []
        day = 0
        for number, (at, agent) in enumerate(sorted(legs, key=lambda leg: leg[0])):
            for turned in range(day + 1, (at - start).days + 1):
                self.log(log_entry.Day(epoch, turned))
                day = turned
            if epoch == EPOCHS[1] and number == len(legs) // 2:
                self.act(at)
            self.leg(epoch, at, agent, wish=number % 40 == 7)
            if number % 50 == 3:
                self.log(log_entry.X(epoch, ("unknown", "unclaimed")[number % 2]))
            while self.waiting and self.waiting[0][0] < number - 3:
                self.finish(self.waiting.pop(0)[1])
            self.waiting += [(number, out) for out in self.ended]
            self.ended = []
        for turned in range(day + 1, 7):
            self.log(log_entry.Day(epoch, turned))

    ended: list[log_entry.Out]

    def act(self, at: datetime) -> None:
        """What becomes of the rates in the middle of the second week."""
        self.enact(Rates({"sample/team-a/regular": 50_000}), at)

    def leg(
        self,
        epoch: str,
        at: datetime,
        agent: tuple[bytes, str, Phase],
        *,
        wish: bool = False,
        out: bool = True,
    ) -> None:
        """One leg, and what comes of it."""
        salt, group, phase = agent
        a, self.ended = self.a(salt, epoch), getattr(self, "ended", [])
        self.counters[epoch + a, False] += 1
        n = self.counters[epoch + a, False]
        queue = self.dice.choice(self.queues)
        agreements = self.state.in_force(at)
        scoped = covering(agreements, site="hamburg", queue=queue, group=group)
        place, ruled = self.rules[epoch].find(scoped, queue=queue, group=group, phase=phase, wallclock=at) or (
            None,
            None,
        )
        opening = self.opening(at)
        q = queue if any(queue in one.scope.queues for one in agreements) else "other"
        index = self.log(log_entry.Call(epoch, a, n, q, place, opening.commitment().hex()))
        self.world.openings.append(replace(opening, entry=index))
        said = "no" if ruled is None else self.admit(epoch, a, n, ruled, at)
        if out:
            self.ended.append(log_entry.Out(epoch, a, n, said, "00" * 32))
        if wish:
            self.counters[epoch + a, True] += 1
            asked = replace(opening, lane="agent_request", salt=self.dice.randbytes(32))
            number = self.counters[epoch + a, True]
            self.world.openings.append(
                replace(asked, entry=self.log(log_entry.Wish(epoch, a, number, asked.commitment().hex())))
            )
            self.ended.append(log_entry.Out(epoch, a, number, "wish", "00" * 32))

    def opening(self, at: datetime) -> CallOpening:
        """Of a new call, which the telephone system writes down too."""
        self.call += 1
        call_id = f"{self.call}@pbx"
        self.world.cdr.append((call_id, at, 30 + self.dice.randrange(400)))
        return CallOpening(0, f"{self.call:016x}", call_id, f"{at:%Y-%m-%dT%H:%M:%SZ}", self.dice.randbytes(32))

    def admit(self, epoch: str, a: str, n: int, ruled: Ruled, at: datetime) -> str:
        """Draw, ceilings, caps, campaign."""
        scoped, campaign = ruled.agreements, ruled.rule.campaign
        rules = [(epoch, one.agreement, one.rule) for one in ruled.ceilings]
        self.of_rule.update(rules)
        u = self.draw(epoch, a, n)
        if not drawn(u, ruled.rule.ppm):
            return "no"
        today = (a, epoch, at.astimezone(scoped[0].validity.zone).date())
        gates = {
            **{
                f"ceiling of {one.agreement}": draw_rules.ceiling_ok(
                    one.ppm, legs=self.of_rule[rule], hits=self.hits[rule]
                )
                for one, rule in zip(ruled.ceilings, rules, strict=True)
            },
            "caps": draw_rules.caps_ok(scoped, hits_today=self.hits[today], hits_this_week=self.hits[a]),
            "campaign": campaign is None
            or not any(
                draw_rules.campaign_full((one,), campaign, hits=self.campaigns[one.id, campaign]) for one in scoped
            ),
        }
        closed = [gate for gate, fits in gates.items() if not fits]
        if closed:
            self.why[epoch, a, n] = closed[0]
            return "cap"
        self.hits.update([*rules, today, a])
        self.campaigns.update((one.id, campaign) for one in scoped)
        return "hit"

    def draw(self, epoch: str, a: str, n: int) -> int:
        """u of one leg."""
        outputs = [
            draw_output(agent_key(role, self.world.origin, epoch, a, self.world.shares[epoch, role]), n)
            for role in DRAW_ROLES
        ]
        return combine(*outputs)

    def finish(self, out: log_entry.Out) -> None:
        """The leg's `out`; every second hit and every wish is kept."""
        manifests: tuple[str, ...] = ()
        if out.o == "wish" or (out.o == "hit" and self.dice.random() < 0.5):
            recording = self.dice.randbytes(16).hex()
            made = [self.manifest(recording, side) for side in ("agent", "caller")]
            self.world.manifests.setdefault(out.e, []).extend(made)
            manifests = tuple(map(digest_of, made))
        outcome = "recorded" if manifests else "not_recorded"
        opening = OutOpening(len(self.world.entries), outcome, None, (), manifests, self.dice.randbytes(32))
        if manifests:
            self.world.out_openings.append(opening)
        self.log(replace(out, m=opening.commitment().hex()))

    def manifest(self, recording: str, side: str, seg: int = 1) -> bytes:
        """A recording's manifest as far as the council looks at it."""
        digest = [self.dice.randbytes(32).hex() for _ in range(4)]
        return canonical(
            {
                "v": 1,
                "type": "fairtap/recording",
                "id": recording,
                "origin": self.world.origin,
                "side": side,
                "seg": seg,
                "container": "wav",
                "ingress": "inline",
                "media": "rtp",
                "payload": {"sha256": digest[0], "bytes": 100, "chunks": 1},
                "key_commit": digest[1],
                "stanzas": 1,
                "quorum": False,
                "end": "normal",
                "gateway": str(VerifierKey("hamburg", KEYS["log"].verify_key)),
                "build": digest[2],
                "private": digest[3],
            }
        )

    def close(self, epoch: str) -> None:
        """The last outs, then counts and shares."""
        for _, out in self.waiting:
            self.finish(out)
        self.waiting = []
        group_of = {leaf.a: leaf.group for leaf in self.world.rosters[epoch]}
        legs: Counter[str] = Counter()
        hits: Counter[str] = Counter()
        x = dict.fromkeys(log_entry.X_KINDS, 0)
        for entry in self.world.entries:
            if isinstance(entry, log_entry.Call) and entry.e == epoch:
                legs[group_of[entry.a]] += 1
            elif isinstance(entry, log_entry.Out) and entry.e == epoch:
                hits[group_of[entry.a]] += entry.o == "hit"
            elif isinstance(entry, log_entry.X) and entry.e == epoch:
                x[entry.k] += 1
        wishes = sum(isinstance(entry, log_entry.Wish) and entry.e == epoch for entry in self.world.entries)
        leaves = [side_leaf([digest_of(one)]) for one in self.world.manifests.get(epoch, [])]
        while len(leaves) < 2 * (hits.total() + wishes):
            leaves.append(self.dice.randbytes(32).hex())
        self.dice.shuffle(leaves)
        self.world.inventories[epoch] = leaves
        groups = {group: log_entry.Counted(legs[group], hits[group]) for group in legs}
        self.log(log_entry.EClose(epoch, groups, None, inventory_root(leaves).hex(), x))
        shares = [self.world.shares[epoch, role].hex() for role in DRAW_ROLES]
        self.log(log_entry.Reveal(epoch, *shares))


ROLES = ("employer", "council", "dpo")


def digest_of(manifest: bytes) -> str:
    """As an `out` commits to it."""
    return hashlib.sha256(manifest).hexdigest()


def world(seed: int = 14) -> World:
    """A fresh copy of the clean world."""
    return Host(seed).run()


Spoil = Callable[[World], object]


def legs_of(world: World, epoch: str) -> Iterator[int]:
    """Indices of an epoch's `call` entries."""
    return (i for i, entry in enumerate(world.entries) if isinstance(entry, log_entry.Call) and entry.e == epoch)
