/**
 * Pure. Owns what one process life knows of a site, as lives to come can use it: counts and sums over the births of the
 * later half of the exposure, when warm-up is over. Reads the detector's memory and changes nothing.
 */
import type { LifeSeries } from "../model/life";
import type { DetectorMemory } from "./detector-memory";
import { type Clock, halfExposureMillis } from "./exposure";
import { growthRate, median } from "./growth";
import type { OwnerState } from "./owner-state";
import type { StoredSample } from "./sample-store";

export type LifeNumbers = Omit<LifeSeries, "kind" | "route" | "isPooled" | "site">;

const QUANTILE_975 = 1.959964;

/**
 * @param owners empty: nothing of this route has matured, which is an observation too. Several: of a pooled finding.
 * @param frames functions that are the site; null: everything the owners hold.
 * @returns null before anything can be judged.
 */
export function lifeNumbers(
  memory: DetectorMemory,
  owners: readonly Pick<OwnerState, "key">[],
  clock: Clock,
  frames: ReadonlySet<number> | null,
  nowMillis: number,
): LifeNumbers | null {
  const samples = owners.flatMap(({ key }) => samplesAt(memory, key, frames));
  const startMillis = halfExposureMillis(clock, nowMillis);
  const endMillis = Math.min(nowMillis, memory.decidableMillis(samples[0]?.thread ?? 0));
  const exposure = clock.at(endMillis) - clock.at(startMillis);
  if (endMillis <= startMillis || exposure <= 0) return null;
  const living = samples.filter((sample) => sample.freedMillis === Number.POSITIVE_INFINITY);
  const rate = growthRate(living, clock, startMillis, endMillis);
  const bytes = (rate?.perExposure ?? 0) * exposure;
  const freed = samples.filter((sample) => sample.freedMillis !== Number.POSITIVE_INFINITY);
  return {
    timeMillis: nowMillis,
    samplingIntervalBytes: memory.intervalBytes,
    startMillis,
    endMillis,
    exposure,
    laterExposure: clock.at(nowMillis) - clock.at(startMillis),
    ...cohortsOf(samples, startMillis, endMillis),
    quarters: quartersOf(living, clock, startMillis, endMillis),
    bytes,
    varianceBytes2: rate === null ? 0 : varianceOf(bytes, rate.perExposure, rate.high),
    matureBytes: Math.round(living.reduce((sum, sample) => sum + sample.sizeBytes * sample.weight, 0)),
    residenceMillis: freed.length === 0 ? null : median(freed.map((sample) => sample.freedMillis - sample.bornMillis)),
  };
}

function samplesAt(memory: DetectorMemory, owner: string, frames: ReadonlySet<number> | null): StoredSample[] {
  return [...memory.store.of(owner)].filter(
    (sample) =>
      !sample.container &&
      (frames === null || memory.stacks.candidatesOf(sample.stack).some((frame) => frames.has(frame))),
  );
}

/** One vote a birth window. Births count from the start on, deaths whenever born. */
function cohortsOf(
  samples: readonly StoredSample[],
  startMillis: number,
  endMillis: number,
): Pick<LifeNumbers, "matured" | "freed" | "survivors"> {
  const deaths = new Map<number, number[]>();
  for (const { bornMillis, freedMillis } of samples) {
    const cohort = deaths.get(bornMillis);
    if (cohort === undefined) deaths.set(bornMillis, [freedMillis]);
    else cohort.push(freedMillis);
  }
  let matured = 0;
  let freed = 0;
  let survivors = 0;
  for (const [bornMillis, times] of deaths) {
    const ordered = times.sort((a, b) => a - b);
    const halfGoneMillis = ordered[Math.ceil(ordered.length / 2) - 1] ?? Number.POSITIVE_INFINITY;
    const isFreed = halfGoneMillis !== Number.POSITIVE_INFINITY;
    if (isFreed && halfGoneMillis >= startMillis) freed++;
    if (bornMillis <= startMillis || bornMillis > endMillis) continue;
    matured++;
    if (!isFreed) survivors++;
  }
  return { matured, freed, survivors };
}

function quartersOf(
  living: readonly StoredSample[],
  clock: Clock,
  startMillis: number,
  endMillis: number,
): [number, number, number, number] {
  const quarters: [number, number, number, number] = [0, 0, 0, 0];
  const from = clock.at(startMillis);
  const span = clock.at(endMillis) - from;
  for (const { bornMillis } of living) {
    if (bornMillis <= startMillis || bornMillis > endMillis) continue;
    const quarter = Math.min(3, Math.floor((4 * (clock.at(bornMillis) - from)) / span));
    quarters[quarter as 0 | 1 | 2 | 3]++;
  }
  return quarters;
}

/** Back from the upper bound of the rate's interval to a variance of the sum, on the safe side for few samples. */
function varianceOf(bytes: number, perExposure: number, high: number): number {
  return perExposure === 0 ? 0 : (((high / perExposure - 1) * bytes) / QUANTILE_975) ** 2;
}
