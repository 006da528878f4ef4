// A recording as sound: each side decoded (WAVs here, Opus by the browser), both joined, agent left, caller right.

import { decodeG722 } from "./g722.js";

const OPUS_RATE = 48000;

/** `{rate, samples}` of an opened file. */
export async function decodeSound(bytes) {
  if (bytes.length < 4 || tag(bytes, 0) !== "OggS") return decodeWav(bytes);
  const context = new OfflineAudioContext(1, 1, OPUS_RATE);
  const sound = await context.decodeAudioData(bytes.slice().buffer);
  const samples = Int16Array.from(sound.getChannelData(0), (value) => Math.max(-32768, Math.min(32767, Math.round(value * 32768))));
  return { rate: sound.sampleRate, samples };
}

/** A-law byte to 16-bit sample (ITU-T G.711, table 1a). */
export function alaw(byte) {
  const code = byte ^ 0x55;
  const exponent = (code >> 4) & 7;
  const mantissa = (code & 15) << 4;
  const size = exponent === 0 ? mantissa + 8 : (mantissa + 0x108) << (exponent - 1);
  return code & 0x80 ? size : -size;
}

/** µ-law byte to 16-bit sample (ITU-T G.711, table 2a). */
export function ulaw(byte) {
  const code = ~byte & 0xff;
  const size = ((((code & 15) << 3) + 0x84) << ((code >> 4) & 7)) - 0x84;
  return code & 0x80 ? -size : size;
}

/** `{rate, samples}` of a mono G.711, G.722 or 16-bit WAV; the lengths in it may be unknown (all ones). */
export function decodeWav(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes.length < 12 || tag(bytes, 0) !== "RIFF" || tag(bytes, 8) !== "WAVE") throw new Error("not a WAV");
  let position = 12;
  let format = null;
  while (position + 8 <= bytes.length) {
    const size = view.getUint32(position + 4, true);
    const start = position + 8;
    const end = Math.min(start + size, bytes.length);
    if (tag(bytes, position) === "fmt " && end - start >= 16) {
      format = { code: view.getUint16(start, true), channels: view.getUint16(start + 2, true), rate: view.getUint32(start + 4, true) };
    } else if (tag(bytes, position) === "data" && format) {
      return { rate: format.rate, samples: decode(format, view, start, end) };
    }
    position = start + size + (size & 1);
  }
  throw new Error("a WAV without sound");
}

/** A stereo 16-bit WAV from `[{side, rate, samples, at}]`, `at` in seconds; its rate is the highest of theirs. */
export function joinSides(parts) {
  const rate = Math.max(...parts.map((part) => part.rate));
  parts = parts.map((part) => ({ ...part, samples: resampled(part.samples, part.rate, rate) }));
  const length = Math.max(...parts.map((part) => Math.round(part.at * rate) + part.samples.length));
  const bytes = new Uint8Array(44 + length * 4);
  const view = new DataView(bytes.buffer);
  const head = new TextEncoder();
  bytes.set(head.encode("RIFF"), 0);
  view.setUint32(4, 36 + length * 4, true);
  bytes.set(head.encode("WAVEfmt "), 8);
  [[16, 4], [1, 2], [2, 2], [rate, 4], [rate * 4, 4], [4, 2], [16, 2]].reduce((place, [value, size]) => {
    if (size === 4) view.setUint32(place, value, true);
    else view.setUint16(place, value, true);
    return place + size;
  }, 16);
  bytes.set(head.encode("data"), 36);
  view.setUint32(40, length * 4, true);
  for (const { side, samples, at } of parts) {
    const first = Math.round(at * rate) * 4 + 44 + (side === "agent" ? 0 : 2);
    samples.forEach((sample, index) => view.setInt16(first + index * 4, sample, true));
  }
  return bytes;
}

function decode(format, view, start, end) {
  if (format.channels !== 1) throw new Error("not mono");
  if (format.code === 0x028f) return decodeG722(new Uint8Array(view.buffer, view.byteOffset + start, end - start));
  if (format.code === 1) {
    return Int16Array.from({ length: (end - start) >> 1 }, (_, i) => view.getInt16(start + 2 * i, true));
  }
  const law = { 6: alaw, 7: ulaw }[format.code];
  if (!law) throw new Error("neither G.711, G.722 nor PCM");
  return Int16Array.from({ length: end - start }, (_, i) => law(view.getUint8(start + i)));
}

/** Samples at another rate, by straight lines between them. */
function resampled(samples, rate, wanted) {
  if (rate === wanted) return samples;
  const last = samples.length - 1;
  return Int16Array.from({ length: Math.floor((samples.length * wanted) / rate) }, (_, i) => {
    const place = (i * rate) / wanted;
    const before = Math.min(Math.floor(place), last);
    const after = Math.min(before + 1, last);
    return Math.round(samples[before] + (samples[after] - samples[before]) * (place - before));
  });
}

const tag = (bytes, place) => String.fromCharCode(...bytes.subarray(place, place + 4));
