/**
 * Pure. Owns the evaluation of one hypothesis, "this function, for this route, keeps what it allocates": cohorts over a
 * grid of starts and ages, and the survivors' rate in halves and quarters of exposure.
 */
import { lnEvidence, lnThreshold } from "./evidence";
import type { Clock } from "./exposure";
import type { StoredSample } from "./sample-store";

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
  readonly ownerOrder: number;
}

/** Births of one window: one vote. */
interface Cohort {
  readonly bornMillis: number;
  readonly samples: StoredSample[];
}

export interface Evaluation {
  readonly lnE: number;
  readonly lnThreshold: number;
  readonly siteOrder: number;
  readonly overThreshold: boolean;
  readonly startMillis: number;
  readonly ageMillis: number;
  readonly maturedCount: number;
  readonly freedCount: number;
  /** Survivors per exposure of the later half over the earlier one, births from start to decidable; null = no births. */
  readonly halfRatio: number | null;
  /** The poorest quarter's survivors per exposure over the mean. */
  readonly minQuarterRatio: number | null;
  /** Living samples born since the start. */
  readonly survivors: readonly StoredSample[];
}

/** Starts s_j on a grid, all in the second half of the owner's exposure. */
export function startGrid(context: HypothesisContext): { readonly startMillis: number; readonly octave: number }[] {
  const { clock, nowMillis, horizonMillis } = context;
  const origin = clock.originMillis();
  const total = clock.at(nowMillis);
  const elapsed = nowMillis - origin;
  if (total <= 0 || elapsed <= 0) return [];
  const octave = Math.max(0, Math.floor(Math.log2(elapsed / (horizonMillis * FIRST_OCTAVE_SHARE_OF_HORIZON))));
  const starts: { startMillis: number; octave: number }[] = [];
  for (let step = 0; step < STARTS_PER_OCTAVE; step++) {
    const share = 0.5 * 2 ** (step / STARTS_PER_OCTAVE);
    starts.push({ startMillis: timeOf(clock, share * total, origin, nowMillis), octave });
  }
  return starts;
}

/** The best start and age of one hypothesis, or null when there is nothing to test. */
export function evaluate(
  samples: readonly StoredSample[],
  siteOrder: number,
  context: HypothesisContext,
  starts: ReturnType<typeof startGrid>,
): Evaluation | null {
  const cohorts = cohortsOf(samples);
  let best: {
    margin: number;
    lnE: number;
    threshold: number;
    start: number;
    age: number;
    a: number;
    d: number;
  } | null = null;
  for (const ageShare of AGE_SHARES) {
    const ageMillis = ageShare * context.horizonMillis;
    const events = eventsAt(cohorts, ageMillis, context.nowMillis);
    for (const { startMillis, octave } of starts) {
      const { a, d } = countSince(events, startMillis);
      if (a <= d) continue;
      const lnE = lnEvidence(a, d);
      const threshold = lnThreshold(context.ownerOrder, siteOrder, octave, STARTS_PER_OCTAVE, AGE_SHARES.length);
      const margin = lnE - threshold;
      if (best === null || margin > best.margin)
        best = { margin, lnE, threshold, start: startMillis, age: ageMillis, a, d };
    }
  }
  if (best === null) return null;
  const survivors = samples.filter(
    (sample) => sample.freedMillis === Number.POSITIVE_INFINITY && sample.bornMillis >= best.start,
  );
  return {
    lnE: best.lnE,
    lnThreshold: best.threshold,
    siteOrder,
    overThreshold: best.margin > 0,
    startMillis: best.start,
    ageMillis: best.age,
    maturedCount: best.a,
    freedCount: best.d,
    survivors,
    ...steadiness(survivors, best.start, best.age, context),
  };
}

/** The same evidence for another function with the same samples: only its share of the error budget differs. */
export function forOrder(evaluation: Evaluation, siteOrder: number): Evaluation {
  if (siteOrder === evaluation.siteOrder) return evaluation;
  const threshold = evaluation.lnThreshold + siteOrderPrice(siteOrder) - siteOrderPrice(evaluation.siteOrder);
  return { ...evaluation, siteOrder, lnThreshold: threshold, overThreshold: evaluation.lnE > threshold };
}

function siteOrderPrice(siteOrder: number): number {
  return lnThreshold(0, siteOrder, 0, 1, 1);
}

interface CohortEvents {
  readonly bornMillis: number;
  /** Infinity while at least half of the mature samples live. */
  readonly freedMillis: number;
}

function cohortsOf(samples: readonly StoredSample[]): Cohort[] {
  const byBirth = new Map<number, Cohort>();
  for (const sample of samples) {
    if (sample.container) continue;
    const cohort = byBirth.get(sample.bornMillis);
    if (cohort === undefined) byBirth.set(sample.bornMillis, { bornMillis: sample.bornMillis, samples: [sample] });
    else cohort.samples.push(sample);
  }
  return [...byBirth.values()];
}

/** Which cohorts matured at this age, and when they lost half of the samples that did. */
function eventsAt(cohorts: readonly Cohort[], ageMillis: number, nowMillis: number): CohortEvents[] {
  const events: CohortEvents[] = [];
  for (const cohort of cohorts) {
    const ripeMillis = cohort.bornMillis + ageMillis;
    if (ripeMillis > nowMillis) continue;
    const ripe = cohort.samples.filter((sample) => sample.freedMillis > Math.max(ripeMillis, sample.maturedMillis));
    if (ripe.length === 0) continue;
    const deaths = ripe.map((sample) => sample.freedMillis).sort((x, y) => x - y);
    events.push({
      bornMillis: cohort.bornMillis,
      freedMillis: deaths[Math.ceil(deaths.length / 2) - 1] ?? Number.POSITIVE_INFINITY,
    });
  }
  return events;
}

/** Births count after the start; every death after the start counts, whenever born. */
function countSince(events: readonly CohortEvents[], startMillis: number): { a: number; d: number } {
  let a = 0;
  let d = 0;
  for (const event of events) {
    if (event.bornMillis >= startMillis) a++;
    if (event.freedMillis >= startMillis && event.freedMillis !== Number.POSITIVE_INFINITY) d++;
  }
  return { a, d };
}

function steadiness(
  survivors: readonly StoredSample[],
  startMillis: number,
  ageMillis: number,
  context: HypothesisContext,
): Pick<Evaluation, "halfRatio" | "minQuarterRatio"> {
  const { clock, nowMillis } = context;
  const endMillis = Math.min(context.decidableMillis, nowMillis - ageMillis);
  const from = clock.at(startMillis);
  const span = clock.at(endMillis) - from;
  if (endMillis <= startMillis || span <= 0) return { halfRatio: null, minQuarterRatio: null };
  const quarters = [0, 0, 0, 0];
  for (const sample of survivors) {
    if (sample.container || sample.bornMillis > endMillis) continue;
    const quarter = Math.min(3, Math.floor((4 * (clock.at(sample.bornMillis) - from)) / span));
    quarters[quarter] = (quarters[quarter] ?? 0) + 1;
  }
  const [q0 = 0, q1 = 0, q2 = 0, q3 = 0] = quarters;
  const total = q0 + q1 + q2 + q3;
  if (total === 0) return { halfRatio: null, minQuarterRatio: null };
  return {
    halfRatio: q0 + q1 === 0 ? Number.MAX_SAFE_INTEGER : (q2 + q3) / (q0 + q1),
    minQuarterRatio: Math.min(q0, q1, q2, q3) / (total / 4),
  };
}

/** Inverse of the clock by bisection: when exposure reached `exposure`. */
function timeOf(clock: Clock, exposure: number, lowMillis: number, highMillis: number): number {
  let low = lowMillis;
  let high = highMillis;
  for (let i = 0; i < 40 && high - low > 1; i++) {
    const middle = (low + high) / 2;
    if (clock.at(middle) < exposure) low = middle;
    else high = middle;
  }
  return high;
}
