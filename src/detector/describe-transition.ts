/** Pure. Owns the record of a changed verdict: every number that a finding states is computed here, once. */
import type { FindingEvidence, FindingGrowth, RouteKind } from "../model/finding";
import type { OwnerKind } from "../model/owner";
import type { DetectorMemory } from "./detector-memory";
import { forecastLevel } from "./forecast";
import { contrastRecord, growthRate, growthRecord, type Rate } from "./growth";
import { type Evaluation, type HypothesisContext, Look } from "./hypothesis";
import { type InferredOwner, inferOwner, inferredGrowth } from "./infer-owner";
import { ladderAlternatives, ladderEvidence, ladderGrowth, withContents } from "./ladder-record";
import { explainedBy, headroomOf, impactOf } from "./level-trend";
import type { OwnerState, TrackedSite } from "./owner-state";
import { applicationFramesOf, isLiving, oldestBirth, retainedWith } from "./retained";
import type { StoredSample } from "./sample-store";
import { survivalOf } from "./survival";
import type { Transition } from "./transition";
import { alternativesOf } from "./verdict";

const MAX_PATH_FRAMES = 16;
const SITE_FUNCTIONS = 3;
const HOUR_MILLIS = 3_600_000;
const INFERENCE_SHARE_OF_HORIZON = 1 / 4;

/** Of this life's growth, and of the part of it that is at the site, what several lives make. */
export type GrowthOf = (own: FindingGrowth, ofSite: Rate | null) => FindingGrowth;

/** What a site holds, and when it was born. */
interface Holding {
  readonly evaluation: Evaluation | null;
  /** All samples of the site, dead ones too. */
  readonly all: readonly StoredSample[];
  readonly living: readonly StoredSample[];
  readonly startMillis: number;
  readonly endMillis: number;
}

/** @returns null when the site's function is unknown, which a whole history never shows. */
export function describeTransition(
  memory: DetectorMemory,
  owner: OwnerState,
  tracked: TrackedSite,
  nowMillis: number,
  hypothesisCount: number,
  growthOf?: GrowthOf,
): Transition | null {
  const { stacks, options, levels } = memory;
  const site = stacks.frames[tracked.namedFrame];
  if (site === undefined) return null;
  const holding = holdingOf(memory, owner, tracked, nowMillis);
  const { living, startMillis, endMillis } = holding;
  const shown = living.length > 0 ? living : holding.all;
  const pooled = owner === memory.pool.owner ? memory.namePool(living, nowMillis) : null;
  tracked.pooledAs = pooled?.route ?? null;
  const exposure = pooled?.clock ?? owner.clock;
  const retained = retainedWith(memory, owner, tracked).filter(
    (sample) => pooled === null || pooled.keys.has(sample.owner),
  );
  const clock = owner.hasRequests ? exposure : null;
  const sinceMillis = firstBirth(retained, startMillis, endMillis);
  const ladder = holding.evaluation?.overThreshold ? null : tracked.ladder;
  const rateAt = (samples: readonly StoredSample[]): Rate | null =>
    growthRate(samples, exposure, sinceMillis, endMillis);
  const byCohorts = growthRecord(rateAt(retained), retained, clock, sinceMillis, endMillis);
  const own =
    ladder === null ? byCohorts : withContents(ladderGrowth(ladder, owner, nowMillis), byCohorts, retained.length);
  const growth = growthOf === undefined || ladder !== null ? own : growthOf(own, rateAt(living));
  // Whose it is may show in the requests that came while it grew.
  const inferred = inferRouteOf(memory, owner, tracked, holding, nowMillis);
  const others = elsewhere(memory, owner, tracked, startMillis, endMillis);
  const contrast = contrastRecord({
    samples: living,
    clock: exposure,
    hasRequests: owner.hasRequests,
    otherBytes: others.bytes,
    otherRequests: others.requests,
    startMillis: Math.max(owner.clock.originMillis(), oldestBirth(living, nowMillis)),
    endMillis,
    horizonMillis: options.horizonMillis,
  });
  const heldMillis = owner.heldMillis(tracked.frame, nowMillis);
  const stack = representativeStack(memory, tracked, shown);
  if (tracked.siteFunctions.length === 0) {
    const known = options.knownSiteFunctions?.(site, (pooled?.route ?? memory.routeOf(owner))?.name ?? null) ?? null;
    tracked.siteFunctions = known ?? siteFunctionsOf(memory, tracked.namedFrame, stack);
  }
  const since = owner.clock.originMillis();
  const ownerLivingCount = [...memory.samplesOf(owner)].filter(isLiving).length;
  return {
    key: `${owner.key}|${tracked.namedFrame}`,
    sequence: tracked.sequence,
    timeMillis: nowMillis,
    firstSeenMillis: tracked.firstSeenMillis,
    verdict: tracked.verdict,
    previousVerdict: tracked.previousVerdict,
    impact: impactOf(growth.bytesPerHour, headroomOf(levels.latest())),
    route: pooled?.route ?? inferred?.route ?? memory.routeOf(owner),
    ...(pooled === null ? {} : { pooledRoutes: pooled.keys.size }),
    ...(inferred === null ? {} : { isRouteInferred: true }),
    routeKind: inferred === null ? kindOf(shown) : kindOf(shown) === "background" ? "background-of" : "request",
    routeShareRatio: share(living.length, living.length + others.samples),
    otherRoutes: pooled?.largest ?? others.leakingRoutes,
    site,
    siteFunctions: tracked.siteFunctions,
    siteShareRatio: share(living.length, Math.max(retained.length, ownerLivingCount)),
    siteInlined: stack !== null && stacks.leaf(stack) !== tracked.namedFrame,
    path: stack === null ? [] : pathOf(memory, stack),
    applicationFrames: applicationFramesOf(memory, owner, stack, tracked.namedFrame),
    growth: inferredGrowth(growth, inferred),
    evidence: {
      ...evidenceOf(memory, holding, nowMillis, heldMillis, hypothesisCount),
      ...(ladder === null ? {} : ladderEvidence(ladder, nowMillis - tracked.ladderSinceMillis)),
    },
    contrast,
    explained: explainedBy(growth.bytesPerHour + others.leakingBytesPerHour, levels, since),
    forecast: forecastLevel(levels, since),
    alternatives:
      ladder !== null
        ? ladderAlternatives(ladder)
        : holding.evaluation === null
          ? []
          : alternativesOf(
              holding.evaluation,
              heldMillis,
              nowMillis - oldestBirth(living, nowMillis),
              options.horizonMillis,
              contrast,
              growth,
              memory.majorGcsSince(shown[0]?.thread ?? 0, oldestBirth(shown, nowMillis)),
            ),
    samplingIntervalBytes: memory.intervalBytes,
    labelledRatio: memory.labelledRatio,
    threadId: living[0]?.thread ?? 0,
    requestedGcCount: memory.requestedGcCount,
  };
}

/** A site that stands without a route: whether one shows by now. A standing verdict is looked at again this often. */
export function routeHasShown(
  memory: DetectorMemory,
  owner: OwnerState,
  tracked: TrackedSite,
  nowMillis: number,
): boolean {
  if (owner.hasRequests || tracked.inferred !== null) return false;
  if (nowMillis - tracked.inferredAtMillis < INFERENCE_SHARE_OF_HORIZON * memory.options.horizonMillis) return false;
  return inferRouteOf(memory, owner, tracked, holdingOf(memory, owner, tracked, nowMillis), nowMillis) !== null;
}

function inferRouteOf(
  memory: DetectorMemory,
  owner: OwnerState,
  tracked: TrackedSite,
  { living, endMillis }: Holding,
  nowMillis: number,
): InferredOwner | null {
  if (owner.hasRequests) return null;
  tracked.inferredAtMillis = nowMillis;
  tracked.inferred = inferOwner(memory, living, owner.clock.originMillis(), endMillis) ?? tracked.inferred;
  return tracked.inferred;
}

function holdingOf(memory: DetectorMemory, owner: OwnerState, tracked: TrackedSite, nowMillis: number): Holding {
  const samples = memory.samplesOf(owner);
  const all = [...samples].filter((sample) => memory.stacks.candidatesOf(sample.stack).includes(tracked.frame));
  const context = memory.contextOf(owner, samples, nowMillis);
  const evaluation = withSurvival(
    owner.evaluations.get(tracked.frame) ?? evaluateAlone(context, all, owner, tracked),
    all,
    nowMillis,
  );
  const startMillis = evaluation?.startMillis ?? owner.clock.originMillis();
  return {
    evaluation,
    all,
    living: all.filter(isLiving),
    startMillis,
    endMillis: Math.max(startMillis, Math.min(context.decidableMillis, nowMillis - (evaluation?.ageMillis ?? 0))),
  };
}

/** Looks leave the survival curve out below the threshold; a withdrawn finding shows it. */
function withSurvival(
  evaluation: Evaluation | null,
  samples: readonly StoredSample[],
  nowMillis: number,
): Evaluation | null {
  if (evaluation === null || evaluation.survivalRatio !== null) return evaluation;
  const ordered = samples.toSorted((a, b) => a.bornMillis - b.bornMillis);
  const survival = survivalOf(ordered, evaluation.startMillis, evaluation.ageMillis, nowMillis);
  return { ...evaluation, survivalRatio: survival?.ratio ?? null };
}

function evaluateAlone(
  context: HypothesisContext,
  samples: readonly StoredSample[],
  owner: OwnerState,
  tracked: TrackedSite,
): Evaluation | null {
  const look = new Look(context, samples);
  return look.evaluate(look.samples, owner.siteOrder(tracked.namedFrame));
}

function evidenceOf(
  memory: DetectorMemory,
  { evaluation, living }: Holding,
  nowMillis: number,
  heldMillis: number,
  hypothesisCount: number,
): FindingEvidence {
  return {
    method: "cohort",
    samples: living.length,
    cohortsMatured: evaluation?.maturedCount ?? 0,
    cohortsFreed: evaluation?.freedCount ?? 0,
    lnE: evaluation?.lnE ?? 0,
    lnThreshold: evaluation?.lnThreshold ?? 0,
    hypotheses: hypothesisCount,
    ageSeconds: (evaluation?.ageMillis ?? 0) / 1_000,
    oldestAgeSeconds: (nowMillis - oldestBirth(living, nowMillis)) / 1_000,
    majorGcs: memory.majorGcCount(0),
    halfRatio: evaluation?.halfRatio ?? null,
    minQuarterRatio: evaluation?.minQuarterRatio ?? null,
    unrefutedSeconds: heldMillis / 1_000,
    lives: 1,
  };
}

/** The most common stack that shows the named function; one from before it was inlined when no sample does any more. */
function representativeStack(
  memory: DetectorMemory,
  tracked: TrackedSite,
  samples: readonly StoredSample[],
): number | null {
  const { frame, namedFrame } = tracked;
  const showing = samples.filter((sample) => memory.stacks.stack(sample.stack).includes(namedFrame));
  if (showing.length > 0) return mostCommonStack(showing);
  const earlier = memory.stacks.stacksThrough(namedFrame).find((stack) => memory.stacks.stack(stack).includes(frame));
  return earlier ?? mostCommonStack(samples);
}

/** The same function on other owners. */
interface Elsewhere {
  readonly bytes: number;
  readonly requests: number;
  readonly samples: number;
  /** Routes on which it leaks too, and what all they keep with it: part of this finding. */
  readonly leakingRoutes: string[];
  readonly leakingBytesPerHour: number;
}

function elsewhere(
  memory: DetectorMemory,
  owner: OwnerState,
  { frame, namedFrame }: TrackedSite,
  startMillis: number,
  endMillis: number,
): Elsewhere {
  let bytes = 0;
  let requests = 0;
  let count = 0;
  let leakingBytesPerHour = 0;
  const leaking: { name: string; perExposure: number }[] = [];
  for (const other of memory.owners.values()) {
    if (other === owner || (owner === memory.pool.owner && memory.pool.members.includes(other))) continue;
    const living = memory.livingAt(other, frame);
    const exposure = other.clock.at(endMillis) - other.clock.at(startMillis);
    if (other.hasRequests) requests += exposure;
    const recent = living.filter((sample) => sample.bornMillis > startMillis && sample.bornMillis <= endMillis);
    const recentBytes = recent.reduce((sum, sample) => sum + sample.sizeBytes * sample.weight, 0);
    bytes += recentBytes;
    count += living.length;
    const site = other.tracked.get(namedFrame);
    const name = memory.routeOf(other)?.name;
    const leaksToo = site !== undefined && other.evaluations.get(site.frame)?.overThreshold === true;
    if (name === undefined || exposure <= 0 || !leaksToo) continue;
    leaking.push({ name, perExposure: recentBytes / exposure });
    const rate = growthRate(retainedWith(memory, other, site), other.clock, startMillis, endMillis);
    leakingBytesPerHour += ((rate?.perExposure ?? 0) * exposure * HOUR_MILLIS) / (endMillis - startMillis);
  }
  leaking.sort((a, b) => b.perExposure - a.perExposure);
  return {
    bytes,
    requests,
    samples: count,
    leakingRoutes: leaking.map((route) => route.name),
    leakingBytesPerHour,
  };
}

/** Names of up to three functions of a stack that end in the named one; of that one alone when it is not on the stack. */
export function siteFunctionsOf(memory: DetectorMemory, namedFrame: number, stack: number | null): string[] {
  const { stacks } = memory;
  const whole = stack === null ? [] : stacks.stack(stack);
  const upToSite = whole.slice(0, whole.lastIndexOf(namedFrame) + 1);
  const nearest = upToSite.length === 0 ? [namedFrame] : upToSite.slice(-SITE_FUNCTIONS);
  return nearest.map((frame) => stacks.frames[frame]?.function ?? "");
}

function pathOf(memory: DetectorMemory, stack: number): Transition["path"] {
  const frames = memory.stacks.stack(stack).flatMap((index) => memory.stacks.frames[index] ?? []);
  return frames.slice(-MAX_PATH_FRAMES);
}

function kindOf(samples: readonly StoredSample[]): RouteKind {
  const counts = new Map<OwnerKind, number>();
  for (const sample of samples) counts.set(sample.kind, (counts.get(sample.kind) ?? 0) + 1);
  let best: OwnerKind = "unattributed";
  for (const [kind, count] of counts) if (count > (counts.get(best) ?? 0)) best = kind;
  return best === "agent" ? "unattributed" : best;
}

function mostCommonStack(samples: readonly StoredSample[]): number | null {
  const counts = new Map<number, number>();
  let best: number | null = null;
  for (const { stack } of samples) {
    const count = (counts.get(stack) ?? 0) + 1;
    counts.set(stack, count);
    if (best === null || count > (counts.get(best) ?? 0)) best = stack;
  }
  return best;
}

/**
 * Growth is measured from the first birth after the start, that birth left out: a leak that began later than the start
 * (a flag) is not diluted, and a steady one is not biased, since arrivals after the first are Poisson again.
 */
function firstBirth(samples: readonly StoredSample[], startMillis: number, endMillis: number): number {
  let first = endMillis;
  for (const { bornMillis } of samples) if (bornMillis > startMillis && bornMillis < first) first = bornMillis;
  return first === endMillis ? startMillis : first;
}

function share(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}
