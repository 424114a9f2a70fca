/**
 * Pure. Owns the question "which function is it": from the hypotheses of one route that passed the test to at most three
 * disjoint sites. A site is the deepest function that still holds most of the evidence, and none that only leads to the
 * service's own code.
 */
import type { Evaluation } from "./hypothesis";
import type { StoredSample } from "./sample-store";
import type { StackIndex } from "./stack-index";

/** A site must hold this share of what the best hypothesis holds (inlining moves samples to callers). */
const HOLDS_SHARE = 0.8;
/**
 * Own code with this share of what the best hypothesis holds is named before a function that leads to such code: what a
 * framework makes for a request (its closures, the parsed URL) hangs on the request that the service keeps.
 */
const OWN_CODE_SHARE = 1 / 3;
const MAX_SITES = 3;
/** Later groups below this share of the first one are noise of the same leak, not a second one. */
const MINIMUM_GROUP_SHARE = 0.1;

export interface NamedSite {
  /** Frame index. */
  readonly frame: number;
  readonly evaluation: Evaluation;
  /** Living samples born in the later half of exposure that have it on their stack and belong to no earlier site. */
  readonly samples: readonly StoredSample[];
}

/** By frame index: living samples that have it on their stack. */
type Living = ReadonlyMap<number, readonly StoredSample[]>;

export type Reevaluate = (samples: readonly StoredSample[], frame: number) => Evaluation | null;

/**
 * @param over evaluations over threshold, by frame index.
 * @param samplesOf all samples (dead ones too) with that function on their stack.
 * @param standing frames of sites that stand already: what they hold is theirs.
 * @param sinceMillis births from here on count, the same for every function: their best starts differ.
 * @param reevaluate tests what is left of a hypothesis once earlier sites have taken their samples.
 */
export function nameSites(
  over: ReadonlyMap<number, Evaluation>,
  samplesOf: ReadonlyMap<number, readonly StoredSample[]>,
  standing: readonly number[],
  stacks: StackIndex,
  reevaluate: Reevaluate,
  sinceMillis: number,
): NamedSite[] {
  const sites: NamedSite[] = [];
  const taken = new Set<StoredSample>();
  const heldBy = (frame: number): readonly StoredSample[] =>
    (samplesOf.get(frame) ?? []).filter((sample) => !stacks.leadsToOwnCode(sample.stack, frame));
  const held = new Map([...over.keys()].map((frame) => [frame, heldBy(frame)]));
  const known = new Set(standing.flatMap(heldBy));
  const passing = new Map<number, Evaluation>();
  for (const [frame, evaluation] of over) {
    const rest = (held.get(frame) ?? []).filter((sample) => !known.has(sample));
    // The evidence of all its samples is no evidence for a part of them.
    const left = rest.length === samplesOf.get(frame)?.length ? evaluation : reevaluate(rest, frame);
    if (left?.overThreshold) passing.set(frame, left);
  }
  // Node's own functions name a site only where no other code does.
  const namable = new Map([...passing].filter(([frame]) => stacks.isNamableFrame(frame)));
  let candidates = namable.size > 0 ? namable : new Map(passing);
  while (candidates.size > 0 && sites.length < MAX_SITES) {
    const site = deepestHolder(candidates, (frame) => livingSince(held.get(frame) ?? [], sinceMillis, taken), stacks);
    if (site === null) break;
    if (sites[0] !== undefined && site.samples.length < MINIMUM_GROUP_SHARE * sites[0].samples.length) break;
    sites.push(site);
    for (const sample of held.get(site.frame) ?? []) taken.add(sample);
    candidates = retest(candidates, held, taken, reevaluate);
  }
  return sites;
}

function livingSince(
  samples: readonly StoredSample[],
  sinceMillis: number,
  taken: ReadonlySet<StoredSample>,
): readonly StoredSample[] {
  return samples.filter(
    (sample) =>
      sample.freedMillis === Number.POSITIVE_INFINITY &&
      sample.bornMillis >= sinceMillis &&
      !sample.container &&
      !taken.has(sample),
  );
}

function deepestHolder(
  candidates: ReadonlyMap<number, Evaluation>,
  livingOf: (frame: number) => readonly StoredSample[],
  stacks: StackIndex,
): NamedSite | null {
  const living = withoutDispatchers(new Map([...candidates.keys()].map((frame) => [frame, livingOf(frame)])), stacks);
  const most = mostOf(living);
  let best: { site: NamedSite; depth: number } | null = null;
  for (const [frame, samples] of living) {
    const evaluation = candidates.get(frame);
    if (evaluation === undefined) continue;
    if (samples.length === 0 || samples.length < HOLDS_SHARE * most) continue;
    const depth = meanDepth(samples, frame, stacks);
    if (best === null || depth > best.depth) best = { site: { frame, evaluation, samples }, depth };
  }
  return best?.site ?? null;
}

/** Where the service's own code holds enough, what only leads to such code is no candidate. */
function withoutDispatchers(living: Living, stacks: StackIndex): Living {
  const own = new Map([...living].filter(([frame]) => stacks.isOwn(frame)));
  if (own.size === 0 || mostOf(own) < OWN_CODE_SHARE * mostOf(living)) return living;
  return new Map([...living].filter(([frame, samples]) => !isDispatch(frame, samples, stacks)));
}

/** Whether own code that a function leads to is named before it: some is over its threshold and holds enough. */
export function yieldsToOwnCode(
  frame: number,
  evaluations: ReadonlyMap<number, Evaluation>,
  stacks: StackIndex,
): boolean {
  const survivors = evaluations.get(frame)?.survivors ?? [];
  if (!isDispatch(frame, survivors, stacks)) return false;
  const least = OWN_CODE_SHARE * survivors.length;
  return [...evaluations].some(
    ([other, own]) => own.overThreshold && own.survivors.length >= least && stacks.isOwn(other),
  );
}

/** Whether a function leads to the service's own code and was itself called by none, in most of the samples. */
function isDispatch(frame: number, samples: readonly StoredSample[], stacks: StackIndex): boolean {
  if (stacks.isOwn(frame) || !stacks.isDispatcher(frame)) return false;
  return 2 * samples.filter(({ stack }) => stacks.isBelowOwnCode(stack, frame)).length < samples.length;
}

function mostOf(living: Living): number {
  return Math.max(0, ...[...living.values()].map((samples) => samples.length));
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
