// Releasing a recording to a coach, taking it back, and who heard it: one folded part of each own recording.

import { gatewayKey } from "./checkpoint.js";
import { checkCoach, keyWords } from "./coach_key.js";
import { hex, sha256 } from "./hashes.js";
import { ApiProblem, call, fetchBytes } from "./http.js";
import { headerOf, rewrap } from "./rewrap.js";
import { base64, statement } from "./sshsig.js";
import { make, tellProblem, when, word } from "./words.js";

const NAMESPACE = "fairtap-release@v1";
const DAYS = [1, 3, 7];
const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;

export class Releases {
  /** `keys()` gives the opened keys, or null. */
  constructor(item, sides, keys) {
    [this.item, this.sides, this.keys] = [item, sides, keys];
    this.list = make("ul");
    this.form = make("div");
    this.status = make("p", { className: "hint" });
    this.status.setAttribute("role", "status");
    this.place = make("details", {}, make("summary", { textContent: word("release.title") }), this.list, this.form, this.status);
    this.place.addEventListener("toggle", () => this.place.open && this.load());
  }

  async load() {
    try {
      const [{ releases }, { coaches }] = await Promise.all([
        call("GET", `/recordings/${this.item.id}/releases`), call("GET", "/coaches"),
      ]);
      this.list.replaceChildren(...releases.map((one) => this.line(one)));
      this.form.replaceChildren(...(coaches.length ? this.asking(coaches) : [make("p", { textContent: word("release.none") })]));
    } catch (error) {
      tellProblem(error);
    }
  }

  line(one) {
    const standing = !one.revoked_at && Date.parse(one.until) > Date.now();
    const key = one.revoked_at ? "release.over" : "release.stands";
    const row = make("li", { textContent: word(key, { name: one.name, when: when(one.revoked_at ?? one.until) }) });
    if (!standing) return row;
    const button = make("button", { type: "button", textContent: word("release.revoke") });
    button.addEventListener("click", () => this.do(button, () => call("DELETE", `/recordings/${this.item.id}/releases/${one.id}`)));
    row.append(" ", button);
    return row;
  }

  asking(coaches) {
    const coach = make("select", {}, ...coaches.map((one) => make("option", { value: one.id, textContent: one.name })));
    const days = make("select", {}, ...DAYS.map((count) => make("option", { value: count, textContent: word("release.days", { count }) })));
    const same = make("input", { type: "checkbox" });
    const words = make("p");
    const button = make("button", { type: "button", textContent: word("release.do"), disabled: true });
    const chosen = () => coaches.find((one) => one.id === coach.value);
    const show = async () => {
      [same.checked, button.disabled] = [false, true];
      words.textContent = word("release.words", { name: chosen().name, words: await keyWords(chosen().key.recipient) });
    };
    coach.addEventListener("change", show);
    same.addEventListener("change", () => { button.disabled = !same.checked; });
    button.addEventListener("click", () => this.do(button, () => this.release(chosen(), Number(days.value))));
    show();
    return [
      make("p", { className: "hint", textContent: word("release.lead") }),
      make("label", {}, `${word("release.coach")} `, coach),
      make("label", {}, `${word("release.for")} `, days),
      words,
      make("label", { className: "check" }, same, " ", make("span", { textContent: word("release.same") })),
      button,
    ];
  }

  async do(button, work) {
    button.disabled = true;
    tellProblem(null);
    try {
      const told = await work();
      this.status.textContent = told ?? "";
      await this.load();
    } catch (error) {
      button.disabled = false;
      tellProblem(error);
    }
  }

  async release(coach, days) {
    const keys = this.keys();
    if (!keys) throw new ApiProblem("locked", 0, word("seat.locked"));
    await this.proven(coach);
    const latest = Math.min(Date.now() + days * DAY_MS - MINUTE_MS, Date.parse(this.item.keep_until));
    const until = `${new Date(latest).toISOString().slice(0, 19)}Z`;
    const id = hex(crypto.getRandomValues(new Uint8Array(16)));
    const sides = await Promise.all(this.sides.map(async (side) => {
      const own = headerOf(await fetchBytes(`/recordings/${this.item.id}/sides/${side.side}/${side.seg}.age`));
      const header = await rewrap(own, keys.identity, coach.key.recipient);
      const said = {
        v: 1, id, rec: this.item.id, side: side.side, seg: side.seg, to: coach.id, to_key: coach.key.recipient,
        purpose: this.item.purpose, until, header_sha256: hex(await sha256(header)),
      };
      return { statement: await statement(keys.seed, NAMESPACE, said), header: base64(header) };
    }));
    const done = await call("POST", `/recordings/${this.item.id}/releases`, { sides });
    return word("release.done", { name: coach.name, when: when(until), left: done.evaluations_left });
  }

  /** The key that the recording's own manifest names signs the log that holds the coach's key. */
  async proven(coach) {
    if (!coach.key.entry.proof) throw new ApiProblem("coach-unpublished", 0, "");
    const { side, seg } = this.sides[0];
    const manifest = await call("GET", `/recordings/${this.item.id}/sides/${side}/${seg}.manifest.json`);
    try {
      await checkCoach(coach, gatewayKey(manifest.gateway));
    } catch {
      throw new ApiProblem("coach-unproven", 0, "");
    }
  }
}
