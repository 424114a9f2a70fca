/**
 * Runs on the agent's worker thread. Owns the sum of what the agent costs: each thread's own account, and this worker's.
 * Threads that have ended stay in the totals.
 */
import {
  type AgentCost,
  BUDGET_NAMES,
  type BudgetName,
  type GovernorReading,
  SKIP_REASONS,
  type SkipReason,
  type WorkerUsage,
} from "../model/cost";
import type { ProbeReport } from "../model/messages";

/** Threads whose accounts are kept apart; the pipeline follows fewer. */
const MAX_THREADS = 256;
const BREAKER_STATES = ["closed", "half-open", "open"] as const;

export class AgentCosts {
  private readonly threads = new Map<number, GovernorReading>();
  /** Of threads that have ended. */
  private readonly ended = { samplingMillis: 0, captureMillis: 0, labelsMillis: 0 };
  private readonly endedOpenings: Record<BudgetName, number> = { pause: 0, cpu: 0, memory: 0 };
  private readonly endedSkips: Record<SkipReason, number> = {
    pause_budget: 0,
    busy_loop: 0,
    worker_behind: 0,
    breaker: 0,
  };
  private worstPauseMillisPerMinute = 0;

  report({ thread, governor }: ProbeReport): void {
    if (governor === undefined || (!this.threads.has(thread) && this.threads.size >= MAX_THREADS)) return;
    this.threads.set(thread, governor);
    this.worstPauseMillisPerMinute = Math.max(this.worstPauseMillisPerMinute, governor.worstPauseMillisPerMinute);
  }

  forgetThread(thread: number): void {
    const last = this.threads.get(thread);
    if (last === undefined) return;
    this.threads.delete(thread);
    this.ended.samplingMillis += last.cost.samplingMillis;
    this.ended.captureMillis += last.cost.captureMillis;
    this.ended.labelsMillis += last.cost.labelsMillis;
    for (const name of BUDGET_NAMES) this.endedOpenings[name] += last.openings[name];
    for (const reason of SKIP_REASONS) this.endedSkips[reason] += last.skipped[reason];
  }

  total(usage: WorkerUsage): AgentCost {
    const sum = { ...this.ended };
    let memoryBytes = usage.memoryBytes;
    let state = 0;
    for (const { cost, memoryBytes: bytes, breaker } of this.threads.values()) {
      sum.samplingMillis += cost.samplingMillis;
      sum.captureMillis += cost.captureMillis;
      sum.labelsMillis += cost.labelsMillis;
      memoryBytes += bytes;
      state = Math.max(state, BREAKER_STATES.indexOf(breaker));
    }
    const openings = Object.entries(this.openings()).filter(([, count]) => count > 0);
    return {
      samplingMillis: Math.round(sum.samplingMillis),
      captureMillis: Math.round(sum.captureMillis),
      labelsMillis: Math.round(sum.labelsMillis),
      workerMillis: Math.round(usage.cpuMillis),
      memoryBytes: Math.round(memoryBytes),
      worstPauseMillisPerMinute: Math.round(this.worstPauseMillisPerMinute * 100) / 100,
      breaker: BREAKER_STATES[state] ?? "closed",
      ...(openings.length > 0 ? { openings: Object.fromEntries(openings) } : {}),
    };
  }

  /** 0 closed, 1 half-open, 2 open; the worst of all threads. */
  get breakerState(): number {
    return Math.max(0, ...[...this.threads.values()].map(({ breaker }) => BREAKER_STATES.indexOf(breaker)));
  }

  openings(): Record<BudgetName, number> {
    const total = { ...this.endedOpenings };
    for (const { openings } of this.threads.values()) for (const name of BUDGET_NAMES) total[name] += openings[name];
    return total;
  }

  skipped(): Record<SkipReason, number> {
    const total = { ...this.endedSkips };
    for (const { skipped } of this.threads.values()) for (const name of SKIP_REASONS) total[name] += skipped[name];
    return total;
  }
}
