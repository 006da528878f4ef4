// Root, dense counters and the draw with ceiling, caps and campaigns, written a second time from the contract's formulas.
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

// the agreement's rules in the order of their index: campaigns, then sample rates
const acts = Object.fromEntries(readdirSync(join(folder, "acts")).map((name) => {
  const file = JSON.parse(readFileSync(join(folder, "acts", name)));
  return [sha(Buffer.from(file.act)).toString("hex"), file];
}));
const ppm = (percent) => Math.round(Number(percent) * 10000);
let lanes = null;
let rates = {};
const rule = (r) => {
  const campaigns = lanes.campaigns ?? [];
  const one = r < campaigns.length ? campaigns[r] : lanes.sample.rates[r - campaigns.length];
  const name = r < campaigns.length ? `campaign/${one.id}` : `sample/${one.group}/${one.phase}`;
  return { ppm: rates[name] ?? ppm(one.percent), campaign: r < campaigns.length ? one : null };
};

const epochs = {}, gaps = [], wrong = [], used = {};
const epoch = (name) => (epochs[name] ??= { legs: [], of: {}, wishes: {}, day: 0, out: {} });

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
    bump(total, r);
    const y = (role, share) =>
      mac(mac(share, lp("fairtap/v1/agent-key", role, origin, name, a)), lp("fairtap/v1/draw"), u64(n));
    const u = sha(lp("fairtap/v1/u"), y("host", host), y("council", council)).readBigUInt64BE(0);
    let expected = "no";
    if (u < (BigInt(under.ppm) << 64n) / 1000000n) {
      const caps = lanes.sample.caps.per_agent, campaign = under.campaign;
      const fits = (hits[r] ?? 0) + 1 <= Math.ceil((under.ppm * total[r]) / 1000000)
        && (today[`${a}/${day}`] ?? 0) < caps.P1D && (week[a] ?? 0) < caps.P1W
        && (campaign === null || (used[campaign.id] ?? 0) < campaign.max_recordings);
      expected = fits ? "hit" : "cap";
    }
    if (said !== expected) wrong.push([index, expected, said]);
    if (said === "hit") {
      bump(hits, r); bump(today, `${a}/${day}`); bump(week, a);
      if (under.campaign !== null) bump(used, under.campaign.id);
    }
  }
}

leaves.forEach((leaf, index) => {
  const entry = JSON.parse(leaf);
  if (entry.t === "act") {
    const { document, act } = acts[entry.digest];
    if (document !== null) lanes = JSON.parse(document).lanes;
    for (const [name, percent] of Object.entries(JSON.parse(act).body.rates ?? {})) rates[name] = ppm(percent);
  } else if (entry.t === "day") {
    epoch(entry.e).day = entry.i;
  } else if (entry.t === "call" || entry.t === "wish") {
    const { e, a, n, r } = entry, one = epoch(e), counters = entry.t === "call" ? one.of : one.wishes;
    if (n !== (counters[a] ?? 0) + 1) gaps.push(index);
    counters[a] = n;
    if (entry.t === "call") one.legs.push({ a, n, r, index, day: one.day, under: r === null ? null : rule(r) });
  } else if (entry.t === "out" && entry.o !== "wish") {
    epoch(entry.e).out[`${entry.a}/${entry.n}`] = entry.o;
  } else if (entry.t === "reveal") {
    replay(entry.e, Buffer.from(entry.h, "hex"), Buffer.from(entry.c, "hex"));
  }
});

const hashes = leaves.map((leaf) => sha(Buffer.from([0]), leaf));
const legs = Object.values(epochs).reduce((sum, one) => sum + one.legs.length, 0);
console.log(JSON.stringify({ size: leaves.length, root: root(hashes).toString("base64"), gaps, wrong, legs }));
