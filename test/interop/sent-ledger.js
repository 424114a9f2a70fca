/**
 * Knows what an agent handed in for export without asking the agent: each body of each signal is a file of its own in the
 * spool for a moment, and its name has a number that counts them. Watches the spool of one agent's folder.
 */
"use strict";
const { mkdirSync, readFileSync, readdirSync, statSync, watch } = require("node:fs");
const { join } = require("node:path");
const { gunzipSync } = require("node:zlib");

const SIGNALS = ["profiles", "metrics", "logs"];
const RECORD = /^\d{13}-(\d{6,})-([0-9a-z]+-\d+-[0-9a-f]+)\.(otlp|sending|tmp)$/;
const LIFE = /^([0-9a-z]+-\d+-[0-9a-f]+)\.life$/;
/** Magic, length and check sum. */
const RECORD_HEADER_BYTES = 12;

class SentLedger {
  /** signal => life => the largest number that was seen. */
  largest = Object.fromEntries(SIGNALS.map((signal) => [signal, new Map()]));
  /** Records that a life left to the next one, which gives them numbers of its own. */
  left = Object.fromEntries(SIGNALS.map((signal) => [signal, 0]));
  /** Records that were being written when their life was killed: the next one counts them as dropped. */
  torn = Object.fromEntries(SIGNALS.map((signal) => [signal, 0]));

  /** @param folder the agent's, before its first start. */
  constructor(folder) {
    this.folder = folder;
    this.watchers = SIGNALS.map((signal) => {
      mkdirSync(this.path(signal), { recursive: true, mode: 0o700 });
      const watcher = watch(this.path(signal), (_event, name) => this.note(signal, name));
      watcher.on("error", () => {}); // Its file system is unmounted before the watcher is closed.
      return watcher;
    });
  }

  close() {
    for (const watcher of this.watchers) watcher.close();
  }

  path(signal) {
    return join(this.folder, "spool", signal);
  }

  note(signal, name) {
    const [, number, life] = RECORD.exec(name ?? "") ?? [];
    if (life === undefined) return;
    const known = this.largest[signal].get(life) ?? -1;
    this.largest[signal].set(life, Math.max(known, Number(number)));
  }

  names(signal) {
    return readdirSync(this.path(signal)).filter((name) => RECORD.test(name));
  }

  /** The agent was killed: what lies there now is handed in once, and numbered twice. */
  noteDeath() {
    for (const signal of SIGNALS) {
      const isTorn = (name) => /\.tmp$/.test(name);
      const names = this.names(signal);
      this.left[signal] += names.filter((name) => !isTorn(name)).length;
      this.torn[signal] += names.filter(isTorn).length;
    }
  }

  /** Bodies handed in by all lives so far. */
  sent(signal) {
    for (const name of this.names(signal)) this.note(signal, name);
    return [...this.largest[signal].values()].reduce((sum, number) => sum + number + 1, 0) - this.left[signal];
  }

  /** Numbers of the bodies that wait now; the one on its way included. */
  waitingNumbers(signal) {
    return new Set(this.names(signal).map((name) => RECORD.exec(name).slice(1, 3).join()));
  }

  waiting(signal) {
    return this.names(signal).filter((name) => !/\.tmp$/.test(name)).length;
  }

  /** Of all records. */
  waitingBytes(signal) {
    const sizes = this.names(signal).map((name) => {
      const file = statSync(join(this.path(signal), name), { throwIfNoEntry: false });
      return /\.tmp$/.test(name) || file === undefined ? 0 : file.size;
    });
    return sizes.reduce((sum, size) => sum + size, 0);
  }

  /** Uncompressed bodies that wait. */
  waitingBodies(signal) {
    return this.names(signal).map((name) =>
      gunzipSync(readFileSync(join(this.path(signal), name)).subarray(RECORD_HEADER_BYTES)),
    );
  }

  /** What the agent itself counted as dropped; those of dead lives are counted on by the living. */
  dropped(signal) {
    return this.lifeFile(signal)?.droppedCount ?? 0;
  }

  /** Totals that the last life replaced by newer ones before they were sent. */
  replaced(signal) {
    return this.lifeFile(signal)?.replacedCount ?? 0;
  }

  lifeFile(signal) {
    const files = readdirSync(this.path(signal)).filter((name) => LIFE.test(name));
    if (files.length > 1) throw new Error(`${files.length} lives at once`);
    return files.length === 0 ? null : JSON.parse(readFileSync(join(this.path(signal), files[0]), "utf8"));
  }
}

module.exports = { SIGNALS, SentLedger };
