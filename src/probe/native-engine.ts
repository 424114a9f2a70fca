/**
 * Runs on every thread that samples. Owns the mapping of the C++ addon to `SamplingEngine`, nothing else.
 * Must stay thin: what V8 does is decided in native/.
 */
import type { GcReading } from "../model/messages";
import {
  GC_MAJOR_COUNT,
  GC_MAJOR_PAUSE_NANOS,
  GC_MINOR_COUNT,
  GC_MINOR_PAUSE_NANOS,
  GC_POST_MAJOR_HEAP_BYTES,
  loadNative,
  type NativeAddon,
  type StartResult,
} from "../native";
import type { EngineResult, LabelSource, SamplingEngine } from "./engine";

/** The engine on our own addon, or why it cannot be loaded here. */
export function createNativeEngine(): EngineResult {
  const native = loadNative();
  return native.ok ? { ok: true, engine: new NativeEngine(native.addon) } : native;
}

class NativeEngine implements SamplingEngine {
  readonly name = "native";
  readonly minimumCaptureSpacingMillis = 0;
  readonly labels: LabelSource;
  readonly #addon: NativeAddon;
  #requestedMajorCount = 0;

  constructor(addon: NativeAddon) {
    this.#addon = addon;
    this.labels = addon;
  }

  start(intervalBytes: number, stackDepth: number): StartResult {
    return this.#addon.startSampler(intervalBytes, stackDepth);
  }

  stop(): void {
    this.#addon.stopSampler();
  }

  isOurs(): boolean {
    return this.#addon.samplerIsOurs();
  }

  capture(): ArrayBuffer | null {
    return this.#addon.capture();
  }

  resendNames(): void {
    this.#addon.resendNames();
  }

  readOrdinal(): number {
    return this.#addon.readOrdinal();
  }

  readGc(): GcReading {
    const counters = this.#addon.gcCounters;
    return {
      majorCount: counters[GC_MAJOR_COUNT] ?? 0,
      minorCount: counters[GC_MINOR_COUNT] ?? 0,
      majorPauseNanos: counters[GC_MAJOR_PAUSE_NANOS] ?? 0,
      minorPauseNanos: counters[GC_MINOR_PAUSE_NANOS] ?? 0,
      postMajorHeapBytes: counters[GC_POST_MAJOR_HEAP_BYTES] ?? 0,
      requestedMajorCount: this.#requestedMajorCount,
    };
  }

  requestMajorGc(): boolean {
    this.#requestedMajorCount++;
    this.#addon.requestMajorGc();
    return true;
  }
}
