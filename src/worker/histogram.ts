/** Pure. Owns a histogram with fixed buckets, as OTLP has them: upper bounds are inclusive, the last bucket is open. */

export interface HistogramValue {
  readonly buckets: { readonly boundaries: readonly number[]; readonly counts: readonly number[] };
  readonly sum: number;
  readonly count: number;
  readonly min: number;
  readonly max: number;
}

export class Histogram {
  private readonly counts: number[];
  private sum = 0;
  private count = 0;
  private min = Number.POSITIVE_INFINITY;
  private max = Number.NEGATIVE_INFINITY;

  /** @param boundaries ascending. */
  constructor(private readonly boundaries: readonly number[]) {
    this.counts = new Array<number>(boundaries.length + 1).fill(0);
  }

  /** @param times how often this value came. */
  record(value: number, times = 1): void {
    if (!(times > 0) || !Number.isFinite(value)) return;
    const found = this.boundaries.findIndex((boundary) => value <= boundary);
    const bucket = found < 0 ? this.boundaries.length : found;
    this.counts[bucket] = (this.counts[bucket] ?? 0) + times;
    this.sum += value * times;
    this.count += times;
    this.min = Math.min(this.min, value);
    this.max = Math.max(this.max, value);
  }

  get isEmpty(): boolean {
    return this.count === 0;
  }

  /** A copy: what was sent must not change. */
  value(): HistogramValue {
    return {
      buckets: { boundaries: [...this.boundaries], counts: [...this.counts] },
      sum: this.sum,
      count: this.count,
      min: this.min,
      max: this.max,
    };
  }
}

/** What came between two values of one histogram; the extremes of the interval are unknown and those of the life are kept. */
export function histogramDifference(now: HistogramValue, before: HistogramValue): HistogramValue {
  return {
    ...now,
    buckets: {
      boundaries: now.buckets.boundaries,
      counts: now.buckets.counts.map((count, index) => count - (before.buckets.counts[index] ?? 0)),
    },
    sum: now.sum - before.sum,
    count: now.count - before.count,
  };
}
