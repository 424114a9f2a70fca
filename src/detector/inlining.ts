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
 * - No single callee, but one package holds 80 % of all samples: the function of that package seen most often.
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
  if (isInlined) return deepestHolder(below) ?? packageHolder(below, below.length, stacks) ?? frame;
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

function deepestHolder(chains: readonly (readonly number[])[]): number | null {
  const held = new Map<number, { count: number; depth: number }>();
  for (const chain of chains) {
    chain.forEach((frame, depth) => {
      const entry = held.get(frame) ?? { count: 0, depth: 0 };
      held.set(frame, { count: entry.count + 1, depth: entry.depth + depth });
    });
  }
  let best: { frame: number; depth: number } | null = null;
  for (const [frame, { count, depth }] of held) {
    if (count < HOLDS_SHARE * chains.length) continue;
    if (best === null || depth / count > best.depth) best = { frame, depth: depth / count };
  }
  return best?.frame ?? null;
}

/** The function seen most often in the one package that holds 80 % of `sampleCount` samples. */
function packageHolder(chains: readonly (readonly number[])[], sampleCount: number, stacks: StackIndex): number | null {
  const chainsOf = new Map<string, number>();
  const framesOf = new Map<string, Map<number, number>>();
  for (const chain of chains) {
    for (const folder of new Set(chain.map((frame) => packageFolder(stacks.frames[frame]?.file ?? "")))) {
      if (folder !== null) chainsOf.set(folder, (chainsOf.get(folder) ?? 0) + 1);
    }
    for (const frame of chain) {
      const folder = packageFolder(stacks.frames[frame]?.file ?? "");
      if (folder === null) continue;
      const counts = framesOf.get(folder) ?? new Map<number, number>();
      counts.set(frame, (counts.get(frame) ?? 0) + 1);
      framesOf.set(folder, counts);
    }
  }
  for (const [folder, count] of chainsOf) {
    if (count < HOLDS_SHARE * sampleCount) continue;
    const [most] = [...(framesOf.get(folder) ?? [])].sort((a, b) => b[1] - a[1]);
    return most?.[0] ?? null;
  }
  return null;
}
