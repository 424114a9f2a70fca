/**
 * Pure. Owns the guess which route a site's survivors come from where labels cannot say it: survivors per window regressed
 * on the routes' request counts. Says nothing where the mix does not vary enough to tell.
 */

/** A window with fewer of these cannot tell anything. */
const MIN_WINDOWS = 24;
/** Routes with the most requests that are tried; a site's route among the rest stays unknown. */
const MAX_ROUTES = 24;
/** A coefficient must be so many standard errors above zero, before the price of the routes that were tried. */
const MIN_T = 4;
/** And explain this share of the variance that the other routes leave. */
const MIN_PARTIAL_R2 = 0.3;
/**
 * A route whose counts the others predict better than this (variance inflation above 10) cannot be told from them.
 * Source: the usual bar for collinearity, Marquardt 1970.
 */
const MAX_R2_OF_OTHERS = 0.9;
/** The runner-up must explain less than this share of what the winner does. */
const RUNNER_UP_SHARE = 0.5;
/** The route must vary over the windows: standard deviation over mean. */
const MIN_VARIATION = 0.1;

export interface InferredRoute {
  readonly route: number;
  /** Per request, with an interval of 95 % (normal, from residuals that allow for unequal variance). */
  readonly perRequest: number;
  readonly perRequestLow: number;
  readonly perRequestHigh: number;
  /** Share of the variance left by the other routes that this one explains. */
  readonly partialR2: number;
  readonly t: number;
  /** How well the other routes predict this one's counts, 0..1. */
  readonly collinearity: number;
  readonly windows: number;
}

export type Inference =
  | { readonly known: true; readonly inferred: InferredRoute }
  /** `few-windows`, `constant-mix`, `collinear`, `weak` or `two-routes`. */
  | { readonly known: false; readonly reason: string };

/**
 * @param survivors what was born in each window and is alive (bytes or samples), one number a window.
 * @param counts by route: requests finished in each window, the same windows.
 * Estimator: least squares with an intercept, coefficients below zero removed one by one (a route cannot free what
 * another one keeps); standard errors by White 1980 (HC1).
 * Assumes windows much longer than a request and survivors proportional to requests. Fails where a route that is not
 * counted (a timer) follows the same rhythm: then it names the route that shares it, which is why this is `inferred`.
 */
export function inferRoute(survivors: readonly number[], counts: ReadonlyMap<number, readonly number[]>): Inference {
  const n = survivors.length;
  if (n < MIN_WINDOWS) return { known: false, reason: "few-windows" };
  const busiest = [...counts.entries()]
    .map(([route, own]) => ({ route, own, total: sum(own) }))
    .filter(({ total }) => total > 0)
    .sort((a, b) => b.total - a.total)
    .slice(0, Math.min(MAX_ROUTES, Math.floor(n / 4)));
  // A route that hardly varies is no candidate, but may be what a candidate is a copy of.
  const columns = busiest.filter(({ own }) => variation(own) > 0);
  const varies = ({ own }: Column): boolean => variation(own) >= MIN_VARIATION;
  if (!columns.some(varies)) return { known: false, reason: "constant-mix" };
  const kept = nonNegative(survivors, columns);
  if (kept === null) return { known: false, reason: "collinear" };
  const candidates = kept.filter((one) => varies(one) && one.estimate > 0 && one.t >= barFor(columns.length));
  candidates.sort((a, b) => b.partialR2 - a.partialR2);
  const [best, second] = candidates;
  if (best === undefined) return { known: false, reason: "weak" };
  const collinearity = rSquared(
    best.own,
    columns.filter(({ route }) => route !== best.route).map(({ own }) => own),
  );
  if (collinearity > MAX_R2_OF_OTHERS) return { known: false, reason: "collinear" };
  if (best.partialR2 < MIN_PARTIAL_R2) return { known: false, reason: "weak" };
  if (second !== undefined && second.partialR2 > RUNNER_UP_SHARE * best.partialR2)
    return { known: false, reason: "two-routes" };
  return {
    known: true,
    inferred: {
      route: best.route,
      perRequest: best.estimate,
      perRequestLow: Math.max(0, best.estimate - 1.96 * best.standardError),
      perRequestHigh: best.estimate + 1.96 * best.standardError,
      partialR2: best.partialR2,
      t: best.t,
      collinearity,
      windows: n,
    },
  };
}

/** Each route that is tried costs its share: the bar rises with the logarithm of their number. */
function barFor(routeCount: number): number {
  return Math.sqrt(MIN_T ** 2 + 2 * Math.log(routeCount));
}

interface Column {
  readonly route: number;
  readonly own: readonly number[];
}

interface Coefficient extends Column {
  readonly estimate: number;
  readonly standardError: number;
  readonly t: number;
  readonly partialR2: number;
}

/** Fits, and drops the most negative coefficient until none is left; null when the columns cannot be told apart at all. */
function nonNegative(y: readonly number[], all: readonly Column[]): Coefficient[] | null {
  let columns = all;
  while (columns.length > 0) {
    const fit = leastSquares(y, columns);
    if (fit === null) {
      // Exact copies: the bar on collinearity would reject each of them.
      return null;
    }
    const worst = fit.reduce((low, one) => (one.estimate < low.estimate ? one : low));
    if (worst.estimate >= 0) return fit;
    columns = columns.filter(({ route }) => route !== worst.route);
  }
  return [];
}

function leastSquares(y: readonly number[], columns: readonly Column[]): Coefficient[] | null {
  const n = y.length;
  const x = design(columns.map(({ own }) => own));
  const inverse = invert(cross(x));
  if (inverse === null) return null;
  const p = columns.length + 1;
  const beta = multiply(
    inverse,
    x.map((column) => dot(column, y)),
  );
  const residuals = y.map(
    (value, i) => value - x.reduce((fit, column, j) => fit + (beta[j] ?? 0) * (column[i] ?? 0), 0),
  );
  const residualSum = dot(residuals, residuals);
  return columns.map((column, index) => {
    const j = index + 1;
    const row = inverse[j] ?? [];
    // HC1: the j-th row of (X'X)^-1 X' times the residuals, squared.
    let variance = 0;
    for (let i = 0; i < n; i++) {
      const weight = x.reduce((total, own, k) => total + (row[k] ?? 0) * (own[i] ?? 0), 0);
      variance += (weight * (residuals[i] ?? 0)) ** 2;
    }
    const standardError = Math.sqrt((variance * n) / Math.max(1, n - p));
    const estimate = beta[j] ?? 0;
    // What leaving this column out would add to the residuals: beta^2 / (X'X)^-1_jj.
    const added = estimate ** 2 / Math.max(Number.MIN_VALUE, row[j] ?? 0);
    return {
      ...column,
      estimate,
      standardError,
      t: standardError === 0 ? Number.POSITIVE_INFINITY : estimate / standardError,
      partialR2: added / Math.max(Number.MIN_VALUE, added + residualSum),
    };
  });
}

function rSquared(y: readonly number[], others: readonly (readonly number[])[]): number {
  if (others.length === 0) return 0;
  const x = design(others);
  const inverse = invert(cross(x));
  if (inverse === null) return 1;
  const beta = multiply(
    inverse,
    x.map((column) => dot(column, y)),
  );
  const mean = sum(y) / y.length;
  let residual = 0;
  let total = 0;
  y.forEach((value, i) => {
    const fit = x.reduce((acc, column, j) => acc + (beta[j] ?? 0) * (column[i] ?? 0), 0);
    residual += (value - fit) ** 2;
    total += (value - mean) ** 2;
  });
  return total === 0 ? 1 : 1 - residual / total;
}

/** An intercept, then the columns. */
function design(columns: readonly (readonly number[])[]): number[][] {
  const n = columns[0]?.length ?? 0;
  return [new Array<number>(n).fill(1), ...columns.map((column) => [...column])];
}

function cross(x: readonly (readonly number[])[]): number[][] {
  return x.map((a) => x.map((b) => dot(a, b)));
}

/** Gauss-Jordan with pivots, on columns scaled to unit length; null when nearly singular. */
function invert(matrix: readonly (readonly number[])[]): number[][] | null {
  const size = matrix.length;
  const scale = matrix.map((row, i) => Math.sqrt(row[i] ?? 0));
  if (scale.some((value) => !(value > 0))) return null;
  const work = matrix.map((row, i) => [
    ...row.map((value, j) => value / ((scale[i] ?? 1) * (scale[j] ?? 1))),
    ...row.map((_, j) => (i === j ? 1 : 0)),
  ]);
  for (let column = 0; column < size; column++) {
    let pivot = column;
    for (let row = column; row < size; row++) {
      if (Math.abs(work[row]?.[column] ?? 0) > Math.abs(work[pivot]?.[column] ?? 0)) pivot = row;
    }
    const top = work[pivot];
    const swapped = work[column];
    if (top === undefined || swapped === undefined || Math.abs(top[column] ?? 0) < 1e-9) return null;
    work[pivot] = swapped;
    work[column] = top;
    const by = top[column] ?? 1;
    for (let j = 0; j < 2 * size; j++) top[j] = (top[j] ?? 0) / by;
    work.forEach((row, i) => {
      const factor = row[column] ?? 0;
      if (i === column || factor === 0) return;
      for (let j = 0; j < 2 * size; j++) row[j] = (row[j] ?? 0) - factor * (top[j] ?? 0);
    });
  }
  return work.map((row, i) => row.slice(size).map((value, j) => value / ((scale[i] ?? 1) * (scale[j] ?? 1))));
}

function multiply(matrix: readonly (readonly number[])[], vector: readonly number[]): number[] {
  return matrix.map((row) => dot(row, vector));
}

function dot(a: readonly number[], b: readonly number[]): number {
  let total = 0;
  for (let i = 0; i < a.length; i++) total += (a[i] ?? 0) * (b[i] ?? 0);
  return total;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function variation(values: readonly number[]): number {
  const mean = sum(values) / Math.max(1, values.length);
  if (mean === 0) return 0;
  const variance = values.reduce((total, value) => total + (value - mean) ** 2, 0) / values.length;
  return Math.sqrt(variance) / mean;
}
