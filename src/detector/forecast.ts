/** Pure. Owns when the memory level meets its limit, and whether that is soon enough to wake somebody. */
import type { FindingForecast } from "../model/finding";
import type { LevelReading } from "../model/observation";
import { type Headroom, headroomsOf, type LevelHistory } from "./level-trend";

const HOUR_MILLIS = 3_600_000;
const DAY_MILLIS = 24 * HOUR_MILLIS;
/** A crossing further away than this is none. */
const FURTHEST_HOURS = 30 * 24;
/** With so many whole days the blocks are days, so that nights and days are drawn together. */
const DAYS_FOR_DAY_BLOCKS = 4;
const BLOCKS = 12;
const MIN_READINGS = 12;
const REPLICATES = 200;
/** Blocks of a path that are drawn one by one; beyond them it goes on at its own mean. */
const PATH_BLOCKS = 48;
const SEED = 0x5eed;
/** `urgent`: at most this share of the headroom at the start is left. */
const URGENT_LEFT_SHARE = 0.5;
/** `urgent`: growth in the later half of the time over the earlier half. */
const STEADY_HALF_RATIO = 0.7;
/** A level is not judged before this share of the horizon has passed, and until then only what ends as soon. */
const EARLY_SHARE_OF_HORIZON = 1 / 4;
/** `urgent` must hold at every look for this share of the horizon, and not hold for as long as a verdict's patience. */
const HOLD_SHARE_OF_HORIZON = 1 / 24;
const RELEASE_SHARE_OF_HORIZON = 1 / 3;

type Read = (reading: LevelReading) => number | null;

export interface Series {
  readonly times: readonly number[];
  readonly values: readonly number[];
}

/** The level that meets its limit first; without a crossing, the one with less room. Null before the first mark-compact. */
export function forecastLevel(levels: LevelHistory, sinceMillis: number): FindingForecast | null {
  let first: FindingForecast | null = null;
  for (const headroom of headroomsOf(levels.latest())) {
    const passage = firstPassage(levels.series(readerOf(headroom), sinceMillis), headroom.bytes);
    if (passage === null) continue;
    const forecast = { limit: headroom.limit, headroomBytes: Math.round(headroom.bytes), ...passage };
    if (first === null || isSooner(forecast, first)) first = forecast;
  }
  return first;
}

function isSooner(a: FindingForecast, b: FindingForecast): boolean {
  const hours = (forecast: FindingForecast): number => forecast.hoursP50 ?? Number.POSITIVE_INFINITY;
  return hours(a) === hours(b) ? a.headroomBytes < b.headroomBytes : hours(a) < hours(b);
}

function readerOf({ limit }: Headroom): Read {
  if (limit === "cgroup") return (reading) => reading.cgroupBytes;
  return (reading) => (reading.fullestHeapBytes === undefined ? reading.postGcHeapBytes : reading.fullestHeapBytes);
}

/**
 * Hours until the level's growth has used the headroom.
 * Estimator: bootstrap of blocks (whole days once there are four, else a twelfth of the time), growth taken
 * between the medians of neighbours; 200 paths. Assumes that what comes is made of what was. Fails for growth that accelerates.
 * @returns null with too few readings; a quantile beyond 30 days is null, and so are all when half of the paths never cross.
 */
export function firstPassage(
  series: Series,
  headroomBytes: number,
): Pick<FindingForecast, "hoursP10" | "hoursP50" | "hoursP90"> | null {
  const { times } = series;
  const first = times[0];
  const last = times.at(-1);
  if (first === undefined || last === undefined || times.length < MIN_READINGS || last <= first) return null;
  const span = last - first;
  const blockMillis = span >= DAYS_FOR_DAY_BLOCKS * DAY_MILLIS ? DAY_MILLIS : span / BLOCKS;
  const growths = blockGrowths(series, last, blockMillis, Math.floor(span / blockMillis));
  const random = mulberry32(SEED);
  const hours: number[] = [];
  for (let i = 0; i < REPLICATES; i++) hours.push(pathHours(growths, headroomBytes, blockMillis / HOUR_MILLIS, random));
  hours.sort((a, b) => a - b);
  const at = (share: number): number | null => {
    const value = hours[Math.min(hours.length - 1, Math.floor(share * hours.length))] ?? Number.POSITIVE_INFINITY;
    return value > FURTHEST_HOURS ? null : value;
  };
  const middle = at(0.5);
  return middle === null
    ? { hoursP10: null, hoursP50: null, hoursP90: null }
    : { hoursP10: at(0.1), hoursP50: middle, hoursP90: at(0.9) };
}

/** Between the medians of neighbouring blocks, so that the edges of the time do not count for less. */
function blockGrowths(series: Series, lastMillis: number, blockMillis: number, count: number): number[] {
  const middles: number[] = [];
  for (let i = count; i >= 1; i--)
    middles.push(medianAround(series, lastMillis - (i - 0.5) * blockMillis, blockMillis));
  return middles.slice(1).map((middle, index) => middle - (middles[index] ?? middle));
}

/** Median of the readings within half a width; the nearest one when there is none. */
function medianAround({ times, values }: Series, atMillis: number, widthMillis: number): number {
  const near: number[] = [];
  let nearest = 0;
  times.forEach((time, index) => {
    if (Math.abs(time - atMillis) <= widthMillis / 2) near.push(values[index] ?? 0);
    if (Math.abs(time - atMillis) < Math.abs((times[nearest] ?? 0) - atMillis)) nearest = index;
  });
  if (near.length === 0) return values[nearest] ?? 0;
  near.sort((a, b) => a - b);
  return near[near.length >> 1] ?? 0;
}

function pathHours(growths: readonly number[], headroom: number, blockHours: number, random: () => number): number {
  if (headroom <= 0) return 0;
  let used = 0;
  for (let block = 0; block < PATH_BLOCKS; block++) {
    const growth = growths[Math.floor(random() * growths.length)] ?? 0;
    if (used + growth >= headroom) return (block + (headroom - used) / growth) * blockHours;
    used += growth;
  }
  if (used <= 0) return Number.POSITIVE_INFINITY;
  return (headroom / used) * PATH_BLOCKS * blockHours;
}

/** Mulberry32: a forecast is the same in a replay. */
function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let value = Math.imul(state ^ (state >>> 15), 1 | state);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Whether the level is about to meet its limit, with a memory so that one reading neither wakes nor calms anybody. */
export class Urgency {
  private sinceMillis: number | null = null;
  private releasedMillis: number | null = null;
  private stands = false;
  /** Growth per hour by which the limit would be met at the time that makes it urgent; of the last look that found it so. */
  neededBytesPerHour = 0;

  constructor(private readonly horizonMillis: number) {}

  /** @param originMillis when the service began. @returns true while it is urgent. */
  look(levels: LevelHistory, originMillis: number, nowMillis: number): boolean {
    const needed = growthThatReaches(levels, originMillis, nowMillis, this.horizonMillis);
    if (needed !== null) {
      this.neededBytesPerHour = needed;
      this.releasedMillis = null;
      this.sinceMillis ??= nowMillis;
      if (nowMillis - this.sinceMillis >= HOLD_SHARE_OF_HORIZON * this.horizonMillis) this.stands = true;
    } else {
      this.sinceMillis = null;
      this.releasedMillis ??= nowMillis;
      if (nowMillis - this.releasedMillis >= RELEASE_SHARE_OF_HORIZON * this.horizonMillis) this.stands = false;
    }
    return this.stands;
  }
}

/**
 * The rule itself: within the horizon (10 % point), half of the room used, growth not flattening.
 * @returns the bytes per hour by which the level would meet its limit then, 0 where it has met it; null: not soon.
 */
export function growthThatReaches(
  levels: LevelHistory,
  originMillis: number,
  nowMillis: number,
  horizonMillis: number,
): number | null {
  const lived = nowMillis - originMillis;
  if (lived < EARLY_SHARE_OF_HORIZON * horizonMillis) return null;
  // The cheap condition first: this is asked at every look.
  if (!headroomsOf(levels.latest()).some((headroom) => isHalfUsed(levels, headroom, originMillis, lived))) return null;
  const forecast = forecastLevel(levels, originMillis);
  if (forecast === null || forecast.hoursP10 === null || forecast.hoursP50 === null) return null;
  // Before a whole horizon has been seen, its quiet hours have not: only what ends as soon counts.
  const within = lived >= horizonMillis ? horizonMillis : EARLY_SHARE_OF_HORIZON * horizonMillis;
  const hours = lived >= horizonMillis ? forecast.hoursP10 : forecast.hoursP50;
  if (hours * HOUR_MILLIS > within) return null;
  const headroom = headroomsOf(levels.latest()).find(({ limit }) => limit === forecast.limit);
  if (headroom === undefined || !isHalfUsed(levels, headroom, originMillis, lived)) return null;
  if (halfRatioOf(levels.series(readerOf(headroom), originMillis)) < STEADY_HALF_RATIO) return null;
  return hours > 0 ? headroom.bytes / hours : 0;
}

/** Whether at most a share of the room that there was at the start is left. */
function isHalfUsed(levels: LevelHistory, headroom: Headroom, originMillis: number, livedMillis: number): boolean {
  const series = levels.series(readerOf(headroom), originMillis);
  const latest = levels.latest();
  const level = (latest === null ? null : readerOf(headroom)(latest)) ?? 0;
  const start = medianAround(series, originMillis + livedMillis / BLOCKS / 2, livedMillis / BLOCKS);
  return headroom.bytes <= URGENT_LEFT_SHARE * (headroom.bytes + level - start);
}

/** Growth of the later half of the time over that of the earlier; infinite when the earlier had none. */
export function halfRatioOf(series: Series): number {
  const first = series.times[0] ?? 0;
  const last = series.times.at(-1) ?? 0;
  const width = (last - first) / BLOCKS;
  const start = medianAround(series, first, width);
  const middle = medianAround(series, (first + last) / 2, width);
  const end = medianAround(series, last, width);
  return middle <= start ? (end > middle ? Number.POSITIVE_INFINITY : 0) : (end - middle) / (middle - start);
}
