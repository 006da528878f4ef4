// The agent's standing answers: the text in force for each purpose, a yes signed with the agent's key, a no without.

import { call } from "./http.js";
import { statement } from "./sshsig.js";
import { at, language, make, tellProblem, word } from "./words.js";

export class Consents {
  /** `me()` reads the agent's data anew, `keys()` gives the opened keys or null. */
  constructor(me, keys) {
    this.me = me;
    this.keys = keys;
  }

  async load() {
    try {
      const me = await this.me();
      const agreement = await call("GET", "/agreements/current").catch((error) => {
        if (error.code === "no-agreement") return null;
        throw error;
      });
      at("agreed").hidden = !agreement?.channels.includes("agent_key");
      // nobody else asks: no prompt is played where keys are no agreed answer
      at("agreed").dataset.alone = agreement && !agreement.channels.includes("dtmf") ? "yes" : "";
      const none = make("p", { textContent: word("consent.none") });
      at("consents").replaceChildren(...(agreement ? agreement.consents.map((one) => this.form(one, me, agreement)) : [none]));
    } catch (error) {
      tellProblem(error);
    }
  }

  form(one, me, agreement) {
    const answer = me.consents[one.purpose] ?? "unset";
    const form = make("form", {}, make("h3", { textContent: word(`purpose.${one.purpose}`) }));
    const now = make("p", { textContent: word("consent.now", { answer: word(`consent.${answer}`) }) });
    const text = make("details", {}, make("summary", { textContent: one.text[language].split("\n")[0] }));
    text.append(make("p", { className: "text", textContent: one.text[language] }));
    const home = make("input", { type: "checkbox" });
    const yes = make("button", { type: "button", textContent: word("consent.say_yes"), disabled: !this.keys() });
    const no = make("button", { type: "button", textContent: word("consent.say_no") });
    // who said no is left alone for a while: the question stays shut until the agent opens it
    const alone = me.ask_again_at[one.purpose];
    text.open = answer === "unset" || (answer === "no" && (!alone || Date.parse(alone) <= Date.now()));
    yes.addEventListener("click", () => this.answer(one, "yes", home.checked));
    no.addEventListener("click", () => this.answer(one, "no", false));
    form.append(now, text);
    if (agreement.home_office_separate) {
      text.append(make("label", { className: "check" }, home, make("span", { textContent: word("consent.home") })));
    }
    text.append(make("div", { className: "acts" }, yes));
    form.append(make("div", { className: "acts" }, no));
    return form;
  }

  async answer(one, answer, home) {
    tellProblem(null);
    try {
      const body = { answer };
      if (answer === "yes") body.statement = await this.signed(one, home);
      await call("PUT", `/agents/me/consents/${one.purpose}`, body);
    } catch (error) {
      tellProblem(error);
    }
    await this.load();
  }

  async signed(one, home) {
    const me = await this.me();
    return statement(this.keys().seed, "fairtap-consent@v1", {
      v: 1, type: "consent", agent: me.id, purpose: one.purpose, answer: "yes", text_sha256: one.sha256[language], language,
      scope: { home_office: home }, seq: (me.consent_seqs[one.purpose] ?? 0) + 1, at: new Date().toISOString(),
    });
  }
}
