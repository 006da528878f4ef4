"""How long the council's tool takes to verify a log, and how much memory: makes one, measures, prints one JSON object.

The log is a site's thirteen weeks: 200 agents, every leg drawn, every share revealed. Making it isn't measured.
"""

import argparse
import hashlib
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path

from council.inspect import Sources, inspect
from crypto.checkpoint import Checkpoint
from crypto.draw import agent_key, combine, draw_output, drawn
from crypto.merkle import Frontier, leaf_hash
from crypto.signed_note import VerifierKey
from crypto.tlog_tiles import WIDTH, Tile, encode_bundle, encode_hashes, fold
from policy import draw_rules, log_entry
from policy.agreement.schema import Agreement
from policy.decision import Rule
from policy.log_entry import encode
from policy.terms import Phase
from tests.peers.log_world import KEYS, ORIGIN, START, WEEK, Host, PendingOpen, cosigned

AGENTS = 200
WEEKS = 13


class Disk:
    """Writes bundles and tiles as they fill."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.frontier = Frontier()
        self.bundle: list[bytes] = []
        self.levels: list[list[bytes]] = [[], [], [], []]

    def append(self, leaf: bytes) -> None:
        hashed = leaf_hash(leaf)
        self.frontier.append(hashed)
        self.bundle.append(leaf)
        self.levels[0].append(hashed)
        if len(self.bundle) == WIDTH:
            self._flush(0)

    def _flush(self, level: int) -> None:
        """Write a full tile of this level, and hand its hash up."""
        number = (self.frontier.size >> 8 * (level + 1)) - 1
        if level == 0:
            self._put(Tile(None, number), encode_bundle(self.bundle))
            self.bundle = []
        hashes, self.levels[level] = self.levels[level], []
        self._put(Tile(level, number), encode_hashes(hashes))
        self.levels[level + 1].append(fold(hashes))
        if len(self.levels[level + 1]) == WIDTH:
            self._flush(level + 1)

    def close(self) -> None:
        """The tiles that aren't full, and the checkpoint."""
        size = self.frontier.size
        if self.bundle:
            self._put(Tile(None, size // WIDTH, len(self.bundle)), encode_bundle(self.bundle))
        for level, hashes in enumerate(self.levels):
            if hashes:
                self._put(Tile(level, size >> 8 * (level + 1), len(hashes)), encode_hashes(hashes))
        note = Checkpoint(ORIGIN, size, self.frontier.root()).signed(KEYS["log"])
        (self.folder / "checkpoint").write_bytes(bytes(note))

    def _put(self, tile: Tile, data: bytes) -> None:
        path = self.folder / tile.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


class Site:
    """The host of the tests for everything but legs, which are written down quickly here."""

    def __init__(self, folder: Path, entries: int) -> None:
        self.disk = Disk(folder / "log")
        self.host = Host(7, agents=AGENTS)
        self.host.agents = [(salt, group, Phase.REGULAR) for salt, group, _ in self.host.agents]
        self.folder = folder
        self.legs = max(1, (entries // WEEKS - 10) // 2)
        self.dice = random.Random(3)

    def run(self) -> None:
        """Thirteen weeks."""
        weeks = [f"2026-W{14 + number}" for number in range(WEEKS)]
        self.host.begin()
        self.host.commit(weeks[0])
        self.flush(START)
        for number, week in enumerate(weeks):
            start = START + number * WEEK
            self.host.log(PendingOpen(week, start - timedelta(hours=3)))
            self.flush(start)
            if number + 1 < WEEKS:
                self.host.commit(weeks[number + 1])
            self.flush(start)
            self.week(week, number)
        self.disk.close()
        self.host.world.entries = []
        self.host.world.write(self.folder, log=False, manifests=False)

    def flush(self, at: object) -> None:
        """What the host logged since, to disk."""
        for item in self.host.world.entries:
            if isinstance(item, PendingOpen):
                head = Checkpoint(ORIGIN, self.disk.frontier.size, self.disk.frontier.root())
                note = cosigned(head.signed(KEYS["log"]), item.at)
                self.host.world.kept.append(bytes(note))
                item = log_entry.EOpen(item.e, str(note.signatures[-1]))
            assert not isinstance(item, bytes)
            self.disk.append(encode(item))
        self.host.world.entries = []

    def week(self, week: str, number: int) -> None:
        """Legs of one week in a random order of agents, with their outs."""
        host, shares = self.host, self.host.world.shares
        members = [(host.a(salt, week), group, phase) for salt, group, phase in host.agents]
        keys = {
            a: [agent_key(role, ORIGIN, week, a, shares[week, role]) for role in ("host", "council")]
            for a, _, _ in members
        }
        agreements = host.state.in_force(START + number * WEEK)
        rules = {member[0]: self.rule(agreements, week, member[1], member[2], number) for member in members}
        counted: Counter[object] = Counter()
        legs: Counter[str] = Counter()
        hits: Counter[str] = Counter()
        for place in range(self.legs):
            a, group, _ = members[self.dice.randrange(AGENTS)]
            counted[a] += 1
            n, (r, rule) = counted[a], rules[a]
            counted["rule", r] += 1
            said = "no"
            if drawn(combine(draw_output(keys[a][0], n), draw_output(keys[a][1], n)), rule.ppm):
                of_rule = counted["rule", r], counted["hits", r]
                open_gates = draw_rules.ceiling_ok(rule.ppm, legs=of_rule[0], hits=of_rule[1])
                caps = draw_rules.caps_ok(agreements, hits_today=counted["hit", a], hits_this_week=counted["hit", a])
                said = "hit" if open_gates and caps else "cap"
            if said == "hit":
                counted.update([("hits", r), ("hit", a)])
                hits[group] += 1
            legs[group] += 1
            c = hashlib.sha256(b"%d" % place).hexdigest()
            self.disk.append(
                f'{{"a":"{a}","c":"{c}","e":"{week}","n":{n},"q":"service-gas","r":{r},"t":"call","v":1}}'.encode()
            )
            self.disk.append(f'{{"a":"{a}","e":"{week}","m":"{c}","n":{n},"o":"{said}","t":"out","v":1}}'.encode())
        groups = {group: log_entry.Counted(legs[group], hits[group]) for group in legs}
        x = dict.fromkeys(log_entry.X_KINDS, 0)
        self.disk.append(encode(log_entry.EClose(week, groups, None, "00" * 32, x)))
        self.disk.append(encode(log_entry.Reveal(week, shares[week, "host"].hex(), shares[week, "council"].hex())))

    def rule(
        self, agreements: tuple[Agreement, ...], week: str, group: str, phase: Phase, number: int
    ) -> tuple[int, Rule]:
        """The one rule of a week for a queue without campaigns, and its place."""
        at = START + number * WEEK + timedelta(hours=9)
        rules = self.host.rules[week]
        found = rules.find(agreements, queue="service-gas", group=group, phase=phase, wallclock=at)
        assert found is not None
        return found[0], found[1].rule


def measure(folder: Path) -> dict[str, object]:
    """One verification, in this process."""
    sources = Sources(
        folder / "log",
        acts=folder / "acts",
        roster=folder / "rosters",
        seen=folder / "seen",
    )
    started, cpu = time.perf_counter(), time.process_time()
    found = inspect(sources)
    return {
        "entries": found.logs[0].entries,
        "findings": found.total,
        "first": [f"{one.code.value} {one.place}" for one in found.findings[:3]],
        "drawn": sum(book.drawn or 0 for book in found.logs[0].epochs.values()),
        "seconds": round(time.perf_counter() - started, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def main() -> int:
    """Make, then measure in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, help="a log made before")
    args = parser.parse_args()
    if args.folder is not None:
        print(json.dumps(measure(args.folder)))
        return 0
    with tempfile.TemporaryDirectory(prefix="fairtap-bench-") as made:
        Site(Path(made), args.entries).run()
        (Path(made) / "log" / "vkey").write_text(f"{VerifierKey(ORIGIN, KEYS['log'].verify_key)}\n")
        command = [sys.executable, "-m", "bench.verify_log", "--folder", made]
        return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    raise SystemExit(main())
