/**
 * Runs on the service's main thread and its worker threads. Owns what the agent has cost that thread so far, by component.
 * Pure. Must not ask for anything to be counted while the service runs: it prices what is counted anyway, and the one
 * sample in 16 that is timed where samples are interposed.
 */
import type { ThreadCost } from "../model/cost";
import type { LabelMechanism } from "../model/messages";

/**
 * CPU time of one sample in ms: V8's record of it, its weak handle and its death, and of each frame of its stack walk.
 * Measured with bursts of 2,300 samples at depths 1-60 on Node 20, 22, 24 and 26 (EPYC): 2.5-4.4 microseconds at depth 1,
 * 9-12 at depth 60 on a quiet core, up to twice that on a busy one. docs/decisions/0007. The least that is reckoned: a
 * sample that comes rarely finds cold caches, and a slower machine takes longer (docs/decisions/0023).
 */
export const SAMPLE_MILLIS = 0.004;
export const SAMPLE_FRAME_MILLIS = 0.00015;
/** Until the worker has seen a call tree: the middle of what services show. */
const ASSUMED_STACK_DEPTH = 30;
/** Timed samples that are needed to believe their mean. */
const LEAST_TIMED = 32;
/** Above so many, what was timed before counts half: start-up, when every call path is new, is soon forgotten. */
const MOST_TIMED = 256;
/** A mean that many times the least is not believed in full: a clock that counts what other machines took. */
const MOST_TIMES = 10;
/** The context of a sample, kept and handed out (Node 24 and 26). */
const INTERPOSED_SAMPLE_MILLIS = 0.001;
/**
 * One check of the ordinal counter at the end of an async callback takes 55-65 ns (Node 20 and 22, loop of `await null`),
 * and such an `await` takes two async ids.
 */
const ASYNC_ID_MILLIS = 0.00004;
/** A request's record, entered and closed, and its route. */
const REQUEST_MILLIS = 0.003;

/** What one window of the probe's timer brings. */
export interface WindowCounts {
  readonly samples: number;
  readonly requests: number;
  /** Async ids handed out on this thread; each stands for one boundary at most. */
  readonly asyncIds: number;
  /** Samples whose cost V8's step was timed for, and their CPU time in all; 0 where samples are not interposed. */
  readonly timedSamples: number;
  readonly timedMillis: number;
}

export class CostMeter {
  meanStackDepth: number = ASSUMED_STACK_DEPTH;
  #timedSamples = 0;
  #timedMillis = 0;
  #samplingMillis = 0;
  #captureMillis = 0;
  #labelsMillis = 0;

  /** What a sample takes at least, and about what it takes where samples come often. */
  get leastSampleMillis(): number {
    return SAMPLE_MILLIS + SAMPLE_FRAME_MILLIS * this.meanStackDepth;
  }

  get sampleMillis(): number {
    const least = this.leastSampleMillis;
    if (this.#timedSamples < LEAST_TIMED) return least;
    return Math.min(MOST_TIMES * least, Math.max(least, this.#timedMillis / this.#timedSamples));
  }

  get total(): ThreadCost {
    return {
      samplingMillis: this.#samplingMillis,
      captureMillis: this.#captureMillis,
      labelsMillis: this.#labelsMillis,
    };
  }

  window(counts: WindowCounts, mechanism: LabelMechanism): void {
    this.#timed(counts);
    this.#samplingMillis += counts.samples * this.sampleMillis;
    if (mechanism === "none") return;
    const boundaries =
      mechanism === "hook" ? counts.asyncIds * ASYNC_ID_MILLIS : counts.samples * INTERPOSED_SAMPLE_MILLIS;
    this.#labelsMillis += boundaries + counts.requests * REQUEST_MILLIS;
  }

  #timed({ timedSamples, timedMillis }: WindowCounts): void {
    const kept = this.#timedSamples > MOST_TIMED ? 0.5 : 1;
    this.#timedSamples = kept * this.#timedSamples + timedSamples;
    this.#timedMillis = kept * this.#timedMillis + timedMillis;
  }

  /** @param millis that the probe's own timer has taken, captures included. */
  timer(millis: number): void {
    this.#captureMillis += millis;
  }
}
