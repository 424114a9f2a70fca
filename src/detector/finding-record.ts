/** Pure. Owns the finding record as people and machines read it (docs/findings.md): ids, names, and the words. */
import {
  FINDING_SCHEMA,
  type Finding,
  type FindingAgent,
  type FindingService,
  type SourcePosition,
} from "../model/finding";
import type { Frame } from "../model/observation";
import { ownerName } from "../model/owner";
import { outsideNextStep, outsideText } from "./outside-finding";
import { SEVERAL_ROUTES } from "./route-pool";
import type { Transition } from "./transition";
import { findingText, nextStep } from "./words";

/** A frame with what only the file system knows: its package, and where its source map points. */
export interface DescribedFrame {
  /** Relative to the service's root; from the last `node_modules/` on for packages; `node:...` as it is. */
  readonly file: string;
  /** `app`, `node`, or `name@version`. */
  readonly package: string;
  readonly original: SourcePosition | null;
  readonly isApplication: boolean;
}

export interface FindingContext {
  readonly service: Omit<FindingService, "threadId">;
  readonly agent: Omit<FindingAgent, "samplingIntervalBytes" | "labelledRatio">;
  describe(frame: Frame): DescribedFrame;
}

const END_OF_COHORTS = "samples of this site that are freed after having matured (an eviction, a sweep, an expiry)";
const END_OF_LADDER = "a store that is not replaced when the next step is due, or by a smaller one";

export const ANONYMOUS_FUNCTION = "(anonymous)";

export function toFinding(transition: Transition, context: FindingContext): Finding {
  const site = context.describe(transition.site);
  const routeName = ownerName(transition.routeKind, transition.route?.name ?? null);
  const plainRouteName = transition.route?.name ?? routeName;
  const siteId = siteIdOf(transition, site, context);
  const application = transition.applicationFrames.find((frame) => context.describe(frame).isApplication) ?? null;
  const finding: Finding = {
    schema: FINDING_SCHEMA,
    id: hash([context.service.name, siteId, idRouteName(transition, plainRouteName)], 12),
    sequence: transition.sequence,
    time: new Date(transition.timeMillis).toISOString(),
    firstSeenTime: new Date(transition.firstSeenMillis).toISOString(),
    verdict: transition.verdict,
    previousVerdict: transition.previousVerdict,
    impact: transition.impact,
    service: { ...context.service, threadId: transition.threadId },
    agent: {
      ...context.agent,
      ...(transition.isRouteInferred === true ? { attribution: "inferred" as const } : {}),
      samplingIntervalBytes: transition.samplingIntervalBytes,
      labelledRatio: transition.labelledRatio,
    },
    route: {
      name: plainRouteName,
      method: transition.route?.method ?? null,
      template: transition.route?.template ?? null,
      kind: transition.routeKind,
      shareRatio: transition.routeShareRatio,
      ...(transition.pooledRoutes === undefined ? {} : { pooledRoutes: transition.pooledRoutes }),
    },
    otherRoutes: transition.otherRoutes,
    site: {
      id: siteId,
      function: functionName(transition.site),
      file: site.file,
      line: transition.site.line,
      column: transition.site.column,
      package: site.package,
      original: site.original,
      shareRatio: transition.siteShareRatio,
      inlined: transition.siteInlined,
    },
    appFrame: application === null ? null : { ...describeFrame(application, context) },
    path: transition.path.map((frame) => ({
      ...describeFrame(frame, context),
      package: context.describe(frame).package,
    })),
    growth: transition.growth,
    evidence: transition.evidence,
    contrast: transition.contrast,
    explained: transition.explained,
    forecast: transition.forecast,
    ...(transition.outside === undefined ? {} : { outside: transition.outside }),
    alternatives: transition.alternatives,
    retainer: null,
    fix: null,
    refutedBy: transition.evidence.method === "ladder" ? END_OF_LADDER : END_OF_COHORTS,
    nextStep: "",
    text: "",
  };
  const { outside } = finding;
  if (outside !== undefined) {
    const refutedBy = "a level that stops growing";
    return { ...finding, refutedBy, nextStep: outsideNextStep(finding, outside), text: outsideText(finding, outside) };
  }
  return { ...finding, nextStep: nextStep(finding), text: findingText(finding, transition.requestedGcCount) };
}

/** A guess may come and go, and so may the routes of a pool: the finding stays the same one. */
function idRouteName({ isRouteInferred, pooledRoutes, routeKind }: Transition, routeName: string): string {
  if (pooledRoutes !== undefined) return SEVERAL_ROUTES.name;
  if (isRouteInferred !== true) return routeName;
  return ownerName(routeKind === "background-of" ? "background" : "unattributed", null);
}

function describeFrame(frame: Frame, context: FindingContext): { function: string; file: string; line: number } {
  const described = context.describe(frame);
  const position = described.original ?? { file: described.file, line: frame.line };
  return { function: functionName(frame), file: position.file, line: position.line };
}

/** Package, source-mapped path and the three function names nearest the site: no line numbers, so an id survives edits. */
export function siteIdOf(
  transition: Pick<Transition, "site" | "siteFunctions">,
  site: DescribedFrame,
  context: Pick<FindingContext, "describe">,
): string {
  const version = site.package.lastIndexOf("@");
  const packageName = version > 0 ? site.package.slice(0, version) : site.package;
  const file = site.original?.file ?? context.describe(transition.site).file;
  return hash([packageName, file, ...transition.siteFunctions], 16);
}

function functionName(frame: Frame): string {
  return frame.function === "" ? ANONYMOUS_FUNCTION : frame.function;
}

function hash(parts: readonly string[], hexDigits: number): string {
  // Loaded with the first finding: it takes 3 MB of the worker's memory, which a healthy service need not pay.
  const { createHash } = require("node:crypto") as typeof import("node:crypto");
  return createHash("sha256").update(parts.join("\0")).digest("hex").slice(0, hexDigits);
}
