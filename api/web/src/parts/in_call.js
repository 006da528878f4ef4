// What the agent may ask for in a call, and their own answers for it: a yes is signed with their key, a no needs none.

import { call } from "./http.js";
import { statement } from "./sshsig.js";
import { at, known, language, make, tellProblem, word } from "./words.js";

export class InCall {
  /** `me()` reads the agent's data anew, `keys()` gives the opened keys or null. */
  constructor(me, keys) {
    this.me = me;
    this.keys = keys;
    this.leg = null;
    this.agreement = null;
    at("for-caller").addEventListener("click", () => this.request("customer_request"));
    at("for-me").addEventListener("click", () => this.request("agent_request"));
  }

  /** The agreement says what can be asked for and answered. */
  async load() {
    this.agreement = await call("GET", "/agreements/current").catch(() => null);
    const purposes = this.agreement?.drawn_for ?? [];
    at("own-answers").replaceChildren(...purposes.map((purpose) => this.answers(purpose)));
    this.show(this.leg);
  }

  /** The call that is on now, or null. */
  show(leg) {
    if (leg?.call !== this.leg?.call || leg?.state.startsWith("recording")) at("in-call-note").textContent = "";
    this.leg = leg;
    const asked = this.agreement?.asked_for ?? {};
    at("in-call").hidden = !leg || !this.agreement;
    at("for-caller").hidden = !asked.customer_request;
    at("for-me").hidden = !asked.agent_request;
    at("for-caller").disabled = !this.keys() || leg?.lane === "customer_request";
    at("for-me").disabled = !this.keys() || (leg?.state !== "off" && Boolean(asked[leg?.lane]));
    at("in-call-locked").hidden = Boolean(this.keys());
    for (const button of at("own-answers").querySelectorAll("[data-yes]")) button.disabled = !this.keys();
  }

  answers(purpose) {
    const yes = make("button", { type: "button", textContent: word("in_call.yes") });
    const no = make("button", { type: "button", textContent: word("in_call.no") });
    yes.dataset.yes = purpose;
    yes.addEventListener("click", () => this.answer(purpose, "yes"));
    no.addEventListener("click", () => this.answer(purpose, "no"));
    return make("div", { className: "acts" }, make("span", { textContent: word(`purpose.${purpose}`) }), yes, no);
  }

  request(lane) {
    const purpose = this.agreement.asked_for[lane];
    return this.act("request-record", async () => ({ lane, statement: await this.yes(purpose) }), "in_call.asked");
  }

  answer(purpose, answer) {
    const body = async () => (answer === "yes" ? { purpose, answer, statement: await this.yes(purpose) } : { purpose, answer });
    return this.act("consent", body, `in_call.said_${answer}`);
  }

  async act(verb, body, said) {
    tellProblem(null);
    try {
      await call("POST", `/agents/me/calls/${this.leg.call}/${verb}`, await body());
      at("in-call-note").textContent = word(said);
    } catch (error) {
      const why = `why.${(error.code ?? "").toUpperCase().replaceAll("-", "_")}`;
      if (known(why)) at("in-call-note").textContent = word("in_call.refused", { why: word(why) });
      else tellProblem(error);
    }
  }

  async yes(purpose) {
    const me = await this.me();
    // the text stands on this page, whatever the standing answer to it is
    const text = this.agreement.consents.find((one) => one.purpose === purpose);
    const said = { v: 1, type: "call_consent", agent: me.id, call: this.leg.call, purpose, answer: "yes" };
    if (text) said.text_sha256 = text.sha256[language];
    return statement(this.keys().seed, "fairtap-call-consent@v1", said);
  }
}
