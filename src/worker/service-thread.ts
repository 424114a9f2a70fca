/**
 * Runs on the agent's worker thread. Owns what is known of one thread of the service: its sampler life, its route numbers
 * and what its probe said about itself.
 */
import type { ProbeHello, ProbeReport } from "../model/messages";
import { REQUEST_WORDS, splitForeignRoute } from "../model/messages";
import { FROM_PATH, type RouteSource } from "../model/owner";
import type { Dictionary } from "./dictionary";
import { LiveSamples, type ResumedSamples, type ThreadRoutes } from "./live-samples";

export interface ResumedThread {
  readonly epoch: number;
  readonly matured: ResumedSamples;
}

export class ServiceThread implements ThreadRoutes {
  live: LiveSamples | null = null;
  epoch = -1;
  hello: ProbeHello | null = null;
  lastReport: ProbeReport | null = null;
  /** Thread's route index -> process-wide index. The first is OTHER_ROUTE, which is never announced. */
  private readonly routes: number[] = [0];
  /** Of the same indexes. */
  private readonly sources: RouteSource[] = [];

  constructor(
    readonly thread: number,
    private readonly dictionary: Dictionary,
    private readonly resumed: ResumedThread | undefined,
    /** All threads of the process: a request of one may have work done in another. */
    private readonly threads: ReadonlyMap<number, ServiceThread> = new Map(),
  ) {}

  /** Until the probe has introduced itself (again), its ledger is believed. */
  get isLabelled(): boolean {
    return this.hello?.labels !== "none";
  }

  get name(): string {
    return this.hello?.threadName ?? (this.thread === 0 ? "main" : "");
  }

  processIndex(threadRoute: number): number | null {
    const foreign = splitForeignRoute(threadRoute);
    if (foreign !== null) return this.threads.get(foreign.thread)?.processIndex(foreign.routeIndex) ?? null;
    const index = this.routes[threadRoute];
    return index === undefined ? null : this.dictionary.canonicalRoute(index);
  }

  /** @returns the sampler life this report belongs to, and whether it replaces an earlier one. */
  lifeOf(report: ProbeReport): { readonly live: LiveSamples; readonly restarted: boolean } {
    if (this.live !== null && this.epoch === report.epoch) return { live: this.live, restarted: false };
    const continued = this.live === null && this.resumed?.epoch === report.epoch ? this.resumed : undefined;
    const restarted = this.live !== null || (this.resumed !== undefined && continued === undefined);
    this.epoch = report.epoch;
    this.live = new LiveSamples(
      this.thread,
      report.epoch,
      this.dictionary,
      this,
      continued === undefined ? 0 : firstOwnOrdinal(report) - 1,
      continued?.matured,
    );
    return { live: this.live, restarted };
  }

  absorbRoutes(report: ProbeReport): void {
    report.newRoutes.forEach((route, offset) => {
      const index = report.firstRouteIndex + offset;
      this.routes[index] = this.dictionary.routeIndex(route, route.source);
      this.sources[index] = route.source;
    });
    for (const [from, to] of report.routeAliases) {
      const source = this.processIndex(from);
      const target = this.processIndex(to);
      if (source !== null && target !== null && source !== target)
        this.dictionary.foldRoute(source, target, this.sources[from] ?? FROM_PATH);
    }
  }

  /**
   * @param windowMillis resolution of the detector's clocks: finer windows of one report are added up.
   * @returns [window end in ms, process-wide route index, count] rows, ascending in time.
   */
  requestRows(report: ProbeReport, windowMillis: number): [number, number, number][] {
    const rows = new Map<string, [number, number, number]>();
    for (let at = 0; at + REQUEST_WORDS <= report.requests.length; at += REQUEST_WORDS) {
      const endMillis = report.requests[at] ?? 0;
      const route = this.processIndex(report.requests[at + 1] ?? -1) ?? 0;
      const count = report.requests[at + 2] ?? 0;
      const key = `${Math.ceil(endMillis / windowMillis)}/${route}`;
      const row = rows.get(key);
      if (row === undefined) rows.set(key, [endMillis, route, count]);
      else {
        row[0] = Math.max(row[0], endMillis);
        row[2] += count;
      }
    }
    return [...rows.values()].sort((a, b) => a[0] - b[0]);
  }
}

/** The first ordinal this worker can know the owner of; what came before was told to a worker that died. */
function firstOwnOrdinal(report: ProbeReport): number {
  return report.ledger[0] ?? report.lastOrdinal + 1;
}
