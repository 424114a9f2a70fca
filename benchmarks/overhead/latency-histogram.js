/**
 * Owns latencies as counts in logarithmic bins, so that thousands of bootstrap resamples need no sorting. A quantile is
 * interpolated within its bin, which is 0.25 % wide.
 */
"use strict";

const BIN_RATIO = Math.log(1.0025);
const LOWEST_MILLIS = 0.01;
/** Up to about 60 s. */
const BINS = Math.ceil(Math.log(60_000 / LOWEST_MILLIS) / BIN_RATIO);

class LatencyHistogram {
  counts = new Uint32Array(BINS);
  total = 0;

  add(millis) {
    const bin = Math.floor(Math.log(Math.max(millis, LOWEST_MILLIS) / LOWEST_MILLIS) / BIN_RATIO);
    this.counts[Math.min(bin, BINS - 1)]++;
    this.total++;
  }

  addAll(other) {
    for (let i = 0; i < BINS; i++) this.counts[i] += other.counts[i];
    this.total += other.total;
  }

  /** @returns NaN without any latency. */
  quantile(p) {
    const wanted = p * this.total;
    let below = 0;
    for (let i = 0; i < BINS; i++) {
      const count = this.counts[i];
      if (below + count >= wanted && count > 0) {
        return LOWEST_MILLIS * Math.exp(BIN_RATIO * (i + (wanted - below) / count));
      }
      below += count;
    }
    return Number.NaN;
  }
}

/** Sum of some of the histograms, by index; an index may come more than once. */
function pooled(histograms, indexes) {
  const sum = new LatencyHistogram();
  for (const index of indexes) sum.addAll(histograms[index]);
  return sum;
}

module.exports = { LatencyHistogram, pooled };
