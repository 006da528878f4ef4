"""FT-DRAW-1 and JCS written a second time, in JavaScript from the contract's formulas, give the same values."""

import json
import random
import shutil
import subprocess

import pytest

from crypto import commitment, draw, jcs

NODE = shutil.which("node") or ""
pytestmark = pytest.mark.skipif(not NODE, reason="`node` isn't installed")

DRAW_JS = r"""
const { createHash, createHmac } = require("node:crypto");
const lp = (...items) => Buffer.concat(items.flatMap((item) => {
  const raw = Buffer.from(item, "utf8"), size = Buffer.alloc(2);
  size.writeUInt16BE(raw.length);
  return [size, raw];
}));
const sha = (...parts) => createHash("sha256").update(Buffer.concat(parts)).digest();
const mac = (key, ...parts) => createHmac("sha256", key).update(Buffer.concat(parts)).digest();
const u64 = (n) => { const b = Buffer.alloc(8); b.writeBigUInt64BE(BigInt(n)); return b; };
const cases = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
console.log(JSON.stringify(cases.map(({ origin, epoch, n, ppm, salt, shares }) => {
  const long = mac(Buffer.from(salt, "hex"), lp("fairtap/v1/agent-pseudonym", origin, epoch));
  const a = long.subarray(0, 16).toString("hex");
  const side = (role) => {
    const s = Buffer.from(shares[role], "hex");
    const com = sha(lp("fairtap/v1/epoch-commit", role, origin, epoch), s);
    const k = mac(s, lp("fairtap/v1/agent-key", role, origin, epoch, a));
    return { com: com.toString("hex"), y: mac(k, lp("fairtap/v1/draw"), u64(n)) };
  };
  const host = side("host"), council = side("council");
  const u = sha(lp("fairtap/v1/u"), host.y, council.y).readBigUInt64BE(0);
  return { a, host: host.com, council: council.com, u: u.toString(), drawn: u < (BigInt(ppm) << 64n) / 1000000n };
})));
"""

JCS_JS = r"""
const print = (value) => {
  if (Array.isArray(value)) return "[" + value.map(print).join(",") + "]";
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  return "{" + Object.keys(value).sort().map((key) => JSON.stringify(key) + ":" + print(value[key])).join(",") + "}";
};
const cases = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
console.log(JSON.stringify(cases.map(print)));
"""


def _node(script, cases):
    done = subprocess.run(
        [NODE, "-e", script], input=json.dumps(cases), capture_output=True, text=True, timeout=60, check=True
    )
    return json.loads(done.stdout)


def _cases():
    dice = random.Random(20260105)
    origins = ["hamburg/fairtap/2026-W01", "ålesund/fairtap/2026-W14-r1", ""]
    counters = [0, 1, 255, 256, 2**32, 2**53 - 1]
    for n, ppm in [(n, ppm) for n in counters for ppm in (0, 1, 30_000, 500_000, 999_999, 1_000_000)] * 4:
        shares = {role: dice.randbytes(32).hex() for role in ("host", "council")}
        yield {
            "origin": dice.choice(origins),
            "epoch": dice.choice(["2026-W01", "2026-01-05"]),
            "n": n,
            "ppm": ppm,
            "salt": dice.randbytes(32).hex(),
            "shares": shares,
        }


def _ours(case):
    origin, epoch = case["origin"], case["epoch"]
    agent = commitment.pseudonym(bytes.fromhex(case["salt"]), origin, epoch).hex()
    out, outputs = {"a": agent}, []
    for role in draw.ROLES:
        share = bytes.fromhex(case["shares"][role])
        out[role] = draw.epoch_commitment(role, origin, epoch, share).hex()
        outputs.append(draw.draw_output(draw.agent_key(role, origin, epoch, agent, share), case["n"]))
    u = draw.combine(*outputs)
    return {**out, "u": str(u), "drawn": draw.drawn(u, case["ppm"])}


def test_the_draw_is_the_same():
    cases = list(_cases())
    theirs = _node(DRAW_JS, cases)
    assert theirs == [_ours(case) for case in cases]
    assert {result["drawn"] for result in theirs} == {True, False}
    assert not any(r["drawn"] for r, c in zip(theirs, cases, strict=True) if c["ppm"] == 0)
    assert all(r["drawn"] for r, c in zip(theirs, cases, strict=True) if c["ppm"] == 1_000_000)


def test_canonical_json_is_the_same():
    dice = random.Random(8785)
    alphabet = [chr(c) for c in range(0x30)] + [
        "\x7f",
        "\x80",
        "é",
        "\u2028",
        "\ue000",
        "\ufb33",
        "\uffff",
        "\U00010000",
        "😀",
    ]

    def text():
        return "".join(dice.choices(alphabet, k=dice.randrange(4)))

    def value(depth):
        if depth == 0 or dice.random() < 0.3:
            return dice.choice([None, True, False, 0, -1, dice.randrange(-jcs.MAX_INTEGER, jcs.MAX_INTEGER), text()])
        if dice.random() < 0.4:
            return [value(depth - 1) for _ in range(dice.randrange(4))]
        return {text(): value(depth - 1) for _ in range(dice.randrange(6))}

    cases = [value(4) for _ in range(300)]
    assert _node(JCS_JS, cases) == [jcs.canonical(case).decode() for case in cases]
