// What this browser has seen of the site's logs, and whatever doesn't go on from it. The first key and the first
// checkpoint of each log are believed; from then on a log may only grow. What doesn't fit is told, never taken over.

import { gatewayKey, openCheckpoint } from "./checkpoint.js";
import { checkGrowth } from "./log_growth.js";

const PLACE = "fairtap.log";
const ORIGIN = /^([a-z0-9-]{1,63}\/fairtap\/[0-9]{4}-[0-9]{2})(?:-r([1-9][0-9]{0,2}))?$/;
/** Of the logs that the site names, so many of the newest are looked at; those seen before always are. */
const NEWEST = 6;
/** Checks for which a shrunk log is waited for, while the one that was begun in its place isn't published yet. */
const PATIENCE = 2;

/** What is told: `restored` is no fault, the others are. `root`: one size, two roots. */
export const FAULTS = ["key", "signature", "gone", "shrunk", "root", "not_grown"];

export class LogMemory {
  /**
   * `store` is as localStorage; `site` has `logs()` (of `GET /v1/log`), `checkpoint(origin)` and `tile(origin, path)`,
   * both null for what isn't there. What those throw means that nothing can be said now.
   */
  constructor(store, site) {
    [this.store, this.site, this.waited] = [store, site, new Map()];
  }

  /** `{gateway, logs: {origin: note}, told: [{kind, origin, next, kept, shown, at, seen}]}`. */
  read() {
    return JSON.parse(this.store.getItem(PLACE)) ?? { gateway: null, logs: {}, told: [] };
  }

  /** Everything that was told has been looked at. */
  see() {
    const memory = this.read();
    for (const one of memory.told) one.seen = true;
    this.store.setItem(PLACE, JSON.stringify(memory));
  }

  /** Look at every log once; `at` is the instant to tell. Throws where the site doesn't answer: nothing is kept then. */
  async check(at) {
    const { gateway, logs } = await this.site.logs();
    if (!logs.every((origin) => ORIGIN.test(origin))) throw new Error("not a list of logs");
    const memory = this.read();
    const key = gatewayKey(memory.gateway ?? gateway);
    const found = { gateway: memory.gateway ?? gateway, logs: {}, told: [] };
    if (gateway !== found.gateway) {
      found.told.push({ kind: "key", origin: gateway.split("/")[0], kept: found.gateway, shown: gateway });
    } else {
      for (const origin of new Set([...Object.keys(memory.logs), ...logs.slice(-NEWEST)])) {
        await this.look(origin, logs, memory, key, found);
      }
    }
    this.keep(found, at);
  }

  /** One log: what is kept of it or told goes into `found`. */
  async look(origin, logs, memory, key, found) {
    const [kept, shown] = [memory.logs[origin] ?? null, await this.site.checkpoint(origin)];
    const kind = await this.judge(origin, kept, shown, key);
    if (kind === "shrunk" || kind === "gone") {
      const [next, opened] = await this.successor(origin, logs, key);
      if (next && !opened && (this.waited.get(origin) ?? 0) < PATIENCE) {
        this.waited.set(origin, (this.waited.get(origin) ?? 0) + 1);
        return;
      }
      const told = memory.told.some((one) => one.kind === "restored" && one.origin === origin && sameTree(one.shown, shown));
      if (told) return;
      const fresh = next && opened && !(next in memory.logs);
      found.told.push({ kind: fresh ? "restored" : kind, origin, next: fresh ? next : null, kept, shown });
    } else if (kind !== null) {
      found.told.push({ kind, origin, next: null, kept, shown });
    } else if (shown !== null) {
      const before = kept === null && Object.keys(memory.logs).filter((one) => follows(origin, one)).at(-1);
      const told = [...memory.told, ...found.told].some((one) => one.next === origin);
      if (before && !told) found.told.push({ kind: "restored", origin: before, next: origin, kept: memory.logs[before], shown });
      found.logs[origin] = shown;
    }
    this.waited.delete(origin);
  }

  /** One of FAULTS, or null where what is shown may be kept, or nothing ever was. */
  async judge(origin, kept, shown, key) {
    if (shown === null) return kept === null ? null : "gone";
    const now = await openCheckpoint(shown, origin, key).catch(() => null);
    if (now === null) return "signature";
    if (kept === null) return null;
    const before = await openCheckpoint(kept, origin, key);
    if (now.size < before.size) return "shrunk";
    if (now.size === before.size) return now.root === before.root ? null : "root";
    let silent = null;
    const read = (path) => this.site.tile(origin, path).catch((error) => {
      silent = error;
      throw error;
    });
    try {
      await checkGrowth(before, now, read);
    } catch {
      if (silent) throw silent;
      return "not_grown";
    }
    return null;
  }

  /** The log that was begun last in this one's place, if any, and whether a checkpoint of it opens. */
  async successor(origin, logs, key) {
    const next = logs.filter((one) => follows(one, origin)).sort((a, b) => restores(a) - restores(b)).at(-1);
    if (!next) return [null, false];
    const shown = await this.site.checkpoint(next);
    return [next, shown !== null && (await openCheckpoint(shown, next, key).then(() => true, () => false))];
  }

  /** At one go: whatever another window noted meanwhile stays. */
  keep(found, at) {
    const memory = this.read();
    const fresh = found.told.filter((one) => !memory.told.some((old) => same(old, one)));
    memory.gateway ??= found.gateway;
    Object.assign(memory.logs, found.logs);
    memory.told.push(...fresh.map((one) => ({ ...one, at, seen: false })));
    this.store.setItem(PLACE, JSON.stringify(memory));
  }
}

const same = (a, b) => a.kind === b.kind && a.origin === b.origin && (a.next ?? null) === (b.next ?? null);
const restores = (origin) => Number(ORIGIN.exec(origin)[2] ?? 0);
const follows = (later, origin) => ORIGIN.exec(later)[1] === ORIGIN.exec(origin)[1] && restores(later) > restores(origin);
const treeOf = (note) => note?.slice(0, note.lastIndexOf("\n\n")) ?? null;
const sameTree = (a, b) => treeOf(a) === treeOf(b);
