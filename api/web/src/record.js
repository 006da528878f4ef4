// The caller's page: finds a record by its code and erases the caller's side. The code is sent in bodies only, is in no
// address and in no history, and is forgotten with the page.

import { readCode } from "./parts/code.js";
import { ApiProblem, call } from "./parts/http.js";
import { at, day, make, onSubmit, tellProblem, when, word } from "./parts/words.js";

let code = null;

function told(side) {
  const length = word("record.length", { minutes: Math.floor(side.seconds / 60), seconds: side.seconds % 60 });
  const parts = [word(`record.state_${side.state}`)];
  if (side.state === "kept") parts.push(length);
  if (side.erase_at) parts.push(word("record.erase_at", { when: when(side.erase_at) }));
  return `${word(`record.side_${side.side}`)}: ${parts.join(", ")}`;
}

function show(record) {
  const facts = {
    day: day(record.day), purpose: word(`purpose.${record.purpose}`), keep_until: day(record.keep_until),
    held_until: day(record.held_until),
  };
  for (const place of at("facts").children) {
    place.hidden = !facts[place.dataset.fact];
    place.lastElementChild.textContent = facts[place.dataset.fact];
  }
  at("sides").replaceChildren(...record.sides.map((side) => make("li", { textContent: told(side) })));
  const own = record.sides.find((side) => side.side === "caller");
  at("erasing").hidden = own.erase_at !== null || !["kept", "recording"].includes(own.state);
  hideQuestion();
  at("found").hidden = false;
}

function hideQuestion() {
  at("erase-sure").hidden = true;
  at("erase").setAttribute("aria-expanded", "false");
}

onSubmit(at("record-form"), async () => {
  at("found").hidden = true;
  at("erase-told").textContent = "";
  code = readCode(at("code").value);
  if (!code) throw new ApiProblem("code-mistyped", 0, "");
  show(await call("POST", "/records", { code }));
  at("found").focus();
});

at("erase").addEventListener("click", () => {
  at("erase-sure").hidden = false;
  at("erase").setAttribute("aria-expanded", "true");
  at("erase-yes").focus();
});

at("erase-yes").addEventListener("click", async () => {
  at("erase-yes").disabled = true;
  tellProblem(null);
  try {
    const asked = await call("POST", "/records/erasure", { code });
    show(await call("POST", "/records", { code }));
    at("erase-told").textContent = word("record.erase_told", { when: when(asked.erase_at) });
    at("found").focus();
  } catch (error) {
    tellProblem(error);
  } finally {
    at("erase-yes").disabled = false;
  }
});
