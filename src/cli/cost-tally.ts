/**
 * Runs in the CLI process. Owns what the agent cost one life of a service, from the history, and the words for it.
 */
import type { AgentCost, BreakerState, BudgetName, ThreadCost } from "../model/cost";
import { BUDGET_NAMES } from "../model/cost";
import { bytes, count } from "./quantities";

/** Shares of one core over the life so far, 1 = all of it. */
export interface CostRatios {
  readonly sampling: number;
  readonly capture: number;
  readonly labels: number;
  readonly worker: number;
  readonly total: number;
}

export interface LifeCost {
  readonly ratios: CostRatios;
  readonly cpuMillis: number;
  /** The most the agent held at any time. */
  readonly memoryBytes: number;
  readonly worstPauseMillisPerMinute: number;
  readonly breaker: BreakerState;
  readonly openings: Readonly<Record<BudgetName, number>>;
}

const COMPONENTS = ["samplingMillis", "captureMillis", "labelsMillis"] as const;

export class CostTally {
  private last: AgentCost | null = null;
  private readonly sums: Record<keyof ThreadCost | "workerMillis", number> = {
    samplingMillis: 0,
    captureMillis: 0,
    labelsMillis: 0,
    workerMillis: 0,
  };
  private memoryBytes = 0;
  private worstPauseMillis = 0;
  private readonly openings: Record<BudgetName, number> = { pause: 0, cpu: 0, memory: 0 };

  /** @param cost totals; those of the worker start again with each worker, and ended threads may be missing then. */
  add(cost: AgentCost): void {
    const before = this.last;
    for (const name of COMPONENTS) this.sums[name] += Math.max(0, cost[name] - (before?.[name] ?? 0));
    const worker = before?.workerMillis ?? 0;
    this.sums.workerMillis += cost.workerMillis >= worker ? cost.workerMillis - worker : cost.workerMillis;
    this.memoryBytes = Math.max(this.memoryBytes, cost.memoryBytes);
    this.worstPauseMillis = Math.max(this.worstPauseMillis, cost.worstPauseMillisPerMinute);
    for (const name of BUDGET_NAMES) this.openings[name] = Math.max(this.openings[name], cost.openings?.[name] ?? 0);
    this.last = cost;
  }

  /** @param spanMillis from the start of the process to the last observation. @returns null when nothing is known. */
  life(spanMillis: number): LifeCost | null {
    if (this.last === null || spanMillis <= 0) return null;
    const { samplingMillis, captureMillis, labelsMillis, workerMillis } = this.sums;
    const cpuMillis = samplingMillis + captureMillis + labelsMillis + workerMillis;
    return {
      ratios: {
        sampling: samplingMillis / spanMillis,
        capture: captureMillis / spanMillis,
        labels: labelsMillis / spanMillis,
        worker: workerMillis / spanMillis,
        total: cpuMillis / spanMillis,
      },
      cpuMillis,
      memoryBytes: this.memoryBytes,
      worstPauseMillisPerMinute: this.worstPauseMillis,
      breaker: this.last.breaker,
      openings: { ...this.openings },
    };
  }
}

/** `0.21 % of a core (sampling 0.12, captures 0.01, labels 0.05, worker 0.03); 14 ms of pauses a minute at most; 18 MB` */
export function describeCost({ ratios, worstPauseMillisPerMinute, memoryBytes }: LifeCost): string {
  const { sampling, capture, labels, worker, total } = ratios;
  const parts = `sampling ${hundredths(sampling)}, captures ${hundredths(capture)}, labels ${hundredths(labels)}, worker ${hundredths(worker)}`;
  const pauses = `${+worstPauseMillisPerMinute.toPrecision(2)} ms of pauses a minute at most`;
  return `${hundredths(total)} % of a core (${parts}); ${pauses}; ${bytes(memoryBytes)}`;
}

/** Null when the breaker never opened. */
export function describeBreaker({ openings, breaker }: LifeCost): string | null {
  const causes = BUDGET_NAMES.filter((name) => openings[name] > 0);
  if (causes.length === 0) return null;
  const total = causes.reduce((sum, name) => sum + openings[name], 0);
  const times = total === 1 ? "once" : `${count(total)} times`;
  const state =
    breaker === "closed" ? "they are on again" : breaker === "open" ? "they are off" : "they are being tried";
  return `captures were switched off ${times}, over the budget of ${causes.map((name) => WORDS[name]).join(" and ")}; ${state}`;
}

const WORDS: Readonly<Record<BudgetName, string>> = { pause: "pauses", cpu: "CPU", memory: "memory" };

function hundredths(ratio: number): string {
  return (ratio * 100).toFixed(2);
}
