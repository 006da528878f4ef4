// The agent's page: the light first, then keys, seat, answers and recordings.

import { open } from "./parts/bundle.js";
import { Consents } from "./parts/consents.js";
import { ApiProblem, call, signOut } from "./parts/http.js";
import { InCall } from "./parts/in_call.js";
import { Light, holdAwake } from "./parts/light.js";
import { LogWatch } from "./parts/log_watch.js";
import { Recordings } from "./parts/recordings.js";
import { statement } from "./parts/sshsig.js";
import { at, language, onSubmit, tellProblem, when, word } from "./parts/words.js";

let keys = null;
let me = null;

async function readMe() {
  me = await call("GET", "/agents/me");
  at("who").textContent = me.name;
  at("blackout").checked = me.blackout;
  at("keys-since").textContent = me.enrolled_from ? word("seat.keys", { when: when(me.enrolled_from), times: me.enrolments }) : "";
  at("seat-now").textContent = me.extension ? word("seat.at", { extension: me.extension }) : word("seat.none");
  return me;
}

const recordings = new Recordings(() => keys);
const consents = new Consents(readMe, () => keys);
const inCall = new InCall(readMe, () => keys);
const light = new Light(() => recordings.load(), callerAgreed, (leg) => inCall.show(leg));

/** The caller told the agent yes: the agent's own signed word. */
async function callerAgreed(leg) {
  if (!keys) throw new ApiProblem("locked", 0, word("seat.locked"));
  const said = { v: 1, type: "caller_consent", agent: me.id, call: leg.call, purpose: leg.purpose, answer: "yes", language };
  const signed = await statement(keys.seed, "fairtap-caller-consent@v1", said);
  await call("POST", `/agents/me/calls/${leg.call}/caller-agreed`, { purpose: leg.purpose, statement: signed });
}

onSubmit(at("unlock-form"), async () => {
  await readMe();
  if (!me.bundle) throw new ApiProblem("no-bundle", 0, word("seat.no_bundle"));
  try {
    keys = await open(me.bundle, at("six-words").value);
  } catch {
    throw new ApiProblem("wrong-words", 0, word("seat.wrong_words"));
  }
  // only keys that are enrolled are used: a bundle from elsewhere would sign in vain
  if (keys.signingKey !== me.signing_key || keys.recipient !== me.recipient) {
    keys = null;
    throw new ApiProblem("other-keys", 0, word("seat.wrong_words"));
  }
  at("six-words").value = "";
  at("unlock-form").hidden = true;
  at("seat-form").hidden = false;
  at("extension").value = me.extension ?? "";
  at("extension").focus();
  recordings.refresh();
  await Promise.all([consents.load(), inCall.load()]);
});

onSubmit(at("seat-form"), async () => {
  const extension = at("extension").value.trim();
  await readMe();
  const claim = { v: 1, type: "seat", agent: me.id, extension, session: me.session, seq: me.seat_seq + 1,
    place: at("at-home").checked ? "home" : "site" };
  await call("PUT", "/agents/me/seat", { statement: await statement(keys.seed, "fairtap-seat@v1", claim) });
  await readMe();
  at("seat-now").textContent = word("seat.at", { extension });
});

at("blackout").addEventListener("change", async () => {
  try {
    await call("PUT", "/agents/me/blackout", { on: at("blackout").checked });
    tellProblem(null);
  } catch (error) {
    at("blackout").checked = !at("blackout").checked;
    tellProblem(error);
  }
});

at("sign-out").addEventListener("click", () => {
  light.source.close();
  keys = null;
  signOut(true);
});

holdAwake();
consents.load();
inCall.load();
recordings.load();
new LogWatch();
