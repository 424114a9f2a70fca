/** Runs on every thread that samples. Owns the common surface of the two sampling engines; types only. */
import type { GcReading } from "../model/messages";
import type { CounterView, DrainedSamples, StartResult } from "../native";

/** What only the native engine can do: read V8's ordinal counter, and see samples at the moment they are taken. */
export interface LabelSource {
  /** V8 major.minor, such as `13.6`; keys the allow-list of tested layouts. */
  readonly v8MajorMinor: string;
  /** The view to read the ordinal counter without a native call; null when it cannot be had. Ask again after a restart. */
  counterView(): CounterView | null;
  /** Why the counter could not be found; empty when it was. */
  counterProblem(): string;
  /** See `NativeAddon.interpose`. */
  interpose(storage: object, drained: DrainedSamples): boolean;
  removeInterposition(): void;
  /** Hands out the samples that wait in the ring. */
  drain(): void;
  /** Int32Array of CONTROL_* words shared with the interposed sampler step. */
  readonly control: Int32Array;
}

export interface SamplingEngine {
  readonly name: "native" | "pprof";
  /** Least time between two captures that the engine's pause allows, in ms; 0 when the caller's own budget decides. */
  readonly minimumCaptureSpacingMillis: number;
  /** Null when the engine has no ordinals of its own: no labels (`attribution: none`). */
  readonly labels: LabelSource | null;
  /**
   * @param intervalBytes mean bytes between samples, >= 1.
   * @param stackDepth frames kept per sample, 1-255.
   * @returns `foreign` when another tool samples already (nothing was started), `failed` when V8 refused otherwise.
   */
  start(intervalBytes: number, stackDepth: number): StartResult;
  /** Stops our sampler; does nothing when it is not ours. */
  stop(): void;
  /** True while the sampler that runs is the one we started. */
  isOurs(): boolean;
  /** One capture in the layout of src/model/capture.ts, or null when the sampler is gone. Blocks the calling thread. */
  capture(): ArrayBuffer | null;
  /** The next capture repeats every node. */
  resendNames(): void;
  /** The greatest ordinal handed out; -1 when unknown. */
  readOrdinal(): number;
  /** Totals since the engine was made in this thread. */
  readGc(): GcReading;
  /** Asks V8 for one mark-compact (load tests only); false when the engine cannot. */
  requestMajorGc(): boolean;
}

/** What an engine's maker answers. */
export type EngineResult =
  | { readonly ok: true; readonly engine: SamplingEngine }
  | { readonly ok: false; readonly reason: string };
