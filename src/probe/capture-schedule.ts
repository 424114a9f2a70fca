/**
 * Runs on the service's main thread and its worker threads. Owns when a capture may block that thread, as far as the
 * pause budget allows. Pure: time and measurements come in, decisions go out.
 */
import { LOAD_TEST_HORIZON_MILLIS } from "../config";
import type { SkipReason } from "../model/cost";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
/** Above this event-loop utilisation the service is saturated, and every pause is felt as a queue. */
const MAX_UTILISATION = 0.9;
/**
 * Planned spacings that a capture waits for a loop to calm down. A loop that shares its core with others counts as busy
 * while it waits for it: without an end to the wait the agent would be blind for as long as that lasts.
 */
const MAX_BUSY_SPACINGS = 4;
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
/**
 * In a load test a pause that the estimate does not believe leaves the bucket empty, not in debt, once in this time: 200 ms that
 * the machine took would blind two minutes of a test that is over in three.
 */
const FORGIVENESS_MILLIS = 10 * MINUTE;
/** Least time between two mark-compacts that the agent asks for, as a part of the horizon. */
const GC_REQUESTS_PER_HORIZON = 10;

function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}

/** Length of a birth window, and period of the probe's timer. */
export function birthWindowMillis(horizonMillis: number): number {
  return clamp(horizonMillis / 120, 250, SECOND);
}

export type CaptureDecision = "capture" | "wait" | SkipReason;

export interface ScheduleOptions {
  readonly horizonMillis: number;
  readonly pauseBudgetMillisPerMinute: number;
  /** The engine's own limit. */
  readonly minimumSpacingMillis: number;
  readonly startMillis: number;
}

/**
 * Spaces captures evenly over the horizon, as far as a token bucket of pause time allows. The bucket sets the pace; that no
 * minute has more than its budget, also the first ones of a life, is what the pauses of the last minute are for. Not in a load
 * test, which is over in a few minutes: there the first one may have twice the budget.
 */
export class CaptureSchedule {
  readonly #spacingMillis: number;
  readonly #minimumSpacingMillis: number;
  readonly #budgetMillis: number;
  readonly #isLoadTest: boolean;
  #tokensMillis: number;
  #refilledMillis: number;
  #dueMillis: number;
  #earlySpacingMillis: number = FIRST_CAPTURE_MILLIS;
  #millisPerNode = FIRST_MILLIS_PER_NODE;
  #treeNodeCount = 0;
  #isSkipCounted = false;
  #forgivenMillis = Number.NEGATIVE_INFINITY;
  #pauses: { readonly atMillis: number; readonly pauseMillis: number }[] = [];
  /** Captures that were due and had to wait, by what they waited for first. */
  readonly skipped: Record<SkipReason, number> = { pause_budget: 0, busy_loop: 0, worker_behind: 0, breaker: 0 };
  /** At least 1: captures come this much more rarely than planned. */
  spacingFactor = 1;

  constructor(options: ScheduleOptions) {
    const aimMillis = clamp(options.horizonMillis / CAPTURES_PER_HORIZON, SECOND, 10 * MINUTE);
    this.#spacingMillis = Math.max(options.minimumSpacingMillis, aimMillis);
    this.#minimumSpacingMillis = options.minimumSpacingMillis;
    this.#budgetMillis = options.pauseBudgetMillisPerMinute;
    this.#isLoadTest = options.horizonMillis < LOAD_TEST_HORIZON_MILLIS;
    this.#tokensMillis = options.pauseBudgetMillisPerMinute;
    this.#refilledMillis = options.startMillis;
    this.#dueMillis = options.startMillis + FIRST_CAPTURE_MILLIS;
  }

  /**
   * @param utilisation of the event loop since the last decision, 0..1.
   * @param obstacle what forbids a capture anyway, or null.
   */
  decide(nowMillis: number, utilisation: number, obstacle: SkipReason | null = null): CaptureDecision {
    this.#refill(nowMillis);
    if (nowMillis < this.#dueMillis) return "wait";
    const reason = obstacle ?? this.#reasonToWait(nowMillis, utilisation);
    if (reason === null) return "capture";
    if (!this.#isSkipCounted) this.skipped[reason]++;
    this.#isSkipCounted = true;
    return reason;
  }

  get skippedCount(): number {
    return Object.values(this.skipped).reduce((sum, count) => sum + count, 0);
  }

  #reasonToWait(nowMillis: number, utilisation: number): SkipReason | null {
    const patienceMillis = MAX_BUSY_SPACINGS * this.#spacingMillis * this.spacingFactor;
    if (utilisation > MAX_UTILISATION && nowMillis - this.#dueMillis < patienceMillis) return "busy_loop";
    // A pause above the whole budget waits for a full bucket and is paid off afterwards.
    const wantedMillis = Math.min(this.predictedPauseMillis, this.#budgetMillis);
    const isLeft = this.#isLoadTest || wantedMillis + this.spentMillis(nowMillis) <= this.#budgetMillis;
    return isLeft && this.#tokensMillis >= wantedMillis ? null : "pause_budget";
  }

  /** Pauses within the last minute. */
  spentMillis(nowMillis: number): number {
    return this.#pauses.reduce((sum, pause) => sum + (nowMillis - pause.atMillis < MINUTE ? pause.pauseMillis : 0), 0);
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
    if (believed < measured) this.#forgive(nowMillis);
    this.#pauses = this.#pauses.filter(({ atMillis }) => nowMillis - atMillis < MINUTE);
    this.#pauses.push({ atMillis: nowMillis, pauseMillis });
    this.#isSkipCounted = false;
    this.#dueMillis = nowMillis + Math.max(this.#nextSpacing(), this.#affordableSpacingMillis);
  }

  #forgive(nowMillis: number): void {
    if (!this.#isLoadTest || this.#tokensMillis >= 0 || nowMillis - this.#forgivenMillis < FORGIVENESS_MILLIS) return;
    this.#forgivenMillis = nowMillis;
    this.#tokensMillis = 0;
  }

  /** The first captures come at 1, 2, 4, ... seconds: call paths are seen best before V8 has optimised the code. */
  #nextSpacing(): number {
    const spacingMillis = Math.min(this.#spacingMillis, this.#earlySpacingMillis);
    this.#earlySpacingMillis *= 2;
    return Math.max(spacingMillis, this.#minimumSpacingMillis) * this.spacingFactor;
  }

  /**
   * Once half of the bucket is spent, captures come as fast as the bucket refills, rather than in bursts. One that is
   * longer than the whole budget has no such pace: what becomes of it is the governor's decision.
   */
  get #affordableSpacingMillis(): number {
    const isShort = this.#tokensMillis < this.#budgetMillis / 2 && this.predictedPauseMillis <= this.#budgetMillis;
    return isShort ? (this.predictedPauseMillis / this.#budgetMillis) * MINUTE : 0;
  }

  /** A capture that will not be made now is due again after the planned time. */
  postpone(nowMillis: number): void {
    this.#isSkipCounted = false;
    this.#dueMillis = nowMillis + this.#nextSpacing();
  }

  /** The sampler starts anew: the tree is empty, the pace is kept, and the old tree's debt is forgiven. */
  restarted(nowMillis: number): void {
    this.#treeNodeCount = 1;
    this.#tokensMillis = Math.max(0, this.#tokensMillis);
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
