/**
 * Runs on the service's main thread and its worker threads. Owns one thread's sampler: its lives, birth windows, captures
 * and reports. Must not touch a sampler that another tool has started.
 */
import { AsyncResource } from "node:async_hooks";
import type { EventLoopUtilization } from "node:perf_hooks";
import { isMainThread, threadId } from "node:worker_threads";
import type { Settings } from "../config";
import type { BudgetName, GovernorReading, SkipReason, WorkerUsage } from "../model/cost";
import type { ProbeReport } from "../model/messages";
import { OWNER_AGENT, OWNER_STARTUP } from "../model/owner";
import { CONTROL_RING_OVERFLOWS, CONTROL_TIMED_NANOS, CONTROL_TIMED_SAMPLES } from "../native";
import type { ReportSink } from "./agent-worker";
import { atomicsWaitMillis } from "./blocked-time";
import type { BreakerEvent } from "./breaker";
import { type CaptureFacts, factsOf } from "./capture-facts";
import { GcRequests } from "./capture-schedule";
import type { SamplingEngine } from "./engine";
import { Governor } from "./governor";
import type { HookErrors, Notify } from "./hook-errors";
import type { Attribution } from "./http-requests";
import { START_INTERVAL_BYTES } from "./interval-choice";
import { monotonicMillis, perfHooks } from "./late-modules";
import { readMemory } from "./memory-reading";
import { OWNER_LEDGER_BYTES } from "./owner-ledger";
import { ROW_BYTES, RowQueue } from "./row-queue";
import type { SharedWords } from "./shared-words";

const STACK_DEPTH = 64;
const MAX_WINDOWS = 1_024;
const MAX_REQUEST_ROWS = 4_096;
const QUEUE_BYTES = OWNER_LEDGER_BYTES + (MAX_WINDOWS + MAX_REQUEST_ROWS) * ROW_BYTES;
const FOREIGN_FIX =
  "V8 has one sampling heap profiler per thread: switch the other tool's heap profiling off, or this agent with LEAK_AGENT_ENABLED=0";

export interface SamplingOptions {
  readonly engine: SamplingEngine;
  readonly settings: Settings;
  readonly attribution: Attribution;
  readonly words: SharedWords;
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
  readonly #governor: Governor;
  readonly #gcRequests: GcRequests;
  /** True while the sampler that runs is ours, as far as we know. */
  #isRunning = false;
  #isEnabled = true;
  /** By the governor, until its cool-down is over. */
  #isPaused = false;
  #labelsFromOrdinal = 0;
  /** Ordinals handed out up to the end of the last window; for engines without a counter, the greatest one captured. */
  #lastOrdinal = 0;
  #hasRequests = false;
  /** Monotonic, as all the governor is told. */
  #windowStartMillis: number = monotonicMillis();
  #utilisation: EventLoopUtilization | null = null;
  #blockedMillis = 0;
  #lastAsyncId = 0;
  #lastTimedSamples = 0;
  #lastTimedNanos = 0;
  /** Samples of the sampler's earlier lives. */
  #earlierSamples = 0;

  constructor(options: SamplingOptions) {
    this.#options = options;
    const { engine, settings } = options;
    const { horizonMillis } = settings;
    const startMillis = monotonicMillis();
    this.intervalBytes = settings.samplingIntervalBytes ?? START_INTERVAL_BYTES;
    this.#governor = new Governor({
      horizonMillis,
      cpuBudgetRatio: settings.cpuBudgetRatio,
      pauseBudgetMillisPerMinute: settings.pauseBudgetMillisPerMinute,
      memoryBudgetBytes: settings.memoryBudgetBytes,
      intervalBytes: this.intervalBytes,
      isIntervalFixed: settings.samplingIntervalBytes !== null || engine.labels === null,
      minimumCaptureSpacingMillis: engine.minimumCaptureSpacingMillis,
      queueBytes: QUEUE_BYTES,
      startMillis,
    });
    this.#gcRequests = new GcRequests(horizonMillis, startMillis);
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
    this.#windowStartMillis = monotonicMillis();
    if (!attribution.labels.attach()) dropLabels("they could not be switched on");
  }

  get isRunning(): boolean {
    return this.#isRunning;
  }

  get governor(): GovernorReading {
    return this.#governor.reading();
  }

  setEnabled(isEnabled: boolean): void {
    if (isEnabled === this.#isEnabled) return;
    this.#isEnabled = isEnabled;
    if (isEnabled && !this.#isPaused) this.#restart(this.intervalBytes, false);
    else this.#stop();
  }

  workerUsed(usage: WorkerUsage): void {
    this.#governor.workerUsed(monotonicMillis(), usage);
  }

  /** Once per birth window. */
  tick(sink: ReportSink): void {
    const { labels } = this.#options.attribution;
    const started = monotonicMillis();
    labels.beginAgent();
    try {
      if (this.#options.words.isGivenUp) this.setEnabled(false);
      if (!this.#isEnabled) return;
      if (this.#governor.poll(started)) this.#tryAgain(started);
      if (this.#isRunning) this.#work(sink, started);
      this.#obey(sink);
    } finally {
      labels.endAgent();
      this.#governor.timerTook(monotonicMillis() - started);
    }
  }

  /** @param now monotonic. */
  #work(sink: ReportSink, now: number): void {
    const { attribution, engine } = this.#options;
    if (!engine.isOurs()) return this.#lost("another tool has stopped this agent's sampler");
    const windowMillis = now - this.#windowStartMillis;
    this.#windowStartMillis = now;
    const { requestCount, samples } = this.#closeWindow();
    const workCount = this.#workIn(requestCount, samples);
    const { active, utilization } = this.#readUtilisation();
    const chosen = this.#governor.windowClosed({
      nowMillis: now,
      windowMillis,
      activeMillis: active,
      samples,
      requests: requestCount,
      asyncIds: this.#countAsyncIds(),
      ...this.#readTimed(),
      isBusy: workCount > 0,
      labels: attribution.labels.mechanism,
    });
    this.#share();
    if (chosen !== null) {
      if (sink.isReady) this.#report(sink, null, 0);
      this.#restart(chosen, true);
      return;
    }
    if (this.#gcRequests.isDue(now, engine.readGc().majorCount, workCount)) this.#requestMajorGc();
    if (this.#governor.decide(now, utilization, this.#obstacle(sink)) === "capture") this.#capture(sink, now);
    else if (sink.isReady && this.#isFilling()) this.#report(sink, null, 0);
  }

  /** Load tests only. Its time is V8's garbage collections, where the user looks for it: no budget could be kept with it. */
  #requestMajorGc(): void {
    const started = monotonicMillis();
    this.#options.engine.requestMajorGc();
    this.#governor.timerTook(started - monotonicMillis());
  }

  #obstacle(sink: ReportSink): SkipReason | null {
    if (!sink.isReady) return "worker_behind";
    return !isMainThread && this.#options.words.areCapturesOff ? "breaker" : null;
  }

  /** All threads use one worker: what the main thread's governor asks of captures, it asks of all. */
  #share(): void {
    const { words } = this.#options;
    if (!isMainThread) {
      this.#governor.spacingFactor = words.spacingFactor;
      return;
    }
    words.spacingFactor = this.#governor.spacingFactor;
    words.areCapturesOff = this.#governor.isSamplingOff;
  }

  /** Does and tells what the breaker has decided since the last turn. */
  #obey(sink: ReportSink): void {
    if (this.#governor.isSamplingOff && !this.#isPaused) {
      this.#isPaused = true;
      if (sink.isReady) this.#report(sink, null, 0);
      this.#stop();
    }
    const events = this.#governor.takeEvents();
    for (const event of events) this.#tell(event);
    if (events.length === 0) return;
    this.#share();
    if (sink.isReady) this.#report(sink, null, 0);
  }

  /** The cool-down is over: with half as many samples where that is possible. */
  #tryAgain(now: number): void {
    const wasPaused = this.#isPaused;
    this.#isPaused = false;
    if (!wasPaused && !this.#isRunning) return; // Another tool has taken the sampler in the meantime.
    const coarser = this.#governor.coarser(now);
    if (coarser !== null) this.#restart(coarser, true);
    else if (wasPaused) this.#restart(this.intervalBytes, false);
    this.#share();
  }

  #tell({ type, cause, coolDownMillis }: BreakerEvent): void {
    const { notify, settings } = this.#options;
    if (type === "closed") {
      const interval = `sampling interval ${Math.round(this.intervalBytes / 1024)} KiB`;
      return notify(
        "info",
        "ERR_LEAK_AGENT_BUDGET",
        `captures are on again: the ${cause} budget is kept (${interval})`,
      );
    }
    const seconds = Math.round(coolDownMillis / 1_000);
    const again = seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
    notify("warn", "ERR_LEAK_AGENT_BUDGET", `captures are off for ${again} or longer: ${excess(cause, settings)}`);
  }

  #countAsyncIds(): number {
    if (this.#options.attribution.labels.mechanism !== "hook") return 0;
    const asyncId = new AsyncResource("LEAK_AGENT", { requireManualDestroy: true }).asyncId();
    const count = this.#lastAsyncId === 0 ? 0 : asyncId - this.#lastAsyncId;
    this.#lastAsyncId = asyncId;
    return count;
  }

  /** Samples timed since the last call. Both words wrap around. */
  #readTimed(): { readonly timedSamples: number; readonly timedMillis: number } {
    const control = this.#options.engine.labels?.control;
    const samples = control?.[CONTROL_TIMED_SAMPLES] ?? 0;
    const nanos = control?.[CONTROL_TIMED_NANOS] ?? 0;
    const timedSamples = (samples - this.#lastTimedSamples) | 0;
    const timedMillis = ((nanos - this.#lastTimedNanos) | 0) / 1e6;
    this.#lastTimedSamples = samples;
    this.#lastTimedNanos = nanos;
    return { timedSamples, timedMillis };
  }

  /** Requests of a window; where none has ever come (worker threads, queue consumers) allocating is the work. */
  #workIn(requestCount: number, samples: number): number {
    if (requestCount > 0) this.#hasRequests = true;
    return this.#hasRequests ? requestCount : samples;
  }

  #closeWindow(): { requestCount: number; samples: number } {
    const { attribution, engine } = this.#options;
    const now = Date.now();
    attribution.labels.settle();
    const ordinal = attribution.ordinals?.read() ?? -1;
    const samples = ordinal < 0 ? 0 : ordinal - this.#lastOrdinal;
    if (ordinal >= 0) this.#lastOrdinal = ordinal;
    this.#options.windowEnded(Math.max(0, ordinal));
    this.#windows.push(now, this.#lastOrdinal, engine.readGc().majorCount);
    return { requestCount: attribution.routes.closeWindow(now, this.#requests), samples };
  }

  #capture(sink: ReportSink, now: number): void {
    const { engine } = this.#options;
    const started = monotonicMillis();
    const buffer = engine.capture();
    const pauseMillis = monotonicMillis() - started;
    if (buffer === null) return this.#lost("another tool has taken this agent's sampler");
    const facts = factsOf(buffer);
    this.captureCount++;
    this.#governor.captured(now, pauseMillis, facts.treeNodeCount, facts.sampleCount);
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
        capturesSkipped: this.#governor.skippedCount,
        droppedLedgerRanges: ledger.droppedRangeCount,
        droppedRecords: ledger.droppedRecordCount,
        ringOverflows: engine.labels?.control[CONTROL_RING_OVERFLOWS] ?? 0,
        hookErrors: errors.count,
      },
      governor: this.#governor.reading(),
    };
    sink.post(report);
  }

  #isFilling(): boolean {
    return this.#options.attribution.ledger.isFilling || this.#windows.isFilling || this.#requests.isFilling;
  }

  #stop(): void {
    if (!this.#isRunning) return;
    this.#options.attribution.labels.detach();
    this.#options.engine.stop();
    this.#isRunning = false;
  }

  /**
   * Forgets every live sample: done for another interval, after a cool-down and after the off switch.
   * @param isForBudget counts to the few restarts that the budget may ask for.
   */
  #restart(intervalBytes: number, isForBudget: boolean): void {
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
    this.#governor.restarted(monotonicMillis(), intervalBytes, isForBudget);
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

  /** Since the last call. */
  #readUtilisation(): { readonly active: number; readonly utilization: number } {
    const { performance } = perfHooks();
    const now = performance.eventLoopUtilization();
    const since = this.#utilisation === null ? now : performance.eventLoopUtilization(now, this.#utilisation);
    this.#utilisation = now;
    const blocked = atomicsWaitMillis() - this.#blockedMillis;
    this.#blockedMillis += blocked;
    const { active, idle } = since;
    if (blocked === 0 || active + idle <= 0) return since;
    const worked = Math.max(0, active - blocked);
    return { active: worked, utilization: worked / (active + idle) };
  }
}

/** What was exceeded, and what the user can do about it. */
function excess(budget: BudgetName, settings: Settings): string {
  switch (budget) {
    case "pause":
      return `a capture takes more than ${settings.pauseBudgetMillisPerMinute} ms (LEAK_AGENT_PAUSE_BUDGET_MS)`;
    case "cpu":
      return `the agent costs more than ${+(settings.cpuBudgetRatio * 100).toFixed(2)} % of a core (LEAK_AGENT_CPU_BUDGET)`;
    case "memory":
      return `the agent uses more than ${Math.round(settings.memoryBudgetBytes / 2 ** 20)} MB (LEAK_AGENT_MEMORY_BUDGET_MB)`;
  }
}
