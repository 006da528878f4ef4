// The room of council and DPO: enrolment codes, made for one person and shown once; coaches; the files of a caller's record, which
// both together open; credentials of IVRs.

import { readCode } from "./parts/code.js";
import { ApiProblem, call, signOut } from "./parts/http.js";
import { at, make, onSubmit, tellProblem, word } from "./parts/words.js";

function row(agent) {
  const state = !agent.enabled ? "codes.disabled" : agent.enrolled ? "codes.enrolled" : "codes.open";
  const place = make("td");
  if (agent.enabled) {
    const button = make("button", { type: "button", textContent: word("codes.make") });
    button.addEventListener("click", async () => {
      try {
        const made = await call("POST", `/agents/${agent.id}/codes`);
        place.replaceChildren(make("code", { textContent: made.code }));
        tellProblem(null);
      } catch (error) {
        tellProblem(error);
      }
    });
    place.append(button);
  }
  // new keys set all answers to unset: how often is told here, and to the agent
  const times = agent.enrolments > 1 ? ` (${word("codes.times", { times: agent.enrolments })})` : "";
  const cells = [agent.name, agent.group, word(state) + times].map((text) => make("td", { textContent: text }));
  return make("tr", {}, ...cells, place);
}

async function load() {
  try {
    let cursor = "";
    do {
      const page = await call("GET", `/agents?limit=200&cursor=${cursor}`);
      at("agents").append(...page.items.map(row));
      cursor = page.next;
    } while (cursor);
    at("none").hidden = at("agents").children.length > 0;
  } catch (error) {
    tellProblem(error);
  }
}

function fileLinks(recording, side, seg) {
  return ["age", "quorum"].map((kind) => {
    const name = `${side}-${seg}.${kind}`;
    return make("li", {}, make("a", { href: `/v1/recordings/${recording}/sides/${side}/${seg}.${kind}`, download: name, textContent: name }));
  });
}

onSubmit(at("together-form"), async () => {
  at("files").replaceChildren();
  at("steps").hidden = true;
  const code = readCode(at("code").value);
  if (!code) throw new ApiProblem("code-mistyped", 0, "");
  const record = await call("POST", "/records", { code });
  const links = record.sides.flatMap((side) => side.segments.flatMap((seg) => fileLinks(record.recording, side.side, seg)));
  at("files").replaceChildren(...(links.length ? links : [make("li", { textContent: word("together.none") })]));
  at("steps").hidden = !links.length;
});

async function loadCoaches() {
  try {
    const { coaches } = await call("GET", "/coaches");
    at("coaches").replaceChildren(...coaches.map((coach) => {
      const button = make("button", { type: "button", textContent: word("coaches.end") });
      button.addEventListener("click", async () => {
        try {
          await call("DELETE", `/coaches/${coach.id}`);
          await loadCoaches();
        } catch (error) {
          tellProblem(error);
        }
      });
      return make("li", {}, `${coach.name} `, button);
    }));
  } catch (error) {
    tellProblem(error);
  }
}

onSubmit(at("coach-form"), async () => {
  at("coach-code").textContent = (await call("POST", "/coaches", { name: at("coach-name").value.trim() })).code;
});

onSubmit(at("ivr-form"), async () => {
  at("ivr-token").textContent = (await call("POST", "/ivrs", { name: at("ivr-name").value })).token;
});

at("sign-out").addEventListener("click", () => signOut(false));
load();
loadCoaches();
