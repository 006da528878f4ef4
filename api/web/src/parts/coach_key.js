// Whether a key is a coach's: its entry in the log, proven under a checkpoint that the gateway signed, and the six words
// that the coach tells in person. The site is asked for all of it and believed in none.

import { ed25519 } from "@noble/curves/ed25519.js";

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

/** The Ed25519 key of a verifier key `name+hash+base64` (C2SP signed-note). */
export function gatewayKey(vkey) {
  const bytes = unbase64(vkey.slice(vkey.indexOf("+", vkey.indexOf("+") + 1) + 1));
  if (bytes.length !== 33 || bytes[0] !== 1) throw new Error("not an ed25519 verifier key");
  return bytes.slice(1);
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
  const [head, ...note] = entry.proof.split("\n\n");
  const lines = head.split("\n").filter((line) => !line.startsWith("extra "));
  if (lines.shift() !== "c2sp.org/tlog-proof@v1") throw new Error("not a proof");
  const index = BigInt(/^index ([0-9]{1,16})$/.exec(lines.shift())[1]);
  const [body, signatures] = [`${note[0]}\n`, note[1]];
  const [origin, size, root] = body.split("\n");
  const signed = signatures.split("\n").filter((line) => line.startsWith(`— ${origin} `));
  const holds = signed.some((line) => ed25519.verify(unbase64(line.split(" ").pop()).slice(4), text.encode(body), gateway));
  if (origin !== entry.origin || !holds) throw new Error("not signed by the gateway");
  const leaf = await sha256(join(new Uint8Array([0]), text.encode(entry.entry)));
  const found = await climb(leaf, index, BigInt(size) - 1n, lines.map(unbase64));
  if (index !== BigInt(entry.index) || hex(found) !== hex(unbase64(root))) throw new Error("not in the log");
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
