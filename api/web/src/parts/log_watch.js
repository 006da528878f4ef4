// Tells on the page what the log's memory finds: a warning until it was looked at, afterwards a plain line.

import { ApiProblem, call, fetchBytes } from "./http.js";
import { FAULTS, LogMemory } from "./log_memory.js";
import { at, make, when, word } from "./words.js";

const EVERY_MS = 300_000;

const missing = (error) => {
  if (error instanceof ApiProblem && error.code === "not-found") return null;
  throw error;
};
const SITE = {
  logs: () => call("GET", "/log"),
  checkpoint: async (origin) => {
    const bytes = await fetchBytes(`/log/${origin}/checkpoint`).catch(missing);
    return bytes && new TextDecoder().decode(bytes);
  },
  tile: (origin, path) => fetchBytes(`/log/${origin}/tile/${path}`).catch(missing),
};

export class LogWatch {
  constructor() {
    // every demo is another site at one address: what one window saw is nothing to the next
    this.memory = new LogMemory(document.querySelector(".demo") ? sessionStorage : localStorage, SITE);
    this.shown = null;
    addEventListener("storage", () => this.show());
    setInterval(() => this.look(), EVERY_MS);
    this.show();
    this.look();
  }

  /** One window of this browser at a time, so that none compares what another has already replaced. */
  async look() {
    await navigator.locks.request("fairtap-log", { ifAvailable: true }, async (lock) => {
      if (lock === null) return;
      const now = new Date().toISOString();
      try {
        await this.memory.check(now);
        at("log-checked").textContent = word("log.checked", { when: when(now) });
      } catch {
        at("log-checked").textContent = word("log.unchecked", { when: when(now) });
      }
    });
    this.show();
  }

  show() {
    const { gateway, told } = this.memory.read();
    at("log-key").textContent = gateway ? word("log.signed", { key: gateway }) : "";
    const text = JSON.stringify(told);
    if (text === this.shown) return; // or the focus would be lost, and everything be read out again
    this.shown = text;
    const fresh = told.filter((one) => !one.seen);
    const [faults, rest] = [fresh.filter((one) => FAULTS.includes(one.kind)), fresh.filter((one) => !FAULTS.includes(one.kind))];
    at("log-alarm").replaceChildren(...(faults.length ? [this.warning(faults, "log.alarm", "card problem")] : []));
    at("log-note").replaceChildren(...(rest.length ? [this.warning(rest, "log.note", "card")] : []));
    at("log-seen").replaceChildren(...told.filter((one) => one.seen).map(said));
  }

  warning(told, title, className) {
    const seen = make("button", { type: "button", textContent: word("log.seen") });
    seen.addEventListener("click", () => {
      this.memory.see();
      this.show();
    });
    return make("section", { className }, make("h2", { textContent: word(title) }), ...told.map(said), seen);
  }
}

function said(one) {
  const text = word(`log.${one.kind}`, { origin: one.origin, next: one.next, when: when(one.at) });
  return make("div", {}, make("p", { textContent: text }), evidence(one));
}

/** Both checkpoints, whole, for the works council's own tool; folded, so that the light stays in view. */
function evidence(one) {
  const none = word("log.none");
  const text = `${word("log.before")}\n${one.kept ?? none}\n\n${word("log.now")}\n${one.shown ?? none}\n`;
  const button = make("button", { type: "button", textContent: word("log.copy") });
  const done = make("span", { className: "hint" });
  done.setAttribute("role", "status");
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(text);
    done.textContent = ` ${word("log.copied")}`;
  });
  const both = make("details", {}, make("summary", { textContent: word("log.both") }), make("pre", {}, make("code", { textContent: text })));
  return make("div", {}, both, button, done);
}
