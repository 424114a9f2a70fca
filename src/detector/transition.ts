/** Pure. Owns what the detector says: one record per change of a verdict, without names of services or files on disk. */
import type {
  FindingAlternative,
  FindingContrast,
  FindingEvidence,
  FindingExplained,
  FindingForecast,
  FindingGrowth,
  FindingOutside,
  Impact,
  RouteKind,
  VerdictName,
} from "../model/finding";
import type { Frame } from "../model/observation";
import type { Route } from "../model/owner";

export interface Transition {
  /** Stable within a process life: owner and site. */
  readonly key: string;
  readonly sequence: number;
  readonly timeMillis: number;
  readonly firstSeenMillis: number;
  readonly verdict: VerdictName;
  readonly previousVerdict: VerdictName | null;
  readonly impact: Impact;
  readonly route: Route | null;
  readonly routeKind: RouteKind;
  /** The route was not observed but found by regression; the finding's id goes on without it. */
  readonly isRouteInferred?: boolean;
  /** The evidence is that of so many routes together; `route` is their common name, `otherRoutes` the largest. */
  readonly pooledRoutes?: number;
  readonly routeShareRatio: number;
  readonly otherRoutes: readonly string[];
  readonly site: Frame;
  /** Names of up to three functions that end in the site; the same in every transition of one finding. */
  readonly siteFunctions: readonly string[];
  readonly siteShareRatio: number;
  /** Most of the evidence lies in functions below the site, which no single one of them holds. */
  readonly siteInlined: boolean;
  /** Root to leaf, at most 16 frames, of the most common stack. */
  readonly path: readonly Frame[];
  /** Functions by whose files are no package's, the likeliest first; source maps may still say otherwise. */
  readonly applicationFrames: readonly Frame[];
  readonly growth: FindingGrowth;
  readonly evidence: FindingEvidence;
  readonly contrast: FindingContrast;
  readonly explained: FindingExplained;
  readonly forecast: FindingForecast | null;
  readonly outside?: FindingOutside;
  readonly alternatives: readonly FindingAlternative[];
  readonly samplingIntervalBytes: number;
  readonly labelledRatio: number | null;
  readonly threadId: number;
  /** Mark-compacts that the agent asked for (load tests only). */
  readonly requestedGcCount: number;
}
