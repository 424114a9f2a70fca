/**
 * Runs on the service's main thread and its worker threads. Owns what the agent may do there: when it captures, at which
 * interval it samples, and when it stops. Pure: time (monotonic) and measurements come in, decisions go out.
 */
import { LOAD_TEST_HORIZON_MILLIS } from "../config";
import type { BudgetName, GovernorReading, SkipReason, WorkerUsage } from "../model/cost";
import type { LabelMechanism } from "../model/messages";
import { Breaker, type BreakerEvent } from "./breaker";
import { type CaptureDecision, CaptureSchedule } from "./capture-schedule";
import { CostMeter, type WindowCounts } from "./cost-meter";
import { CpuBucket } from "./cpu-bucket";
import { IntervalChoice } from "./interval-choice";

const MINUTE = 60_000;
/**
 * Of the CPU budget. The rest is for labels, captures and the worker, which have their own brakes, and for samples that
 * become dearer as they become rarer: an interval once chosen is kept, and what is over would be over for good.
 */
export const SAMPLING_SHARE = 0.5;
/**
 * In a load test the interval is chosen within the first seconds of a service, in which samples are dear, and is so fine
 * that they become cheaper: by the least price, and for more of the budget. docs/decisions/0023.
 */
const LOAD_TEST_SAMPLING_SHARE = 0.65;
/** Captures come up to this much more rarely where the worker costs too much. */
const MAX_SPACING_FACTOR = 16;
/** Readings of the worker's memory in a row before it is believed: between two of them V8 may not have collected. */
const MEMORY_READINGS = 5;
/** The worker holds about as much per sample and node as V8 does. Below this share of all memory, fewer would not help. */
const SAMPLES_MATTER_RATIO = 0.2;
/** Memory that no coarser interval brings down is borne up to this; beyond, something is wrong, and the breaker decides. */
const RUNAWAY_RATIO = 1.5;
/** Below this share of the whole cost, fewer captures would not help. */
const CAPTURES_MATTER_RATIO = 0.3;
/**
 * What V8 holds per sample (record, weak handle, table entry) and per node of the call tree (node, two maps).
 * Source: V8 src/profiler/sampling-heap-profiler.h; sizes on x64 with a common allocator, rounded up.
 */
const SAMPLE_BYTES = 160;
const NODE_BYTES = 320;

export interface GovernorOptions {
  readonly horizonMillis: number;
  /** Share of one core, 0..1. */
  readonly cpuBudgetRatio: number;
  readonly pauseBudgetMillisPerMinute: number;
  readonly memoryBudgetBytes: number;
  readonly intervalBytes: number;
  /** The interval is the user's own choice, or the engine's: what sampling costs is told, and counts to no budget. */
  readonly isIntervalFixed: boolean;
  readonly minimumCaptureSpacingMillis: number;
  /** The queues of this thread's probe. */
  readonly queueBytes: number;
  readonly startMillis: number;
}

export interface WindowReading extends WindowCounts {
  readonly nowMillis: number;
  readonly windowMillis: number;
  /** Time this thread's event loop was busy within the window. */
  readonly activeMillis: number;
  /** Whether the window saw traffic. */
  readonly isBusy: boolean;
  readonly labels: LabelMechanism;
}

export class Governor {
  readonly #schedule: CaptureSchedule;
  readonly #interval: IntervalChoice;
  readonly #breaker: Breaker;
  readonly #meter = new CostMeter();
  readonly #isLoadTest: boolean;
  readonly #cpu: CpuBucket;
  readonly #events: BreakerEvent[] = [];
  #worstPauseMillisPerMinute = 0;
  #treeBytes = 0;
  #captureCount = 0;
  #spacedAtCapture = 0;
  #intervalChanges = 0;
  #memoryExcesses = 0;
  #isCoarserWanted = false;
  /** The longest single pause that the budget can bear. */
  readonly #pauseLimitMillis: number;

  constructor(private readonly options: GovernorOptions) {
    const { horizonMillis, minimumCaptureSpacingMillis, pauseBudgetMillisPerMinute, startMillis } = options;
    this.#isLoadTest = horizonMillis < LOAD_TEST_HORIZON_MILLIS;
    this.#schedule = new CaptureSchedule({
      horizonMillis,
      pauseBudgetMillisPerMinute,
      minimumSpacingMillis: minimumCaptureSpacingMillis,
      startMillis,
    });
    this.#interval = new IntervalChoice(horizonMillis, options.intervalBytes, options.isIntervalFixed);
    this.#breaker = new Breaker(horizonMillis);
    this.#cpu = new CpuBucket(horizonMillis, options.cpuBudgetRatio, startMillis);
    this.#pauseLimitMillis = pauseBudgetMillisPerMinute * Math.max(1, minimumCaptureSpacingMillis / MINUTE);
  }

  /** While true the sampler must not run: CPU or memory were exceeded, and captures alone do not cost that. */
  get isSamplingOff(): boolean {
    return this.#breaker.state === "open" && this.#breaker.cause !== "pause";
  }

  get isOpen(): boolean {
    return this.#breaker.state === "open";
  }

  /** At least 1; what this thread asks of all threads, since they share the agent's worker. */
  get spacingFactor(): number {
    return this.#schedule.spacingFactor;
  }

  set spacingFactor(factor: number) {
    this.#schedule.spacingFactor = factor;
  }

  get predictedPauseMillis(): number {
    return this.#schedule.predictedPauseMillis;
  }

  /**
   * One window of the probe's timer has ended.
   * @returns the interval to restart the sampler with, or null.
   */
  windowClosed(window: WindowReading): number | null {
    this.#meter.window(window, window.labels);
    if (this.#cpu.isDue(window.nowMillis, window.activeMillis)) this.#judgeCpu(window.nowMillis);
    const { nowMillis, windowMillis, samples, isBusy } = window;
    if (this.#isCoarserWanted) {
      this.#isCoarserWanted = false;
      return this.#interval.coarser(nowMillis);
    }
    return this.#interval.windowClosed({
      nowMillis,
      windowMillis,
      samples,
      isBusy,
      sampleMillis: this.#isLoadTest ? this.#meter.leastSampleMillis : this.#meter.sampleMillis,
      affordableRatio: (this.#isLoadTest ? LOAD_TEST_SAMPLING_SHARE : SAMPLING_SHARE) * this.options.cpuBudgetRatio,
    });
  }

  /** @param obstacle what forbids a capture for other reasons, or null. */
  decide(nowMillis: number, utilisation: number, obstacle: SkipReason | null): CaptureDecision {
    const isOff = this.#breaker.state === "open";
    const decision = this.#schedule.decide(nowMillis, utilisation, isOff ? "breaker" : obstacle);
    if (decision !== "capture" && decision !== "pause_budget") return decision;
    if (this.#breaker.state !== "closed" || this.#schedule.predictedPauseMillis <= this.#pauseLimitMillis)
      return decision;
    // A pause that is known to be too long is not tried, but counted as if it had been.
    this.#schedule.postpone(nowMillis);
    this.#tell(this.#breaker.exceeded("pause", nowMillis));
    return "pause_budget";
  }

  captured(nowMillis: number, pauseMillis: number, treeNodeCount: number, sampleCount: number): void {
    this.#captureCount++;
    this.#treeBytes = treeNodeCount * NODE_BYTES + sampleCount * SAMPLE_BYTES;
    this.#schedule.captured(nowMillis, pauseMillis, treeNodeCount);
    this.#worstPauseMillisPerMinute = Math.max(this.#worstPauseMillisPerMinute, this.#schedule.spentMillis(nowMillis));
    this.#judge("pause", pauseMillis > this.#pauseLimitMillis, nowMillis);
  }

  /** The worker's own word on what it uses; only the main thread's governor answers for it. */
  workerUsed(nowMillis: number, usage: WorkerUsage): void {
    this.#cpu.workerUsed(usage.cpuMillis);
    if (usage.meanStackDepth !== null) this.#meter.meanStackDepth = usage.meanStackDepth;
    this.#judgeMemory(usage.memoryBytes + this.#memoryBytes, nowMillis);
  }

  /** The probe's timer took this long, captures included. */
  timerTook(millis: number): void {
    this.#meter.timer(millis);
  }

  /** @returns whether the breaker's cool-down is over just now; then `coarser` says how to go on. */
  poll(nowMillis: number): boolean {
    const isOver = this.#breaker.poll(nowMillis);
    if (isOver) this.#cpu.reset(nowMillis, this.#meter.total);
    return isOver;
  }

  /** Twice the interval, for half the samples and less to capture; null where that is not possible. */
  coarser(nowMillis: number): number | null {
    return this.#interval.coarser(nowMillis);
  }

  /** The sampler starts anew. */
  restarted(nowMillis: number, intervalBytes: number, isOwnChoice: boolean): void {
    this.#schedule.restarted(nowMillis);
    this.#treeBytes = 0;
    if (!isOwnChoice) return;
    this.#intervalChanges++;
    this.#interval.restarted(nowMillis, intervalBytes);
  }

  /** What has happened to the breaker since the last call. */
  takeEvents(): BreakerEvent[] {
    return this.#events.splice(0);
  }

  reading(): GovernorReading {
    return {
      breaker: this.#breaker.state,
      openings: { ...this.#breaker.openings },
      skipped: { ...this.#schedule.skipped },
      cost: this.#meter.total,
      worstPauseMillisPerMinute: this.#worstPauseMillisPerMinute,
      memoryBytes: this.#memoryBytes,
      intervalChanges: this.#intervalChanges,
    };
  }

  get skippedCount(): number {
    return this.#schedule.skippedCount;
  }

  get #memoryBytes(): number {
    return this.options.queueBytes + this.#treeBytes;
  }

  #judgeCpu(nowMillis: number): void {
    this.#cpu.settle(nowMillis, this.#meter.total, this.#interval.canChange);
    if (!this.#cpu.isOverdrawn) {
      if (this.#cpu.isComfortable) this.#schedule.spacingFactor = Math.max(1, this.#schedule.spacingFactor / 2);
      this.#judge("cpu", false, nowMillis);
      return;
    }
    const { counted, captures } = this.#cpu.rates;
    const isLeft = this.#schedule.spacingFactor < MAX_SPACING_FACTOR && captures > CAPTURES_MATTER_RATIO * counted;
    if (!isLeft) return this.#judge("cpu", true, nowMillis);
    // Each step waits until a capture has come at the new pace.
    if (this.#spacedAtCapture === this.#captureCount) return;
    this.#spacedAtCapture = this.#captureCount;
    this.#schedule.spacingFactor = Math.min(MAX_SPACING_FACTOR, this.#schedule.spacingFactor * 2);
  }

  /** Fewer samples, which frees memory on both threads. Switching off frees little: that is for a runaway. */
  #judgeMemory(bytes: number, nowMillis: number): void {
    const { memoryBudgetBytes } = this.options;
    this.#memoryExcesses = bytes > memoryBudgetBytes ? this.#memoryExcesses + 1 : 0;
    const isBelieved = this.#memoryExcesses >= MEMORY_READINGS || this.#breaker.state === "half-open";
    const isRunaway = isBelieved && bytes > RUNAWAY_RATIO * memoryBudgetBytes;
    const couldHelp = 2 * this.#treeBytes > SAMPLES_MATTER_RATIO * bytes;
    if (this.#memoryExcesses >= MEMORY_READINGS && couldHelp && this.#interval.coarser(nowMillis) !== null) {
      this.#memoryExcesses = 0;
      this.#isCoarserWanted = true;
      return;
    }
    this.#judge("memory", isRunaway, nowMillis);
  }

  #judge(budget: BudgetName, isExceeded: boolean, nowMillis: number): void {
    this.#tell(isExceeded ? this.#breaker.exceeded(budget, nowMillis) : this.#breaker.kept(budget, nowMillis));
  }

  #tell(event: BreakerEvent | null): void {
    if (event !== null) this.#events.push(event);
  }
}
