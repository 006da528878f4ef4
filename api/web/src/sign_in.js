// Three ways in: name and password, a one-time code, a challenge signed with an anchored key.

import { call } from "./parts/http.js";
import { canonical } from "./parts/sshsig.js";
import { at, onSubmit, tellProblem } from "./parts/words.js";

const HOME = { agent: "/agent", enrolling: "/agent", council: "/council", dpo: "/dpo", coach: "/coach", coach_enrolling: "/coach" };
let challenge = null;

async function enter(body) {
  const session = await call("POST", "/session", body);
  location.assign(HOME[session.role] ?? "/");
}

onSubmit(at("password-form"), () => enter({ login: at("login").value.trim(), password: at("password").value }));
onSubmit(at("code-form"), () => enter({ code: at("code").value.trim().toLowerCase() }));
onSubmit(at("party-form"), () =>
  enter({ role: at("role").value, challenge: challenge?.challenge ?? "", signature: at("signature").value.trim() + "\n" }));

at("make-challenge").addEventListener("click", async () => {
  try {
    challenge = await call("GET", "/session/challenge");
    const signed = canonical({ challenge: challenge.challenge, role: at("role").value, site: challenge.site });
    at("challenge-file").href = URL.createObjectURL(new Blob([signed], { type: "application/json" }));
    at("challenge").hidden = false;
    tellProblem(null);
  } catch (error) {
    tellProblem(error);
  }
});

at("role").addEventListener("change", () => {
  // a challenge names its role
  challenge = null;
  at("challenge").hidden = true;
});
