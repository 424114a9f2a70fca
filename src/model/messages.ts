/**
 * Spoken by probes (every thread of the service) and the agent's worker. Owns the messages between them, nothing else.
 * Everything is structured-cloneable; buffers are transferred where the port allows it.
 */
import type { GovernorReading, WorkerUsage } from "./cost";
import type { AnnouncedRoute } from "./owner";

/** Words per entry in the packed `Float64Array`s below. */
export const LEDGER_WORDS = 3;
export const RECORD_WORDS = 3;
export const WINDOW_WORDS = 3;
export const REQUEST_WORDS = 3;

/** `endOrdinal` of a request record whose request is still running. */
export const RECORD_OPEN: number = Number.POSITIVE_INFINITY;

/** In the route column of a record: work that belongs to no request, as far as the thread that asked for it knows. */
export const RECORD_BACKGROUND = -2;
/** In the route column of a record: nobody knows. */
export const RECORD_UNKNOWN = -1;
/** Route indexes of one thread are below this. */
const ROUTES_PER_THREAD = 65_536;
/** Threads above this one cannot be named in a route number of 31 bits. */
export const MAX_FOREIGN_THREAD = 32_765;

/** A route of another thread, for the route column of a record: work that a request there has asked this thread for. */
export function foreignRoute(thread: number, routeIndex: number): number {
  return (thread + 1) * ROUTES_PER_THREAD + routeIndex;
}

/** @returns the thread and its route index, or null for a route of the reporting thread itself. */
export function splitForeignRoute(route: number): { readonly thread: number; readonly routeIndex: number } | null {
  if (route < ROUTES_PER_THREAD) return null;
  return { thread: Math.floor(route / ROUTES_PER_THREAD) - 1, routeIndex: route % ROUTES_PER_THREAD };
}

/** What a probe learned since its previous message. One message travels with each capture, more when a queue fills up. */
export interface ProbeReport {
  readonly type: "report";
  /** `worker_threads.threadId`; 0 is the main thread. */
  readonly thread: number;
  /** Counts the sampler's lives in this thread: a restart forgets every live sample. */
  readonly epoch: number;
  /** V8's mean sampling interval in bytes. */
  readonly intervalBytes: number;
  /** `Date.now()` when the report was made. */
  readonly timeMillis: number;
  /** The layout of `capture.ts`, or null when this report only carries windows and owners. */
  readonly capture: ArrayBuffer | null;
  /** Time the main thread was blocked by the capture; 0 without one. */
  readonly pauseMillis: number;
  /** The greatest ordinal handed out when the report was made. */
  readonly lastOrdinal: number;
  /** Ordinals at or below this one have no labels (labels start late, or failed). */
  readonly labelsFromOrdinal: number;
  /** Packed [firstOrdinal, lastOrdinal (inclusive), owner token], ascending. */
  readonly ledger: Float64Array;
  /** Packed [record id, route index (own, foreign or RECORD_*), endOrdinal or RECORD_OPEN]; a later row for the same record replaces an earlier one. */
  readonly records: Float64Array;
  /** Packed birth windows closed since the last report: [end time in ms, last ordinal inside, major GCs completed at its end]. */
  readonly windows: Float64Array;
  /** Packed [window end time in ms, route index, requests finished in that window]; zero rows are left out. */
  readonly requests: Float64Array;
  /** Routes that got their index since the last report, in index order; `firstRouteIndex` is the first one's. */
  readonly firstRouteIndex: number;
  readonly newRoutes: readonly AnnouncedRoute[];
  /** Routes folded into another one (a path segment turned out to be a parameter): [from, to] pairs. */
  readonly routeAliases: readonly (readonly [number, number])[];
  readonly gc: GcReading;
  readonly memory: MemoryReading;
  readonly counts: ProbeCounts;
  /** What the agent has cost this thread so far, and what its governor has decided. */
  readonly governor?: GovernorReading;
}

/** Read from the GC epilogue counters; totals since the addon was loaded in this thread. */
export interface GcReading {
  readonly majorCount: number;
  readonly minorCount: number;
  readonly majorPauseNanos: number;
  readonly minorPauseNanos: number;
  /** Used heap right after the last major GC; 0 before the first. */
  readonly postMajorHeapBytes: number;
  /** How many of the major GCs the agent asked for (load tests only). */
  readonly requestedMajorCount: number;
}

export interface MemoryReading {
  readonly heapUsedBytes: number;
  readonly heapLimitBytes: number;
  /** The part of it that V8 ends the process for; left out by older agents. */
  readonly oldGenerationLimitBytes?: number;
  readonly externalBytes: number;
  readonly arrayBuffersBytes: number;
  readonly heapTotalBytes?: number;
  /** Entries of `require.cache`. */
  readonly moduleCount?: number;
}

/** Totals of what the probe did and what it had to drop. */
export interface ProbeCounts {
  readonly samples: number;
  readonly captures: number;
  readonly capturesSkipped: number;
  readonly droppedLedgerRanges: number;
  readonly droppedRecords: number;
  readonly ringOverflows: number;
  readonly hookErrors: number;
}

export type LabelMechanism = "interpose" | "hook" | "none";

/** Sent once by each probe when it wakes up, and again when what works changes. */
export interface ProbeHello {
  readonly type: "hello";
  readonly thread: number;
  readonly engine: "native" | "pprof" | "none";
  readonly labels: LabelMechanism;
  /** Why labels are off or not the preferred ones; empty when nothing is to be said. */
  readonly labelsReason: string;
  readonly startTimeMillis: number;
  /** `main`, or what the service named its worker thread; empty where Node does not tell (20, or without a name). */
  readonly threadName?: string;
}

/** A thread of the service has ended: its live samples are gone, which proves nothing about the code. */
export interface ProbeGoodbye {
  readonly type: "goodbye";
  readonly thread: number;
}

/** A one-off event that the worker should log as one line. */
export interface ProbeNotice {
  readonly type: "notice";
  readonly thread: number;
  readonly level: "info" | "warn";
  readonly code: string;
  readonly message: string;
}

/** The process leaves, and waits a moment: send what is there, then set the word EXIT_SENT to 1 and wake who waits. */
export interface ProbeExit {
  readonly type: "exit";
}

export type ProbeMessage = ProbeHello | ProbeReport | ProbeGoodbye | ProbeNotice | ProbeExit;

/** What the worker may ask of the main thread's probe. */
export type WorkerRequest =
  /**
   * A node id or route index is unknown (the worker restarted, or pruned too much): send every node name, every route
   * (`firstRouteIndex` 0), every open record and hello again. Requests are also posted on `PROBE_CHANNEL`.
   */
  | { readonly type: "resend-names"; readonly thread: number }
  /** The off switch was found (file), or withdrawn. */
  | { readonly type: "enabled"; readonly enabled: boolean }
  /** This life's file for the last word of the process; the main thread keeps it open. */
  | { readonly type: "life"; readonly endFile: string }
  /**
   * The worker runs, or has handled another report: sent once at its start and once after each report of the main thread,
   * then with what the worker has used. Reports of other threads are counted in `WorkerStart.words`.
   */
  | { readonly type: "ready"; readonly usage?: WorkerUsage };

/** `workerData` of the agent's worker. */
export interface WorkerStart {
  readonly settings: import("../config").Settings;
  readonly problems: readonly string[];
  readonly restartCount: number;
  readonly processStartMillis: number;
  readonly mainScript: string | null;
  readonly workingDirectory: string;
  /** Shared 32-bit words, at the indexes EXIT_*. Left out where nobody waits for the worker's end. */
  readonly exitWords?: SharedArrayBuffer;
  /** Shared 32-bit words, of which the worker writes those at the indexes WORD_*. */
  readonly words?: SharedArrayBuffer;
}

/** Index into `WorkerStart.exitWords`: 1 when the worker has answered `ProbeExit`. */
export const EXIT_SENT = 0;
/** Index into `WorkerStart.exitWords`: 1 when the main thread is about to end the worker. */
export const EXIT_LEAVING = 1;
/** Index into `WorkerStart.exitWords`: 1 while the worker is inside zlib (decision 0020). */
export const EXIT_COMPRESSING = 2;
export const EXIT_WORDS = 3;

/** Index into `WorkerStart.words`: reports of the service's worker threads on their way; the worker counts down. */
export const WORD_WAITING_REPORTS = 1;
/** Index into `WorkerStart.words`: 1 while the worker hears what the service's worker threads send. */
export const WORD_LISTENING = 5;
export const SHARED_WORDS = 6;

/** Name of the `BroadcastChannel` over which probes in the service's own worker threads reach the agent's worker. */
export const PROBE_CHANNEL = "leak-agent.probe.1";

/**
 * Name of the `BroadcastChannel` on which the agent's worker posts its `WorkerRequest`s for those threads. A channel of
 * its own, because everybody who listens on `PROBE_CHANNEL` has every thread's captures cloned into its own heap.
 */
export const REQUEST_CHANNEL = "leak-agent.request.1";
