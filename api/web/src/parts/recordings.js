// The agent's own recordings: listed, saved as locked files, opened and played in the page. Nothing opened is stored.

import { call } from "./http.js";
import { player } from "./player.js";
import { Releases } from "./releases.js";
import { at, make, tellProblem, when, word } from "./words.js";

export class Recordings {
  /** `keys()` gives the opened keys, or null. */
  constructor(keys) {
    this.keys = keys;
    this.next = null;
    at("more").addEventListener("click", () => this.load(true));
  }

  async load(more = false) {
    try {
      const page = await call("GET", `/recordings?limit=10${more && this.next ? `&cursor=${this.next}` : ""}`);
      const rows = page.items.map((item) => this.inUse(item) ?? this.row(item));
      if (more) at("recordings").append(...rows);
      else at("recordings").replaceChildren(...rows);
      this.next = page.next;
      at("more").hidden = !page.next;
      at("recordings-none").hidden = at("recordings").children.length > 0;
    } catch (error) {
      tellProblem(error);
    }
  }

  /** A row that somebody listens to or has unfolded stays, and what is unfolded is read anew. */
  inUse(item) {
    const row = document.querySelector(`#recordings > li[data-item="${item.id} ${item.state} ${sealedOf(item).length}"]`);
    if (!row?.querySelector("details[open], audio")) return null;
    for (const place of row.querySelectorAll("details[open]")) place.dispatchEvent(new Event("toggle"));
    return row;
  }

  /** Whether keys are open changed. */
  refresh() {
    for (const button of document.querySelectorAll("#recordings button.play")) button.disabled = !this.keys();
  }

  row(item) {
    const told = word("recordings.row", {
      started: when(item.started), purpose: word(`purpose.${item.purpose}`), keep: when(item.keep_until),
    });
    const row = make("li", {}, make("p", { textContent: `${told} (${word(`state.${item.state}`)})` }));
    const sealed = sealedOf(item);
    row.dataset.item = `${item.id} ${item.state} ${sealed.length}`;
    if (!sealed.length) return row;
    const play = make("button", { type: "button", className: "play", textContent: word("recordings.play"), disabled: !this.keys() });
    const status = make("p", { className: "hint" });
    status.setAttribute("role", "status");
    play.addEventListener("click", () => player(item, sealed, this.keys().identity, play, status));
    const links = sealed.map((side) => make("li", {}, make("a", {
      href: `/v1/recordings/${item.id}/sides/${side.side}/${side.seg}.age`,
      textContent: word("recordings.save", { side: word(`side.${side.side}`), seg: side.seg }),
    })));
    row.append(play, status, make("ul", {}, ...links));
    row.append(this.accesses(item));
    if (item.lane !== "agent_request" && item.ended) row.append(new Releases(item, sealed, this.keys).place);
    if (sealed.some((side) => side.side === "agent")) row.append(this.takeBack(item, status));
    return row;
  }

  /** Who else fetched something of it, asked for when it is opened. */
  accesses(item) {
    const list = make("ul");
    const place = make("details", {}, make("summary", { textContent: word("accesses.title") }), list);
    place.addEventListener("toggle", async () => {
      if (!place.open) return;
      try {
        const { accesses } = await call("GET", `/recordings/${item.id}/accesses`);
        const lines = accesses.map((one) => word("accesses.line", {
          when: when(one.at), role: [word(`role.${one.role}`), one.name].filter(Boolean).join(" "), what: word(`accesses.${one.what}`),
          side: word(`side.${one.side}`), seg: one.seg,
        }));
        list.replaceChildren(...(lines.length ? lines : [word("accesses.none")]).map((textContent) => make("li", { textContent })));
      } catch (error) {
        tellProblem(error);
      }
    });
    return place;
  }

  /** Two presses: what the first one means, then the doing. */
  takeBack(item, status) {
    const button = make("button", { type: "button", textContent: word("recordings.erase") });
    let sure = false;
    button.addEventListener("click", async () => {
      if (!sure) {
        sure = true;
        status.textContent = word("recordings.erase_lead");
        button.textContent = word("recordings.erase_yes");
        return;
      }
      button.disabled = true;
      try {
        const asked = await call("DELETE", `/recordings/${item.id}/sides/agent`);
        status.textContent = word("recordings.erase_told", { when: when(asked.erase_at) });
      } catch (error) {
        button.disabled = false;
        tellProblem(error);
      }
    });
    return button;
  }
}

const sealedOf = (item) => item.sides.filter((side) => side.state === "sealed");
