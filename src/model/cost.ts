/**
 * Spoken by probes, the agent's worker, the history and the report. Owns what is said about the agent's own cost, and about
 * the breaker that switches captures off when a budget is exceeded again and again.
 */

export type BudgetName = "pause" | "cpu" | "memory";
export const BUDGET_NAMES: readonly BudgetName[] = ["pause", "cpu", "memory"];

/** `half-open`: captures are tried again after a cool-down; one more excess opens it again. */
export type BreakerState = "closed" | "half-open" | "open";

/** Why a capture that was due did not happen. */
export type SkipReason = "pause_budget" | "busy_loop" | "worker_behind" | "breaker";
export const SKIP_REASONS: readonly SkipReason[] = ["pause_budget", "busy_loop", "worker_behind", "breaker"];

/** CPU time in ms that the agent has taken from one thread of the service since that thread started. */
export interface ThreadCost {
  /** Samples times the cost of one: calibrated, not measured. */
  readonly samplingMillis: number;
  /** Captures, reports and the probe's timer: measured, wall clock, so preemption counts. */
  readonly captureMillis: number;
  /** Request records, context boundaries, or the samples' contexts, times the cost of one: calibrated. */
  readonly labelsMillis: number;
}

/** One thread's governor at the moment of a report; all counts are totals since the thread started. */
export interface GovernorReading {
  readonly breaker: BreakerState;
  readonly openings: Readonly<Record<BudgetName, number>>;
  readonly skipped: Readonly<Record<SkipReason, number>>;
  readonly cost: ThreadCost;
  /** The greatest sum of capture pauses within one minute so far. */
  readonly worstPauseMillisPerMinute: number;
  /** What the agent holds on this thread: queues, and V8's samples and call tree, estimated from their number. */
  readonly memoryBytes: number;
  /** Sampler restarts for the sake of a budget. */
  readonly intervalChanges: number;
}

/** What the agent's worker has used; comes back with each report it has handled. */
export interface WorkerUsage {
  /** CPU time of the worker thread since it started. */
  readonly cpuMillis: number;
  /** Its heap, external memory and V8's own allocations for it. */
  readonly memoryBytes: number;
  /** Mean number of frames above a live sample; null before the first capture. */
  readonly meanStackDepth: number | null;
}

/** The agent's cost as the history keeps it: totals of all threads, and of this worker. */
export interface AgentCost extends ThreadCost {
  readonly workerMillis: number;
  readonly memoryBytes: number;
  readonly worstPauseMillisPerMinute: number;
  readonly breaker: BreakerState;
  /** Openings of the breaker so far, by the budget that was exceeded; without any, left out. */
  readonly openings?: Readonly<Partial<Record<BudgetName, number>>>;
}
