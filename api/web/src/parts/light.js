// The light: shows each event of the live feed, acknowledges that very event from its own handler, and says "unknown"
// as soon as nothing was heard for 4 s. A gateway that gets no fresh acknowledgement records nothing.

import { printCode } from "./code.js";
import { call } from "./http.js";
import { at, known, make, tellProblem, when, word } from "./words.js";

const SILENCE_MS = 4000;
const READING_MS = 45000;
const STRONGEST = ["recording_both", "recording_agent", "paused", "asking", "off"];
const ACKNOWLEDGED = new Set(["recording_both", "recording_agent", "paused", "asking"]);

export class Light {
  /**
   * `onRecordings` is called when the list of recordings changed, `onAgreed` when the caller told the agent yes,
   * `onLeg` with the call that is on, or null.
   */
  constructor(onRecordings, onAgreed, onLeg) {
    this.onLeg = onLeg;
    this.legs = new Map();
    this.code = null;
    this.page = null;
    this.sure = false;
    this.heard = performance.now();
    this.said = null;
    this.testing = 0;
    this.onRecordings = onRecordings;
    this.onAgreed = onAgreed;
    at("stop").addEventListener("click", () => this.act("stop"));
    at("agreed").addEventListener("click", () => this.agreed());
    at("refused").addEventListener("click", () => this.act("caller-refused"));
    at("pause").addEventListener("click", () => this.pause());
    at("test").addEventListener("click", () => this.test());
    at("read-code").addEventListener("click", () => this.readCode());
    setInterval(() => this.listenForSilence(), 500);
    this.connect();
  }

  connect() {
    this.source?.close();
    const source = new EventSource("/v1/agents/me/live");
    this.source = source;
    const on = (kind, take) => source.addEventListener(kind, (event) => {
      this.heard = performance.now();
      this.testing = 0;
      take(JSON.parse(event.data));
    });
    on("snapshot", (data) => this.snapshot(data));
    on("leg", (data) => this.leg(data));
    on("heartbeat", (data) => this.heartbeat(data));
    on("record_code", (data) => this.showCode(data));
    on("recordings", () => this.onRecordings());
    on("unknown", () => this.lose());
    source.addEventListener("alive", () => { this.heard = performance.now(); });
    source.addEventListener("error", () => {
      this.lose();
      if (source.readyState === EventSource.CLOSED) this.retry(source);
    });
  }

  async retry(source) {
    const gone = await call("GET", "/session").then(() => false, (error) => error.status === 401);
    if (gone) location.assign("/");
    else setTimeout(() => { if (this.source === source) this.connect(); }, 1000);
  }

  snapshot(data) {
    this.page = data.page;
    this.legs = new Map(data.legs.filter((leg) => leg.connected).map((leg) => [leg.call, leg]));
    this.sure = true;
    const [shown] = Object.entries(data.record_codes ?? {});
    if (shown) this.showCode({ call: shown[0], code: shown[1] });
    this.show();
    data.legs.forEach((leg) => this.acknowledge(leg));
  }

  leg(data) {
    if (data.connected) this.legs.set(data.call, data);
    else this.legs.delete(data.call);
    this.show();
    this.acknowledge(data);
  }

  /** The newest record code stays to be read out, also after the call, until another one comes or it finds nothing. */
  showCode(data) {
    if (data.code) this.code = data;
    else if (this.code?.call === data.call) this.code = null;
    at("code-digits").textContent = this.code ? printCode(this.code.code) : "";
    this.show();
  }

  /** Read the code to the caller; pressed again meanwhile, stop: so long the caller doesn't hear the agent. */
  async readCode() {
    const stop = at("read-code").getAttribute("aria-pressed") === "true";
    tellProblem(null);
    try {
      await call(stop ? "DELETE" : "POST", `/agents/me/calls/${this.code.call}/read-code`);
      this.reading(!stop);
    } catch (error) {
      this.reading(false);
      tellProblem(error);
    }
  }

  reading(on) {
    clearTimeout(this.hushed);
    at("read-code").setAttribute("aria-pressed", String(on));
    at("read-code").textContent = word(on ? "code.stop" : "code.read");
    at("code-note").textContent = on ? word("code.reading") : "";
    if (on) this.hushed = setTimeout(() => this.reading(false), READING_MS);
  }

  heartbeat(data) {
    const leg = this.legs.get(data.call);
    if (leg) Object.assign(leg, { state: data.state, seq: data.seq, nonce: data.nonce });
    this.show();
    if (leg) this.acknowledge(data);
  }

  lose() {
    this.sure = false;
    this.page = null;
    this.show();
  }

  listenForSilence() {
    if (this.sure && performance.now() - this.heard > SILENCE_MS) {
      this.lose();
      this.connect();
    }
  }

  acknowledge(event) {
    if (!this.sure || !ACKNOWLEDGED.has(event.state)) return;
    const shown = document.visibilityState === "visible" ? "visible" : "hidden";
    const { call: name, seq, state, nonce } = event;
    // a refusal means that the leg moved on: its next event is acknowledged instead
    call("POST", "/agents/me/live/ack", { call: name, seq, state, nonce, shown, page: this.page }).catch(() => null);
  }

  /** The leg whose state counts most, or null. */
  strongest() {
    const legs = [...this.legs.values()];
    return legs.sort((a, b) => STRONGEST.indexOf(a.state) - STRONGEST.indexOf(b.state))[0] ?? null;
  }

  show() {
    const leg = this.strongest();
    const state = this.sure ? (leg?.state ?? "off") : "unknown";
    this.paint(state);
    at("note").textContent = state === "unknown" ? word("light.unknown_note") : state === "off" ? word("light.off_note")
      : state === "asking" && at("agreed").dataset.alone ? word("light.ask_them") : "";
    this.facts(this.sure ? leg : null, state);
    this.others(leg);
    this.onLeg(this.sure ? leg : null);
    const live = ["recording_both", "recording_agent", "paused"].includes(state);
    at("stop").disabled = !(live || state === "asking" || (state === "unknown" && leg));
    at("refused").disabled = at("stop").disabled;
    at("agreed").disabled = state !== "asking";
    at("pause").disabled = !live;
    at("record-code").hidden = !this.code;
    at("read-code").disabled = !this.code || !this.legs.has(this.code.call);
    at("pause").textContent = word(state === "paused" ? "light.resume" : "light.pause");
    if (state !== this.said) at("announce").textContent = word(`light.${state}`);
    this.said = state;
  }

  paint(state) {
    const words = word(`light.${state}`);
    if (at("light").dataset.state !== state || at("state").textContent !== words) {
      at("light").dataset.state = state;
      at("state").textContent = words;
      at("lamp-shape").setAttribute("href", `/static/icons/shapes.svg#${state}`);
      at("favicon").href = `/static/icons/${state}.svg`;
      document.title = `${words} – ${word("title")}`;
    }
  }

  facts(leg, state) {
    const values = !leg ? {} : {
      since: state === "off" ? "" : when(leg.since),
      lane: leg.lane && word(`lane.${leg.lane}`),
      purpose: leg.purpose && word(`purpose.${leg.purpose}`),
      keep_until: when(leg.keep_until),
      why: leg.why && (known(`why.${leg.why}`) ? word(`why.${leg.why}`) : leg.why),
    };
    for (const place of at("facts").children) {
      const value = values[place.dataset.fact] || "";
      place.hidden = !value;
      place.lastElementChild.textContent = value;
    }
    at("facts").hidden = !Object.values(values).some(Boolean);
  }

  others(shown) {
    const rest = this.sure ? [...this.legs.values()].filter((leg) => leg !== shown) : [];
    at("others").replaceChildren(...rest.map((leg) => make("li", { textContent: word(`light.${leg.state}`) })));
  }

  async act(verb) {
    const leg = this.strongest();
    if (!leg) return;
    tellProblem(null);
    try {
      await call("POST", `/agents/me/calls/${leg.call}/${verb}`);
      at("note").textContent = word("light.stopped");
    } catch (error) {
      tellProblem(error);
    }
  }

  async agreed() {
    const leg = this.strongest();
    if (!leg) return;
    tellProblem(null);
    try {
      await this.onAgreed(leg);
    } catch (error) {
      tellProblem(error);
    }
  }

  async pause() {
    const leg = this.strongest();
    if (!leg) return;
    tellProblem(null);
    try {
      await call("POST", `/calls/${leg.call}/${leg.state === "paused" ? "resume" : "pause"}`);
    } catch (error) {
      tellProblem(error);
    }
  }

  /** Show every state once, so that the agent has seen each; a real event ends the test. */
  async test() {
    const run = performance.now();
    this.testing = run;
    for (const state of ["asking", "recording_agent", "recording_both", "paused", "unknown", "off"]) {
      if (this.testing !== run) return;
      this.paint(state);
      await new Promise((done) => setTimeout(done, 700));
    }
    if (this.testing === run) this.show();
  }
}

/** Keep the browser from freezing this page while it is hidden. */
export function holdAwake() {
  navigator.locks?.request("fairtap-light", { mode: "shared" }, () => new Promise(() => {}));
}
