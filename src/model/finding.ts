/** Spoken by every room. Owns the finding record, version 1 (docs/findings.md). Within /1 only additions. Unknown is null. */

export const FINDING_SCHEMA = "leak-agent.finding/1";

export type VerdictName = "watch" | "saturating" | "leak" | "urgent" | "inconclusive" | "retracted" | "acknowledged";
/** A verdict that ends a command with exit code 1, and that alerts are made for. */
export function isAlarm({ verdict }: { readonly verdict: VerdictName }): boolean {
  return verdict === "leak" || verdict === "urgent";
}

export type Impact = "minor" | "material" | "critical";
export type RouteKind = "request" | "background-of" | "startup" | "background" | "unattributed";
export type Attribution = "exact" | "inferred" | "none";

export interface FindingService {
  readonly name: string;
  readonly version: string | null;
  readonly buildId: string | null;
  readonly firstBuildId: string | null;
  readonly instanceId: string;
  readonly processId: number;
  readonly threadId: number;
  readonly nodeVersion: string;
  readonly v8Version: string;
}

export interface FindingAgent {
  readonly version: string;
  readonly engine: "native" | "pprof" | "guest";
  readonly attribution: Attribution;
  readonly samplingIntervalBytes: number;
  readonly labelledRatio: number | null;
}

export interface FindingRoute {
  readonly name: string;
  readonly method: string | null;
  readonly template: string | null;
  readonly kind: RouteKind;
  /** Share of the site's retained samples that this route owns, 0..1. */
  readonly shareRatio: number;
  /** So many routes were judged together, of which none has enough evidence alone; `otherRoutes` are the largest. */
  readonly pooledRoutes?: number;
}

export interface SourcePosition {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

export interface FindingSite {
  readonly id: string;
  readonly function: string;
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** `app`, `node`, or `name@version` of the npm package. */
  readonly package: string;
  /** Through the source map; null where there is none. */
  readonly original: SourcePosition | null;
  /** Share of the route's retained samples that have this function on their stack, 0..1. */
  readonly shareRatio: number;
  /** True when most of the evidence lies in functions below this one. */
  readonly inlined: boolean;
}

export interface FindingFrame {
  readonly function: string;
  readonly file: string;
  readonly line: number;
}

export interface FindingPathFrame extends FindingFrame {
  readonly package: string;
}

export interface FindingGrowth {
  readonly bytesPerRequest: number | null;
  readonly bytesPerRequestLow: number | null;
  readonly bytesPerRequestHigh: number | null;
  readonly confidence: number;
  /** 0 where the growth is counted, not weighed (`outside.unit` is `1`). */
  readonly bytesPerHour: number;
  readonly bytesPerHourLow: number;
  readonly bytesPerHourHigh: number;
  readonly retainedBytes: number;
  readonly retainedObjects: number;
  readonly requests: number | null;
}

export interface FindingEvidence {
  readonly method: "cohort" | "ladder" | "level";
  readonly samples: number;
  readonly cohortsMatured: number;
  readonly cohortsFreed: number;
  readonly lnE: number;
  readonly lnThreshold: number;
  readonly hypotheses: number;
  readonly ageSeconds: number;
  readonly oldestAgeSeconds: number;
  readonly majorGcs: number;
  readonly halfRatio: number | null;
  readonly minQuarterRatio: number | null;
  readonly unrefutedSeconds: number;
  readonly lives: number;
}

export interface FindingContrast {
  readonly busyBytesPerHour: number | null;
  readonly idleBytesPerHour: number | null;
  readonly idleHours: number | null;
  readonly otherRoutesBytesPerRequest: number | null;
  readonly routeCorrelation: number | null;
  readonly windowSeconds: number;
}

export interface FindingExplained {
  readonly heapGrowthRatio: number | null;
  readonly rssGrowthRatio: number | null;
  readonly unexplainedBytesPerHour: number | null;
  /** What the agent's own contexts and records add to the heap, kept by the leak; taken out of the three above. */
  readonly agentBytesPerHour?: number | null;
}

export interface FindingForecast {
  readonly limit: "heap" | "cgroup";
  readonly headroomBytes: number;
  readonly hoursP10: number | null;
  readonly hoursP50: number | null;
  readonly hoursP90: number | null;
}

export interface FindingAlternative {
  readonly name: string;
  readonly statistic: string;
  readonly value: number;
  readonly bound: number;
  readonly rejected: boolean;
}

/** A person has said that this is intended. */
export interface FindingAcknowledgement {
  readonly reason: string;
  /** From here on it alarms again; null: never. */
  readonly until: string | null;
  /** Name of the file that says so. */
  readonly file: string;
}

export type FixVerdict = "fixed" | "reduced" | "moved" | "not fixed" | "undecided";

/** What became of a leak of an earlier build: its rate before and after. */
export interface FindingFix {
  readonly verdict: FixVerdict;
  readonly beforeBuildId: string;
  readonly afterBuildId: string;
  /** Per request, or per hour for owners without requests. */
  readonly unit: "request" | "hour";
  readonly beforeBytes: number;
  readonly beforeBytesLow: number;
  readonly beforeBytesHigh: number;
  readonly afterBytes: number;
  readonly afterBytesLow: number;
  readonly afterBytesHigh: number;
  /** After over before, of surviving cohorts per exposure. */
  readonly ratio: number | null;
  readonly ratioLow: number | null;
  readonly ratioHigh: number | null;
  readonly confidence: number;
  /** Requests (or hours) that count on each side. */
  readonly beforeExposure: number;
  readonly afterExposure: number;
  /** So many more are needed to say that it is fixed, if nothing more is kept; 0 once that is decided. */
  readonly exposureNeeded: number | null;
  /** Of `moved`: where the route keeps memory now, when a site stands out. */
  readonly movedTo: string | null;
}

export type OutsideSignal = "array-buffers" | "external" | "native" | "open-files" | "modules" | "heap";

/** Growth that shows in a level of the process and at no site (`evidence.method` is `level`). */
export interface FindingOutside {
  /**
   * `external`: what V8's objects hold outside the heap, without ArrayBuffers. `native`: RSS without heap and external.
   * `heap`: the JS heap after mark-compacts, where no site explains its growth.
   */
  readonly signal: OutsideSignal;
  readonly unit: "By" | "1";
  readonly perHour: number;
  /** About 80 % of the pairwise slopes' range (Theil-Sen). */
  readonly perHourLow: number;
  readonly perHourHigh: number;
  /** Now, and when the growth that is judged began. */
  readonly level: number;
  readonly startLevel: number;
  readonly startTime: string;
}

/** One line per TRANSITION of a verdict in `findings.jsonl`. */
export interface Finding {
  readonly schema: typeof FINDING_SCHEMA;
  /** First 12 hex digits of sha256(service.name, site.id, route.name). */
  readonly id: string;
  readonly sequence: number;
  readonly time: string;
  readonly firstSeenTime: string;
  readonly verdict: VerdictName;
  readonly previousVerdict: VerdictName | null;
  readonly impact: Impact;
  readonly service: FindingService;
  readonly agent: FindingAgent;
  readonly route: FindingRoute;
  /** Other routes that leak at the same site, most bytes per request first. */
  readonly otherRoutes: readonly string[];
  readonly site: FindingSite;
  /** The nearest frame of the service's own code, or null when none is on the stack. */
  readonly appFrame: FindingFrame | null;
  /** Root to leaf, at most 16 frames. */
  readonly path: readonly FindingPathFrame[];
  readonly growth: FindingGrowth;
  readonly evidence: FindingEvidence;
  readonly contrast: FindingContrast;
  readonly explained: FindingExplained;
  readonly forecast: FindingForecast | null;
  /** Left out where a site is named. */
  readonly outside?: FindingOutside;
  readonly alternatives: readonly FindingAlternative[];
  readonly retainer: null;
  /** Set when a later build was compared with the one that leaked. */
  readonly fix: FindingFix | null;
  readonly acknowledgement?: FindingAcknowledgement | null;
  readonly refutedBy: string;
  readonly nextStep: string;
  readonly text: string;
}
