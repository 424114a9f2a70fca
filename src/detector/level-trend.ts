/** Pure. Owns the memory level over time: its trend, what a site explains of it, and when it meets the limit. */
import type { FindingExplained, Impact } from "../model/finding";
import type { LevelReading } from "../model/observation";

const HOUR_MILLIS = 3_600_000;
/** Readings kept; when full, every second one goes. */
const MAX_READINGS = 512;
/** Points used for the pairwise slopes of one trend (at most 128^2/2 slopes). */
const MAX_TREND_POINTS = 128;
/** Shares of the headroom a leak eats in 30 days: below the first it is minor, above the second critical. */
const MATERIAL_SHARE = 0.02;
const CRITICAL_SHARE = 0.2;
/** V8 collects ever harder above this share of its limit. */
const USABLE_HEAP_SHARE = 0.9;

interface TimedReading extends LevelReading {
  readonly timeMillis: number;
}

export interface Trend {
  readonly bytesPerHour: number;
  /** Quantiles of the pairwise slopes whose range covers about 80 % (Theil-Sen, Kendall's variance). */
  readonly low: number;
  readonly high: number;
}

export class LevelHistory {
  private readings: TimedReading[] = [];
  /** Not among the readings where it came too soon after the last one that is kept. */
  private newest: LevelReading | null = null;
  private spacingMillis = 0;

  add(timeMillis: number, level: LevelReading): void {
    this.newest = level;
    const last = this.readings[this.readings.length - 1];
    if (last !== undefined && timeMillis - last.timeMillis < this.spacingMillis) return;
    this.readings.push({ ...level, timeMillis });
    if (this.readings.length <= MAX_READINGS) return;
    this.readings = this.readings.filter((_, index) => index % 2 === 0);
    const first = this.readings[0];
    const end = this.readings[this.readings.length - 1];
    if (first !== undefined && end !== undefined)
      this.spacingMillis = (end.timeMillis - first.timeMillis) / this.readings.length;
  }

  /** When the first reading was taken; thinning keeps it. */
  firstMillis(): number | null {
    return this.readings[0]?.timeMillis ?? null;
  }

  latest(): LevelReading | null {
    return this.newest;
  }

  /** @param of which level; null readings are left out. */
  series(
    of: (reading: LevelReading) => number | null,
    sinceMillis: number,
  ): { readonly times: readonly number[]; readonly values: readonly number[] } {
    const times: number[] = [];
    const values: number[] = [];
    for (const reading of this.readings) {
      const value = of(reading);
      if (value === null || reading.timeMillis < sinceMillis) continue;
      times.push(reading.timeMillis);
      values.push(value);
    }
    return { times, values };
  }

  /** @param of which level; null readings are left out. @returns null with fewer than six readings since the start. */
  trend(of: (reading: LevelReading) => number | null, sinceMillis: number): Trend | null {
    const xs: number[] = [];
    const ys: number[] = [];
    for (const reading of this.readings) {
      const value = of(reading);
      if (value === null || reading.timeMillis < sinceMillis) continue;
      xs.push(reading.timeMillis / HOUR_MILLIS);
      ys.push(value);
    }
    return theilSen(xs, ys);
  }
}

/**
 * Median of all pairwise slopes, robust to a third of outliers.
 * Source: Sen 1968; the 80 % range from Kendall's variance of the number of concordant pairs (assumes independent errors).
 */
export function theilSen(allX: readonly number[], allY: readonly number[]): Trend | null {
  const stride = Math.max(1, Math.ceil(allX.length / MAX_TREND_POINTS));
  const xs = allX.filter((_, index) => index % stride === 0);
  const ys = allY.filter((_, index) => index % stride === 0);
  const n = xs.length;
  if (n < 6) return null;
  const slopes: number[] = [];
  for (let i = 0; i < n; i++) {
    for (let j = i + 1; j < n; j++) {
      const dx = (xs[j] ?? 0) - (xs[i] ?? 0);
      if (dx > 0) slopes.push(((ys[j] ?? 0) - (ys[i] ?? 0)) / dx);
    }
  }
  if (slopes.length === 0) return null;
  slopes.sort((a, b) => a - b);
  const half = 1.2816 * Math.sqrt((n * (n - 1) * (2 * n + 5)) / 18) * 0.5;
  const at = (position: number): number => slopes[Math.max(0, Math.min(slopes.length - 1, Math.round(position)))] ?? 0;
  const middle = (slopes.length - 1) / 2;
  return { bytesPerHour: at(middle), low: at(middle - half), high: at(middle + half) };
}

export function explainedBy(bytesPerHour: number, levels: LevelHistory, sinceMillis: number): FindingExplained {
  // A leaked timer or listener keeps the context of its request, and in it the agent's record: not the service's growth.
  const own = (reading: LevelReading): number => reading.agentBytes ?? 0;
  const heap = levels.trend(
    (reading) => (reading.postGcHeapBytes === null ? null : reading.postGcHeapBytes - own(reading)),
    sinceMillis,
  );
  const agent = levels.trend((reading) => reading.agentBytes ?? null, sinceMillis);
  const rss = levels.trend((reading) => reading.rssBytes - own(reading), sinceMillis);
  return {
    heapGrowthRatio: ratioOf(bytesPerHour, heap),
    rssGrowthRatio: ratioOf(bytesPerHour, rss),
    unexplainedBytesPerHour: heap === null ? null : Math.max(0, heap.bytesPerHour - bytesPerHour),
    agentBytesPerHour: agent?.bytesPerHour ?? null,
  };
}

function ratioOf(bytesPerHour: number, trend: Trend | null): number | null {
  return trend === null || trend.bytesPerHour <= 0 ? null : bytesPerHour / trend.bytesPerHour;
}

export interface Headroom {
  readonly limit: "heap" | "cgroup";
  readonly bytes: number;
}

/** The nearer of the usable heap limit and the container's limit; null before the first mark-compact. */
export function headroomOf(level: LevelReading | null): Headroom | null {
  let nearest: Headroom | null = null;
  for (const headroom of headroomsOf(level)) {
    if (nearest === null || headroom.bytes < nearest.bytes) nearest = headroom;
  }
  return nearest;
}

/** The limits that there are; none before the first mark-compact. Each thread has a heap limit of its own. */
export function headroomsOf(level: LevelReading | null): Headroom[] {
  if (level === null) return [];
  const heapBytes = level.fullestHeapBytes === undefined ? level.postGcHeapBytes : level.fullestHeapBytes;
  if (heapBytes === null) return [];
  const limit = level.fullestOldGenerationLimitBytes ?? level.fullestHeapLimitBytes ?? level.heapLimitBytes;
  const headrooms: Headroom[] = [{ limit: "heap", bytes: Math.max(0, USABLE_HEAP_SHARE * limit - heapBytes) }];
  if (level.cgroupBytes !== null && level.cgroupLimitBytes !== null)
    headrooms.push({ limit: "cgroup", bytes: Math.max(0, level.cgroupLimitBytes - level.cgroupBytes) });
  return headrooms;
}

export function impactOf(bytesPerHour: number, headroom: Headroom | null): Impact {
  if (headroom === null || headroom.bytes <= 0) return "material";
  const share = (bytesPerHour * 24 * 30) / headroom.bytes;
  if (share < MATERIAL_SHARE) return "minor";
  return share < CRITICAL_SHARE ? "material" : "critical";
}
