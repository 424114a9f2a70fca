/**
 * Runs on the agent's worker thread. Owns what every encoding of the live heap shares: the call path, what one sampled
 * object stands for, and the label names. Pure.
 */
import type { Frame } from "../model/observation";
import { type OwnerKind, SPECIAL_OWNER_NAMES } from "../model/owner";

/** A call path: the allocating function and the path of its callers. The tree's root is no frame, so it is null here. */
export interface StackNode {
  readonly parent: StackNode | null;
  readonly frame: Frame;
}

/** Stands for a call path that was never named. */
export const UNKNOWN_FRAME: Frame = { function: "(unknown)", file: "", line: 0, column: 0 };

export const LABEL_ROUTE = "http.route";
/** `worker_threads.threadId`; 0 is the main thread. */
export const LABEL_THREAD_ID = "thread.id";
export const LABEL_THREAD_NAME = "thread.name";
/** Only on samples that are not plainly the route's: `background-of`, `background`, `startup`, `unattributed`, `agent`. */
export const LABEL_OWNER = "leak_agent.owner";

/** What one sampled object stands for, in expectation. */
export interface SampleWeight {
  readonly objects: number;
  readonly bytes: number;
}

/**
 * V8 samples by bytes (Poisson, mean distance R), so an object of z bytes is seen with probability p = 1 - exp(-z/R) and
 * stands for 1/p objects and z/p bytes (Horvitz-Thompson: unbiased).
 * @returns null for an object of no size, which has no probability.
 */
export function sampleWeight(sizeBytes: number, intervalBytes: number): SampleWeight | null {
  const probability = -Math.expm1(-sizeBytes / intervalBytes);
  return probability > 0 ? { objects: 1 / probability, bytes: sizeBytes / probability } : null;
}

/** Equal for frames that are the same function at the same place. */
export function frameKey(frame: Frame): string {
  return `${frame.function}\n${frame.file}\n${frame.line}\n${frame.column}`;
}

/** The value of `http.route`: the route, or the name of the special owner. */
export function routeLabel(kind: OwnerKind, routeName: string | null): string {
  if (kind === "request" || kind === "background-of") return routeName ?? SPECIAL_OWNER_NAMES.unattributed;
  return SPECIAL_OWNER_NAMES[kind];
}

/** Whole microseconds, as nanoseconds: more than a double of milliseconds since 1970 can hold. */
export function nanosOfMillis(millis: number): bigint {
  return BigInt(Math.round(millis * 1_000)) * 1_000n;
}
