/**
 * Spoken by the worker (writer), the history file and the detector (reader). Owns the detector's only input: a stream
 * of observations. One JSON line each in the history file, so that every verdict can be replayed.
 */
import type { AgentCost } from "./cost";
import type { OwnerKind, Route } from "./owner";

export const HISTORY_SCHEMA = "leak-agent.history/1";

/** First line of a history file. */
export interface HistoryHeader {
  readonly schema: typeof HISTORY_SCHEMA;
  readonly startTimeMillis: number;
  readonly service: string;
  readonly processId: number;
  readonly nodeVersion: string;
  readonly agentVersion: string;
  readonly horizonMillis: number;
  readonly windowMillis: number;
  readonly applicationRoot: string;
  /** Left out by agents before lives were kept. */
  readonly serviceVersion?: string | null;
  readonly buildId?: string | null;
}

/** One function as V8 names it. `file` is a path (URLs are turned into paths), `node:...`, or "" for builtins. */
export interface Frame {
  readonly function: string;
  readonly file: string;
  /** 1-based line and column where the function starts; 0 = unknown. */
  readonly line: number;
  readonly column: number;
}

/** A sample that survived two completed mark-compacts after its birth window closed. */
export interface MaturedSample {
  /** Unique in the process life: thread, epoch and ordinal folded into one string key by the worker. */
  readonly key: string;
  /** End of its birth window, ms since the Unix epoch. */
  readonly bornMillis: number;
  readonly kind: OwnerKind;
  /** Index into the routes seen so far, or -1 for owners without a route. */
  readonly route: number;
  /** Index into the stacks seen so far. */
  readonly stack: number;
  /** Size of the one sampled object in bytes. */
  readonly sizeBytes: number;
}

export interface LevelReading {
  /** Used JS heap right after the last major GC, all threads; null before the first. */
  readonly postGcHeapBytes: number | null;
  readonly heapLimitBytes: number;
  readonly externalBytes: number;
  readonly rssBytes: number;
  /** `memory.current - inactive_file` and the limit of the group nearest its limit; null where there is none. */
  readonly cgroupBytes: number | null;
  readonly cgroupLimitBytes: number | null;
  /** Post-GC heap and limit of the thread that is nearest its own limit; left out by older agents. */
  readonly fullestHeapBytes?: number | null;
  readonly fullestHeapLimitBytes?: number;
  /** The part of it that V8 ends the process for. */
  readonly fullestOldGenerationLimitBytes?: number;
  /** Part of the heap that the agent's own records and contexts take, estimated from samples; 0 without labels. */
  readonly agentBytes?: number;
  /** Part of `externalBytes`. */
  readonly arrayBuffersBytes?: number;
  /** What V8 has from the system for the JS heaps of all threads. */
  readonly heapTotalBytes?: number | null;
  /** Entries of `require.cache`, all threads. */
  readonly moduleCount?: number | null;
  /** Files, sockets and pipes of the process. */
  readonly openFileCount?: number | null;
}

export interface Observation {
  readonly timeMillis: number;
  readonly thread: number;
  readonly epoch: number;
  readonly intervalBytes: number;
  /** Completed mark-compacts of this thread. */
  readonly majorGcCount: number;
  /** Mark-compacts that the agent asked for (load tests only). */
  readonly requestedGcCount: number;
  /** True when a new sampler life began in this thread: all its earlier samples left without being freed. */
  readonly restarted?: boolean;
  readonly newRoutes?: readonly Route[];
  /** Routes folded into another one: samples and requests of the first count for the second. */
  readonly routeAliases?: readonly (readonly [number, number])[];
  readonly newFrames?: readonly Frame[];
  /** Root to leaf, indexes into the frames seen so far. */
  readonly newStacks?: readonly (readonly number[])[];
  /** Requests finished: [window end in ms, route index, count]. */
  readonly requests?: readonly (readonly [number, number, number])[];
  readonly matured?: readonly MaturedSample[];
  /** Keys of matured samples that are no longer live. */
  readonly freed?: readonly string[];
  readonly level: LevelReading;
  /** Live samples at this capture and their estimated bytes; 0 when the observation has no capture. */
  readonly liveSampleCount: number;
  readonly liveBytes: number;
  /** Share of live samples with a known owner, 0..1; null without labels. */
  readonly labelledRatio: number | null;
  /** What the agent has cost so far; left out where it is not known. */
  readonly cost?: AgentCost;
}
