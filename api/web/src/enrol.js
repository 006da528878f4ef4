// Enrolment: six words first, on paper; then keys made here, sealed, opened again from what was typed, and only then
// bound by a statement that the new key signs.

import { newKeys, newPassphrase, normal, open, seal } from "./parts/bundle.js";
import { ApiProblem, call } from "./parts/http.js";
import { statement } from "./parts/sshsig.js";
import { at, onSubmit, word } from "./parts/words.js";

const passphrase = newPassphrase();
at("passphrase").textContent = passphrase;

at("written").addEventListener("click", () => {
  at("step-words").hidden = true;
  at("enrol-form").hidden = false;
  at("typed").focus();
});

onSubmit(at("enrol-form"), async () => {
  if (normal(at("typed").value) !== passphrase) {
    at("step-words").hidden = false;
    throw new ApiProblem("wrong-words", 0, word("enrol.test_wrong"));
  }
  at("working").textContent = word("enrol.working");
  try {
    const keys = await newKeys();
    const bundle = await seal(keys, passphrase);
    const tested = await open(bundle, at("typed").value);
    if (tested.identity !== keys.identity || tested.signingKey !== keys.signingKey) throw new Error("backup differs");
    const { room, home } = at("enrol-form").dataset;
    const me = await call("GET", room);
    const from = new Date().toISOString();
    await call("POST", `${room}/enrolment`, {
      login: at("login").value,
      password: at("password").value,
      signing_key: keys.signingKey,
      statement: await statement(keys.seed, "fairtap-enrol@v1", { agent: me.id, recipient: keys.recipient, from }),
      bundle,
    });
    location.assign(home);
  } finally {
    at("working").textContent = "";
  }
});
