/**
 * Pure. Owns growing containers: an array or a Map is one object that a larger one replaces now and then, so cohorts never
 * see it grow. A heuristic, not a test: any Map that fills climbs such a ladder, and only one that goes on is a leak.
 */
import type { Clock } from "./exposure";
import type { Trend } from "./level-trend";
import type { StoredSample } from "./sample-store";
import type { StackIndex } from "./stack-index";

const HOUR_MILLIS = 3_600_000;
/** Backing stores of this many sampling intervals are sampled two times in five, of one interval two times in three. */
const MINIMUM_INTERVALS = 0.5;
/** Records that a ladder needs: fewer are the first steps of anything. */
export const LADDER_MINIMUM_RECORDS = 4;
const LEAK_MINIMUM_RECORDS = 5;
/** A step is at least this much larger than the largest before; a rehash of equal size is no step, and no break. */
const STEP_RATIO = 1.2;
const EQUAL_RATIO = 0.95;
/** Exponent of size against exposure: 1 = every unit of exposure adds the same. */
export const LADDER_SLOPE_LOW = 0.7;
export const LADDER_SLOPE_HIGH = 1.3;
/** Steps count back to this part of the last one's exposure: seven of an array, five of a Map. */
const EXPOSURE_SPAN = 32;
/** The next step may come this much later than the last steps foretell. */
const LATE_RATIO = 1.15;
/** One container has one backing store; two while it is being moved. */
const MAX_LIVING = 2;
const OWNER_SHARE = 0.8;
const MAX_RECORDS = 24;
const MAX_LADDERS = 512;
/** The level must grow at least this share of what the container claims to add. */
const LEVEL_SHARE = 0.5;

export interface LadderReading {
  /** The deepest function that may be named, as a frame index. */
  readonly frame: number;
  /** The function that made the first step: `frame`, or one that V8 has compiled into it since. */
  readonly namedFrame: number;
  /** Steps, and the backing stores they led from and to. */
  readonly records: number;
  readonly firstBytes: number;
  readonly lastBytes: number;
  readonly slope: number;
  /** Bytes per unit of the owner's exposure: between a store just filled up and one just replaced. */
  readonly perExposure: number;
  readonly low: number;
  readonly high: number;
  readonly firstMillis: number;
}

export class Ladders {
  private readonly byLeaf = new Map<number, StoredSample[]>();
  /** Records of functions that found no room. */
  refusedCount = 0;

  constructor(private readonly stacks: StackIndex) {}

  note(sample: StoredSample, intervalBytes: number): void {
    if (sample.sizeBytes < MINIMUM_INTERVALS * intervalBytes) return;
    const leaf = this.stacks.leaf(sample.stack);
    const records = this.byLeaf.get(leaf);
    if (records === undefined) {
      if (this.byLeaf.size < MAX_LADDERS || this.makeRoom()) this.byLeaf.set(leaf, [sample]);
      else this.refusedCount++;
      return;
    }
    records.push(sample);
    if (records.length > MAX_RECORDS) records.shift();
  }

  forgetThread(thread: number): void {
    for (const [leaf, records] of this.byLeaf) {
      const kept = records.filter((sample) => sample.thread !== thread);
      if (kept.length === 0) this.byLeaf.delete(leaf);
      else this.byLeaf.set(leaf, kept);
    }
  }

  /**
   * Ladders that still climb, by the key of the owner that has most of the steps.
   * @param clockOf an owner's exposure. @param decidableOf of a thread: births up to then are known by now, had they survived.
   */
  readings(
    clockOf: (owner: string) => Clock | null,
    nowMillis: number,
    decidableOf: (thread: number) => number,
  ): Map<string, LadderReading[]> {
    const readings = new Map<string, LadderReading[]>();
    const callees = this.recordsOfCallees();
    for (const [leaf, records] of this.byLeaf) {
      for (const chain of chainsOf(records, callees.get(leaf) ?? [])) {
        if (chain.length < LADDER_MINIMUM_RECORDS) continue;
        const owner = majorityOwner(chain);
        const clock = owner === null ? null : clockOf(owner);
        const decidableMillis = decidableOf(chain[0]?.thread ?? 0);
        const reading = clock === null ? null : this.read(chain, clock, nowMillis, decidableMillis);
        if (owner === null || reading === null) continue;
        const own = readings.get(owner);
        if (own === undefined) readings.set(owner, [reading]);
        else own.push(reading);
        break;
      }
    }
    return readings;
  }

  /** Forgets the function whose last record is oldest, of those of which nothing lives and that no living ladder begins with. */
  private makeRoom(): boolean {
    let oldest: { leaf: number; bornMillis: number } | null = null;
    for (const [leaf, records] of this.byLeaf) {
      const bornMillis = records.at(-1)?.bornMillis ?? 0;
      if (oldest !== null && bornMillis >= oldest.bornMillis) continue;
      if (records.some(isLiving) || this.goesOnInCaller(records)) continue;
      oldest = { leaf, bornMillis };
    }
    return oldest !== null && this.byLeaf.delete(oldest.leaf);
  }

  /** Whether a caller's living records may be the later steps of these (`chainsOf`). */
  private goesOnInCaller(records: readonly StoredSample[]): boolean {
    const last = records.at(-1);
    if (last === undefined) return false;
    return this.stacks.stack(last.stack).some((caller) => {
      const own = this.byLeaf.get(caller);
      return own?.some(isLiving) && (own[0]?.bornMillis ?? 0) > last.bornMillis;
    });
  }

  /** By function, the records of others that it calls: the one that grows the container may be compiled into it later. */
  private recordsOfCallees(): ReadonlyMap<number, (readonly StoredSample[])[]> {
    const callees = new Map<number, (readonly StoredSample[])[]>();
    for (const [leaf, records] of this.byLeaf) {
      const stack = this.stacks.stack(records.at(-1)?.stack ?? -1);
      for (const caller of new Set(stack)) {
        if (caller === leaf || !this.byLeaf.has(caller)) continue;
        const known = callees.get(caller);
        if (known === undefined) callees.set(caller, [records]);
        else known.push(records);
      }
    }
    return callees;
  }

  private read(
    records: readonly StoredSample[],
    clock: Clock,
    nowMillis: number,
    decidableMillis: number,
  ): LadderReading | null {
    const all = stepsOf(records, decidableMillis);
    const last = all[all.length - 1];
    if (last === undefined) return null;
    // Exposure is counted from the first report on: of early steps it misses a part, of the first perhaps all.
    const since = clock.at(last.bornMillis) / EXPOSURE_SPAN;
    const steps = all.filter((sample) => clock.at(sample.bornMillis) >= since);
    const first = steps[0];
    if (first === undefined || steps.length < LADDER_MINIMUM_RECORDS) return null;
    const xs = steps.map((sample) => Math.log(Math.max(1e-9, clock.at(sample.bornMillis))));
    const ys = steps.map((sample) => Math.log(sample.sizeBytes));
    const slope = slopeOf(xs, ys);
    if (slope === null || slope < LADDER_SLOPE_LOW || slope > LADDER_SLOPE_HIGH) return null;
    const ratio = Math.exp(((ys[ys.length - 1] ?? 0) - (ys[0] ?? 0)) / (steps.length - 1));
    const exposure = clock.at(last.bornMillis);
    if (exposure <= 0 || clock.at(nowMillis) > exposure * ratio * LATE_RATIO) return null;
    const frame = this.stacks.candidatesLeafFirst(last.stack)[0];
    if (frame === undefined) return null;
    const high = last.sizeBytes / exposure;
    return {
      frame,
      namedFrame: this.stacks.candidatesLeafFirst(first.stack)[0] ?? frame,
      records: steps.length,
      firstBytes: first.sizeBytes,
      lastBytes: last.sizeBytes,
      slope,
      perExposure: high / Math.sqrt(ratio),
      low: high / ratio,
      high,
      firstMillis: first.bornMillis,
    };
  }
}

/** One container, most of its records first: with those of callees that ended before its own began, all or one; or alone. */
function chainsOf(
  records: readonly StoredSample[],
  ofCallees: readonly (readonly StoredSample[])[],
): (readonly StoredSample[])[] {
  const beganMillis = records[0]?.bornMillis ?? 0;
  const earlier = ofCallees.filter((others) => (others.at(-1)?.bornMillis ?? 0) < beganMillis);
  const together = earlier.length > 1 ? [[...earlier.flat(), ...records]] : [];
  return [...together, ...earlier.map((others) => [...others, ...records]), records];
}

/** Whichever request triggers the move owns the new store: the owner of four in five of them, or null. */
function majorityOwner(records: readonly StoredSample[]): string | null {
  const counts = new Map<string, number>();
  for (const { owner } of records) counts.set(owner, (counts.get(owner) ?? 0) + 1);
  for (const [owner, count] of counts) if (count >= OWNER_SHARE * records.length) return owner;
  return null;
}

/** The stores that were larger than all before, oldest first; empty where several live at once or sizes fall back. */
function stepsOf(records: readonly StoredSample[], decidableMillis: number): StoredSample[] {
  const living = records.filter(isLiving).length;
  if (living > MAX_LIVING || (living === 0 && !isBeingReplaced(records, decidableMillis))) return [];
  const steps: StoredSample[] = [];
  for (const sample of records.toSorted((a, b) => a.bornMillis - b.bornMillis)) {
    const largest = steps[steps.length - 1];
    if (largest === undefined || sample.sizeBytes >= STEP_RATIO * largest.sizeBytes) steps.push(sample);
    else if (sample.sizeBytes < EQUAL_RATIO * largest.sizeBytes) return []; // It shrank: emptied, or another container.
  }
  return steps;
}

/**
 * The last store has been freed too short a while ago for its successor to be known: that has to survive two mark-compacts
 * first, which at night are hours apart.
 */
function isBeingReplaced(records: readonly StoredSample[], decidableMillis: number): boolean {
  return records.some(({ freedMillis }) => freedMillis > decidableMillis);
}

function slopeOf(xs: readonly number[], ys: readonly number[]): number | null {
  const meanX = xs.reduce((sum, x) => sum + x, 0) / xs.length;
  const meanY = ys.reduce((sum, y) => sum + y, 0) / ys.length;
  let sxx = 0;
  let sxy = 0;
  xs.forEach((x, i) => {
    sxx += (x - meanX) ** 2;
    sxy += (x - meanX) * ((ys[i] ?? 0) - meanY);
  });
  return sxx === 0 ? null : sxy / sxx;
}

/** Bytes the container adds per hour, at the owner's mean exposure since its first step. */
export function perHour(clock: Clock, reading: LadderReading, nowMillis: number): number {
  const hours = Math.max(1e-9, (nowMillis - reading.firstMillis) / HOUR_MILLIS);
  return (reading.perExposure * (clock.at(nowMillis) - clock.at(reading.firstMillis))) / hours;
}

/**
 * A ladder alone is at most a `watch`. It is a `leak` when it has climbed for two horizons, has been read for one, and the
 * memory level after mark-compacts grows with it: surely upwards, and by at least half of what the container adds.
 */
export function judgeLadder(
  reading: LadderReading,
  bytesPerHour: number,
  trendOf: () => Trend | null,
  times: { readonly nowMillis: number; readonly heldMillis: number; readonly horizonMillis: number },
): "watch" | "leak" {
  const { nowMillis, heldMillis, horizonMillis } = times;
  const isLong = nowMillis - reading.firstMillis >= 2 * horizonMillis && heldMillis >= horizonMillis;
  if (!isLong || reading.records < LEAK_MINIMUM_RECORDS) return "watch";
  const trend = trendOf();
  const agrees = trend !== null && trend.low > 0 && trend.bytesPerHour >= LEVEL_SHARE * bytesPerHour;
  return agrees ? "leak" : "watch";
}

function isLiving(sample: StoredSample): boolean {
  return sample.freedMillis === Number.POSITIVE_INFINITY;
}
