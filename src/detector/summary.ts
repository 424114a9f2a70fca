/**
 * Pure. Owns the short list of sites that metrics show: those with a verdict, and the best candidates before they have one.
 * Reads the detector's memory and changes nothing.
 */
import type { VerdictName } from "../model/finding";
import type { Frame, Observation } from "../model/observation";
import type { Route } from "../model/owner";
import { siteFunctionsOf } from "./describe-transition";
import type { DetectorMemory } from "./detector-memory";
import { LN_EVIDENCE_CAP } from "./evidence";
import type { Evaluation } from "./hypothesis";
import { nameBelow } from "./inlining";
import { headroomOf } from "./level-trend";
import type { OwnerState, TrackedSite } from "./owner-state";
import type { StoredSample } from "./sample-store";
import { isStanding } from "./verdict";

/** A candidate below this evidence (e^3 = 20 to 1) is noise that would come and go. */
const MINIMUM_CANDIDATE_LN_E = 3;
/** Share of the best candidate's survivors that the deepest function must hold to stand for it. */
const HOLDS_SHARE = 0.8;
/** Sites of the pool; each costs series for every route. */
const MAX_POOLED_SITES = 3;
/** A site that is shown already keeps its place against a new one with so much more evidence, in nats. */
const INCUMBENT_BONUS = 2;

export interface SiteSummary {
  /** Owner's key in the detector's memory; POOL_KEY for a site of many routes together. */
  readonly owner: string;
  /** Null for owners without a route. As the finding names them where it is of many. */
  readonly route: Route | null;
  /** The function whose samples are the evidence, and the one that is named. */
  readonly frame: number;
  readonly namedFrame: number;
  readonly site: Frame;
  /** Names of up to three functions that end in the site: part of its id. */
  readonly siteFunctions: readonly string[];
  /** Null for a candidate that has no verdict yet. */
  readonly verdict: VerdictName | null;
  /** At most LN_EVIDENCE_CAP; null when nothing speaks for it now. */
  readonly lnE: number | null;
  /** What `lnE` must exceed, the price of looking at many sites included. */
  readonly lnThreshold: number | null;
}

export interface DetectorSummary {
  readonly sites: readonly SiteSummary[];
  /** Bytes to the nearer of the heap's and the container's limit; null before the first mark-compact. */
  readonly headroomBytes: number | null;
  readonly level: Observation["level"] | null;
}

/**
 * @param limit most sites to name. @param shown keys (`owner|namedFrame`) of the sites of the last summary.
 */
export function summarize(memory: DetectorMemory, limit: number, shown: ReadonlySet<string>): DetectorSummary {
  const sites = [...[...memory.owners.values()].flatMap((owner) => sitesOf(memory, owner)), ...pooledSitesOf(memory)];
  const rank = ({ lnE, lnThreshold, ...site }: SiteSummary): number =>
    (lnE === null || lnThreshold === null ? -LN_EVIDENCE_CAP : lnE - lnThreshold) +
    (shown.has(siteKey(site)) ? INCUMBENT_BONUS : 0);
  sites.sort((a, b) => seriousness(b.verdict) - seriousness(a.verdict) || rank(b) - rank(a));
  const level = memory.levels.latest();
  return { sites: sites.slice(0, limit), headroomBytes: headroomOf(level)?.bytes ?? null, level };
}

/** Unique in a process life, and stable. */
export function siteKey(site: Pick<SiteSummary, "owner" | "namedFrame">): string {
  return `${site.owner}|${site.namedFrame}`;
}

function seriousness(verdict: VerdictName | null): number {
  if (verdict === null) return 0;
  if (isStanding(verdict)) return 3;
  return verdict === "watch" ? 2 : 1;
}

/** What was told of the pool, the most serious first; its evidence is kept no longer than a look takes. */
function pooledSitesOf(memory: DetectorMemory): SiteSummary[] {
  const { owner } = memory.pool;
  return [...owner.tracked.values()]
    .filter(({ pooledAs }) => pooledAs !== null)
    .sort((a, b) => seriousness(b.verdict) - seriousness(a.verdict))
    .slice(0, MAX_POOLED_SITES)
    .flatMap((tracked) => describeTracked(memory, owner, tracked) ?? []);
}

function sitesOf(memory: DetectorMemory, owner: OwnerState): SiteSummary[] {
  const sites = [...owner.tracked.values()].flatMap((tracked) => describeTracked(memory, owner, tracked) ?? []);
  if (sites.some((site) => site.verdict === "watch" || (site.verdict !== null && isStanding(site.verdict))))
    return sites;
  const best = bestCandidate(memory, owner);
  if (best === null || sites.some((site) => site.namedFrame === best.namedFrame)) return sites;
  const candidate = describe(memory, owner, memory.routeOf(owner), { ...best, siteFunctions: null, verdict: null });
  return candidate === null ? sites : [...sites, candidate];
}

interface Candidate {
  readonly frame: number;
  readonly namedFrame: number;
  readonly evaluation: Evaluation;
}

/** The deepest function that holds most of what the strongest ones hold. */
function bestCandidate(memory: DetectorMemory, owner: OwnerState): Candidate | null {
  const { stacks } = memory;
  const candidates = [...owner.evaluations]
    .filter(([, { lnE }]) => lnE >= MINIMUM_CANDIDATE_LN_E)
    .map(([frame, evaluation]) => ({
      frame,
      evaluation,
      survivors: evaluation.survivors.filter(({ stack }) => !stacks.leadsToOwnCode(stack, frame)),
    }));
  const most = Math.max(0, ...candidates.map(({ survivors }) => survivors.length));
  let best: { frame: number; evaluation: Evaluation; depth: number } | null = null;
  for (const { frame, evaluation, survivors } of candidates) {
    if (survivors.length === 0 || survivors.length < HOLDS_SHARE * most) continue;
    const depth = survivors.reduce((sum, { stack }) => sum + stacks.depthOf(stack, frame), 0) / survivors.length;
    if (best === null || depth > best.depth) best = { frame, evaluation, depth };
  }
  if (best === null) return null;
  const { frame, evaluation } = best;
  return { frame, evaluation, namedFrame: nameBelow(frame, evaluation.survivors, stacks) };
}

function describeTracked(memory: DetectorMemory, owner: OwnerState, tracked: TrackedSite): SiteSummary | null {
  const { frame, namedFrame, siteFunctions, pooledAs } = tracked;
  return describe(memory, owner, pooledAs ?? memory.routeOf(owner), {
    frame,
    namedFrame,
    evaluation: owner.evaluations.get(frame) ?? null,
    siteFunctions: siteFunctions.length > 0 ? siteFunctions : null,
    verdict: tracked.sequence === 0 ? null : tracked.verdict,
  });
}

interface Described {
  readonly frame: number;
  readonly namedFrame: number;
  readonly evaluation: Evaluation | null;
  readonly siteFunctions: readonly string[] | null;
  readonly verdict: VerdictName | null;
}

function describe(
  memory: DetectorMemory,
  owner: OwnerState,
  route: Route | null,
  { frame, namedFrame, evaluation, siteFunctions, verdict }: Described,
): SiteSummary | null {
  const site = memory.stacks.frames[namedFrame];
  if (site === undefined) return null;
  return {
    owner: owner.key,
    route,
    frame,
    namedFrame,
    site,
    siteFunctions: siteFunctions ?? siteFunctionsOf(memory, namedFrame, stackThrough(memory, namedFrame, evaluation)),
    verdict,
    lnE: evaluation === null ? null : Math.min(LN_EVIDENCE_CAP, evaluation.lnE),
    lnThreshold: evaluation?.lnThreshold ?? null,
  };
}

/** The most common stack of the survivors that shows the function, else the first one that was ever seen. */
function stackThrough(memory: DetectorMemory, frame: number, evaluation: Evaluation | null): number | null {
  const counts = new Map<number, number>();
  let best: number | null = null;
  for (const { stack } of evaluation?.survivors ?? ([] as readonly StoredSample[])) {
    if (!memory.stacks.stack(stack).includes(frame)) continue;
    const count = (counts.get(stack) ?? 0) + 1;
    counts.set(stack, count);
    if (best === null || count > (counts.get(best) ?? 0)) best = stack;
  }
  return best ?? memory.stacks.stacksThrough(frame)[0] ?? null;
}
