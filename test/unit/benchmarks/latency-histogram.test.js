/** Latencies in bins give the quantiles of the latencies themselves, to the width of a bin. */
"use strict";
const assert = require("node:assert/strict");
const { test } = require("node:test");
const { LatencyHistogram, pooled } = require("../../../benchmarks/overhead/latency-histogram");
const { quantile, randomNumbers } = require("../../../benchmarks/statistics");

test("a quantile is right to a tenth of a per cent, less than the width of a bin", () => {
  const random = randomNumbers(2);
  const latencies = Array.from({ length: 20_000 }, () => 0.3 * Math.exp(3 * random() ** 2));
  const histogram = new LatencyHistogram();
  for (const latency of latencies) histogram.add(latency);
  for (const p of [0.5, 0.9, 0.99]) {
    const ratio = histogram.quantile(p) / quantile(latencies, p);
    assert.ok(Math.abs(ratio - 1) < 0.001, `p${p * 100}: ${ratio}`);
  }
});

test("pooled blocks count as often as they were drawn", () => {
  const [fast, slow] = [new LatencyHistogram(), new LatencyHistogram()];
  for (let i = 0; i < 100; i++) {
    fast.add(1);
    slow.add(50);
  }
  assert.equal(pooled([fast, slow], [0, 0, 1]).total, 300);
  assert.ok(Math.abs(pooled([fast, slow], [0, 0, 1]).quantile(0.6) - 1) < 0.01);
  assert.ok(Math.abs(pooled([fast, slow], [0, 1, 1]).quantile(0.6) - 50) < 0.5);
  assert.ok(Number.isNaN(pooled([fast, slow], []).quantile(0.5)));
});
