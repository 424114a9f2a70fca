/**
 * Pure. Owns the question "which function is it": from the hypotheses of one route that passed the test to at most three
 * disjoint sites. A site is the deepest function that still holds most of the evidence.
 */
import type { Evaluation } from "./hypothesis";
import type { StoredSample } from "./sample-store";
import type { StackIndex } from "./stack-index";

/** A site must hold this share of what the best hypothesis holds (inlining moves samples to callers). */
const HOLDS_SHARE = 0.8;
const MAX_SITES = 3;
/** Later groups below this share of the first one are noise of the same leak, not a second one. */
const MINIMUM_GROUP_SHARE = 0.1;

export interface NamedSite {
  /** Frame index. */
  readonly frame: number;
  readonly evaluation: Evaluation;
  /** Living survivors that have this function on their stack and belong to no earlier site. */
  readonly samples: readonly StoredSample[];
  /** Share of the evidence that lies in functions below this one, 0..1. */
  readonly belowRatio: number;
}

export type Reevaluate = (samples: readonly StoredSample[], frame: number) => Evaluation | null;

/**
 * @param passing evaluations over threshold, by frame index.
 * @param samplesOf all samples (dead ones too) with that function on their stack.
 * @param reevaluate tests what is left of a hypothesis once earlier sites have taken their samples.
 */
export function nameSites(
  passing: ReadonlyMap<number, Evaluation>,
  samplesOf: ReadonlyMap<number, readonly StoredSample[]>,
  stacks: StackIndex,
  reevaluate: Reevaluate,
): NamedSite[] {
  const sites: NamedSite[] = [];
  const taken = new Set<StoredSample>();
  let candidates = new Map(passing);
  while (candidates.size > 0 && sites.length < MAX_SITES) {
    const site = deepestHolder(candidates, stacks);
    if (site === null) break;
    if (sites[0] !== undefined && site.samples.length < MINIMUM_GROUP_SHARE * sites[0].samples.length) break;
    sites.push(site);
    for (const sample of samplesOf.get(site.frame) ?? []) taken.add(sample);
    candidates = retest(candidates, samplesOf, taken, reevaluate);
  }
  return sites;
}

function deepestHolder(candidates: ReadonlyMap<number, Evaluation>, stacks: StackIndex): NamedSite | null {
  let most = 0;
  for (const evaluation of candidates.values()) most = Math.max(most, evaluation.survivors.length);
  let best: { frame: number; evaluation: Evaluation; depth: number } | null = null;
  for (const [frame, evaluation] of candidates) {
    if (evaluation.survivors.length < HOLDS_SHARE * most) continue;
    const depth = meanDepth(evaluation.survivors, frame, stacks);
    if (best === null || depth > best.depth) best = { frame, evaluation, depth };
  }
  if (best === null) return null;
  const { frame, evaluation } = best;
  const below = evaluation.survivors.filter((sample) => stacks.leaf(sample.stack) !== frame).length;
  return {
    frame,
    evaluation,
    samples: evaluation.survivors,
    belowRatio: evaluation.survivors.length === 0 ? 0 : below / evaluation.survivors.length,
  };
}

function retest(
  candidates: ReadonlyMap<number, Evaluation>,
  samplesOf: ReadonlyMap<number, readonly StoredSample[]>,
  taken: ReadonlySet<StoredSample>,
  reevaluate: Reevaluate,
): Map<number, Evaluation> {
  const left = new Map<number, Evaluation>();
  for (const frame of candidates.keys()) {
    const rest = (samplesOf.get(frame) ?? []).filter((sample) => !taken.has(sample));
    const evaluation = rest.length === 0 ? null : reevaluate(rest, frame);
    if (evaluation?.overThreshold) left.set(frame, evaluation);
  }
  return left;
}

function meanDepth(samples: readonly StoredSample[], frame: number, stacks: StackIndex): number {
  let sum = 0;
  for (const sample of samples) sum += stacks.depthOf(sample.stack, frame);
  return samples.length === 0 ? 0 : sum / samples.length;
}

