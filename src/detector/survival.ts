/**
 * Pure. Owns the survival curve of a site's cohorts: a cache with a time to live, or a queue, shows a cliff where its
 * entries reach their age, long before deaths outnumber births.
 */
import type { StoredSample } from "./sample-store";

/** Fewer cohorts at risk at an age say nothing about it. */
const MINIMUM_AT_RISK = 6;

export interface Survival {
  /** Share of cohorts that live through every age that enough of them have reached, given that they matured. */
  readonly ratio: number;
  /** The age at which half were gone; null where more than half live on. */
  readonly medianMillis: number | null;
}

/**
 * Kaplan-Meier over the period since `startMillis`: a cohort is at risk at an age while it lived at that age within the
 * period. Assumes that how long a cohort lives does not depend on when it was born.
 * Source: Kaplan and Meier 1958, with delayed entry.
 * @param ordered in order of birth; samples of one window are one cohort, which dies with the half of its samples.
 * @param ageMillis cohorts enter at this age, or when they matured. @returns null when nothing died in the period.
 */
export function survivalOf(
  ordered: readonly StoredSample[],
  startMillis: number,
  ageMillis: number,
  nowMillis: number,
): Survival | null {
  const entries: number[] = [];
  const exits: number[] = [];
  const deaths: number[] = [];
  for (let first = 0; first < ordered.length; ) {
    const bornMillis = ordered[first]?.bornMillis ?? 0;
    let end = first + 1;
    while (end < ordered.length && ordered[end]?.bornMillis === bornMillis) end++;
    const life = lifeOf(ordered.slice(first, end), bornMillis + ageMillis);
    first = end;
    if (life === null || life.diedMillis <= startMillis) continue;
    const entry = Math.max(startMillis, bornMillis + ageMillis, life.maturedMillis) - bornMillis;
    const exit = Math.min(nowMillis, life.diedMillis) - bornMillis;
    if (exit <= entry) continue;
    entries.push(entry);
    exits.push(exit);
    if (life.diedMillis <= nowMillis) deaths.push(exit);
  }
  if (deaths.length === 0) return null;
  return curve(entries.sort(ascending), exits.sort(ascending), deaths.sort(ascending));
}

function lifeOf(
  cohort: readonly StoredSample[],
  ripeMillis: number,
): { maturedMillis: number; diedMillis: number } | null {
  const ripe = cohort.filter(
    (sample) => !sample.container && sample.freedMillis > Math.max(ripeMillis, sample.maturedMillis),
  );
  if (ripe.length === 0) return null;
  const died = ripe.map((sample) => sample.freedMillis).sort(ascending);
  return {
    maturedMillis: Math.min(...ripe.map((sample) => sample.maturedMillis)),
    diedMillis: died[Math.ceil(died.length / 2) - 1] ?? Number.POSITIVE_INFINITY,
  };
}

function curve(entries: readonly number[], exits: readonly number[], deaths: readonly number[]): Survival {
  let ratio = 1;
  let medianMillis: number | null = null;
  let entered = 0;
  let left = 0;
  for (let i = 0; i < deaths.length; ) {
    const age = deaths[i] ?? 0;
    let count = 0;
    while (deaths[i] === age) {
      count++;
      i++;
    }
    while (entered < entries.length && (entries[entered] ?? 0) < age) entered++;
    while (left < exits.length && (exits[left] ?? 0) < age) left++;
    const atRisk = entered - left;
    if (atRisk < MINIMUM_AT_RISK) continue;
    ratio *= 1 - count / atRisk;
    if (ratio < 0.5) medianMillis ??= age;
  }
  return { ratio, medianMillis };
}

function ascending(a: number, b: number): number {
  return a - b;
}
