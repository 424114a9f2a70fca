/** Pure. Owns exact binomial probabilities and the interval of a ratio of two Poisson rates that follows from them. */

/** P(Bin(n, p) <= k), summed in logarithms; 0 <= k, 0 < p < 1. Exact up to rounding for n below some 10^5. */
export function binomialCdf(n: number, p: number, k: number): number {
  if (k >= n) return 1;
  let lnTerm = n * Math.log1p(-p);
  let sum = Math.exp(lnTerm);
  for (let i = 0; i < k; i++) {
    lnTerm += Math.log(((n - i) * p) / ((i + 1) * (1 - p)));
    sum += Math.exp(lnTerm);
  }
  return Math.min(1, sum);
}

export interface Interval {
  readonly low: number;
  readonly high: number;
}

/**
 * Interval of rate1/rate0, given counts over exposures, by conditioning on their sum (Clopper and Pearson 1934 on
 * Bin(n0 + n1, p)). Exact for Poisson counts; clumped counts make it too narrow, so one vote a cohort.
 * @returns high Infinity when n0 is 0, low 0 when n1 is 0.
 */
export function rateRatioInterval(n0: number, x0: number, n1: number, x1: number, confidence: number): Interval {
  const tail = (1 - confidence) / 2;
  const n = n0 + n1;
  const ratioOf = (p: number): number => (p / (1 - p)) * (x0 / x1);
  const low = n1 === 0 ? 0 : ratioOf(solve((p) => 1 - binomialCdf(n, p, n1 - 1) >= tail));
  const high = n0 === 0 ? Number.POSITIVE_INFINITY : ratioOf(solve((p) => binomialCdf(n, p, n1) <= tail));
  return { low, high };
}

/** Smallest p in (0, 1) from which on `isBeyond` holds. */
function solve(isBeyond: (p: number) => boolean): number {
  let low = 0;
  let high = 1;
  for (let i = 0; i < 50; i++) {
    const middle = (low + high) / 2;
    if (isBeyond(middle)) high = middle;
    else low = middle;
  }
  return (low + high) / 2;
}
