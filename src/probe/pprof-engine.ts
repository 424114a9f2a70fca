/**
 * Runs on the service's main thread, where our addon cannot load. Owns the second engine, on the `pprof` package.
 * Must not claim labels (V8's sample ordinals are out of its reach), nor run where a sampler left on kills the process.
 */
import type { PerformanceObserver } from "node:perf_hooks";
import { isMainThread } from "node:worker_threads";
import { LOAD_TEST_HORIZON_MILLIS } from "../config";
import type { GcReading } from "../model/messages";
import type { StartResult } from "../native";
import type { EngineResult, SamplingEngine } from "./engine";
import { perfHooks, v8 } from "./late-modules";
import { type AllocationTreeNode, SyntheticCaptures, sampledCount } from "./synthetic-capture";

/** Each capture blocks the main thread for 40-170 ms at 8-22 thousand nodes (docs/decisions/0003). */
const CAPTURE_SPACING_MILLIS = 600_000;
const LOAD_TEST_CAPTURES_PER_HORIZON = 10;

/**
 * Node lines on which a process with pprof's sampler left on survives every way out. Not 24: `pprof` has no environment
 * cleanup hook, and there 6 of 11 ways out died (SIGSEGV, `double free`). Stopping in an `exit` listener mends those that
 * run it, but the service may remove our listener, and then it dies again (3 of 3). 20, 22 and 26: none died.
 */
const SAFE_NODE_MAJORS: ReadonlySet<number> = new Set([20, 22, 26]);

/** A sampler that has just started has taken next to no samples; more are another tool's. */
const FRESH_SAMPLER_MAX_SAMPLES = 4;
/** Below this many earlier samples, that none of them is left may be chance. */
const REPLACED_SAMPLER_MIN_SAMPLES = 20;

/** `pprof/out/src/heap-profiler-bindings`: V8's tree as JavaScript objects. `getAllocationProfile` crashes without a sampler. */
interface HeapBindings {
  startSamplingHeapProfiler(intervalBytes: number, stackDepth: number): void;
  stopSamplingHeapProfiler(): void;
  getAllocationProfile(): AllocationTreeNode;
}

/** @param horizonMillis `Settings.horizonMillis`, which spaces the captures. */
export function createPprofEngine(horizonMillis: number): EngineResult {
  const major = Number(process.versions.node.split(".")[0]);
  if (!SAFE_NODE_MAJORS.has(major)) return { ok: false, reason: `not safe at exit on Node ${major}` };
  if (!isMainThread) return { ok: false, reason: "main thread only" };
  try {
    const bindings = require("pprof/out/src/heap-profiler-bindings") as HeapBindings;
    return { ok: true, engine: new PprofEngine(bindings, horizonMillis) };
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    return { ok: false, reason: text.split("\n", 1)[0] ?? "unknown" };
  }
}

/** @internal Exported for its test, which drives it with a made-up binding. */
export class PprofEngine implements SamplingEngine {
  readonly name = "pprof";
  readonly labels = null;
  readonly minimumCaptureSpacingMillis: number;
  readonly #bindings: HeapBindings;
  readonly #gc = new GcTotals();
  #captures: SyntheticCaptures | null = null;
  #intervalBytes = 0;
  #stackDepth = 0;

  constructor(bindings: HeapBindings, horizonMillis: number) {
    this.#bindings = bindings;
    this.minimumCaptureSpacingMillis =
      horizonMillis < LOAD_TEST_HORIZON_MILLIS
        ? horizonMillis / LOAD_TEST_CAPTURES_PER_HORIZON
        : CAPTURE_SPACING_MILLIS;
  }

  start(intervalBytes: number, stackDepth: number): StartResult {
    if (this.#captures !== null) return "failed";
    this.#bindings.startSamplingHeapProfiler(intervalBytes, stackDepth);
    if (sampleCountOf(this.#bindings.getAllocationProfile(), intervalBytes) > FRESH_SAMPLER_MAX_SAMPLES)
      return "foreign";
    this.#intervalBytes = intervalBytes;
    this.#stackDepth = stackDepth;
    this.#captures = new SyntheticCaptures();
    this.#gc.observe();
    return "started";
  }

  stop(): void {
    if (this.#captures === null) return;
    this.#captures = null;
    this.#bindings.stopSamplingHeapProfiler();
    this.#gc.disconnect();
  }

  isOurs(): boolean {
    return this.#captures !== null;
  }

  /**
   * `pprof` reads through a null pointer when somebody has stopped the sampler, so one is started first: that does nothing
   * while ours runs. If ours was replaced, no sample that was live before is left, and nothing is captured any more.
   */
  capture(): ArrayBuffer | null {
    if (this.#captures === null) return null;
    this.#bindings.startSamplingHeapProfiler(this.#intervalBytes, this.#stackDepth);
    const { buffer, livedBefore, stillLive } = this.#captures.capture(
      this.#bindings.getAllocationProfile(),
      this.#intervalBytes,
    );
    if (livedBefore < REPLACED_SAMPLER_MIN_SAMPLES || stillLive > 0) return buffer;
    this.#captures = null;
    this.#gc.disconnect();
    return null;
  }

  resendNames(): void {
    this.#captures?.resendNames();
  }

  readOrdinal(): number {
    return this.#captures?.lastOrdinal ?? -1;
  }

  readGc(): GcReading {
    return this.#gc.read();
  }

  requestMajorGc(): boolean {
    return false;
  }
}

function sampleCountOf(node: AllocationTreeNode, intervalBytes: number): number {
  let count = 0;
  for (const { sizeBytes, count: scaled } of node.allocations) count += sampledCount(scaled, sizeBytes, intervalBytes);
  for (const child of node.children) count += sampleCountOf(child, intervalBytes);
  return count;
}

/** GC totals from `perf_hooks`, which arrive a loop turn late. The heap is read then, so it may hold some new garbage. */
class GcTotals {
  readonly #observer: PerformanceObserver;
  #majorCount = 0;
  #minorCount = 0;
  #majorPauseNanos = 0;
  #minorPauseNanos = 0;
  #postMajorHeapBytes = 0;

  constructor() {
    this.#observer = new (perfHooks().PerformanceObserver)((list) => this.#add(list.getEntries()));
  }

  observe(): void {
    this.#observer.observe({ entryTypes: ["gc"] });
  }

  disconnect(): void {
    this.#observer.disconnect();
  }

  read(): GcReading {
    return {
      majorCount: this.#majorCount,
      minorCount: this.#minorCount,
      majorPauseNanos: this.#majorPauseNanos,
      minorPauseNanos: this.#minorPauseNanos,
      postMajorHeapBytes: this.#postMajorHeapBytes,
      requestedMajorCount: 0,
    };
  }

  #add(entries: readonly { readonly duration: number; readonly detail?: unknown }[]): void {
    const { constants } = perfHooks();
    for (const entry of entries) {
      const kind = (entry.detail as { readonly kind?: number } | undefined)?.kind;
      if (kind === constants.NODE_PERFORMANCE_GC_MAJOR) {
        this.#majorCount++;
        this.#majorPauseNanos += entry.duration * 1e6;
        this.#postMajorHeapBytes = v8().getHeapStatistics().used_heap_size;
      } else if (kind === constants.NODE_PERFORMANCE_GC_MINOR) {
        this.#minorCount++;
        this.#minorPauseNanos += entry.duration * 1e6;
      }
    }
  }
}
