// Whether a key is a coach's: its entry in the log, proven under a checkpoint that the gateway signed, and the six words
// that the coach tells in person. The site is asked for all of it and believed in none.

import { openCheckpoint } from "./checkpoint.js";
import { hex, hmac, join, sha256, unhex } from "./hashes.js";
import { canonical, unbase64 } from "./sshsig.js";

const text = new TextEncoder();
const CONSONANTS = "bdfghjklmnprstvz";
const VOWELS = "aeiou";
const WORDS = 6;

/** Six words for an age recipient, as `policy/key_words` makes them. */
export async function keyWords(recipient) {
  const digest = await sha256(text.encode(`fairtap/v1/key-words\n${recipient}`));
  const letters = [...digest].map((byte, i) => (i % 2 ? VOWELS[byte % VOWELS.length] : CONSONANTS[byte % CONSONANTS.length]));
  return Array.from({ length: WORDS }, (_, i) => letters.slice(4 * i, 4 * i + 4).join("")).join(" ");
}

/** Throws unless the log that `gateway` signs holds this very key as this coach's. `coach`: of `GET /v1/coaches`. */
export async function checkCoach(coach, gateway) {
  const { told, salt, entry, recipient } = coach.key;
  const leaf = JSON.parse(entry.entry);
  const commitment = await hmac(unhex(salt), join(lp("fairtap/v1/commit", "key"), text.encode(canonical(told))));
  if (leaf.t !== "key" || leaf.v !== 1 || leaf.c !== hex(commitment)) throw new Error("another entry");
  if (told.who !== coach.id || told.recipient !== recipient) throw new Error("another key");
  await checkProof(entry, gateway);
}

async function checkProof(entry, gateway) {
  const gap = entry.proof.indexOf("\n\n");
  const lines = entry.proof.slice(0, gap).split("\n").filter((line) => !line.startsWith("extra "));
  if (lines.shift() !== "c2sp.org/tlog-proof@v1") throw new Error("not a proof");
  const index = BigInt(/^index ([0-9]{1,16})$/.exec(lines.shift())[1]);
  const { size, root } = await openCheckpoint(entry.proof.slice(gap + 2), entry.origin, gateway);
  const leaf = await sha256(join(new Uint8Array([0]), text.encode(entry.entry)));
  const found = await climb(leaf, index, BigInt(size) - 1n, lines.map(unbase64));
  if (index !== BigInt(entry.index) || hex(found) !== root) throw new Error("not in the log");
}

/** RFC 9162, 2.1.3.2: the root that a proof leads to. */
async function climb(leaf, node, last, hashes) {
  let at = leaf;
  for (const hash of hashes) {
    if (last === 0n) throw new Error("proof is too long");
    if (node & 1n || node === last) {
      at = await sha256(join(new Uint8Array([1]), hash, at));
      while (!(node & 1n) && node) [node, last] = [node >> 1n, last >> 1n];
    } else {
      at = await sha256(join(new Uint8Array([1]), at, hash));
    }
    [node, last] = [node >> 1n, last >> 1n];
  }
  if (last) throw new Error("proof is too short");
  return at;
}

function lp(...items) {
  return join(...items.flatMap((item) => {
    const bytes = text.encode(item);
    return [new Uint8Array([bytes.length >> 8, bytes.length & 255]), bytes];
  }));
}
