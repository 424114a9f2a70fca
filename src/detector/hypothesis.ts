/**
 * Pure. Owns the evaluation of one hypothesis, "this function, for this route, keeps what it allocates": cohorts over a
 * grid of starts and ages, and the survivors' rate in halves and quarters of exposure.
 */
import { lnEvidence, lnThreshold } from "./evidence";
import type { Clock } from "./exposure";
import type { StoredSample } from "./sample-store";
import { type Steadiness, steadinessOf } from "./steadiness";
import { survivalOf } from "./survival";

/** Starts per doubling of exposure: a grid of 1.09. */
const STARTS_PER_OCTAVE = 8;
/** Octave 0 ends here: the number of doublings of time since, not of requests, prices a start. */
const FIRST_OCTAVE_SHARE_OF_HORIZON = 1 / 2;
/** Ages as shares of the horizon; alpha is split over them. */
export const AGE_SHARES: readonly number[] = [0, 1 / 4, 1];

export interface HypothesisContext {
  readonly nowMillis: number;
  readonly horizonMillis: number;
  readonly clock: Clock;
  /** Births up to here would be mature by now, had they survived: two mark-compacts have passed since. */
  readonly decidableMillis: number;
  /** No start before this: deaths before it were forgotten. */
  readonly completeSinceMillis: number;
  readonly ownerOrder: number;
}

interface Start {
  readonly startMillis: number;
  /** How often the time since the owner's origin has doubled: prices the start. */
  readonly octave: number;
}

/** What the samples of one function say, at its best start and age. */
export interface Evidence {
  readonly lnE: number;
  readonly startMillis: number;
  readonly ageMillis: number;
  readonly maturedCount: number;
  readonly freedCount: number;
  /** Living samples born since the start. */
  readonly survivors: readonly StoredSample[];
}

export interface Evaluation extends Evidence, Steadiness {
  readonly lnThreshold: number;
  readonly overThreshold: boolean;
  /** Share of mature cohorts that live through every age observed since the start; null when none was freed. */
  readonly survivalRatio: number | null;
}

/** One owner at one moment: its samples in order of birth, and the starts they are held against. */
export class Look {
  readonly samples: readonly StoredSample[];
  readonly starts: readonly Start[];

  constructor(
    private readonly context: HypothesisContext,
    samples: Iterable<StoredSample>,
  ) {
    this.samples = inOrderOfBirth([...samples]);
    this.starts = startGrid(context);
    for (const sample of this.samples) this.place(sample);
  }

  /**
   * The best start and age of one hypothesis, or null when there is nothing to test.
   * @param samples some of this look's, in the same order.
   */
  evaluate(samples: readonly StoredSample[], siteOrder: number): Evaluation | null {
    const evidence = this.evidenceOf(samples);
    return evidence === null ? null : this.judge(evidence, samples, siteOrder);
  }

  /** The best start and age, or null when there is nothing to test. @param samples as in `evaluate`. */
  evidenceOf(samples: readonly StoredSample[]): Evidence | null {
    const { context, starts } = this;
    const counts = countEvents(samples, starts.length);
    let best: { lnE: number; start: number; age: number; a: number; d: number } | null = null;
    for (const [age, ageShare] of AGE_SHARES.entries()) {
      for (const [index, { startMillis }] of starts.entries()) {
        const a = counts.matured[age * (starts.length + 1) + index + 1] ?? 0;
        const d = counts.freed[age * (starts.length + 1) + index + 1] ?? 0;
        // Each maturation at most doubles E.
        if (a <= d || (best !== null && a * Math.LN2 <= best.lnE)) continue;
        const lnE = lnEvidence(a, d);
        if (best === null || lnE > best.lnE)
          best = { lnE, start: startMillis, age: ageShare * context.horizonMillis, a, d };
      }
    }
    if (best === null) return null;
    const { lnE, start, age, a, d } = best;
    const survivors = samples.filter(
      (sample) => sample.freedMillis === Number.POSITIVE_INFINITY && sample.bornMillis >= start,
    );
    return { lnE, startMillis: start, ageMillis: age, maturedCount: a, freedCount: d, survivors };
  }

  /** Holds evidence of these samples against the threshold of a function of that order. */
  judge(evidence: Evidence, samples: readonly StoredSample[], siteOrder: number): Evaluation {
    const { nowMillis, decidableMillis, ownerOrder, clock } = this.context;
    const { lnE, startMillis, ageMillis, survivors } = evidence;
    const octave = this.starts[0]?.octave ?? 0;
    const threshold = lnThreshold(ownerOrder, siteOrder, octave, STARTS_PER_OCTAVE, AGE_SHARES.length);
    const overThreshold = lnE > threshold;
    const survival = overThreshold ? survivalOf(samples, startMillis, ageMillis, nowMillis) : null;
    return {
      ...evidence,
      lnThreshold: threshold,
      overThreshold,
      survivalRatio: survival?.ratio ?? null,
      ...steadinessOf(survivors, startMillis, Math.min(decidableMillis, nowMillis - ageMillis), clock),
    };
  }

  /** Notes on a sample where its birth and death lie among the starts, and at how many ages it matured. */
  private place(sample: StoredSample): void {
    const { nowMillis, horizonMillis } = this.context;
    sample.bornAfter = startsUpTo(this.starts, sample.bornMillis);
    sample.freedAfter = sample.freedMillis > nowMillis ? -1 : startsUpTo(this.starts, sample.freedMillis);
    let ages = 0;
    for (const share of AGE_SHARES) {
      const ripeMillis = sample.bornMillis + share * horizonMillis;
      if (ripeMillis > nowMillis || sample.freedMillis <= Math.max(ripeMillis, sample.maturedMillis)) break;
      ages++;
    }
    sample.ripeAges = ages;
  }
}

/** Starts s_j on a grid, all in the second half of the owner's exposure, ascending. */
function startGrid(context: HypothesisContext): Start[] {
  const { clock, nowMillis, horizonMillis } = context;
  const origin = clock.originMillis();
  const total = clock.at(nowMillis);
  const elapsed = nowMillis - origin;
  if (total <= 0 || elapsed <= 0) return [];
  const octave = Math.max(0, Math.floor(Math.log2(elapsed / (horizonMillis * FIRST_OCTAVE_SHARE_OF_HORIZON))));
  return Array.from({ length: STARTS_PER_OCTAVE }, (_, step) => {
    const share = 0.5 * 2 ** (step / STARTS_PER_OCTAVE);
    const startMillis = Math.max(context.completeSinceMillis, clock.timeOf(share * total));
    return { startMillis: Math.min(nowMillis, startMillis), octave };
  });
}

function inOrderOfBirth(samples: StoredSample[]): StoredSample[] {
  for (let i = 1; i < samples.length; i++) {
    if ((samples[i]?.bornMillis ?? 0) < (samples[i - 1]?.bornMillis ?? 0))
      return samples.sort((a, b) => a.bornMillis - b.bornMillis);
  }
  return samples;
}

/** How many of the ascending starts are not after `millis`. */
function startsUpTo(starts: readonly Start[], millis: number): number {
  let count = 0;
  while (count < starts.length && (starts[count]?.startMillis ?? 0) <= millis) count++;
  return count;
}

/** By age, then by start (from 1 on): events since that start. */
interface EventCounts {
  /** Cohorts born after the start that matured. */
  readonly matured: Int32Array;
  /** Mature cohorts, whenever born, that lost half of the samples that matured, after the start. */
  readonly freed: Int32Array;
}

function countEvents(ordered: readonly StoredSample[], startCount: number): EventCounts {
  const stride = startCount + 1;
  const matured = new Int32Array(AGE_SHARES.length * stride);
  const freed = new Int32Array(AGE_SHARES.length * stride);
  for (let first = 0; first < ordered.length; ) {
    const bornMillis = ordered[first]?.bornMillis;
    let end = first + 1;
    while (end < ordered.length && ordered[end]?.bornMillis === bornMillis) end++;
    countCohort(ordered, first, end, stride, matured, freed);
    first = end;
  }
  // What happened after a start happened after all earlier ones too.
  for (let base = 0; base < matured.length; base += stride) {
    for (let index = base + startCount - 1; index > base; index--) {
      matured[index] = (matured[index] ?? 0) + (matured[index + 1] ?? 0);
      freed[index] = (freed[index] ?? 0) + (freed[index + 1] ?? 0);
    }
  }
  return { matured, freed };
}

/** Adds one cohort, the samples from `first` up to `end`; members of a growing container have no vote. */
function countCohort(
  ordered: readonly StoredSample[],
  first: number,
  end: number,
  stride: number,
  matured: Int32Array,
  freed: Int32Array,
): void {
  for (let age = 0; age < AGE_SHARES.length; age++) {
    let born = -1;
    let ripe = 0;
    let dead: number[] | null = null;
    let diedAfter = -1;
    for (let i = first; i < end; i++) {
      const sample = ordered[i];
      if (sample === undefined || sample.container || sample.ripeAges <= age) continue;
      ripe++;
      born = sample.bornAfter;
      if (sample.freedAfter < 0) continue;
      if (end === first + 1) diedAfter = sample.freedAfter;
      else if (dead === null) dead = [sample.freedMillis, sample.freedAfter];
      else dead.push(sample.freedMillis, sample.freedAfter);
    }
    if (ripe === 0) continue;
    const at = age * stride;
    matured[at + born] = (matured[at + born] ?? 0) + 1;
    if (dead !== null) diedAfter = halfFreedAfter(dead, ripe);
    if (diedAfter >= 0) freed[at + diedAfter] = (freed[at + diedAfter] ?? 0) + 1;
  }
}

/** @param dead pairs of a death's time and its place among the starts. @returns the place of the one that made it half. */
function halfFreedAfter(dead: readonly number[], ripeCount: number): number {
  const half = Math.ceil(ripeCount / 2);
  if (dead.length / 2 < half) return -1;
  const places: [number, number][] = [];
  for (let i = 0; i < dead.length; i += 2) places.push([dead[i] ?? 0, dead[i + 1] ?? 0]);
  places.sort((a, b) => a[0] - b[0]);
  return places[half - 1]?.[1] ?? -1;
}
