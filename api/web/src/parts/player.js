// Opens a recording's sides with one's own key and puts a player in the button's place. Nothing opened is stored.

import { Decrypter } from "age-encryption";

import { fetchBytes } from "./http.js";
import { decodeSound, joinSides } from "./sound.js";
import { make, tellProblem, word } from "./words.js";

/** `sides` of `{side, seg, started?}`; without starts, segments stand one after the other. */
export async function player(item, sides, identity, button, status) {
  button.disabled = true;
  status.textContent = word("recordings.opening");
  try {
    const sounds = await Promise.all(sides.map(async (side) => ({
      side: side.side, seg: side.seg, start: Date.parse(side.started ?? item.started),
      ...(await decodeSound(await opened(`/recordings/${item.id}/sides/${side.side}/${side.seg}.age`, identity))),
    })));
    const url = URL.createObjectURL(new Blob([joinSides(placed(sounds))], { type: "audio/wav" }));
    button.replaceWith(make("audio", { controls: true, src: url }));
    status.textContent = "";
  } catch (error) {
    button.disabled = false;
    status.textContent = error.code ? "" : word("recordings.cannot");
    if (error.code) tellProblem(error);
  }
}

async function opened(path, identity) {
  const decrypter = new Decrypter();
  decrypter.addIdentity(identity);
  return decrypter.decrypt(await fetchBytes(path));
}

function placed(sounds) {
  const zero = Math.min(...sounds.map((one) => one.start));
  if (!Number.isNaN(zero)) return sounds.map((one) => ({ ...one, at: (one.start - zero) / 1000 }));
  const seconds = (one) => one.samples.length / one.rate;
  const before = (seg) => [...new Set(sounds.map((one) => one.seg))].filter((other) => other < seg)
    .reduce((sum, other) => sum + Math.max(...sounds.filter((one) => one.seg === other).map(seconds)), 0);
  return sounds.map((one) => ({ ...one, at: before(one.seg) }));
}
