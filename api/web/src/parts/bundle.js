// The agent's keys: made here, sealed under six words (age, scrypt), opened here again. `age -d` opens a bundle too,
// and what it writes is a key file for `age -i` and `fairtap listen -i`.

import { Decrypter, Encrypter, generateX25519Identity, identityToRecipient } from "age-encryption";

import { base64, newSeed, publicLine, unbase64 } from "./sshsig.js";

const WORK_FACTOR = 16;
const CONSONANTS = "bdfghjklmnprstvz";
const VOWELS = "aeiou";
const WORDS = 6;

/** Six pronounceable words from 6 × 12.6 random bits, in no language. */
export function newPassphrase() {
  const words = [];
  while (words.length < WORDS) words.push(newWord());
  return words.join(" ");
}

/** What is meant by typed words: case, hyphens and blanks don't matter. */
export const normal = (typed) => typed.trim().toLowerCase().split(/[\s-]+/).join(" ");

/** Fresh keys: `{identity, recipient, seed, signingKey}`. */
export async function newKeys() {
  return withPublic(await generateX25519Identity(), newSeed());
}

/** The sealed bundle as base64. */
export async function seal(keys, passphrase) {
  const encrypter = new Encrypter();
  encrypter.setScryptWorkFactor(WORK_FACTOR);
  encrypter.setPassphrase(normal(passphrase));
  const plain = `# fairtap key bundle v1\n# public key: ${keys.recipient}\n# signing: ${base64(keys.seed)}\n${keys.identity}\n`;
  return base64(await encrypter.encrypt(plain));
}

/** The keys in a sealed bundle; throws for other words. */
export async function open(bundle, passphrase) {
  const decrypter = new Decrypter();
  decrypter.addPassphrase(normal(passphrase));
  const plain = await decrypter.decrypt(unbase64(bundle), "text");
  const seed = /^# signing: ([A-Za-z0-9+/=]{44})$/m.exec(plain);
  const identity = /^AGE-SECRET-KEY-1[0-9A-Z]+$/m.exec(plain);
  if (!seed || !identity) throw new Error("not a key bundle");
  return withPublic(identity[0], unbase64(seed[1]));
}

async function withPublic(identity, seed) {
  return { identity, recipient: await identityToRecipient(identity), seed, signingKey: publicLine(seed) };
}

function newWord() {
  let word = "";
  for (let i = 0; i < 2; i++) word += CONSONANTS[below(CONSONANTS.length)] + VOWELS[below(VOWELS.length)];
  return word;
}

// without modulo bias
function below(limit) {
  const byte = new Uint8Array(1);
  do crypto.getRandomValues(byte);
  while (byte[0] >= 256 - (256 % limit));
  return byte[0] % limit;
}
