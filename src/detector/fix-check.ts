/**
 * Pure. Owns the question "did this build fix that leak": what the lives of two builds know of one site, compared.
 * docs/cli.md#verify explains the test and where it fails.
 */
import type { FindingFix, FixVerdict } from "../model/finding";
import type { LifeSeries } from "../model/life";
import { binomialCdf, rateRatioInterval } from "./binomial";

/** A leak is fixed when less than this share of its old rate can remain. */
const REMAINING_SHARE = 0.2;
/** Looks at X1/X0 of 1/4, 1/2, 1, 2 and 4: the error is shared out over them. */
export const LOOK_RATIOS: readonly number[] = [1 / 4, 1 / 2, 1, 2, 4];
const ALPHA = 0.05;
const ALPHA_PER_LOOK: number = ALPHA / LOOK_RATIOS.length;
/** More than this share of the old rate, for certain: not fixed. */
const NOT_FIXED_SHARE = 0.5;
/** Share of the old rate that the route must still keep for the leak to have moved. */
const MOVED_SHARE = 0.5;
const QUANTILE_975 = 1.959964;
const QUANTILE_995 = 2.575829;

/** One build's side: the numbers of its lives, added up. */
export interface FixSide {
  readonly buildId: string;
  readonly exposure: number;
  /** Cohorts born in the later halves of the lives that live on. */
  readonly survivors: number;
  readonly bytes: number;
  readonly varianceBytes2: number;
  readonly lives: number;
}

export interface FixQuestion {
  readonly before: FixSide;
  readonly after: FixSide;
  /** Everything that the route keeps, whatever the site; null where it was not recorded. */
  readonly routeBefore: FixSide | null;
  readonly routeAfter: FixSide | null;
  readonly unit: "request" | "hour";
  /** Where the route keeps memory in the new build; named when the leak has moved. */
  readonly movedTo: string | null;
}

/** Adds up lives; counts of different processes are independent, and sums of Poisson counts are Poisson. */
export function sideOf(buildId: string, series: readonly LifeSeries[]): FixSide {
  const sum = (of: (one: LifeSeries) => number): number => series.reduce((total, one) => total + of(one), 0);
  return {
    buildId,
    exposure: sum((one) => one.exposure),
    survivors: sum((one) => one.survivors),
    bytes: sum((one) => one.bytes),
    varianceBytes2: sum((one) => one.varianceBytes2),
    lives: series.length,
  };
}

/** How many of the looks are due at this exposure; the automatic check asks once at each. */
export function looksDue(before: Pick<FixSide, "exposure">, after: Pick<FixSide, "exposure">): number {
  if (before.exposure <= 0) return 0;
  return LOOK_RATIOS.filter((ratio) => after.exposure >= ratio * before.exposure).length;
}

export function checkFix(question: FixQuestion): FindingFix {
  const { before, after } = question;
  const interval = rateRatioInterval(
    before.survivors,
    before.exposure,
    after.survivors,
    Math.max(after.exposure, Number.MIN_VALUE),
    1 - ALPHA_PER_LOOK,
  );
  const verdict = verdictOf(question, interval);
  const [beforeBytes, beforeLow, beforeHigh] = rateOf(before);
  const [afterBytes, afterLow, afterHigh] = rateOf(after);
  return {
    verdict,
    beforeBuildId: before.buildId,
    afterBuildId: after.buildId,
    unit: question.unit,
    beforeBytes,
    beforeBytesLow: beforeLow,
    beforeBytesHigh: beforeHigh,
    afterBytes,
    afterBytesLow: afterLow,
    // With nothing kept the normal interval has no width: what can have been missed is what the cohorts allow.
    afterBytesHigh: after.bytes === 0 && Number.isFinite(interval.high) ? interval.high * beforeBytes : afterHigh,
    ratio: before.survivors === 0 || after.exposure === 0 ? null : ratioOf(before, after),
    ratioLow: after.exposure === 0 ? null : interval.low,
    ratioHigh: after.exposure === 0 || !Number.isFinite(interval.high) ? null : interval.high,
    confidence: 1 - ALPHA_PER_LOOK,
    beforeExposure: before.exposure,
    afterExposure: after.exposure,
    exposureNeeded: verdict === "undecided" ? exposureNeeded(before, after) : 0,
    movedTo: verdict === "moved" ? question.movedTo : null,
  };
}

/** "At least a fifth of the old rate remains" is rejected. */
export function isFixed(before: FixSide, after: Pick<FixSide, "survivors" | "exposure">): boolean {
  if (before.survivors === 0 || after.exposure <= 0) return false;
  const share = (REMAINING_SHARE * after.exposure) / (before.exposure + REMAINING_SHARE * after.exposure);
  return binomialCdf(before.survivors + after.survivors, share, after.survivors) <= ALPHA_PER_LOOK;
}

function verdictOf(question: FixQuestion, ratio: { readonly low: number; readonly high: number }): FixVerdict {
  const { before, after } = question;
  if (looksDue(before, after) === 0) return "undecided";
  if (isFixed(before, after)) return hasMoved(question) ? "moved" : "fixed";
  if (ratio.low > NOT_FIXED_SHARE) return bytesRatioHigh(before, after) < 1 ? "reduced" : "not fixed";
  if (ratio.low > REMAINING_SHARE && ratio.high < 1) return "reduced";
  return "undecided";
}

/**
 * Upper 99 % bound of the ratio of bytes, log-normal. A birth window has one vote, so a leak of many samples a window that
 * became a leak of a few looks the same in cohorts; bytes see the difference.
 */
function bytesRatioHigh(before: FixSide, after: FixSide): number {
  if (before.bytes === 0 || after.bytes === 0) return Number.POSITIVE_INFINITY;
  const ratio = after.bytes / after.exposure / (before.bytes / before.exposure);
  const variance = before.varianceBytes2 / before.bytes ** 2 + after.varianceBytes2 / after.bytes ** 2;
  return ratio * Math.exp(QUANTILE_995 * Math.sqrt(variance));
}

/** A renamed function has no samples under its old name: what the route as a whole keeps tells. */
function hasMoved({ before, routeBefore, routeAfter }: FixQuestion): boolean {
  if (routeBefore === null || routeAfter === null || routeAfter.exposure === 0 || routeBefore.exposure === 0)
    return false;
  const siteRate = before.bytes / before.exposure;
  const elsewhereBefore = Math.max(0, routeBefore.bytes / routeBefore.exposure - siteRate);
  const [, routeLow] = rateOf(routeAfter);
  return routeLow - elsewhereBefore > MOVED_SHARE * siteRate;
}

/** The next look at which "fixed" could be said if nothing more is kept; null: not even at the last one. */
function exposureNeeded(before: FixSide, after: FixSide): number | null {
  for (const ratio of LOOK_RATIOS) {
    const exposure = Math.max(ratio * before.exposure, after.exposure);
    if (isFixed(before, { survivors: after.survivors, exposure })) return Math.ceil(exposure - after.exposure);
  }
  return null;
}

function ratioOf(before: FixSide, after: FixSide): number {
  return after.survivors / after.exposure / (before.survivors / before.exposure);
}

/** Bytes per exposure with a 95 % interval (normal). */
function rateOf({ bytes, varianceBytes2, exposure }: FixSide): [number, number, number] {
  if (exposure === 0) return [0, 0, 0];
  const rate = bytes / exposure;
  const half = (QUANTILE_975 * Math.sqrt(varianceBytes2)) / exposure;
  return [rate, Math.max(0, rate - half), rate + half];
}
