/**
 * Runs on the agent's worker thread. Owns what the metrics say at one moment: survivals, evidence and verdicts by route and
 * site, the agent's own cost and losses, V8 and the process.
 */
import type { Detector } from "../detector/detector";
import { ANONYMOUS_FUNCTION, type DescribedFrame, siteIdOf } from "../detector/finding-record";
import { POOL_KEY } from "../detector/route-pool";
import { type SiteSummary, siteKey } from "../detector/summary";
import type { Finding } from "../model/finding";
import { keepNewest } from "../model/newest";
import type { Frame } from "../model/observation";
import type { OwnerKind } from "../model/owner";
import type { AgentCosts } from "./agent-cost";
import type { AgentTotals } from "./agent-totals";
import { MetricBatch } from "./metric-batch";
import * as names from "./metric-names";
import { METRICS } from "./metric-names";
import { ownUsage } from "./own-usage";
import { routeAttributes } from "./route-attributes";
import type { Attributes } from "./sdk-modules";

/** Sites with series of their own in one process. */
export const MAX_SITES = 20;
/** Findings whose verdict is repeated; the ones that changed last stay. */
const MAX_FINDINGS = 100;

export interface LeakMetricsOptions {
  readonly detector: Pick<Detector, "tally" | "summary">;
  readonly totals: AgentTotals;
  readonly costs: AgentCosts;
  readonly describe: (frame: Frame) => DescribedFrame;
  readonly processStartMillis: number;
  /** When this worker began to count; what probes count goes back to the process's start. */
  readonly workerStartMillis: number;
}

export class LeakMetrics {
  private shown = new Set<string>();
  private readonly standing = new Map<string, Finding>();

  constructor(private readonly options: LeakMetricsOptions) {}

  /** The latest word on a finding. */
  note(finding: Finding): void {
    keepNewest(this.standing, finding.id, finding, MAX_FINDINGS);
  }

  read(nowMillis: number): MetricBatch {
    const batch = new MetricBatch();
    const sites = this.addSites(batch, nowMillis);
    this.addSurvivals(batch, sites);
    this.addVerdicts(batch, nowMillis);
    this.addAgent(batch, nowMillis);
    this.addRuntime(batch, nowMillis);
    return batch;
  }

  /** Chooses the sites of this reading and tells what is known of them. @returns their ids by key. */
  private addSites(batch: MetricBatch, nowMillis: number): ReadonlyMap<string, string> {
    const { detector, describe } = this.options;
    const summary = detector.summary(MAX_SITES, this.shown);
    const ids = new Map<string, string>();
    for (const site of summary.sites) {
      const described = describe(site.site);
      ids.set(siteKey(site), siteIdOf(site, described, { describe }));
    }
    detector.tally().follow(
      summary.sites.map(({ owner, frame, namedFrame }) => ({ owner, frame, site: namedFrame })),
      nowMillis,
    );
    this.shown = new Set(ids.keys());
    for (const site of summary.sites) this.addSite(batch, site, ids.get(siteKey(site)) ?? "", nowMillis);
    const { headroomBytes, level } = summary;
    if (headroomBytes !== null) batch.add(METRICS.memoryHeadroom, headroomBytes, {}, nowMillis);
    if (level !== null && level.postGcHeapBytes !== null)
      batch.add(METRICS.heapPostGc, level.postGcHeapBytes, {}, nowMillis);
    if (level !== null) batch.add(METRICS.processMemory, level.rssBytes, {}, this.options.processStartMillis);
    return ids;
  }

  private addSite(batch: MetricBatch, site: SiteSummary, siteId: string, nowMillis: number): void {
    const described = this.options.describe(site.site);
    batch.add(
      METRICS.siteInfo,
      1,
      {
        [names.ATTRIBUTE_SITE_ID]: siteId,
        [names.ATTRIBUTE_SITE_FUNCTION]: site.site.function === "" ? ANONYMOUS_FUNCTION : site.site.function,
        [names.ATTRIBUTE_SITE_FILE]: described.original?.file ?? described.file,
        [names.ATTRIBUTE_SITE_PACKAGE]: described.package,
      },
      nowMillis,
    );
    if (site.lnE === null || site.lnThreshold === null) return;
    const attributes = { ...routeAttributes(site.route, kindOf(site.owner)), [names.ATTRIBUTE_SITE_ID]: siteId };
    batch.add(METRICS.lnEvidence, site.lnE, attributes, nowMillis);
    batch.add(METRICS.lnThreshold, site.lnThreshold, attributes, nowMillis);
  }

  private addSurvivals(batch: MetricBatch, siteIds: ReadonlyMap<string, string>): void {
    const tally = this.options.detector.tally();
    const mature = new Map<string, { bytes: number; attributes: Attributes; sinceMillis: number }>();
    for (const totals of tally.totals()) {
      const { owner, site, route, sinceMillis, movedIn } = totals;
      const idAt = (key: string): string | undefined => siteIds.get(siteKey({ owner: key, namedFrame: site ?? -1 }));
      const siteId = site === null ? undefined : (idAt(owner) ?? idAt(POOL_KEY));
      const attributes = {
        ...routeAttributes(route, kindOf(owner)),
        [names.ATTRIBUTE_SITE_ID]: siteId ?? names.OTHER_SITE,
      };
      batch.add(METRICS.cohortsMatured, totals.maturedCohorts, attributes, sinceMillis, movedIn.maturedCohorts);
      batch.add(METRICS.cohortsFreed, totals.freedCohorts, attributes, sinceMillis, movedIn.freedCohorts);
      batch.add(METRICS.retainedSize, totals.retainedBytes, attributes, sinceMillis, movedIn.retainedBytes);
      batch.add(
        METRICS.retainedVariance,
        totals.retainedVarianceBytes2,
        attributes,
        sinceMillis,
        movedIn.retainedVarianceBytes2,
      );
      batch.add(METRICS.freedSize, totals.freedBytes, attributes, sinceMillis, movedIn.freedBytes);
      const key = JSON.stringify(attributes);
      const bytes = (mature.get(key)?.bytes ?? 0) + totals.matureBytes;
      mature.set(key, { bytes, attributes, sinceMillis });
    }
    for (const { bytes, attributes, sinceMillis } of mature.values())
      batch.add(METRICS.matureSize, bytes, attributes, sinceMillis);
    for (const { route, requestCount, sinceMillis, movedInCount } of tally.exposure()) {
      const attributes = routeAttributes(route, "request");
      batch.add(METRICS.exposureRequests, requestCount, attributes, sinceMillis, movedInCount);
    }
    tally.noteTold();
  }

  private addVerdicts(batch: MetricBatch, nowMillis: number): void {
    for (const { id, verdict, impact, route, site } of this.standing.values()) {
      batch.add(
        METRICS.verdict,
        1,
        {
          ...routeAttributes(route, route.kind),
          [names.ATTRIBUTE_SITE_ID]: site.id,
          [names.ATTRIBUTE_FINDING_ID]: id,
          [names.ATTRIBUTE_VERDICT]: verdict,
          [names.ATTRIBUTE_IMPACT]: impact,
        },
        nowMillis,
      );
    }
  }

  private addAgent(batch: MetricBatch, nowMillis: number): void {
    const { totals, processStartMillis: since, workerStartMillis } = this.options;
    this.addCost(batch, nowMillis);
    batch.add(METRICS.samples, totals.sampleCount, {}, since);
    for (const [reason, count] of totals.droppedCounts())
      batch.add(METRICS.dropped, count, { [names.ATTRIBUTE_REASON]: reason }, since);
    if (totals.intervalBytes !== null) batch.add(METRICS.samplingInterval, totals.intervalBytes, {}, nowMillis);
    if (!totals.pauses.isEmpty) batch.addHistogram(METRICS.capturePause, totals.pauses.value(), {}, workerStartMillis);
  }

  private addCost(batch: MetricBatch, nowMillis: number): void {
    const { costs, processStartMillis: since, workerStartMillis } = this.options;
    const { samplingMillis, captureMillis, labelsMillis, workerMillis, memoryBytes } = costs.total(ownUsage(null));
    const components = { sampling: samplingMillis, capture: captureMillis, labels: labelsMillis };
    const component = (name: string): Attributes => ({ [names.ATTRIBUTE_COMPONENT]: name });
    for (const [name, millis] of Object.entries(components))
      batch.add(METRICS.agentCpuTime, millis / 1_000, component(name), since);
    batch.add(METRICS.agentCpuTime, workerMillis / 1_000, component("worker"), workerStartMillis);
    batch.add(METRICS.agentMemory, memoryBytes, {}, since);
    batch.add(METRICS.breakerState, costs.breakerState, {}, nowMillis);
    for (const [budget, count] of Object.entries(costs.openings()))
      batch.add(METRICS.breakerOpenings, count, { [names.ATTRIBUTE_BUDGET]: budget }, since);
    for (const [reason, count] of Object.entries(costs.skipped()))
      batch.add(METRICS.capturesSkipped, count, { [names.ATTRIBUTE_REASON]: reason }, since);
  }

  private addRuntime(batch: MetricBatch, nowMillis: number): void {
    const { totals, processStartMillis: since } = this.options;
    for (const { thread, memory } of totals.threads()) {
      const attributes = { [names.ATTRIBUTE_THREAD_ID]: thread };
      batch.add(METRICS.heapUsed, memory.heapUsedBytes, attributes, since);
      batch.add(METRICS.heapLimit, memory.heapLimitBytes, attributes, since);
    }
    const gcs = { major: totals.majorGcs, minor: totals.minorGcs };
    for (const [type, histogram] of Object.entries(gcs)) {
      if (histogram.isEmpty) continue;
      batch.addHistogram(METRICS.gcDuration, histogram.value(), { [names.ATTRIBUTE_GC_TYPE]: type }, since);
    }
    const { user, system } = process.cpuUsage();
    batch.add(METRICS.processCpuTime, user / 1e6, { [names.ATTRIBUTE_CPU_MODE]: "user" }, since);
    batch.add(METRICS.processCpuTime, system / 1e6, { [names.ATTRIBUTE_CPU_MODE]: "system" }, since);
    batch.add(METRICS.processUptime, (nowMillis - since) / 1_000, {}, since);
  }
}

/** Of an owner's key in the detector's memory: `route:<index>`, `kind:<kind>`, or one of several routes. */
function kindOf(owner: string): OwnerKind {
  return owner.startsWith("kind:") ? (owner.slice("kind:".length) as OwnerKind) : "request";
}
