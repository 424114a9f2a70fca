/**
 * Runs on the service's main thread and its worker threads. Owns whether captures are allowed at all. Pure: time and
 * verdicts on a budget come in, a state comes out.
 */
import type { BreakerState, BudgetName } from "../model/cost";

/** Excesses in a row that open it: one pause may be a preempted one. */
const STRIKES = 3;
const FIRST_COOL_DOWNS_PER_HORIZON = 24;
const LEAST_COOL_DOWN_MILLIS = 2_000;
/** 24 times this is a day: nobody waits longer for a first second try, and the greatest cool-down stays at 8 h. */
const LARGEST_FIRST_COOL_DOWN_MILLIS = 3_600_000;
const MAX_DOUBLINGS = 3;

export interface BreakerEvent {
  readonly type: "opened" | "closed";
  readonly cause: BudgetName;
  /** After which captures are tried again; 0 when it closed. */
  readonly coolDownMillis: number;
}

/** Closed -> open after three excesses of one budget in a row -> half-open after the cool-down -> closed, or open again. */
export class Breaker {
  readonly #firstCoolDownMillis: number;
  readonly #strikes: Record<BudgetName, number> = { pause: 0, cpu: 0, memory: 0 };
  readonly openings: Record<BudgetName, number> = { pause: 0, cpu: 0, memory: 0 };
  #state: BreakerState = "closed";
  #cause: BudgetName = "pause";
  #doublings = 0;
  #untilMillis = 0;
  #closedMillis = Number.NEGATIVE_INFINITY;
  /** Times in a row that it opened again without having closed. */
  failedTrials = 0;

  constructor(horizonMillis: number) {
    this.#firstCoolDownMillis = Math.min(
      LARGEST_FIRST_COOL_DOWN_MILLIS,
      Math.max(LEAST_COOL_DOWN_MILLIS, horizonMillis / FIRST_COOL_DOWNS_PER_HORIZON),
    );
  }

  get state(): BreakerState {
    return this.#state;
  }

  get cause(): BudgetName {
    return this.#cause;
  }

  get coolDownMillis(): number {
    return this.#firstCoolDownMillis * 2 ** this.#doublings;
  }

  /** @returns true when the cool-down is over just now: what was switched off may be tried again. */
  poll(nowMillis: number): boolean {
    if (this.#state !== "open" || nowMillis < this.#untilMillis) return false;
    this.#state = "half-open";
    return true;
  }

  /** A budget was exceeded. @returns what to tell, when this opened it. */
  exceeded(budget: BudgetName, nowMillis: number): BreakerEvent | null {
    if (this.#state === "open") return null;
    this.#strikes[budget]++;
    const isTrial = this.#state === "half-open";
    if (!isTrial && this.#strikes[budget] < STRIKES) return null;
    this.#open(budget, nowMillis, isTrial);
    // One line for the whole trouble: a failed trial is counted, not told.
    return isTrial ? null : { type: "opened", cause: budget, coolDownMillis: this.coolDownMillis };
  }

  /** A budget was kept. @returns what to tell, when this closed it. */
  kept(budget: BudgetName, nowMillis: number): BreakerEvent | null {
    this.#strikes[budget] = 0;
    if (this.#state !== "half-open" || budget !== this.#cause) return null;
    this.#state = "closed";
    this.#closedMillis = nowMillis;
    this.failedTrials = 0;
    return { type: "closed", cause: budget, coolDownMillis: 0 };
  }

  #open(budget: BudgetName, nowMillis: number, isTrial: boolean): void {
    // Each opening soon after the last one lasts twice as long; after a time of peace it starts from the beginning.
    const isSoon = isTrial || nowMillis - this.#closedMillis < 2 * this.coolDownMillis;
    this.#doublings = isSoon ? Math.min(MAX_DOUBLINGS, this.#doublings + 1) : 0;
    if (isTrial) this.failedTrials++;
    this.#state = "open";
    this.#cause = budget;
    this.#untilMillis = nowMillis + this.coolDownMillis;
    this.openings[budget]++;
    for (const name of ["pause", "cpu", "memory"] as const) this.#strikes[name] = 0;
  }
}
