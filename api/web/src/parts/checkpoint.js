// Checkpoints of the log (C2SP signed-note, tlog-checkpoint), opened with the gateway's key. Nothing here asks anybody.

import { ed25519 } from "@noble/curves/ed25519.js";

import { hex, join, sha256 } from "./hashes.js";
import { base64, unbase64 } from "./sshsig.js";

const text = new TextEncoder();
const MAX_NOTE = 1 << 16;
const TEXT = /^([^\s+]{1,256})\n(0|[1-9][0-9]{0,15})\n([A-Za-z0-9+/]{43}=)\n$/;
const LINE = /^— ([^\s+]{1,256}) ([A-Za-z0-9+/]+={0,2})$/;

/** The Ed25519 key of a verifier key `name+hash+base64` (C2SP signed-note). */
export function gatewayKey(vkey) {
  const bytes = unbase64(vkey.slice(vkey.indexOf("+", vkey.indexOf("+") + 1) + 1));
  if (bytes.length !== 33 || bytes[0] !== 1) throw new Error("not an ed25519 verifier key");
  return bytes.slice(1);
}

/**
 * `{origin, size, root}` of the checkpoint that the log `origin` signed with `key` (32 bytes); `root` in hex digits.
 * Lines of other signers prove nothing and are passed over. Throws for everything else, also for another spelling.
 */
export async function openCheckpoint(note, origin, key) {
  const gap = note.lastIndexOf("\n\n");
  if (note.length > MAX_NOTE || gap < 0 || !note.endsWith("\n")) throw new Error("not a signed note");
  const body = note.slice(0, gap + 1);
  const said = TEXT.exec(body);
  if (said === null || said[1] !== origin) throw new Error("not a checkpoint of this log");
  const [size, root] = [Number(said[2]), exact(said[3])];
  if (!Number.isSafeInteger(size)) throw new Error("larger than a log can be");
  const id = hex((await sha256(join(text.encode(`${origin}\n`), new Uint8Array([1]), key))).slice(0, 4));
  const own = signatures(note.slice(gap + 2)).filter((one) => one.name === origin && hex(one.bytes.slice(0, 4)) === id);
  const holds = (one) => one.bytes.length === 68 && ed25519.verify(one.bytes.slice(4), text.encode(body), key);
  if (!own.length || !own.every(holds)) throw new Error("not signed by the gateway");
  return { origin, size, root: hex(root) };
}

function signatures(lines) {
  return lines.slice(0, -1).split("\n").map((line) => {
    const found = LINE.exec(line);
    if (found === null) throw new Error("not a line of a signature");
    return { name: found[1], bytes: exact(found[2]) };
  });
}

/** Base64 that prints back alike. */
function exact(encoded) {
  const bytes = unbase64(encoded);
  if (base64(bytes) !== encoded) throw new Error("not canonical base64");
  return bytes;
}
