/**
 * Pure. Owns which living samples one finding speaks for, and which of the service's own functions it points to. A leak
 * keeps object graphs: much of one is made by Node and by packages, without the leaking function on the stack.
 */
import type { Frame } from "../model/observation";
import type { DetectorMemory } from "./detector-memory";
import type { OwnerState, TrackedSite } from "./owner-state";
import type { StoredSample } from "./sample-store";

/** What is below a function is kept when at most this share of its mature cohorts was freed; a cache frees half. */
const KEPT_FREED_SHARE = 0.15;
const MAX_APPLICATION_FRAMES = 24;
/** A function of the service that fewer living samples pass through says nothing. */
const MINIMUM_COMPANIONS = 3;

export function isLiving(sample: StoredSample): boolean {
  return sample.freedMillis === Number.POSITIVE_INFINITY && !sample.container;
}

export function oldestBirth(samples: readonly StoredSample[], fallbackMillis: number): number {
  let oldest = fallbackMillis;
  for (const sample of samples) oldest = Math.min(oldest, sample.bornMillis);
  return oldest;
}

/**
 * Living samples of the site and, on a route, all others that are kept too: those of sites over threshold, and those
 * whose deepest tested function frees next to nothing. A bounded structure of the same route stays out.
 */
export function retainedWith(memory: DetectorMemory, owner: OwnerState, tracked: TrackedSite): StoredSample[] {
  const frames = new Set([tracked.frame]);
  if (owner.hasRequests) {
    for (const site of owner.tracked.values()) {
      if (owner.evaluations.get(site.frame)?.overThreshold) frames.add(site.frame);
    }
  }
  return [...memory.samplesOf(owner)].filter((sample) => {
    if (!isLiving(sample)) return false;
    const candidates = memory.stacks.candidatesOf(sample.stack);
    return candidates.some((frame) => frames.has(frame)) || (owner.hasRequests && isKept(owner, candidates));
  });
}

function isKept(owner: OwnerState, candidates: readonly number[]): boolean {
  const deepest = candidates.findLast((frame) => owner.evaluations.has(frame));
  const evaluation = deepest === undefined ? undefined : owner.evaluations.get(deepest);
  return evaluation !== undefined && evaluation.freedCount <= KEPT_FREED_SHARE * evaluation.maturedCount;
}

/**
 * Functions of the service's own code, the likeliest first: those on the site's stack from the site to the root; then,
 * since after an `await` there may be none, those whose allocations for the same owner are kept too.
 */
export function applicationFramesOf(
  memory: DetectorMemory,
  owner: OwnerState,
  stack: number | null,
  site: number,
): Frame[] {
  const own = stack === null ? [] : memory.stacks.applicationFrames(stack, site);
  const found = new Map<Frame, { living: number; freed: number; weight: number }>();
  for (const sample of memory.samplesOf(owner)) {
    if (sample.container) continue;
    // The nearest counts most: what calls everything would win otherwise.
    memory.stacks.applicationFrames(sample.stack, memory.stacks.leaf(sample.stack)).forEach((frame, distance) => {
      const entry = found.get(frame) ?? { living: 0, freed: 0, weight: 0 };
      found.set(frame, entry);
      if (isLiving(sample)) {
        entry.living++;
        entry.weight += 2 ** -distance;
      } else entry.freed++;
    });
  }
  const companions = [...found]
    .filter(([, { living, freed }]) => living >= MINIMUM_COMPANIONS && freed <= KEPT_FREED_SHARE * (living + freed))
    .sort((a, b) => b[1].weight - a[1].weight)
    .map(([frame]) => frame);
  return [...new Set([...own, ...companions])].slice(0, MAX_APPLICATION_FRAMES);
}
