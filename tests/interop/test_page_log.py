"""The page's watch over the log, run by Node: it takes our own log's growth, and nothing that isn't growth."""

import base64
from typing import Any

from api.catalogue import catalogue
from crypto.ssh_key import SigningKey
from tests.peers.log_house import LogHouse
from tests.peers.page_modules import needed, run_module
from tests.peers.small_log import KEY, ORIGIN, VKEY, SmallLog
from tests.peers.stored import open_folder

pytestmark = needed()
RENEWED = f"{ORIGIN}-r1"
GROWTH = """
import { checkGrowth } from "./api/web/src/parts/log_growth.js";
import { readFileSync } from "node:fs";
const { cases, trees } = JSON.parse(readFileSync(0, "utf8"));
const bytes = (files, path) => (path in files ? new Uint8Array(Buffer.from(files[path], "base64")) : null);
const taken = [];
for (const { before, after, tree } of cases) {
  const files = trees[tree];
  const asked = [];
  const read = async (path) => { asked.push(path); return bytes(files, path); };
  const holds = () => checkGrowth(before, after, read).then(() => true, () => false);
  const honest = await holds();
  const used = asked.filter((path) => path in files);
  const lies = [];
  for (const path of used) {
    const whole = files[path];
    for (const other of [null, "", whole.slice(0, -44), whole.replace(/[A-Z]/g, "a")]) {
      files[path] = other;
      if (other === null) delete files[path];
      lies.push(await holds());
    }
    files[path] = whole;
  }
  taken.push({ honest, used, lies });
}
console.log(JSON.stringify({ taken }));
"""
MEMORY = """
import { FAULTS, LogMemory } from "./api/web/src/parts/log_memory.js";
import { readFileSync } from "node:fs";
const { stories } = JSON.parse(readFileSync(0, "utf8"));
const told = {};
for (const [name, rounds] of Object.entries(stories)) {
  const kept = new Map();
  const store = { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, value) };
  const bytes = (data) => (data === undefined ? null : new Uint8Array(Buffer.from(data, "base64")));
  let now;
  const site = {
    logs: async () => ({ gateway: now.gateway, logs: now.names }),
    checkpoint: async (origin) => now.checkpoints[origin] ?? null,
    tile: async (origin, path) => { if (now.silent) throw new Error("away"); return bytes(now.files[origin]?.[path]); },
  };
  const memory = new LogMemory(store, site);
  told[name] = [];
  for (now of rounds) {
    const done = await memory.check("2026-04-06T09:00:00Z").then(() => true, () => false);
    told[name].push({ done, ...memory.read() });
  }
  memory.see();
  told[name].push(memory.read());
}
console.log(JSON.stringify({ told, FAULTS }));
"""


def test_growth_over_the_edges_of_tiles_is_taken_and_no_other_tree() -> None:
    trees = [SmallLog(size) for size in (2, 5, 7, 8, 256, 257, 300, 600, 65_537)]
    heads = {log.size: log.head() for log in trees}
    other = SmallLog(300, forked=100)

    def grown(before: dict[str, Any], after: int) -> dict[str, Any]:
        return {"before": before, "after": heads[after], "tree": str(after)}

    steps = [(0, 5), (1, 2), (3, 7), (7, 7), (6, 8), (255, 256), (255, 257), (256, 257), (257, 600)]
    steps += [(old, 65_537) for old in (255, 256, 257, 40_000, 65_535, 65_536)]
    honest = [grown(SmallLog(old).head(), new) for old, new in steps]
    wrong = [
        {**grown(SmallLog(old).head(), 300), "after": other.head(), "tree": "other"}
        for old in (101, 200, 256, 299, 300, 301)
    ]
    wrong += [grown(other.head(), 65_537), grown({**SmallLog(100).head(), "size": 101}, 300)]
    wrong += [grown({"size": 0, "root": "00" * 32}, 5)]
    files = {str(log.size): log.files() for log in trees} | {"other": other.files()}
    taken = run_module(GROWTH, cases=honest + wrong, trees=files)["taken"]
    assert [one["honest"] for one in taken] == [True] * len(honest) + [False] * len(wrong)
    assert not any(lie for one in taken for lie in one["lies"])
    assert sum(len(one["lies"]) for one in taken) > 100
    assert max(len(one["used"]) for one in taken) <= 6


async def test_what_the_publisher_wrote_is_growth(tmp_path: Any) -> None:
    folder = await open_folder(tmp_path)
    house = LogHouse(folder)
    heads = []
    for size in (255, 257, 600):
        await house.grow(size)
        published = await house.publisher.publish(ORIGIN)
        assert published is not None
        heads.append({"size": published.size, "root": published.root.hex()})
    await folder.database.close()
    base = house.folder / "tile"
    paths = [path for path in base.rglob("*") if path.is_file() and not path.is_relative_to(base / "entries")]
    files = {str(path.relative_to(base)): base64.b64encode(path.read_bytes()).decode() for path in paths}
    cases = [{"before": before, "after": heads[-1], "tree": "published"} for before in heads]
    assert [one["honest"] for one in run_module(GROWTH, cases=cases, trees={"published": files})["taken"]] == [True] * 3


def shown(*logs: SmallLog, signed: SigningKey = KEY, **more: Any) -> dict[str, Any]:
    """What a site says at one time."""
    return {
        "gateway": VKEY,
        "names": [log.origin for log in logs],
        "checkpoints": {log.origin: log.checkpoint(signed) for log in logs},
        "files": {log.origin: log.files() for log in logs},
        **more,
    }


def kinds(round_: dict[str, Any]) -> list[str]:
    return [one["kind"] for one in round_["told"]]


def test_the_page_keeps_what_grew_and_tells_each_thing_that_doesnt_fit() -> None:
    first, later, forked = SmallLog(5), SmallLog(9), SmallLog(9, forked=3)
    renewed = SmallLog(2, origin=RENEWED)
    bad = shown(later, signed=SigningKey.generate())
    faults = {
        "key": shown(later, gateway=VKEY.replace("hamburg", "bremen")),
        "signature": bad,
        "gone": shown(names=[ORIGIN]),
        "shrunk": shown(SmallLog(4)),
        "root": shown(SmallLog(5, forked=3)),
        "not_grown": shown(forked),
    }
    stories: dict[str, list[dict[str, Any]]] = {kind: [shown(first), lie, lie] for kind, lie in faults.items()}
    stories |= {
        "honest": [shown(first), shown(first), shown(later)],
        "without tiles": [shown(first), shown(later, files={})],
        "other origin": [shown(first), shown(later, checkpoints={ORIGIN: SmallLog(9, origin=RENEWED).checkpoint()})],
        "altered": [shown(first), shown(later, checkpoints={ORIGIN: later.checkpoint().replace("\n9\n", "\n10\n")})],
        "cosigned": [shown(first), shown(later, checkpoints={ORIGIN: later.checkpoint() + "— council AAAAAAAAAAA=\n"})],
        "no note": [shown(first, checkpoints={ORIGIN: "<html>"})],
        "silent": [shown(first), shown(later, silent=True), shown(later)],
        "odd list": [shown(first), shown(later, names=["../../keys"])],
        "restored as it was": [shown(first), shown(first, renewed), shown(first, SmallLog(3, origin=RENEWED))],
        "restored shorter": [shown(first), shown(SmallLog(4), renewed), shown(SmallLog(4), renewed)],
        "restored and lost": [shown(first), shown(renewed), shown(renewed)],
        "shortened again": [shown(first), shown(SmallLog(4), renewed), shown(SmallLog(3), renewed)],
        "restored as a fork": [shown(first), shown(forked, renewed)],
        "never published": [shown(first), *[shown(SmallLog(4), names=[ORIGIN, RENEWED])] * 3],
        "new block": [shown(first), shown(first, SmallLog(2, origin="hamburg/fairtap/2026-27"))],
    }
    said = run_module(MEMORY, stories=stories)
    told = said["told"]
    assert said["FAULTS"] == list(faults)
    for kind, lie in faults.items():
        [one] = told[kind][2]["told"]
        assert told[kind][2]["logs"] == {ORIGIN: first.checkpoint()}, "what was kept stays"
        expected = (VKEY, lie["gateway"]) if kind == "key" else (first.checkpoint(), lie["checkpoints"].get(ORIGIN))
        assert (one["kind"], one["kept"], one["shown"], one["seen"]) == (kind, *expected, False)
        assert told[kind][3]["told"] == [{**one, "seen": True}]
    assert [one["told"] for one in told["honest"]] == [[]] * 4
    assert told["honest"][-1]["logs"] == {ORIGIN: later.checkpoint()}
    assert kinds(told["without tiles"][1]) == ["not_grown"]
    assert kinds(told["other origin"][1]) == ["signature"]
    assert (kinds(told["altered"][1]), kinds(told["cosigned"][1])) == (["signature"], [])
    assert (kinds(told["no note"][0]), told["no note"][0]["logs"]) == (["signature"], {})
    assert [one["done"] for one in told["silent"][:3]] == [True, False, True]
    assert told["silent"][1]["logs"] == {ORIGIN: first.checkpoint()} and kinds(told["silent"][2]) == []
    assert not told["odd list"][1]["done"]
    for story in ("restored as it was", "restored shorter", "restored and lost"):
        assert [(one["kind"], one["origin"], one["next"]) for one in told[story][2]["told"]] == [
            ("restored", ORIGIN, RENEWED)
        ]
        assert told[story][2]["logs"][ORIGIN] == first.checkpoint()
    assert kinds(told["shortened again"][2]) == ["restored", "shrunk"]
    assert "not_grown" in kinds(told["restored as a fork"][1])
    assert [kinds(one) for one in told["never published"][:4]] == [[], [], [], ["shrunk"]]
    assert kinds(told["new block"][1]) == []
    assert {f"log.{kind}" for kind in [*said["FAULTS"], "restored"]} <= set(catalogue("en"))
