/**
 * Runs on the service's main thread. Owns the last word of the process: one record, written when Node says that it exits,
 * or by the addon when the heap is full and no JavaScript runs any more. Must not throw, wait, or keep the process alive.
 */
import { closeSync, constants, openSync, writeSync } from "node:fs";
import { framed } from "../model/framed-records";
import type { LastWord } from "../model/life";
import type { NativeAddon } from "../native";

const HEAP_LIMIT: LastWord = { type: "heap-limit" };

export class LastWordWriter {
  #descriptor = -1;

  /** @param heapLimit the addon that watches the heap limit; null: nobody does. */
  constructor(private readonly heapLimit: Pick<NativeAddon, "setHeapLimitWord"> | null) {}

  /** @param endFile made by the agent's worker, which has checked the folder. */
  follow(endFile: string): void {
    const flags = constants.O_WRONLY | constants.O_APPEND | constants.O_NOFOLLOW;
    const before = this.#descriptor;
    this.#descriptor = openSync(endFile, flags);
    this.heapLimit?.setHeapLimitWord(this.#descriptor, Buffer.from(framed(HEAP_LIMIT)));
    if (before >= 0) closeSync(before);
  }

  /** In the process's `exit` event. */
  exited(code: number): void {
    if (this.#descriptor < 0) return;
    const word: LastWord = { type: "exit", code, timeMillis: Date.now() };
    try {
      writeSync(this.#descriptor, framed(word));
    } catch {
      // The process leaves all the same, and the next life says that nothing was said.
    }
  }
}
