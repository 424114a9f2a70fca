/**
 * Runs on the service's main thread and its worker threads. Owns one thread's sampler: its lives, birth windows, captures
 * and reports. Must not touch a sampler that another tool has started.
 */
import { performance } from "node:perf_hooks";
import { getHeapStatistics } from "node:v8";
import { threadId } from "node:worker_threads";
import type { Settings } from "../config";
import type { MemoryReading, ProbeReport } from "../model/messages";
import { OWNER_AGENT, OWNER_STARTUP } from "../model/owner";
import { CONTROL_RING_OVERFLOWS } from "../native";
import type { ReportSink } from "./agent-worker";
import { atomicsWaitMillis } from "./blocked-time";
import { type CaptureFacts, factsOf } from "./capture-facts";
import { CaptureSchedule, GcRequests, IntervalChoice, START_INTERVAL_BYTES } from "./capture-schedule";
import type { SamplingEngine } from "./engine";
import type { HookErrors, Notify } from "./hook-errors";
import type { Attribution } from "./http-requests";
import { RowQueue } from "./row-queue";

const STACK_DEPTH = 64;
const MAX_WINDOWS = 1_024;
/** Between two counts of loaded modules: less in a load test. */
const MODULE_COUNT_MILLIS = 10_000;
const MODULE_COUNTS_PER_HORIZON = 60;
const MAX_REQUEST_ROWS = 4_096;
const FOREIGN_FIX =
  "V8 has one sampling heap profiler per thread: switch the other tool's heap profiling off, or this agent with LEAK_AGENT_ENABLED=0";

export interface SamplingOptions {
  readonly engine: SamplingEngine;
  readonly settings: Settings;
  readonly attribution: Attribution;
  readonly errors: HookErrors;
  readonly notify: Notify;
  readonly dropLabels: (reason: string) => void;
  /** Told at the end of each window, with the ordinals handed out so far. */
  readonly windowEnded: (ordinal: number) => void;
}

export class Sampling {
  intervalBytes: number;
  captureCount = 0;
  readonly #options: SamplingOptions;
  readonly #windows = new RowQueue(MAX_WINDOWS);
  readonly #requests = new RowQueue(MAX_REQUEST_ROWS);
  readonly #schedule: CaptureSchedule;
  readonly #gcRequests: GcRequests;
  readonly #interval: IntervalChoice;
  /** True while the sampler that runs is ours, as far as we know. */
  #isRunning = false;
  #isEnabled = true;
  #labelsFromOrdinal = 0;
  /** Ordinals handed out up to the end of the last window; for engines without a counter, the greatest one captured. */
  #lastOrdinal = 0;
  #hasRequests = false;
  #windowStartMillis = Date.now();
  #utilisation = performance.eventLoopUtilization();
  #blockedMillis = 0;
  /** Samples of the sampler's earlier lives. */
  #earlierSamples = 0;

  constructor(options: SamplingOptions) {
    this.#options = options;
    const { engine, settings } = options;
    const { horizonMillis } = settings;
    const startMillis = Date.now();
    this.intervalBytes = settings.samplingIntervalBytes ?? START_INTERVAL_BYTES;
    this.#schedule = new CaptureSchedule({
      horizonMillis,
      pauseBudgetMillisPerMinute: settings.pauseBudgetMillisPerMinute,
      minimumSpacingMillis: engine.minimumCaptureSpacingMillis,
      startMillis,
    });
    this.#gcRequests = new GcRequests(horizonMillis, startMillis);
    const isFixed = settings.samplingIntervalBytes !== null || engine.labels === null;
    this.#interval = new IntervalChoice(horizonMillis, settings.cpuBudgetRatio, this.intervalBytes, isFixed);
    this.#start();
  }

  /** The process is a service now: what was allocated before belongs to its start. */
  beginLabels(): void {
    const { attribution, dropLabels } = this.#options;
    if (!this.#isRunning) return;
    const now = Math.max(0, attribution.ordinals?.read() ?? 0);
    if (now > 0) attribution.ledger.own(1, now, OWNER_STARTUP);
    this.#labelsFromOrdinal = now;
    this.#lastOrdinal = now;
    this.#windowStartMillis = Date.now();
    if (!attribution.labels.attach()) dropLabels("they could not be switched on");
  }

  setEnabled(isEnabled: boolean): void {
    if (isEnabled === this.#isEnabled) return;
    this.#isEnabled = isEnabled;
    if (isEnabled) this.#restart(this.intervalBytes);
    else if (this.#isRunning) {
      this.#options.attribution.labels.detach();
      this.#options.engine.stop();
      this.#isRunning = false;
    }
  }

  /** Once per birth window. */
  tick(sink: ReportSink): void {
    const { labels } = this.#options.attribution;
    labels.beginAgent();
    try {
      if (this.#isEnabled && this.#isRunning) this.#work(sink);
    } finally {
      labels.endAgent();
    }
  }

  #work(sink: ReportSink): void {
    const { engine } = this.#options;
    if (!engine.isOurs()) return this.#lost("another tool has stopped this agent's sampler");
    const now = Date.now();
    const windowMillis = now - this.#windowStartMillis;
    const { requestCount, samples } = this.#closeWindow(now);
    const workCount = this.#workIn(requestCount, samples);
    const chosen = this.#interval.windowClosed(windowMillis, samples, workCount > 0);
    if (chosen !== null) {
      if (sink.isReady) this.#report(sink, null, 0);
      this.#restart(chosen);
      return;
    }
    if (this.#gcRequests.isDue(now, engine.readGc().majorCount, workCount)) engine.requestMajorGc();
    if (!sink.isReady) return;
    if (this.#schedule.decide(now, this.#readUtilisation()) === "capture") this.#capture(sink, now);
    else if (this.#isFilling()) this.#report(sink, null, 0);
  }

  /** Requests of a window; where none has ever come (worker threads, queue consumers) allocating is the work. */
  #workIn(requestCount: number, samples: number): number {
    if (requestCount > 0) this.#hasRequests = true;
    return this.#hasRequests ? requestCount : samples;
  }

  #closeWindow(now: number): { requestCount: number; samples: number } {
    const { attribution, engine } = this.#options;
    attribution.labels.settle();
    const ordinal = attribution.ordinals?.read() ?? -1;
    const samples = ordinal < 0 ? 0 : ordinal - this.#lastOrdinal;
    if (ordinal >= 0) this.#lastOrdinal = ordinal;
    this.#options.windowEnded(Math.max(0, ordinal));
    this.#windows.push(now, this.#lastOrdinal, engine.readGc().majorCount);
    this.#windowStartMillis = now;
    return { requestCount: attribution.routes.closeWindow(now, this.#requests), samples };
  }

  #capture(sink: ReportSink, now: number): void {
    const { engine } = this.#options;
    const started = performance.now();
    const buffer = engine.capture();
    const pauseMillis = performance.now() - started;
    if (buffer === null) return this.#lost("another tool has taken this agent's sampler");
    const facts = factsOf(buffer);
    this.captureCount++;
    this.#schedule.captured(now, pauseMillis, facts.treeNodeCount);
    this.#crossCheck(facts);
    this.#report(sink, buffer, pauseMillis);
  }

  #crossCheck(facts: CaptureFacts): void {
    const { attribution, dropLabels, notify } = this.#options;
    const counter = attribution.ordinals?.read() ?? -1;
    if (counter < 0) {
      // No counter: the windows can only be dated by the captures themselves.
      this.#lastOrdinal = Math.max(this.#lastOrdinal, facts.greatestOrdinal);
      this.#windows.push(Date.now(), this.#lastOrdinal, this.#options.engine.readGc().majorCount);
      return;
    }
    if (facts.greatestOrdinal <= counter || attribution.labels.mechanism === "none") return;
    notify("warn", "ERR_LEAK_AGENT_LABELS", "the ordinal counter disagrees with a capture: no labels from now on");
    dropLabels("the ordinal counter disagreed with a capture");
  }

  #report(sink: ReportSink, capture: ArrayBuffer | null, pauseMillis: number): void {
    const { attribution, engine, errors } = this.#options;
    const { labels, ledger, ordinals, routes } = attribution;
    labels.settle();
    const lastOrdinal = Math.max(this.#lastOrdinal, ordinals?.read() ?? 0);
    const report: ProbeReport = {
      type: "report",
      thread: threadId,
      epoch: ledger.epoch,
      intervalBytes: this.intervalBytes,
      timeMillis: Date.now(),
      capture,
      pauseMillis,
      lastOrdinal,
      labelsFromOrdinal: labels.mechanism === "none" ? lastOrdinal : this.#labelsFromOrdinal,
      ledger: ledger.takeRanges(),
      records: ledger.takeRecords(),
      windows: this.#windows.take(),
      requests: this.#requests.take(),
      ...routes.takeNews(),
      gc: engine.readGc(),
      memory: readMemory(this.#options.settings.horizonMillis),
      counts: {
        samples: this.#earlierSamples + lastOrdinal,
        captures: this.captureCount,
        capturesSkipped: this.#schedule.skippedCount,
        droppedLedgerRanges: ledger.droppedRangeCount,
        droppedRecords: ledger.droppedRecordCount,
        ringOverflows: engine.labels?.control[CONTROL_RING_OVERFLOWS] ?? 0,
        hookErrors: errors.count,
      },
    };
    sink.post(report);
  }

  #isFilling(): boolean {
    return this.#options.attribution.ledger.isFilling || this.#windows.isFilling || this.#requests.isFilling;
  }

  /** Forgets every live sample: done once, for the interval, and after the off switch. */
  #restart(intervalBytes: number): void {
    const { attribution, dropLabels, engine } = this.#options;
    const { labels, ledger } = attribution;
    if (this.#isRunning) {
      if (labels.mechanism === "interpose") labels.detach();
      engine.stop();
    }
    this.#earlierSamples += this.#lastOrdinal;
    this.#lastOrdinal = 0;
    this.#labelsFromOrdinal = 0;
    this.#windows.take();
    ledger.restart();
    this.intervalBytes = intervalBytes;
    this.#schedule.restarted(Date.now());
    this.#start();
    if (!this.#isRunning) return;
    if (!labels.attach()) dropLabels("they could not be switched on again after the sampler's restart");
    const now = attribution.ordinals?.read() ?? 0;
    if (now > 0) ledger.own(1, now, OWNER_AGENT);
  }

  #start(): void {
    const { attribution, engine, notify } = this.#options;
    const result = engine.start(this.intervalBytes, STACK_DEPTH);
    this.#isRunning = result === "started";
    if (result === "foreign") {
      notify("warn", "ERR_LEAK_AGENT_FOREIGN_SAMPLER", `another tool samples this heap already: ${FOREIGN_FIX}`);
    } else if (result === "failed") {
      notify("warn", "ERR_LEAK_AGENT_ENGINE", "V8 refused to start its sampling heap profiler");
    }
    attribution.ordinals?.reopen();
  }

  #lost(what: string): void {
    this.#isRunning = false;
    this.#options.dropLabels(what);
    this.#options.notify(
      "warn",
      "ERR_LEAK_AGENT_FOREIGN_SAMPLER",
      `${what}, and captures have stopped: ${FOREIGN_FIX}`,
    );
  }

  #readUtilisation(): number {
    const now = performance.eventLoopUtilization();
    const { active, idle, utilization } = performance.eventLoopUtilization(now, this.#utilisation);
    this.#utilisation = now;
    const blocked = atomicsWaitMillis() - this.#blockedMillis;
    this.#blockedMillis += blocked;
    return blocked === 0 || active + idle <= 0 ? utilization : Math.max(0, active - blocked) / (active + idle);
  }
}

function readMemory(horizonMillis: number): MemoryReading {
  const usage = process.memoryUsage();
  return {
    heapUsedBytes: usage.heapUsed,
    heapLimitBytes: getHeapStatistics().heap_size_limit,
    externalBytes: usage.external,
    arrayBuffersBytes: usage.arrayBuffers,
    heapTotalBytes: usage.heapTotal,
    moduleCount: countModules(Math.min(MODULE_COUNT_MILLIS, horizonMillis / MODULE_COUNTS_PER_HORIZON)),
  };
}

let moduleCount = 0;
let modulesDueMillis = 0;

/** 3,000 modules took 0.7 ms: counted now and then. */
function countModules(spacingMillis: number): number {
  const now = Date.now();
  if (now >= modulesDueMillis) {
    moduleCount = Object.keys(require.cache).length;
    modulesDueMillis = now + spacingMillis;
  }
  return moduleCount;
}
