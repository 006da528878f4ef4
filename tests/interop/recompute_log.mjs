// Root, dense counters and the draw with ceilings, caps and campaigns, written a second time from the contract's formulas.
// Reads a mirrored log and its acts; prints one JSON object. Needs nothing but Node.
import { createHash, createHmac } from "node:crypto";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

const folder = process.argv[2];
const sha = (...parts) => createHash("sha256").update(Buffer.concat(parts)).digest();
const mac = (key, ...parts) => createHmac("sha256", key).update(Buffer.concat(parts)).digest();
const u64 = (n) => { const b = Buffer.alloc(8); b.writeBigUInt64BE(BigInt(n)); return b; };
const lp = (...items) => Buffer.concat(items.flatMap((item) => {
  const raw = Buffer.from(item, "utf8"), size = Buffer.alloc(2);
  size.writeUInt16BE(raw.length);
  return [size, raw];
}));

// C2SP tlog-tiles: bundles of 256 entries, each after its length in two bytes
function bundle(number, width) {
  const digits = String(number).padStart(Math.ceil(String(number).length / 3) * 3, "0").match(/.{3}/g);
  const name = digits.map((part, place) => (place < digits.length - 1 ? "x" : "") + part).join("/");
  const full = join(folder, "log/tile/entries", name);
  const data = readFileSync(width < 256 && !existsSync(full) ? `${full}.p/${width}` : full);
  const entries = [];
  for (let at = 0; at < data.length && entries.length < width;) {
    const end = at + 2 + data.readUInt16BE(at);
    entries.push(data.subarray(at + 2, end));
    at = end;
  }
  return entries;
}

// RFC 6962: split at the largest power of two below the size
function root(hashes) {
  if (hashes.length === 0) return sha();
  if (hashes.length === 1) return hashes[0];
  let split = 1;
  while (split * 2 < hashes.length) split *= 2;
  return sha(Buffer.from([1]), root(hashes.slice(0, split)), root(hashes.slice(split)));
}

const [origin, size] = readFileSync(join(folder, "log/checkpoint"), "utf8").split("\n");
const leaves = [];
for (let n = 0; n * 256 < Number(size); n += 1) leaves.push(...bundle(n, Math.min(256, Number(size) - n * 256)));

// what the acts make of the agreements: each one's document, the act that both signed for it, and rates lowered since
const acts = Object.fromEntries(readdirSync(join(folder, "acts")).map((name) => {
  const file = JSON.parse(readFileSync(join(folder, "acts", name)));
  return [sha(Buffer.from(file.act)).toString("hex"), file];
}));
const ppm = (percent) => Math.round(Number(percent) * 10000);
const agreements = new Map();
const rulesOf = ({ lanes, rates }) => new Map([
  ...(lanes.campaigns ?? []).map((one) => [`campaign/${one.id}`, { one, purpose: one.purpose }]),
  ...lanes.sample.rates.map((one) => [`sample/${one.group}/${one.phase}`, { one, purpose: lanes.sample.purpose }]),
].map(([name, { one, purpose }]) => [name, { ppm: rates[name] ?? ppm(one.percent), most: one.max_recordings, purpose }]));

// an epoch's lines, which `r` counts through: each agreement's rules in their order, then what is common to those that some
// leg falls under together; acts add to it, nothing leaves it
function add(lines) {
  const all = [...agreements.keys()], covers = new Map();
  const line = (of, rule) => {
    const key = JSON.stringify([rule, of.map((id) => [id, agreements.get(id).signed])]);
    if (!lines.some((one) => one.key === key)) lines.push({ key, rule, of });
  };
  for (const id of all) for (const rule of rulesOf(agreements.get(id)).keys()) line([id], rule);
  const every = (name) => [...new Set(all.flatMap((id) => agreements.get(id).scope[name] ?? []))];
  const has = (id, name, value) => (agreements.get(id).scope[name] ?? []).includes(value);
  const groups = [...new Set(all.flatMap((id) => Object.keys(agreements.get(id).scope.groups)))];
  for (const site of every("sites")) for (const queue of every("queues")) for (const group of groups) {
    if (all.some((id) => has(id, "sites", site) && has(id, "excluded_queues", queue))) continue;
    const of = all.filter((id) => has(id, "sites", site) && has(id, "queues", queue)
      && group in agreements.get(id).scope.groups);
    if (of.length > 1) covers.set(of.map((id) => String(all.indexOf(id)).padStart(3, "0")).join(), of);
  }
  for (const [, of] of [...covers].sort(([one], [other]) => (one < other ? -1 : 1))) {
    const [first, ...others] = of.map((id) => rulesOf(agreements.get(id)));
    for (const [rule, { purpose }] of first) {
      if (others.every((rules) => rules.get(rule)?.purpose === purpose)) line(of, rule);
    }
  }
}

const under = ({ rule, of }) => of.map((id) => {
  const { ppm, most } = rulesOf(agreements.get(id)).get(rule);
  return { key: `${id} ${rule}`, ppm, most, caps: agreements.get(id).lanes.sample.caps.per_agent };
});

const epochs = {}, gaps = [], wrong = [], used = {};
const epoch = (name) => (epochs[name] ??= { legs: [], of: {}, wishes: {}, day: 0, out: {}, lines: null });

function replay(name, host, council) {
  const { legs, out } = epochs[name];
  const total = {}, hits = {}, today = {}, week = {};
  const bump = (counter, key) => { counter[key] = (counter[key] ?? 0) + 1; };
  for (const { a, n, r, day, index, under } of legs) {
    const said = out[`${a}/${n}`];
    if (r === null) {
      if (said !== "no") wrong.push([index, "no", said]);
      continue;
    }
    for (const { key } of under) bump(total, key);
    const y = (role, share) =>
      mac(mac(share, lp("fairtap/v1/agent-key", role, origin, name, a)), lp("fairtap/v1/draw"), u64(n));
    const u = sha(lp("fairtap/v1/u"), y("host", host), y("council", council)).readBigUInt64BE(0);
    let expected = "no";
    if (u < (BigInt(Math.min(...under.map(({ ppm }) => ppm))) << 64n) / 1000000n) {
      const fits = under.every(({ key, ppm, most, caps }) => (hits[key] ?? 0) + 1 <= Math.ceil((ppm * total[key]) / 1000000)
        && (today[`${a}/${day}`] ?? 0) < caps.P1D && (week[a] ?? 0) < caps.P1W
        && (most === undefined || (used[key] ?? 0) < most));
      expected = fits ? "hit" : "cap";
    }
    if (said !== expected) wrong.push([index, expected, said]);
    if (said === "hit") {
      for (const { key } of under) { bump(hits, key); bump(used, key); }
      bump(today, `${a}/${day}`); bump(week, a);
    }
  }
}

leaves.forEach((leaf, index) => {
  const entry = JSON.parse(leaf);
  if (entry.t === "act") {
    const { document, act } = acts[entry.digest];
    const { agreement, type, body, seq } = JSON.parse(act);
    if (document !== null) {
      const { scope, lanes } = JSON.parse(document), signed = type === "agreement" ? seq : agreements.get(agreement).signed;
      agreements.set(agreement, { scope, lanes, signed, rates: {} });
    }
    for (const [name, percent] of Object.entries(body.rates ?? {})) agreements.get(agreement).rates[name] = ppm(percent);
    for (const one of Object.values(epochs)) if (one.lines !== null) add(one.lines);
  } else if (entry.t === "eopen") {
    add((epoch(entry.e).lines = []));
  } else if (entry.t === "day") {
    epoch(entry.e).day = entry.i;
  } else if (entry.t === "call" || entry.t === "wish") {
    const { e, a, n, r } = entry, one = epoch(e), counters = entry.t === "call" ? one.of : one.wishes;
    if (n !== (counters[a] ?? 0) + 1) gaps.push(index);
    counters[a] = n;
    if (entry.t === "call") {
      one.legs.push({ a, n, r, index, day: one.day, under: r === null ? null : under(one.lines[r]) });
    }
  } else if (entry.t === "out" && entry.o !== "wish") {
    epoch(entry.e).out[`${entry.a}/${entry.n}`] = entry.o;
  } else if (entry.t === "reveal") {
    replay(entry.e, Buffer.from(entry.h, "hex"), Buffer.from(entry.c, "hex"));
  }
});

const hashes = leaves.map((leaf) => sha(Buffer.from([0]), leaf));
const legs = Object.values(epochs).reduce((sum, one) => sum + one.legs.length, 0);
console.log(JSON.stringify({ size: leaves.length, root: root(hashes).toString("base64"), gaps, wrong, legs }));
