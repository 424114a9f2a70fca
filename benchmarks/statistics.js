/**
 * Owns every estimate and interval that the benchmarks publish. Pure: numbers in, numbers out; randomness comes from a
 * seed, so that a result can be computed again from its raw data.
 */
"use strict";

const RESAMPLES = 2_000;
const SEED = 20_261_125;
/** Two-sided coverage of every interval. */
const COVERAGE = 0.95;

/** mulberry32: uniform on [0, 1), the same sequence for the same seed. */
function randomNumbers(seed = SEED) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

function shuffled(items, random = Math.random) {
  const copy = [...items];
  for (let i = copy.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [copy[i], copy[j]] = [copy[j], copy[i]];
  }
  return copy;
}

/**
 * Linear interpolation between order statistics (Hyndman and Fan 1996, type 7).
 * @param sorted ascending, not empty.
 * @param p 0..1.
 */
function quantileOfSorted(sorted, p) {
  const at = p * (sorted.length - 1);
  const below = Math.floor(at);
  const low = sorted[below];
  return low + (at - below) * ((sorted[below + 1] ?? low) - low);
}

function quantile(values, p) {
  if (values.length === 0) throw new RangeError("a quantile needs at least one value");
  return quantileOfSorted(Float64Array.from(values).sort(), p);
}

function median(values) {
  return quantile(values, 0.5);
}

function mean(values) {
  let sum = 0;
  for (const value of values) sum += value;
  return sum / values.length;
}

/**
 * Mean of the middle half. Estimand: the centre of a symmetric distribution. As deaf to outliers as the median, at 0.84
 * instead of 0.64 of the mean's efficiency on normal data. Blind to what happens in less than a quarter of the values,
 * such as a rare capture: that must be measured by itself.
 */
function midmean(values) {
  const sorted = Float64Array.from(values).sort();
  const cut = Math.floor(sorted.length / 4);
  return mean(sorted.subarray(cut, sorted.length - cut));
}

/**
 * Percentile bootstrap (Efron 1979). Assumes independent repetitions; with fewer than about ten it is too narrow.
 * @param count repetitions; they are resampled with replacement.
 * @param statistic gets an Int32Array of `count` indexes of repetitions.
 * @returns ascending values of the statistic over the resamples.
 */
function bootstrapDraws(count, statistic, { resamples = RESAMPLES, seed = SEED } = {}) {
  if (count < 1) throw new RangeError("a bootstrap needs at least one repetition");
  const random = randomNumbers(seed);
  const chosen = new Int32Array(count);
  const draws = new Float64Array(resamples);
  for (let i = 0; i < resamples; i++) {
    for (let j = 0; j < count; j++) chosen[j] = Math.floor(random() * count);
    draws[i] = statistic(chosen);
  }
  return draws.sort();
}

function intervalOf(sortedDraws) {
  const tail = (1 - COVERAGE) / 2;
  return [quantileOfSorted(sortedDraws, tail), quantileOfSorted(sortedDraws, 1 - tail)];
}

/** An estimate with its interval, as every table shows it. `draws` is what sums of estimates are made from. */
function estimate(values, statistic = median, options = {}) {
  const draws = bootstrapDraws(values.length, (chosen) => statistic(Array.from(chosen, (i) => values[i])), options);
  const [low, high] = intervalOf(draws);
  return { value: statistic(values), low, high, repetitions: values.length, draws };
}

/** Ratio of two paired series: exp of the midmean of ln(a/b). The pairs are resampled. */
function pairedRatio(numerators, denominators, options = {}) {
  if (numerators.length !== denominators.length) throw new RangeError("pairs need two series of the same length");
  const logs = numerators.map((value, i) => Math.log(value / denominators[i]));
  const { value, low, high, repetitions, draws } = estimate(logs, midmean, options);
  return {
    value: Math.exp(value),
    low: Math.exp(low),
    high: Math.exp(high),
    repetitions,
    draws: draws.map(Math.exp),
  };
}

/** Difference of two paired series, with the median of the differences. */
function pairedDifference(values, baseline, options = {}) {
  if (values.length !== baseline.length) throw new RangeError("pairs need two series of the same length");
  return estimate(
    values.map((value, i) => value - baseline[i]),
    median,
    options,
  );
}

/**
 * Combines independent estimates by drawing from each one's bootstrap distribution.
 * @param estimates each with `draws`; a plain number is taken as known.
 * @param combine gets one number per estimate.
 */
function combined(estimates, combine, { resamples = RESAMPLES, seed = SEED + 1 } = {}) {
  const random = randomNumbers(seed);
  const draws = new Float64Array(resamples);
  for (let i = 0; i < resamples; i++) {
    draws[i] = combine(
      estimates.map((one) => (typeof one === "number" ? one : one.draws[Math.floor(random() * one.draws.length)])),
    );
  }
  draws.sort();
  const [low, high] = intervalOf(draws);
  const counts = estimates.filter((one) => typeof one !== "number").map((one) => one.repetitions);
  const value = combine(estimates.map((one) => (typeof one === "number" ? one : one.value)));
  return { value, low, high, repetitions: counts.length === 0 ? 0 : Math.min(...counts), draws };
}

/**
 * Slope of a straight line by least squares, with the pairs resampled.
 * @param points [x, y]; at least three, of different x.
 */
function slope(points, options = {}) {
  const of = (chosen) => {
    const rows = Array.from(chosen, (i) => points[i]);
    const meanX = mean(rows.map(([x]) => x));
    const meanY = mean(rows.map(([, y]) => y));
    const sxx = rows.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
    const sxy = rows.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0);
    return sxx === 0 ? 0 : sxy / sxx;
  };
  const draws = bootstrapDraws(points.length, of, options);
  const [low, high] = intervalOf(draws);
  return { value: of(points.map((_, i) => i)), low, high, repetitions: points.length, draws };
}

/** Without what only further computation needs, rounded to what a file should hold. */
function plain({ value, low, high, repetitions }) {
  const round = (number) => Number(number.toPrecision(6));
  return { value: round(value), low: round(low), high: round(high), repetitions };
}

module.exports = {
  COVERAGE,
  bootstrapDraws,
  combined,
  estimate,
  intervalOf,
  mean,
  median,
  midmean,
  pairedDifference,
  pairedRatio,
  plain,
  quantile,
  quantileOfSorted,
  randomNumbers,
  shuffled,
  slope,
};
