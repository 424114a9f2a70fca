"use strict";
const assert = require("node:assert/strict");
const { test } = require("node:test");
const { correlation, gammaQuantile, growthRate, median } = require("../../../dist/detector/growth");
const { ExposureClock } = require("../../../dist/detector/exposure");
const { inclusionProbability } = require("../../../dist/detector/sample-store");
const { theilSen } = require("../../../dist/detector/level-trend");
const { poisson, random } = require("./stream");

test("gamma quantiles agree with published chi-square tables (chi2_2k / 2)", () => {
  // chi-square with 20 degrees of freedom: 9.591 at 2.5 %, 34.170 at 97.5 %; with 100: 74.222 and 129.561.
  for (const [shape, z, expected] of [
    [10, -1.959964, 9.591 / 2],
    [10, 1.959964, 34.17 / 2],
    [50, -1.959964, 74.222 / 2],
    [50, 1.959964, 129.561 / 2],
  ]) {
    assert.ok(Math.abs(gammaQuantile(shape, z) / expected - 1) < 0.01, `${shape} ${z}`);
  }
});

test("the interval of the rate covers the truth in at least 93 % of runs (seed 3)", () => {
  const rnd = random(3);
  const intervalBytes = 32_769;
  const sizeBytes = 400;
  const p = inclusionProbability(sizeBytes, intervalBytes);
  const bytesPerRequest = 1_000;
  let covered = 0;
  const runs = 600;
  for (let run = 0; run < runs; run++) {
    const clock = new ExposureClock(0, 1_000);
    const samples = [];
    for (let second = 1; second <= 60; second++) {
      clock.add(second * 1_000, 50);
      const count = poisson((50 * bytesPerRequest * p) / sizeBytes, rnd);
      for (let i = 0; i < count; i++) {
        samples.push({
          bornMillis: second * 1_000,
          sizeBytes,
          weight: 1 / p,
          varianceBytes2: (sizeBytes ** 2 * (1 - p)) / p ** 2,
        });
      }
    }
    const rate = growthRate(samples, clock, 0, 60_000);
    if (rate.low <= bytesPerRequest && bytesPerRequest <= rate.high) covered++;
  }
  assert.ok(covered / runs >= 0.93, `${covered} of ${runs}`);
  assert.ok(covered / runs < 1, "an interval that always covers is too wide to mean anything");
});

test("Theil-Sen finds the slope through outliers and wants six readings", () => {
  const xs = Array.from({ length: 40 }, (_, i) => i);
  const ys = xs.map((x, i) => 5 + 3 * x + (i % 10 === 0 ? 500 : 0));
  assert.ok(Math.abs(theilSen(xs, ys).bytesPerHour - 3) < 0.01);
  assert.equal(theilSen([1, 2, 3, 4, 5], [1, 2, 3, 4, 5]), null);
});

test("correlation is Pearson's, and null where nothing varies", () => {
  const xs = [1, 2, 3, 4, 5, 6, 7, 8];
  assert.ok(
    Math.abs(
      correlation(
        xs,
        xs.map((x) => 2 * x + 1),
      ) - 1,
    ) < 1e-12,
  );
  assert.ok(
    Math.abs(
      correlation(
        xs,
        xs.map((x) => -x),
      ) + 1,
    ) < 1e-12,
  );
  assert.equal(
    correlation(
      xs,
      xs.map(() => 4),
    ),
    null,
  );
});

test("the exposure clock stays exact at its ends while it thins", () => {
  const clock = new ExposureClock(0, 250);
  for (let i = 1; i <= 10_000; i++) clock.add(i * 250, 2);
  assert.equal(clock.total(), 20_000);
  assert.equal(clock.at(10_000 * 250), 20_000);
  assert.ok(Math.abs(clock.at(5_000 * 250) - 10_000) < 40);
  const idle = new ExposureClock(0, 250);
  idle.add(1_000, 10);
  idle.add(600_000, 10);
  assert.ok(idle.at(300_000) <= 10, "nothing happened in the gap");
});

test("the median of an even count is the mean of the middle two", () => {
  assert.equal(median([4, 1, 3, 2]), 2.5);
  assert.equal(median([]), 0);
});
