// G.722 at 64 kbit/s (ITU-T G.722, mode 1) decoded: one byte to two samples at 16 kHz. As `audio/g722.py` does.

const LOW6 = [
  -136, -136, -136, -136, -24808, -21904, -19008, -16704, -14984, -13512, -12280, -11192, -10232, -9360, -8576, -7856,
  -7192, -6576, -6000, -5456, -4944, -4464, -4008, -3576, -3168, -2776, -2400, -2032, -1688, -1360, -1040, -728, 24808,
  21904, 19008, 16704, 14984, 13512, 12280, 11192, 10232, 9360, 8576, 7856, 7192, 6576, 6000, 5456, 4944, 4464, 4008,
  3576, 3168, 2776, 2400, 2032, 1688, 1360, 1040, 728, 432, 136, -432, -136,
];
const LOW4 = [0, -20456, -12896, -8968, -6288, -4240, -2584, -1200, 20456, 12896, 8968, 6288, 4240, 2584, 1200, 0];
const LOW_LOG = [-60, 3042, 1198, 538, 334, 172, 58, -30, 3042, 1198, 538, 334, 172, 58, -30, -60];
const HIGH2 = [-7408, -1616, 7408, 1616];
const HIGH_LOG = [798, -214, 798, -214];
const LINEAR = Array.from({ length: 32 }, (_, step) => Math.round(2048 * 2 ** (step / 32)));
const QMF = [3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11];

const clip = (value, most) => Math.max(-most - 1, Math.min(most, value));
const sat = (value) => clip(value, 32767);

/** Samples of 16 bits at 16 kHz. */
export function decodeG722(bytes) {
  const low = new Band(32, 8, 18432);
  const high = new Band(8, 10, 22528);
  const past = new Int32Array(24);
  const out = new Int16Array(bytes.length * 2);
  bytes.forEach((code, at) => {
    const six = code & 63;
    const lower = clip(low.s + ((low.step * LOW6[six]) >> 15), 16383);
    low.adapt((low.step * LOW4[six >> 2]) >> 15, LOW_LOG[six >> 2]);
    const difference = (high.step * HIGH2[code >> 6]) >> 15;
    const upper = clip(high.s + difference, 16383);
    high.adapt(difference, HIGH_LOG[code >> 6]);
    past.copyWithin(0, 2);
    past[22] = lower + upper;
    past[23] = lower - upper;
    let even = 0;
    let odd = 0;
    for (let i = 0; i < 12; i += 1) {
      odd += past[2 * i] * QMF[i];
      even += past[2 * i + 1] * QMF[11 - i];
    }
    out[2 * at] = sat(even >> 11);
    out[2 * at + 1] = sat(odd >> 11);
  });
  return out;
}

/** A sub-band's step and its predictor of two poles and six zeros. */
class Band {
  constructor(step, shift, most) {
    Object.assign(this, { step, shift, most, log: 0, s: 0, sz: 0, a1: 0, a2: 0, r1: 0, p1: 0, p2: 0 });
    this.zeros = [0, 0, 0, 0, 0, 0];
    this.differences = [0, 0, 0, 0, 0, 0];
  }

  adapt(difference, grown) {
    this.log = Math.max(0, Math.min(this.most, ((this.log * 127) >> 7) + grown));
    this.step = ((LINEAR[(this.log >> 6) & 31] << 4) >> (4 + this.shift - (this.log >> 11))) << 2;
    const r0 = sat(this.s + difference);
    const p0 = sat(this.sz + difference);
    const alike = p0 < 0 === this.p1 < 0;
    const first = sat(this.a1 * 4);
    const second = Math.min(alike ? -first : first, 32767) >> 7;
    this.a2 = Math.max(-12288, Math.min(12288, (p0 < 0 === this.p2 < 0 ? 128 : -128) + second + ((this.a2 * 32512) >> 15)));
    const limit = 15360 - this.a2;
    this.a1 = Math.max(-limit, Math.min(limit, (alike ? 192 : -192) + ((this.a1 * 32640) >> 15)));
    const gain = difference === 0 ? 0 : 128;
    this.zeros = this.zeros.map((zero, i) => {
      const same = difference < 0 === this.differences[i] < 0;
      return (same ? gain : -gain) + ((zero * 32640) >> 15);
    });
    this.differences = [difference, ...this.differences.slice(0, 5)];
    this.sz = sat(this.zeros.reduce((sum, zero, i) => sum + ((zero * sat(2 * this.differences[i])) >> 15), 0));
    const poles = ((this.a1 * sat(2 * r0)) >> 15) + ((this.a2 * sat(2 * this.r1)) >> 15);
    this.s = sat(sat(poles) + this.sz);
    [this.r1, this.p2, this.p1] = [r0, this.p1, p0];
  }
}
