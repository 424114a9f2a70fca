/**
 * Runs on the service's main thread and its worker threads. Owns when a capture may block that thread, and which sampling
 * interval the budget affords. Pure: time and measurements come in, decisions go out.
 */
import { LOAD_TEST_HORIZON_MILLIS } from "../config";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
/** Above this event-loop utilisation the service is saturated, and every pause is felt as a queue. */
const MAX_UTILISATION = 0.9;
/** The first capture meets no known script and takes several times its usual time: do that while little is there. */
const FIRST_CAPTURE_MILLIS = SECOND;
/** Before the first measurement: 1 microsecond per tree node, the slow end of what V8 shows. */
const FIRST_MILLIS_PER_NODE = 0.001;
/** Captures aimed at within one horizon; fewer where the pause budget does not afford them. */
const CAPTURES_PER_HORIZON = 20;
/** Weight of the newest pause in the moving average. */
const NEW_PAUSE_WEIGHT = 0.3;
/**
 * One pause moves the estimate no further than this factor allows. The first capture of a life reads line tables, and any
 * capture may be preempted: on a loaded machine 30-60 ms were seen once, and the next captures took 1 ms.
 */
const MAX_BELIEVED_GROWTH = 4;
/** Least time between two mark-compacts that the agent asks for, as a part of the horizon. */
const GC_REQUESTS_PER_HORIZON = 10;

function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}

/** Length of a birth window, and period of the probe's timer. */
export function birthWindowMillis(horizonMillis: number): number {
  return clamp(horizonMillis / 120, 250, SECOND);
}

export type CaptureDecision = "capture" | "wait" | "skip";

export interface ScheduleOptions {
  readonly horizonMillis: number;
  readonly pauseBudgetMillisPerMinute: number;
  /** The engine's own limit. */
  readonly minimumSpacingMillis: number;
  readonly startMillis: number;
}

/** Spaces captures evenly over the horizon, as far as a token bucket of pause time allows. */
export class CaptureSchedule {
  readonly #spacingMillis: number;
  readonly #minimumSpacingMillis: number;
  readonly #budgetMillis: number;
  #tokensMillis: number;
  #refilledMillis: number;
  #dueMillis: number;
  #earlySpacingMillis: number = FIRST_CAPTURE_MILLIS;
  #millisPerNode = FIRST_MILLIS_PER_NODE;
  #treeNodeCount = 0;
  #skipsCounted = false;
  /** Captures that were due and had to wait. */
  skippedCount = 0;

  constructor(options: ScheduleOptions) {
    const aimMillis = clamp(options.horizonMillis / CAPTURES_PER_HORIZON, SECOND, 10 * MINUTE);
    this.#spacingMillis = Math.max(options.minimumSpacingMillis, aimMillis);
    this.#minimumSpacingMillis = options.minimumSpacingMillis;
    this.#budgetMillis = options.pauseBudgetMillisPerMinute;
    this.#tokensMillis = options.pauseBudgetMillisPerMinute;
    this.#refilledMillis = options.startMillis;
    this.#dueMillis = options.startMillis + FIRST_CAPTURE_MILLIS;
  }

  /** @param utilisation of the event loop since the last decision, 0..1. */
  decide(nowMillis: number, utilisation: number): CaptureDecision {
    this.#refill(nowMillis);
    if (nowMillis < this.#dueMillis) return "wait";
    // A pause above the whole budget waits for a full bucket and is paid off afterwards.
    const needed = Math.min(this.predictedPauseMillis, this.#budgetMillis);
    if (utilisation <= MAX_UTILISATION && this.#tokensMillis >= needed) return "capture";
    if (!this.#skipsCounted) this.skippedCount++;
    this.#skipsCounted = true;
    return "skip";
  }

  get predictedPauseMillis(): number {
    return this.#millisPerNode * this.#treeNodeCount;
  }

  captured(nowMillis: number, pauseMillis: number, treeNodeCount: number): void {
    const measured = pauseMillis / Math.max(1, treeNodeCount);
    const believed = Math.min(measured, MAX_BELIEVED_GROWTH * this.#millisPerNode);
    this.#millisPerNode += NEW_PAUSE_WEIGHT * (believed - this.#millisPerNode);
    this.#treeNodeCount = treeNodeCount;
    this.#tokensMillis -= pauseMillis;
    this.#skipsCounted = false;
    // The first captures come at 1, 2, 4, ... seconds: call paths are seen best before V8 has optimised the code.
    const spacingMillis = Math.min(this.#spacingMillis, this.#earlySpacingMillis);
    this.#earlySpacingMillis *= 2;
    this.#dueMillis = nowMillis + Math.max(spacingMillis, this.#minimumSpacingMillis, this.#affordableSpacingMillis);
  }

  /** Once half of the bucket is spent, captures come as fast as the bucket refills, rather than in bursts. */
  get #affordableSpacingMillis(): number {
    const isShort = this.#tokensMillis < this.#budgetMillis / 2;
    return isShort ? (this.predictedPauseMillis / this.#budgetMillis) * MINUTE : 0;
  }

  /** The sampler starts anew: the tree is empty, the pace is kept. */
  restarted(nowMillis: number): void {
    this.#treeNodeCount = 1;
    this.#earlySpacingMillis = FIRST_CAPTURE_MILLIS;
    this.#dueMillis = Math.max(this.#dueMillis, nowMillis + FIRST_CAPTURE_MILLIS);
  }

  #refill(nowMillis: number): void {
    const earned = (Math.max(0, nowMillis - this.#refilledMillis) / MINUTE) * this.#budgetMillis;
    this.#tokensMillis = Math.min(this.#budgetMillis, this.#tokensMillis + earned);
    this.#refilledMillis = nowMillis;
  }
}

/** Load tests only: a mark-compact is asked for where traffic flows and V8 has had no reason for one. */
export class GcRequests {
  readonly #spacingMillis: number;
  #lastMillis: number;
  #majorCount = 0;
  #requestsSince = 0;

  constructor(horizonMillis: number, startMillis: number) {
    const isLoadTest = horizonMillis < LOAD_TEST_HORIZON_MILLIS;
    this.#spacingMillis = isLoadTest ? horizonMillis / GC_REQUESTS_PER_HORIZON : Number.POSITIVE_INFINITY;
    this.#lastMillis = startMillis;
  }

  /** @returns true when one should be asked for now. */
  isDue(nowMillis: number, majorCount: number, requestCount: number): boolean {
    this.#requestsSince += requestCount;
    const isNatural = majorCount !== this.#majorCount;
    this.#majorCount = majorCount;
    if (!isNatural && (nowMillis - this.#lastMillis < this.#spacingMillis || this.#requestsSince === 0)) return false;
    this.#lastMillis = nowMillis;
    this.#requestsSince = 0;
    return !isNatural;
  }
}

/** CPU time of one sample, with its stack walk: measured 5-10 microseconds at depth 64. */
const SAMPLE_COST_MILLIS = 0.01;
/**
 * Until the rate is known. Fine enough to see which functions call which before V8 inlines them into each other (after
 * that a callee's allocations are booked on its caller); 100 MB of start-up cost 1,500 samples, some 10 ms.
 */
export const START_INTERVAL_BYTES = 65_521;
const MIN_INTERVAL_BYTES = 16_384;
const MAX_INTERVAL_BYTES = 1_048_576;
/** A restart forgets every live sample; it must be worth more than this factor. */
const WORTHWHILE_RATIO = 1.25;

/** Measures the allocation rate under traffic, and answers once with the interval that the CPU budget affords. */
export class IntervalChoice {
  readonly #neededMillis: number;
  #busyMillis = 0;
  #bytes = 0;
  #isDone: boolean;

  constructor(
    horizonMillis: number,
    private readonly cpuBudgetRatio: number,
    private readonly intervalBytes: number,
    isFixed: boolean,
  ) {
    this.#neededMillis = clamp(horizonMillis / 6, 3 * SECOND, 90 * SECOND);
    this.#isDone = isFixed;
  }

  /**
   * @param samples ordinals handed out during this window.
   * @param isBusy whether the window saw traffic; an idle one says nothing.
   * @returns the interval to restart with, once; otherwise null.
   */
  windowClosed(windowMillis: number, samples: number, isBusy: boolean): number | null {
    if (this.#isDone || !isBusy) return null;
    this.#busyMillis += windowMillis;
    this.#bytes += samples * this.intervalBytes;
    if (this.#busyMillis < this.#neededMillis) return null;
    this.#isDone = true;
    const chosen = affordableIntervalBytes(this.#bytes / this.#busyMillis, this.cpuBudgetRatio);
    const ratio = chosen / this.intervalBytes;
    return ratio > WORTHWHILE_RATIO || ratio < 1 / WORTHWHILE_RATIO ? chosen : null;
  }
}

/** @returns an odd number of bytes, which V8's memory does not hold by accident where the counter is looked for. */
export function affordableIntervalBytes(bytesPerMilli: number, cpuBudgetRatio: number): number {
  const affordable = (bytesPerMilli * SAMPLE_COST_MILLIS) / cpuBudgetRatio;
  return Math.round(clamp(affordable, MIN_INTERVAL_BYTES, MAX_INTERVAL_BYTES)) | 1;
}
