/**
 * Runs on every thread that samples. The only loader of the C++ addon; its surface, typed.
 * Loading never throws: `loadNative` answers why it cannot be had.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";

const ROOT = join(__dirname, "..");

/** Index into `NativeAddon.gcCounters`. */
export const GC_MAJOR_COUNT = 0;
export const GC_MINOR_COUNT = 1;
export const GC_MAJOR_PAUSE_NANOS = 2;
export const GC_MINOR_PAUSE_NANOS = 3;
export const GC_POST_MAJOR_HEAP_BYTES = 4;
export const GC_COUNTER_COUNT = 8;

/** Index into `NativeAddon.control`, an Int32Array shared with the interposed sampler step. */
export const CONTROL_INSIDE_AGENT = 0;
/** How many samples wait in the ring; read by JS to skip empty drains. */
export const CONTROL_RING_LENGTH = 1;
export const CONTROL_RING_OVERFLOWS = 2;
/** Times `drained` or a store look-up threw; nothing goes further than this count. */
export const CONTROL_DRAIN_ERRORS = 3;
/** Counts loop turns while samples are interposed: one ends when its samples have been handed out. Wraps around. */
export const CONTROL_TURN = 4;
/** Counts the samples whose cost was timed, one in 16 while samples are interposed. Wraps around. */
export const CONTROL_TIMED_SAMPLES = 5;
/** Nanoseconds of this thread's CPU that V8 took for those. Wraps around. */
export const CONTROL_TIMED_NANOS = 6;
export const CONTROL_WORDS = 8;

/** What `drained` gets as the store of a sample taken while CONTROL_INSIDE_AGENT was not 0. */
export const AGENT_STORE = false;

export type StartResult = "started" | "foreign" | "failed";

/**
 * The V8 memory that holds the sampler's ordinal counter, for reading only. The counter may be read only while
 * `profilerWord` still equals `expected` AND `sampler[INTERVAL]` still is our interval: otherwise somebody else stopped
 * our sampler, and the memory may be gone.
 */
export interface CounterView {
  /** Two u32: the word inside `v8::HeapProfiler` that points to the sampler. Lives as long as the isolate. */
  readonly profilerWord: Uint32Array;
  readonly expectedLow: number;
  readonly expectedHigh: number;
  /** The sampler's first ten words as u32 pairs. */
  readonly sampler: Uint32Array;
  /** Index into `sampler` of the low half of the ordinal counter; the high half follows. */
  readonly ordinalIndex: number;
  /** Index into `sampler` of the low half of the interval. */
  readonly intervalIndex: number;
  readonly intervalBytes: number;
}

/**
 * @param ordinals the same array in every call: read it during the call.
 * @param stores AGENT_STORE inside the agent; without a store in the context, the `executionAsyncId()` of that moment.
 * @param count how many entries of both count, 1-256.
 */
export type DrainedSamples = (ordinals: Float64Array, stores: readonly unknown[], count: number) => void;

export interface NativeAddon {
  /** V8 major.minor this process runs, such as `13.6`. */
  readonly v8MajorMinor: string;
  /**
   * Starts V8's sampler in this isolate; a cleanup hook stops it with the environment. Never with kSamplingForceGC.
   * @param intervalBytes 1-2e9; an even number is taken as one less, so that another tool's sampler cannot pass for ours.
   * @param stackDepth 1-255.
   * @returns `failed` for arguments out of range, and while ours runs already.
   */
  startSampler(intervalBytes: number, stackDepth: number): StartResult;
  /** Stops our sampler; does nothing when it is not ours. */
  stopSampler(): void;
  /** True while the sampler that runs is the one we started. */
  samplerIsOurs(): boolean;
  /** One compact capture (src/model/capture.ts), or null when the sampler is gone. Names only for nodes not sent before. */
  capture(): ArrayBuffer | null;
  /** The next capture repeats every node. */
  resendNames(): void;
  /** The greatest ordinal handed out, read safely; -1 when the counter could not be found or is not ours. */
  readOrdinal(): number;
  /** Null when discovery failed (unknown layout, no permission to read own memory) or external buffers are not allowed. */
  counterView(): CounterView | null;
  /** Fine-grained reason why the counter could not be found; empty when it was. */
  counterProblem(): string;
  /**
   * Node 24 and 26: from now on each new sample's context frame is kept in a ring of 256 handles, drained once per loop
   * turn (unref'd) and by `drain`. `drained` receives the store of `storage` in that frame, resolved at once.
   * @returns false when this V8 is not supported.
   */
  interpose(storage: object, drained: DrainedSamples): boolean;
  /** Puts the sampler's observer back as it was. */
  removeInterposition(): void;
  drain(): void;
  /** Totals, updated in the GC epilogue without any JS. */
  readonly gcCounters: Float64Array;
  readonly control: Int32Array;
  /** MemoryPressureNotification(kModerate), then kNone: starts a mark-compact. Load tests only. */
  requestMajorGc(): void;
  /**
   * Asks V8 to be told before it ends the process at the heap limit; the limit itself stays. To be called before anybody
   * else does so (`v8.setHeapSnapshotNearHeapLimit`, another addon): V8 asks the last one only.
   * @returns false when this process is watched already.
   */
  watchHeapLimit(): boolean;
  /** What the addon then writes, with one `write`, to a file that is open for appending. */
  setHeapLimitWord(file: number, word: Uint8Array): void;
  /** Median time of V8's own GetAllocationProfile alone, in nanoseconds, for benchmarks: builds and drops one profile. */
  benchmarkAllocationProfile(): number;
}

export type NativeResult =
  | { readonly ok: true; readonly addon: NativeAddon }
  | { readonly ok: false; readonly reason: string };

let loaded: NativeResult | undefined;

/** Loads the addon built for this Node. */
export function loadNative(): NativeResult {
  loaded ??= load();
  return loaded;
}

function load(): NativeResult {
  try {
    return { ok: true, addon: installed() ?? searched() };
  } catch (error) {
    return { ok: false, reason: firstLine(error) };
  }
}

/** Where scripts/install-addon.js puts it: looking there first saves every start 4 ms. */
function installed(): NativeAddon | null {
  const libc = process.platform === "linux" ? `.${existsSync("/etc/alpine-release") ? "musl" : "glibc"}` : "";
  const name = `leak-agent.abi${process.versions.modules}${libc}.node`;
  try {
    return require(join(ROOT, "prebuilds", `${process.platform}-${process.arch}`, name)) as NativeAddon;
  } catch {
    return null;
  }
}

/** By all the rules there are, which say why there is none. */
function searched(): NativeAddon {
  const nodeGypBuild = require("node-gyp-build") as (folder: string) => NativeAddon;
  return nodeGypBuild(ROOT);
}

function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split("\n", 1)[0] ?? "unknown";
}
