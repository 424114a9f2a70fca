/**
 * Runs on the service's main thread and its worker threads. Owns the sampling interval that the CPU budget affords, and when
 * a new one is worth a restart. Pure. Must restart rarely: each restart forgets every live sample.
 */
import { LOAD_TEST_HORIZON_MILLIS } from "../config";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
/**
 * Until the rate is known. Fine enough to see which functions call which before V8 inlines them into each other (after
 * that a callee's allocations are booked on its caller); 100 MB of start-up cost 1,500 samples, some 10 ms.
 */
export const START_INTERVAL_BYTES = 65_521;
export const MIN_INTERVAL_BYTES = 16_384;
/** A load test has minutes to show what keeps some hundred bytes a request, and a larger budget. */
export const LOAD_TEST_MIN_INTERVAL_BYTES = 8_192;
const MAX_INTERVAL_BYTES = 1_048_576;
/** The first restart comes early and forgets little: for a tenth less cost, or for a quarter more samples. */
const FIRST_COARSER_RATIO = 1.1;
const FIRST_FINER_RATIO = 1 / 1.25;
/** Sampling that costs this much more than it may is made coarser once it has lasted three spans. */
const TOO_COSTLY_RATIO = 2;
const COSTLY_SPANS = 3;
/**
 * Sampling that could be this much finer is made so only after half a horizon of it: a quiet night is shorter, and the
 * restart would throw away the evidence of the day.
 */
const TOO_COARSE_RATIO = 8;
const MAX_RESTARTS_PER_HOUR = 2;
/** A window this much longer than planned was no window: the process stood still. */
const SUSPENDED_MILLIS = 10 * SECOND;

function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}

/** What one window of the probe's timer says about the allocation rate. */
export interface RateWindow {
  readonly nowMillis: number;
  readonly windowMillis: number;
  /** Ordinals handed out during this window. */
  readonly samples: number;
  /** Whether the window saw traffic; an idle one says nothing. */
  readonly isBusy: boolean;
  /** CPU time of one sample. */
  readonly sampleMillis: number;
  /** Share of one core that sampling may take, 0..1. */
  readonly affordableRatio: number;
}

export class IntervalChoice {
  readonly #neededMillis: number;
  readonly #spanMillis: number;
  readonly #coarseMillis: number;
  readonly #minimumBytes: number;
  #busyMillis = 0;
  #samples = 0;
  #isFirst = true;
  #costlySpans = 0;
  #coarseSinceMillis: number | null = null;
  #restarts: number[] = [];

  constructor(
    horizonMillis: number,
    private intervalBytes: number,
    private readonly isFixed: boolean,
  ) {
    this.#neededMillis = clamp(horizonMillis / 6, 3 * SECOND, 90 * SECOND);
    this.#spanMillis = clamp(horizonMillis / 144, 30 * SECOND, 10 * MINUTE);
    const isLoadTest = horizonMillis < LOAD_TEST_HORIZON_MILLIS;
    this.#minimumBytes = isLoadTest ? LOAD_TEST_MIN_INTERVAL_BYTES : MIN_INTERVAL_BYTES;
    this.#coarseMillis = isLoadTest ? Number.POSITIVE_INFINITY : horizonMillis / 2;
  }

  get canChange(): boolean {
    return !this.isFixed;
  }

  /** @returns the interval to restart with, or null: leave it. */
  windowClosed(window: RateWindow): number | null {
    if (this.isFixed || !window.isBusy || window.windowMillis > SUSPENDED_MILLIS) return null;
    this.#busyMillis += window.windowMillis;
    this.#samples += window.samples;
    if (this.#busyMillis < (this.#isFirst ? this.#neededMillis : this.#spanMillis)) return null;
    const chosen = affordableIntervalBytes(
      (this.#samples * this.intervalBytes) / this.#busyMillis,
      window.sampleMillis,
      window.affordableRatio,
      this.#minimumBytes,
    );
    this.#busyMillis = 0;
    this.#samples = 0;
    const wanted = this.#isFirst ? this.#first(chosen) : this.#later(chosen, window.nowMillis);
    return wanted !== null && this.#mayRestart(window.nowMillis) ? wanted : null;
  }

  /** For a breaker that comes back: twice as coarse, or null where it cannot be. */
  coarser(nowMillis: number): number | null {
    if (this.isFixed || this.intervalBytes >= MAX_INTERVAL_BYTES || !this.#mayRestart(nowMillis)) return null;
    return oddBytes(this.intervalBytes * 2, this.#minimumBytes);
  }

  restarted(nowMillis: number, intervalBytes: number): void {
    this.intervalBytes = intervalBytes;
    this.#restarts.push(nowMillis);
    this.#busyMillis = 0;
    this.#samples = 0;
    this.#costlySpans = 0;
    this.#coarseSinceMillis = null;
  }

  #first(chosen: number): number | null {
    this.#isFirst = false;
    const ratio = chosen / this.intervalBytes;
    return ratio > FIRST_COARSER_RATIO || ratio < FIRST_FINER_RATIO ? chosen : null;
  }

  #later(chosen: number, nowMillis: number): number | null {
    const ratio = chosen / this.intervalBytes;
    this.#costlySpans = ratio > TOO_COSTLY_RATIO ? this.#costlySpans + 1 : 0;
    if (ratio >= 1 / TOO_COARSE_RATIO) this.#coarseSinceMillis = null;
    else this.#coarseSinceMillis ??= nowMillis;
    if (this.#costlySpans >= COSTLY_SPANS) return chosen;
    const coarseMillis = this.#coarseSinceMillis === null ? 0 : nowMillis - this.#coarseSinceMillis;
    return coarseMillis >= this.#coarseMillis ? chosen : null;
  }

  #mayRestart(nowMillis: number): boolean {
    this.#restarts = this.#restarts.filter((atMillis) => nowMillis - atMillis < HOUR);
    return this.#restarts.length < MAX_RESTARTS_PER_HOUR;
  }
}

/** @returns an odd number of bytes, which V8's memory does not hold by accident where the counter is looked for. */
export function affordableIntervalBytes(
  bytesPerMilli: number,
  sampleMillis: number,
  affordableRatio: number,
  minimumBytes: number,
): number {
  return oddBytes((bytesPerMilli * sampleMillis) / affordableRatio, minimumBytes);
}

function oddBytes(bytes: number, minimumBytes: number): number {
  return Math.round(clamp(bytes, minimumBytes, MAX_INTERVAL_BYTES)) | 1;
}
