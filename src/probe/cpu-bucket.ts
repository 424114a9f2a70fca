/**
 * Runs on the service's main thread and its worker threads. Owns the CPU budget: what the agent may use, as a bucket that
 * fills with time and with the service's own work, and what it has used. Pure.
 */
import type { ThreadCost } from "../model/cost";

const MINUTE = 60_000;
/** A period is judged as a whole; shorter ones would judge single captures. */
const PERIODS_PER_HORIZON = 30;
const LEAST_PERIOD_MILLIS = 1_000;
/** Unused budget that is kept, in periods: the worker works in bursts, and starting costs more than running. */
const BUCKET_PERIODS = 10;
const LEAST_BUCKET_MILLIS = 2 * MINUTE;
/** Weight of the newest period in the moving averages. */
const NEW_PERIOD_WEIGHT = 0.3;

export interface CpuRates {
  /** Share of one core, 0..1: everything that counts to the budget. */
  readonly counted: number;
  /** Captures and the worker: what rarer captures would save. */
  readonly captures: number;
}

const NO_COST: ThreadCost = { samplingMillis: 0, captureMillis: 0, labelsMillis: 0 };

/** Allowed: the ratio of one core, and as much of the time that the service itself was busy. */
export class CpuBucket {
  readonly #periodMillis: number;
  readonly #capacityMillis: number;
  #tokensMillis: number;
  #settledMillis: number;
  #activeMillis = 0;
  #before: ThreadCost = NO_COST;
  #workerMillis: number | null = null;
  #newWorkerMillis = 0;
  #rates: CpuRates = { counted: 0, captures: 0 };

  constructor(
    horizonMillis: number,
    private readonly ratio: number,
    startMillis: number,
  ) {
    this.#periodMillis = Math.min(MINUTE, Math.max(LEAST_PERIOD_MILLIS, horizonMillis / PERIODS_PER_HORIZON));
    this.#capacityMillis = ratio * Math.max(BUCKET_PERIODS * this.#periodMillis, LEAST_BUCKET_MILLIS);
    this.#tokensMillis = this.#capacityMillis;
    this.#settledMillis = startMillis;
  }

  get rates(): CpuRates {
    return this.#rates;
  }

  get isOverdrawn(): boolean {
    return this.#tokensMillis < 0;
  }

  get isComfortable(): boolean {
    return this.#tokensMillis > this.#capacityMillis / 2;
  }

  /** @param activeMillis of the service's event loop since the last call. @returns whether a period is over. */
  isDue(nowMillis: number, activeMillis: number): boolean {
    this.#activeMillis += activeMillis;
    return nowMillis - this.#settledMillis >= this.#periodMillis;
  }

  /** @param cpuMillis of the worker thread since its start; a new worker starts at 0. Its first word is its start-up. */
  workerUsed(cpuMillis: number): void {
    const before = this.#workerMillis;
    if (before !== null) this.#newWorkerMillis += cpuMillis >= before ? cpuMillis - before : 0;
    this.#workerMillis = cpuMillis;
  }

  /** @param isSamplingCounted false where nobody but the user can change what sampling costs. */
  settle(nowMillis: number, total: ThreadCost, isSamplingCounted: boolean): void {
    const elapsedMillis = Math.max(1, nowMillis - this.#settledMillis);
    const before = this.#before;
    const sampling = isSamplingCounted ? total.samplingMillis - before.samplingMillis : 0;
    const labels = total.labelsMillis - before.labelsMillis;
    const captures = total.captureMillis - before.captureMillis + this.#newWorkerMillis;
    const allowedMillis = this.ratio * (elapsedMillis + Math.min(elapsedMillis, this.#activeMillis));
    const left = this.#tokensMillis + allowedMillis - sampling - labels - captures;
    this.#tokensMillis = Math.min(this.#capacityMillis, Math.max(-this.#capacityMillis, left));
    const mix = (old: number, millis: number): number => old + NEW_PERIOD_WEIGHT * (millis / elapsedMillis - old);
    this.#rates = {
      counted: mix(this.#rates.counted, sampling + labels + captures),
      captures: mix(this.#rates.captures, captures),
    };
    this.#begin(nowMillis, total);
  }

  /** After a cool-down: the past is forgiven, and what happened meanwhile is not looked at. */
  reset(nowMillis: number, total: ThreadCost): void {
    this.#tokensMillis = Math.max(0, this.#tokensMillis);
    this.#begin(nowMillis, total);
  }

  #begin(nowMillis: number, total: ThreadCost): void {
    this.#settledMillis = nowMillis;
    this.#activeMillis = 0;
    this.#newWorkerMillis = 0;
    this.#before = total;
  }
}
