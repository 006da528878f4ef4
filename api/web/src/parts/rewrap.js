// An age header for another recipient over the same file key (C2SP age, X25519 stanza): what a release consists of.

import { chacha20poly1305 } from "@noble/ciphers/chacha.js";
import { x25519 } from "@noble/curves/ed25519.js";
import { Decrypter } from "age-encryption";

import { hmac, join } from "./hashes.js";
import { base64 } from "./sshsig.js";

const text = new TextEncoder();
const BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
const CHECKSUM = 6;
const MAC = "\n---";

/** The header at the start of an age file. */
export function headerOf(file) {
  const start = new TextDecoder("latin1").decode(file.subarray(0, 65536));
  const mac = start.indexOf(MAC);
  const end = start.indexOf("\n", mac + 1);
  if (mac < 0 || end < 0) throw new Error("not an age file");
  return file.slice(0, end + 1);
}

/** The header that opens the same payload for `recipient` alone, made by who can open `header`. */
export async function rewrap(header, identity, recipient) {
  const decrypter = new Decrypter();
  decrypter.addIdentity(identity);
  return seal(await decrypter.decryptHeader(header), recipient);
}

async function seal(fileKey, recipient) {
  const theirs = decode(recipient);
  const secret = x25519.utils.randomSecretKey();
  const share = x25519.getPublicKey(secret);
  const key = await hkdf(x25519.getSharedSecret(secret, theirs), join(share, theirs), "age-encryption.org/v1/X25519");
  const body = chacha20poly1305(key, new Uint8Array(12)).encrypt(fileKey);
  const stanza = `age-encryption.org/v1\n-> X25519 ${unpadded(share)}\n${unpadded(body)}${MAC}`;
  const mac = await hmac(await hkdf(fileKey, new Uint8Array(0), "header"), text.encode(stanza));
  return text.encode(`${stanza} ${unpadded(mac)}\n`);
}

async function hkdf(secret, salt, info) {
  const key = await crypto.subtle.importKey("raw", secret, "HKDF", false, ["deriveBits"]);
  const how = { name: "HKDF", hash: "SHA-256", salt, info: text.encode(info) };
  return new Uint8Array(await crypto.subtle.deriveBits(how, key, 256));
}

/** The 32 bytes of a recipient whose spelling was checked against the log. */
function decode(recipient) {
  const letters = recipient.slice("age1".length, -CHECKSUM);
  const bytes = [];
  let [bits, held] = [0, 0];
  for (const letter of letters) {
    [bits, held] = [(bits << 5) | BECH32.indexOf(letter), held + 5];
    if (held >= 8) {
      held -= 8;
      bytes.push((bits >> held) & 255);
      bits &= (1 << held) - 1;
    }
  }
  if (bytes.length !== 32 || !recipient.startsWith("age1")) throw new Error("not a recipient");
  return Uint8Array.from(bytes);
}

const unpadded = (bytes) => base64(bytes).replace(/=+$/, "");
