// Whether one tree of the log begins with another: a consistency proof made from hash tiles (C2SP tlog-tiles), then
// verified against both roots (RFC 9162, 2.1.4). Whoever hands out the tiles is believed in nothing.

import { hex, join, sha256, unhex } from "./hashes.js";

const WIDTH = 256;
const HASH = 32;
/** SHA-256 of nothing: the root of a tree without leaves. */
const EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/**
 * Throws unless the tree `after` begins with the tree `before` (`{size, root}`, hex digits). `read` gives the bytes of a
 * tile by its path, null where there is none; what it throws itself passes through.
 */
export async function checkGrowth(before, after, read) {
  if (before.size > after.size) throw new Error("a tree doesn't shrink");
  if (before.size === after.size || before.size === 0) {
    if (before.root !== (before.size === after.size ? after.root : EMPTY)) throw new Error("another root");
    return;
  }
  const tiles = new Map();
  const proof = [];
  for (const [start, end] of proofRanges(before.size, after.size)) {
    proof.push(await rangeHash(start, end, (level, index) => node(tiles, read, level, index, after.size)));
  }
  await verify(before, after, proof);
}

/** RFC 9162, 2.1.4.2, on numbers up to 2^53: halves instead of shifts, which have 32 bits here. */
async function verify(before, after, proof) {
  const hashes = 2 ** Math.round(Math.log2(before.size)) === before.size ? [unhex(before.root), ...proof] : proof;
  let [at, last] = [before.size - 1, after.size - 1];
  const up = () => { [at, last] = [Math.floor(at / 2), Math.floor(last / 2)]; };
  while (at % 2) up();
  let [old, grown] = [hashes[0], hashes[0]];
  for (const hash of hashes.slice(1)) {
    if (last === 0) throw new Error("proof is too long");
    if (at % 2 || at === last) {
      [old, grown] = [await nodeHash(hash, old), await nodeHash(hash, grown)];
      while (at % 2 === 0 && at) up();
    } else {
      grown = await nodeHash(grown, hash);
    }
    up();
  }
  if (last || hex(old) !== before.root || hex(grown) !== after.root) throw new Error("the log doesn't go on as it was");
}

/** The ranges of leaves whose hashes prove it, innermost first. */
function proofRanges(before, after) {
  const path = [];
  let [start, end] = [0, after];
  while (end !== before) {
    const split = start + powerUnder(end - start);
    if (before <= split) {
      path.push([split, end]);
      end = split;
    } else {
      path.push([start, split]);
      start = split;
    }
  }
  if (start) path.push([start, end]);
  return path.reverse();
}

/** The largest power of two under `size`, which is at least 2. */
function powerUnder(size) {
  let power = 1;
  while (power * 2 < size) power *= 2;
  return power;
}

/** The hash over leaves from `start`, at the edge of a perfect subtree, up to `end`. */
async function rangeHash(start, end, read) {
  const peaks = [];
  for (let from = start; from < end;) {
    let [level, size] = [0, 1];
    while (size * 2 <= end - from) [level, size] = [level + 1, size * 2];
    peaks.push(await read(level, from / size));
    from += size;
  }
  let found = peaks.pop();
  while (peaks.length) found = await nodeHash(peaks.pop(), found);
  return found;
}

/** The hash of a perfect subtree of the tree of `size` leaves, folded from its tile; tiles are kept in `tiles`. */
async function node(tiles, read, level, index, size) {
  const tileLevel = Math.floor(level / 8);
  const count = 2 ** (level % 8);
  const first = index * count;
  const number = Math.floor(first / WIDTH);
  const width = Math.min(WIDTH, Math.floor(size / WIDTH ** tileLevel) - number * WIDTH);
  const path = tilePath(tileLevel, number);
  if (!tiles.has(path)) tiles.set(path, await readTile(read, path, width));
  const place = first - number * WIDTH;
  let hashes = [];
  for (let i = place; i < place + count; i++) hashes.push(tiles.get(path).slice(i * HASH, (i + 1) * HASH));
  while (hashes.length > 1) {
    const above = [];
    for (let i = 0; i < hashes.length; i += 2) above.push(await nodeHash(hashes[i], hashes[i + 1]));
    hashes = above;
  }
  return hashes[0];
}

/** A partial tile goes once its full one stands. */
async function readTile(read, path, width) {
  const part = width < WIDTH ? await read(`${path}.p/${width}`) : null;
  const expected = part ? width : WIDTH;
  const bytes = part ?? (await read(path));
  if (bytes?.length !== expected * HASH) throw new Error("a tile is missing or isn't as wide as it should be");
  return bytes;
}

/** `0/x001/234`, below the log's `tile/`. */
function tilePath(level, number) {
  const digits = String(number);
  const groups = digits.padStart(Math.ceil(digits.length / 3) * 3, "0").match(/.../g);
  return [level, ...groups.slice(0, -1).map((group) => `x${group}`), groups.at(-1)].join("/");
}

const nodeHash = (left, right) => sha256(join(new Uint8Array([1]), left, right));
