// A coach's page: what agents have released, opened with the coach's own keys and played. Nothing opened is stored.

import { keyWords } from "./parts/coach_key.js";
import { open } from "./parts/bundle.js";
import { ApiProblem, call, signOut } from "./parts/http.js";
import { player } from "./parts/player.js";
import { at, day, make, onSubmit, tellProblem, when, word } from "./parts/words.js";

let keys = null;

async function load() {
  try {
    const { items } = await call("GET", "/recordings");
    at("released").replaceChildren(...items.map(row));
    at("released-none").hidden = items.length > 0;
  } catch (error) {
    tellProblem(error);
  }
}

function row(item) {
  const values = { day: day(item.day), purpose: word(`purpose.${item.purpose}`), when: when(item.until) };
  const play = make("button", { type: "button", className: "play", textContent: word("recordings.play"), disabled: !keys });
  const status = make("p", { className: "hint" });
  status.setAttribute("role", "status");
  play.addEventListener("click", () => player(item, item.sides, keys.identity, play, status));
  return make("li", {}, make("p", { textContent: word("coach.row", values) }), play, status);
}

onSubmit(at("unlock-form"), async () => {
  const me = await call("GET", "/coaches/me");
  if (!me.bundle) throw new ApiProblem("no-bundle", 0, word("seat.no_bundle"));
  try {
    keys = await open(me.bundle, at("six-words").value);
  } catch {
    throw new ApiProblem("wrong-words", 0, word("seat.wrong_words"));
  }
  if (keys.recipient !== me.recipient) {
    keys = null;
    throw new ApiProblem("other-keys", 0, word("seat.wrong_words"));
  }
  at("six-words").value = "";
  at("unlock-form").hidden = true;
  for (const button of document.querySelectorAll("#released button.play")) button.disabled = false;
});

async function readMe() {
  const me = await call("GET", "/coaches/me");
  at("who").textContent = me.name;
  // reckoned here: the page that an agent looks at does the same
  if (me.recipient) at("own-words").textContent = word("coach.words", { words: await keyWords(me.recipient) });
}

at("sign-out").addEventListener("click", () => {
  keys = null;
  signOut(false);
});

readMe().catch(tellProblem);
load();
