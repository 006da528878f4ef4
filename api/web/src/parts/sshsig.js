// Signatures with the agent's acting key: SSHSIG (OpenSSH PROTOCOL.sshsig) over canonical JSON, Ed25519 and SHA-512.

import { ed25519 } from "@noble/curves/ed25519.js";

const text = new TextEncoder();

/** Canonical JSON (RFC 8785) of strings, safe integers, booleans, null, arrays and objects. */
export function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value !== null && typeof value === "object") {
    const members = Object.keys(value).sort().map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`);
    return `{${members.join(",")}}`;
  }
  if (typeof value === "number" && !Number.isSafeInteger(value)) throw new TypeError("not a safe integer");
  return JSON.stringify(value);
}

/** A fresh 32-byte seed. */
export const newSeed = () => crypto.getRandomValues(new Uint8Array(32));

/** The public key line `ssh-ed25519 AAAA…`. */
export const publicLine = (seed) => `ssh-ed25519 ${base64(keyBlob(seed))}`;

/** `{document, signature}`: a statement as the API takes it. */
export async function statement(seed, namespace, value) {
  const document = canonical(value);
  return { document, signature: await sign(seed, namespace, text.encode(document)) };
}

/** The armoured signature of `message` for `namespace`. */
export async function sign(seed, namespace, message) {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-512", message));
  const magic = text.encode("SSHSIG");
  const signed = join(magic, string(namespace), string(""), string("sha512"), string(hash));
  const inner = join(string("ssh-ed25519"), string(ed25519.sign(signed, seed)));
  const version = new Uint8Array([0, 0, 0, 1]);
  const blob = join(magic, version, string(keyBlob(seed)), string(namespace), string(""), string("sha512"), string(inner));
  const lines = base64(blob).match(/.{1,70}/g).join("\n");
  return `-----BEGIN SSH SIGNATURE-----\n${lines}\n-----END SSH SIGNATURE-----\n`;
}

export function base64(bytes) {
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}

export const unbase64 = (encoded) => Uint8Array.from(atob(encoded), (letter) => letter.charCodeAt(0));

const keyBlob = (seed) => join(string("ssh-ed25519"), string(ed25519.getPublicKey(seed)));

function string(value) {
  const bytes = typeof value === "string" ? text.encode(value) : value;
  const size = new Uint8Array(4);
  new DataView(size.buffer).setUint32(0, bytes.length);
  return join(size, bytes);
}

function join(...parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let position = 0;
  for (const part of parts) {
    whole.set(part, position);
    position += part.length;
  }
  return whole;
}
