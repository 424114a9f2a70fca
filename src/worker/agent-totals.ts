/**
 * Runs on the agent's worker thread. Owns totals over all threads of the service, ended ones included, that metrics need
 * and reports bring as totals per thread: samples, garbage collections, capture pauses, drops.
 */
import type { MemoryReading, ProbeCounts, ProbeReport } from "../model/messages";
import { keepNewest } from "../model/newest";
import { Histogram } from "./histogram";
import { CAPTURE_PAUSE_BOUNDARIES, GC_DURATION_BOUNDARIES } from "./metric-names";

/** Threads whose readings are kept apart; reports of more are not counted (the pipeline follows fewer). */
const MAX_THREADS = 256;
/** Ended threads of which a report may still be on its way: its totals would count again from 0. */
const MAX_ENDED_THREADS = 256;
/** Stands for the agent's worker where a thread is asked for. */
export const WORKER_THREAD = -1;

export interface ThreadMemory {
  readonly thread: number;
  readonly memory: MemoryReading;
}

/** A total that only grows, from the totals of threads, each of which may start again at 0. */
class GrowingTotal {
  private readonly last = new Map<number, Map<string, number>>();
  value = 0;

  /** @param part tells totals of one thread apart. @returns by how much it grew. */
  note(thread: number, part: string, total: number): number {
    const parts = this.last.get(thread) ?? new Map<string, number>();
    this.last.set(thread, parts);
    const before = parts.get(part) ?? 0;
    const growth = total >= before ? total - before : total;
    parts.set(part, total);
    this.value += growth;
    return growth;
  }

  /** What the thread has noted stays. */
  forgetThread(thread: number): void {
    this.last.delete(thread);
  }
}

export class AgentTotals {
  readonly pauses: Histogram = new Histogram(CAPTURE_PAUSE_BOUNDARIES);
  readonly majorGcs: Histogram = new Histogram(GC_DURATION_BOUNDARIES);
  readonly minorGcs: Histogram = new Histogram(GC_DURATION_BOUNDARIES);
  intervalBytes: number | null = null;
  private readonly samples = new GrowingTotal();
  private readonly gcs = new GrowingTotal();
  private readonly drops = new Map<string, GrowingTotal>();
  private readonly memories = new Map<number, MemoryReading>();
  private readonly ended = new Map<number, true>();

  report(report: ProbeReport): void {
    const { thread } = report;
    if (this.ended.has(thread)) return;
    if (!this.memories.has(thread) && this.memories.size >= MAX_THREADS) return;
    this.memories.set(thread, report.memory);
    if (thread === 0 || this.intervalBytes === null) this.intervalBytes = report.intervalBytes;
    this.samples.note(thread, "", report.counts.samples);
    if (report.capture !== null || report.pauseMillis > 0) {
      this.pauses.record(report.pauseMillis / 1_000);
    }
    this.noteGcs(thread, report);
    this.noteProbeDrops(thread, report.counts);
  }

  forgetThread(thread: number): void {
    this.memories.delete(thread);
    for (const total of [this.samples, this.gcs, ...this.drops.values()]) total.forgetThread(thread);
    keepNewest(this.ended, thread, true, MAX_ENDED_THREADS);
  }

  /** @param part tells totals of one thread apart that are counted separately. */
  noteDrops(reason: string, thread: number, part: string, total: number): void {
    const drops = this.drops.get(reason) ?? new GrowingTotal();
    this.drops.set(reason, drops);
    drops.note(thread, part, total);
  }

  get sampleCount(): number {
    return this.samples.value;
  }

  droppedCounts(): [reason: string, count: number][] {
    return [...this.drops].map(([reason, total]) => [reason, total.value]);
  }

  threads(): ThreadMemory[] {
    return [...this.memories].map(([thread, memory]) => ({ thread, memory }));
  }

  /** Sum and count are exact; within one report every collection has the mean duration. */
  private noteGcs(thread: number, { gc }: ProbeReport): void {
    const record = (type: string, histogram: Histogram, count: number, pauseNanos: number): void => {
      const newCount = this.gcs.note(thread, `${type} count`, count);
      const newNanos = this.gcs.note(thread, `${type} pause`, pauseNanos);
      if (newCount > 0) histogram.record(newNanos / newCount / 1e9, newCount);
    };
    record("major", this.majorGcs, gc.majorCount, gc.majorPauseNanos);
    record("minor", this.minorGcs, gc.minorCount, gc.minorPauseNanos);
  }

  private noteProbeDrops(thread: number, counts: ProbeCounts): void {
    this.noteDrops("ledger_ranges", thread, "probe", counts.droppedLedgerRanges);
    this.noteDrops("request_records", thread, "probe", counts.droppedRecords);
    this.noteDrops("label_ring", thread, "probe", counts.ringOverflows);
    this.noteDrops("hook_errors", thread, "probe", counts.hookErrors);
  }
}
