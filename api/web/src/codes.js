// Enrolment codes, in the session of council or DPO: made for one agent, shown once.

import { call, signOut } from "./parts/http.js";
import { at, make, tellProblem, word } from "./parts/words.js";

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
  const cells = [agent.name, agent.group, word(state)].map((text) => make("td", { textContent: text }));
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

at("sign-out").addEventListener("click", () => signOut(false));
load();
