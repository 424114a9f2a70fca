/** Pure. Owns how fast a site grows: bytes per request with an interval, bytes per hour, and the busy/idle contrast. */
import type { FindingContrast, FindingGrowth } from "../model/finding";
import { type Clock, upperBound } from "./exposure";
import type { StoredSample } from "./sample-store";

const CONFIDENCE = 0.95;
const NORMAL_QUANTILE_975 = 1.959964;
const HOUR_MILLIS = 3_600_000;
/** A bucket is idle when the route served less than this share of its median busy bucket. */
const IDLE_SHARE = 0.1;
const MAX_BUCKETS = 256;

export interface Rate {
  readonly perExposure: number;
  readonly low: number;
  readonly high: number;
  /** Exposure over which the survivors were born. */
  readonly exposure: number;
}

/**
 * Bytes retained per unit of exposure by births in (start, end].
 * Estimator: Horvitz-Thompson sum of z/p over living samples, divided by exposure.
 * Interval: gamma-Poisson with effective n = (sum Y)^2 / max(sum Var Y_w, sum (Y_w - lambda x_w)^2); exact for Poisson
 * counts, approximate otherwise.
 */
export function growthRate(
  samples: readonly StoredSample[],
  clock: Clock,
  startMillis: number,
  endMillis: number,
): Rate | null {
  const exposure = clock.at(endMillis) - clock.at(startMillis);
  if (exposure <= 0 || endMillis <= startMillis) return null;
  const windows = new Map<number, number>();
  let total = 0;
  let samplingVariance = 0;
  for (const sample of samples) {
    if (sample.bornMillis <= startMillis || sample.bornMillis > endMillis) continue;
    const bytes = sample.sizeBytes * sample.weight;
    total += bytes;
    samplingVariance += sample.varianceBytes2;
    windows.set(sample.bornMillis, (windows.get(sample.bornMillis) ?? 0) + bytes);
  }
  const seen = bucketVariance(windows, total / exposure, clock, startMillis, endMillis);
  return rateOf(total, exposure, Math.max(samplingVariance, seen));
}

/** @param varianceBytes2 of the sum `bytes`; read only where there are bytes. */
export function rateOf(bytes: number, exposure: number, varianceBytes2: number): Rate {
  if (bytes === 0) return { perExposure: 0, low: 0, high: 0, exposure };
  const perExposure = bytes / exposure;
  const effective = bytes ** 2 / varianceBytes2;
  return {
    perExposure,
    low: (perExposure * gammaQuantile(effective, -NORMAL_QUANTILE_975)) / effective,
    high: (perExposure * gammaQuantile(effective + 1, NORMAL_QUANTILE_975)) / effective,
    exposure,
  };
}

/** Squared deviations from a constant rate over 32 buckets of equal time: what sampling variance alone misses. */
function bucketVariance(
  windows: ReadonlyMap<number, number>,
  rate: number,
  clock: Clock,
  startMillis: number,
  endMillis: number,
): number {
  const bucketCount = 32;
  const width = (endMillis - startMillis) / bucketCount;
  const sums = new Array<number>(bucketCount).fill(0);
  for (const [bornMillis, bytes] of windows) {
    const bucket = Math.min(bucketCount - 1, Math.floor((bornMillis - startMillis) / width));
    sums[bucket] = (sums[bucket] ?? 0) + bytes;
  }
  let variance = 0;
  for (let i = 0; i < bucketCount; i++) {
    const exposure = clock.at(startMillis + (i + 1) * width) - clock.at(startMillis + i * width);
    variance += ((sums[i] ?? 0) - rate * exposure) ** 2;
  }
  return variance;
}

/** Quantile of a gamma(shape, 1) variable at a standard normal quantile. Wilson-Hilferty; good to 1 % for shape >= 3. */
export function gammaQuantile(shape: number, normalQuantile: number): number {
  const base = 1 - 1 / (9 * shape) + normalQuantile / (3 * Math.sqrt(shape));
  return base <= 0 ? 0 : shape * base ** 3;
}

/** @param requestsClock null for owners without requests: the rate is then per hour already. */
export function growthRecord(
  rate: Rate | null,
  living: readonly StoredSample[],
  requestsClock: Clock | null,
  startMillis: number,
  endMillis: number,
): FindingGrowth {
  const hours = Math.max(1e-9, (endMillis - startMillis) / HOUR_MILLIS);
  const perHour = rate === null ? 0 : rate.exposure / hours;
  const value = rate ?? { perExposure: 0, low: 0, high: 0, exposure: 0 };
  return {
    bytesPerRequest: requestsClock === null || rate === null ? null : rate.perExposure,
    bytesPerRequestLow: requestsClock === null || rate === null ? null : rate.low,
    bytesPerRequestHigh: requestsClock === null || rate === null ? null : rate.high,
    confidence: CONFIDENCE,
    bytesPerHour: value.perExposure * perHour,
    bytesPerHourLow: value.low * perHour,
    bytesPerHourHigh: value.high * perHour,
    retainedBytes: Math.round(living.reduce((sum, sample) => sum + sample.sizeBytes * sample.weight, 0)),
    retainedObjects: Math.round(living.reduce((sum, sample) => sum + sample.weight, 0)),
    requests: requestsClock === null ? null : Math.round(value.exposure),
  };
}

export interface ContrastInput {
  readonly samples: readonly StoredSample[];
  readonly clock: Clock;
  readonly hasRequests: boolean;
  /** The same function's retained bytes and requests on all other routes. */
  readonly otherBytes: number;
  readonly otherRequests: number;
  readonly startMillis: number;
  readonly endMillis: number;
  readonly horizonMillis: number;
}

/** The story's two hints as numbers: growth in busy against idle hours, and how growth tracks the route's requests. */
export function contrastRecord(input: ContrastInput): FindingContrast {
  const { samples, clock, startMillis, endMillis, horizonMillis } = input;
  const span = endMillis - startMillis;
  const widthMillis = Math.max(1_000, horizonMillis / 24, span / MAX_BUCKETS);
  const edges: number[] = [];
  for (let edge = startMillis; edge + widthMillis <= endMillis; edge += widthMillis) edges.push(edge);
  const bytes = new Array<number>(edges.length).fill(0);
  const requests = edges.map((edge) => clock.at(edge + widthMillis) - clock.at(edge));
  for (const sample of samples) {
    const index = upperBound(edges, sample.bornMillis - 1) - 1;
    if (index >= 0 && index < edges.length) bytes[index] = (bytes[index] ?? 0) + sample.sizeBytes * sample.weight;
  }
  const busyMedian = median(requests.filter((count) => count > 0));
  const hoursPerBucket = widthMillis / HOUR_MILLIS;
  const idle = requests.map((count) => input.hasRequests && count < IDLE_SHARE * busyMedian);
  return {
    busyBytesPerHour: meanWhere(bytes, (i) => !idle[i], hoursPerBucket),
    idleBytesPerHour: meanWhere(bytes, (i) => idle[i] === true, hoursPerBucket),
    idleHours: input.hasRequests ? idle.filter(Boolean).length * hoursPerBucket : null,
    otherRoutesBytesPerRequest: input.otherRequests > 0 ? input.otherBytes / input.otherRequests : null,
    routeCorrelation: input.hasRequests ? correlation(requests, bytes) : null,
    windowSeconds: widthMillis / 1_000,
  };
}

function meanWhere(
  values: readonly number[],
  where: (index: number) => boolean,
  hoursPerBucket: number,
): number | null {
  let sum = 0;
  let count = 0;
  values.forEach((value, index) => {
    if (!where(index)) return;
    sum += value;
    count++;
  });
  return count === 0 ? null : sum / (count * hoursPerBucket);
}

/** Pearson's correlation; null when either side does not vary or there are fewer than 8 buckets. */
export function correlation(xs: readonly number[], ys: readonly number[]): number | null {
  const n = xs.length;
  if (n < 8) return null;
  const meanX = xs.reduce((sum, x) => sum + x, 0) / n;
  const meanY = ys.reduce((sum, y) => sum + y, 0) / n;
  let sxy = 0;
  let sxx = 0;
  let syy = 0;
  for (let i = 0; i < n; i++) {
    const dx = (xs[i] ?? 0) - meanX;
    const dy = (ys[i] ?? 0) - meanY;
    sxy += dx * dy;
    sxx += dx * dx;
    syy += dy * dy;
  }
  return sxx === 0 || syy === 0 ? null : sxy / Math.sqrt(sxx * syy);
}

export function median(values: readonly number[]): number {
  if (values.length === 0) return 0;
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? (sorted[middle] ?? 0) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}
