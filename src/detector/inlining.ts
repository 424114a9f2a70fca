/**
 * Pure. Owns the way back from a caller to the callees that V8 compiled into it. V8's sampler sees compiled frames only:
 * once a handler has been optimised, what its inlined callees allocate is booked on the handler itself. Two traces stay:
 * stacks from before the optimisation, and calls that skip functions which used to lie between.
 */
import { packageFolder, type StackIndex } from "./stack-index";

/** Below this share of samples on the function itself there is nothing to explain. */
const SELF_SHARE = 0.2;
/** Fewer samples below the function than this say nothing about which callee it is. */
const MINIMUM_BELOW = 3;
const HOLDS_SHARE = 0.8;
/** Calls that skip a known chain, before it counts as inlined. */
const MINIMUM_SKIPS = 2;
/** Chance of the early samples all lying below, had the function's own share never changed. */
const ERA_SIGNIFICANCE = 0.01;

export interface SiteSample {
  readonly stack: number;
  readonly bornMillis: number;
}

/**
 * The function to name for what is retained below `frame`.
 * - Its own samples came from inlined callees, by evidence: the deepest callee that holds 80 % of what lies below, else
 *   one of the package that does.
 * - No single callee, but one package holds 80 % of all samples: the deepest function of that package that is on 80 % as many
 *   of them as the one seen most often.
 * - Otherwise `frame` itself.
 * Fails where a function allocates the retained object itself and an inlined callee allocates parts of it.
 */
export function nameBelow(frame: number, samples: readonly SiteSample[], stacks: StackIndex): number {
  const below: (readonly number[])[] = [];
  let skips = 0;
  for (const sample of samples) {
    const restored = chainBelow(frame, sample.stack, stacks);
    if (restored.chain.length === 0) continue;
    below.push(restored.chain);
    if (restored.isSkip) skips++;
  }
  if (below.length < MINIMUM_BELOW) return frame;
  const selfCount = samples.length - below.length;
  const isInlined =
    selfCount >= SELF_SHARE * samples.length && (skips >= MINIMUM_SKIPS || beganBelow(frame, samples, stacks));
  if (isInlined) return deepestHolder(below, below.length) ?? packageHolder(below, below.length, stacks) ?? frame;
  return packageHolder(below, samples.length, stacks) ?? frame;
}

/** True when the first samples all lie below the function, and its own began later: the mark of an optimisation. */
function beganBelow(frame: number, samples: readonly SiteSample[], stacks: StackIndex): boolean {
  const isBelow = [...samples]
    .sort((a, b) => a.bornMillis - b.bornMillis)
    .map((sample) => stacks.chainBelow(sample.stack, frame).length > 0);
  const first = isBelow.indexOf(false);
  const share = isBelow.filter(Boolean).length / isBelow.length;
  return share ** first < ERA_SIGNIFICANCE;
}

function chainBelow(frame: number, stack: number, stacks: StackIndex): { chain: readonly number[]; isSkip: boolean } {
  const chain = stacks.chainBelow(stack, frame);
  const callee = chain[0];
  if (callee === undefined) return { chain, isSkip: false };
  for (const earlier of stacks.stacksThrough(frame)) {
    if (earlier >= stack) break;
    const known = stacks.chainBelow(earlier, frame);
    const at = known.indexOf(callee);
    if (at > 0) return { chain: [...known.slice(0, at), ...chain], isSkip: true };
  }
  return { chain, isSkip: false };
}

function folderOf(frame: number, stacks: StackIndex): string | null {
  return packageFolder(stacks.frames[frame]?.file ?? "");
}

/** The deepest function that is on four fifths of `scale` chains, by default as many as the one on most of them. */
function deepestHolder(chains: readonly (readonly number[])[], scale?: number): number | null {
  const held = new Map<number, { count: number; depth: number }>();
  for (const chain of chains) {
    chain.forEach((frame, depth) => {
      const entry = held.get(frame) ?? { count: 0, depth: 0 };
      held.set(frame, { count: entry.count + 1, depth: entry.depth + depth });
    });
  }
  const least = HOLDS_SHARE * (scale ?? Math.max(...[...held.values()].map(({ count }) => count)));
  const holders = [...held].filter(([, { count }]) => count >= least);
  const meanDepth = ({ count, depth }: { count: number; depth: number }): number => depth / count;
  holders.sort(([, a], [, b]) => meanDepth(b) - meanDepth(a) || b.count - a.count);
  return holders[0]?.[0] ?? null;
}

/** In the one package that holds 80 % of `sampleCount` samples, the deepest of the functions that are seen most often. */
function packageHolder(chains: readonly (readonly number[])[], sampleCount: number, stacks: StackIndex): number | null {
  const chainsOf = new Map<string, number>();
  for (const chain of chains) {
    for (const folder of new Set(chain.map((frame) => folderOf(frame, stacks)))) {
      if (folder !== null) chainsOf.set(folder, (chainsOf.get(folder) ?? 0) + 1);
    }
  }
  for (const [folder, count] of chainsOf) {
    if (count < HOLDS_SHARE * sampleCount) continue;
    return deepestHolder(chains.map((chain) => chain.filter((frame) => folderOf(frame, stacks) === folder)));
  }
  return null;
}
