/** Pure. Owns the sequential test and its threshold: how strong is "this keeps surviving" against a bounded structure. */

/** Share of the error budget for one process life. docs/statistics.md explains it: 0.05 a service-year over 50 lives. */
const ALPHA_PER_LIFE = 0.001;
const LN_2: number = Math.LN2;

/** Evidence is capped here, so that it stays a finite number in metrics. */
export const LN_EVIDENCE_CAP = 700;

/**
 * Evidence against "the next event is a death at least as often as a maturation".
 * Estimand: likelihood ratio of a maturation probability uniform on (1/2, 1) against 1/2.
 * Valid at every look (Ville's inequality: P(ever E >= 1/alpha) <= alpha) while the structure is bounded and in steady
 * state; does NOT cover a structure that is still filling.
 * Source: beta-binomial mixture martingale, Robbins 1970.
 * @param maturedCount cohorts that matured, >= 0. @param freedCount mature cohorts that lost half their samples, >= 0.
 * @returns ln E, at most LN_EVIDENCE_CAP; -Infinity never, strongly negative when deaths prevail.
 */
export function lnEvidence(maturedCount: number, freedCount: number): number {
  const n = maturedCount + freedCount;
  if (n === 0) return 0;
  const lnMixture = (n + 1) * LN_2 - Math.log(n + 1) - lnChoose(n, maturedCount);
  return Math.min(LN_EVIDENCE_CAP, lnMixture + lnBinomialHalfCdf(n + 1, maturedCount));
}

/**
 * ln of the threshold that evidence must exceed for one hypothesis.
 * Weights 1/((k+1)(k+2)) sum to 1 over k = 0, 1, ...: the bound does not depend on how many hypotheses appear later.
 * @param ownerOrder order of appearance of the route, >= 0. @param siteOrder order of the function within the route, >= 0.
 * @param startOctave how often exposure has doubled, >= 0. @param startsPerOctave >= 1. @param ageCount >= 1.
 */
export function lnThreshold(
  ownerOrder: number,
  siteOrder: number,
  startOctave: number,
  startsPerOctave: number,
  ageCount: number,
): number {
  return (
    -Math.log(ALPHA_PER_LIFE) +
    lnInverseWeight(ownerOrder) +
    lnInverseWeight(siteOrder) +
    lnInverseWeight(startOctave) +
    Math.log(startsPerOctave) +
    Math.log(ageCount)
  );
}

function lnInverseWeight(order: number): number {
  return Math.log((order + 1) * (order + 2));
}

/** ln P(Bin(n, 1/2) <= k), exact sum of the shorter tail; 0 <= k <= n. */
function lnBinomialHalfCdf(n: number, k: number): number {
  if (k >= n) return 0;
  if (2 * k >= n) return Math.log1p(-Math.exp(lnUpperTail(n, k + 1)));
  return lnUpperTail(n, n - k);
}

/** ln P(Bin(n, 1/2) >= k) for k > n/2: terms fall at least geometrically. */
function lnUpperTail(n: number, k: number): number {
  let term = 1;
  let sum = 1;
  for (let i = k; i < n && term > 1e-17 * sum; i++) {
    term *= (n - i) / (i + 1);
    sum += term;
  }
  return lnChoose(n, k) - n * LN_2 + Math.log(sum);
}

function lnChoose(n: number, k: number): number {
  return lnFactorial(n) - lnFactorial(k) - lnFactorial(n - k);
}

const LN_FACTORIALS: number[] = [0];

/** Exact by summation up to 1,024, then Stirling's series (error < 1e-12). */
function lnFactorial(n: number): number {
  if (n < 1024) {
    for (let i = LN_FACTORIALS.length; i <= n; i++) LN_FACTORIALS.push((LN_FACTORIALS[i - 1] ?? 0) + Math.log(i));
    return LN_FACTORIALS[n] ?? 0;
  }
  return n * Math.log(n) - n + 0.5 * Math.log(2 * Math.PI * n) + 1 / (12 * n) - 1 / (360 * n ** 3);
}
