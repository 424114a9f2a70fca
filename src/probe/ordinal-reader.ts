/**
 * Runs on the service's main thread and its worker threads. Owns the reading of V8's ordinal counter.
 * Must check before each read that the sampler still is ours: after another tool stopped it, the memory may be gone.
 */
import type { CounterView } from "../native";
import type { SamplingEngine } from "./engine";

const HIGH_WORD = 4_294_967_296;
const NOT_OURS = -1;

export class OrdinalReader {
  #view: CounterView | null = null;
  constructor(private readonly engine: SamplingEngine) {}

  /** To be called after each start of the sampler: a view belongs to one life of it. */
  reopen(): void {
    this.#view = this.engine.labels?.counterView() ?? null;
  }

  /** The greatest ordinal handed out; -1 when the sampler is not ours (any more) or has no counter. */
  read(): number {
    const view = this.#view;
    if (view === null) return this.engine.readOrdinal();
    const word = view.profilerWord;
    if (word[0] !== view.expectedLow || word[1] !== view.expectedHigh) return NOT_OURS;
    const sampler = view.sampler;
    if (sampler[view.intervalIndex] !== view.intervalBytes) return NOT_OURS;
    const at = view.ordinalIndex;
    return (sampler[at] as number) + (sampler[at + 1] as number) * HIGH_WORD;
  }
}
