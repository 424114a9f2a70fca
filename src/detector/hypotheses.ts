/**
 * Pure. Owns which functions of one owner are the same hypothesis, and what each of them pays for being one of many.
 */
import type { Evaluation, Look } from "./hypothesis";
import type { OwnerState } from "./owner-state";
import type { StoredSample } from "./sample-store";

/**
 * Functions of one call chain often have the very same evidence: that is one hypothesis, at the price of whichever appeared
 * first. Else a caller would cross its threshold before the function that it calls.
 */
export function evaluateAll(
  owner: OwnerState,
  look: Look,
  tested: readonly (readonly [number, readonly StoredSample[]])[],
): Map<number, Evaluation> {
  const groups = new Map<string, { frames: number[]; order: number; samples: readonly StoredSample[] }>();
  for (const [frame, samples] of tested) {
    const fingerprint = fingerprintOf(samples);
    const order = owner.siteOrder(frame);
    const group = groups.get(fingerprint) ?? { frames: [], order, samples };
    group.frames.push(frame);
    group.order = Math.min(group.order, order);
    groups.set(fingerprint, group);
  }
  const lowestOrders = new Map<string, number>();
  const found = [...groups.values()].flatMap(({ frames, order, samples }) => {
    const evidence = look.evidenceOf(samples);
    if (evidence === null) return [];
    // A caller may have samples of its own from before the start, which are no evidence.
    const key = `${evidence.lnE}:${fingerprintOf(evidence.survivors)}`;
    lowestOrders.set(key, Math.min(order, lowestOrders.get(key) ?? order));
    return [{ frames, samples, evidence, key }];
  });
  const evaluations = new Map<number, Evaluation>();
  for (const { frames, samples, evidence, key } of found) {
    const evaluation = look.judge(evidence, samples, lowestOrders.get(key) ?? 0);
    for (const frame of frames) evaluations.set(frame, evaluation);
  }
  return evaluations;
}

/** The same for the same samples in the same order: how many, the first, and the sum of their ids. */
function fingerprintOf(samples: readonly StoredSample[]): string {
  let sum = 0;
  for (const sample of samples) sum += sample.id;
  return `${samples.length}:${samples[0]?.id ?? 0}:${sum}`;
}
