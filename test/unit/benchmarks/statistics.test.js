/** The benchmarks' estimates against known answers, and their intervals against what they promise. */
"use strict";
const assert = require("node:assert/strict");
const { test } = require("node:test");
const {
  combined,
  estimate,
  mean,
  median,
  midmean,
  pairedDifference,
  pairedRatio,
  quantile,
  randomNumbers,
  shuffled,
  slope,
} = require("../../../benchmarks/statistics");

function close(actual, expected, tolerance = 1e-9) {
  assert.ok(Math.abs(actual - expected) <= tolerance, `${actual} is not ${expected}`);
}

/** Box and Muller 1958. */
function normal(random) {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

test("quantiles are Hyndman and Fan's type 7, as R's default", () => {
  const values = [15, 20, 35, 40, 50];
  close(quantile(values, 0.25), 20);
  close(quantile(values, 0.4), 29);
  close(quantile(values, 0.95), 48);
  close(quantile(values, 0), 15);
  close(quantile(values, 1), 50);
  close(median([4, 1, 3, 2]), 2.5);
  assert.throws(() => quantile([], 0.5), RangeError);
});

test("the midmean is the mean of the middle half, and deaf to an outlier", () => {
  close(midmean([1, 2, 3, 4, 5, 6, 7, 8]), 4.5);
  close(midmean([1, 2, 3, 4, 5, 6, 7, 1e9]), 4.5);
  close(midmean([7]), 7);
});

test("the same seed gives the same numbers, uniform on [0, 1)", () => {
  const [first, second] = [randomNumbers(5), randomNumbers(5)];
  const numbers = Array.from({ length: 20_000 }, () => first());
  assert.ok(numbers.every((number) => number === second()));
  assert.ok(numbers.every((number) => number >= 0 && number < 1));
  close(mean(numbers), 0.5, 0.01);
  close(mean(numbers.map((number) => number * number)), 1 / 3, 0.01);
  assert.notEqual(randomNumbers(6)(), randomNumbers(5)());
});

test("shuffling keeps every item and reaches every order", () => {
  const random = randomNumbers(1);
  const orders = new Set();
  for (let i = 0; i < 200; i++) {
    const order = shuffled(["a", "b", "c"], random);
    assert.deepEqual([...order].sort(), ["a", "b", "c"]);
    orders.add(order.join(""));
  }
  assert.equal(orders.size, 6);
});

test("a 95 % interval of the median holds the truth about 95 times in 100", () => {
  const random = randomNumbers(11);
  let held = 0;
  const runs = 300;
  for (let run = 0; run < runs; run++) {
    const values = Array.from({ length: 40 }, () => 3 + normal(random));
    const { low, high } = estimate(values, median, { resamples: 300, seed: run });
    if (low <= 3 && 3 <= high) held++;
  }
  assert.ok(held / runs > 0.9 && held / runs < 0.99, `${held} of ${runs}`);
});

test("a paired ratio cancels what both of a pair share", () => {
  const random = randomNumbers(3);
  const drift = Array.from({ length: 60 }, () => Math.exp(normal(random)));
  const { value, low, high, repetitions } = pairedRatio(
    drift.map((level) => 1.05 * level),
    drift,
  );
  close(value, 1.05);
  close(low, 1.05);
  close(high, 1.05);
  assert.equal(repetitions, 60);
  assert.throws(() => pairedRatio([1], [1, 2]), RangeError);
});

test("a paired difference is the median of the differences", () => {
  close(pairedDifference([3, 5, 9], [1, 1, 1]).value, 4);
  assert.throws(() => pairedDifference([1], []), RangeError);
});

test("a sum of estimates has the sum's spread: standard deviations add in squares", () => {
  const random = randomNumbers(17);
  const series = () => Array.from({ length: 400 }, () => 10 + normal(random));
  const [a, b] = [estimate(series(), mean), estimate(series(), mean)];
  const sum = combined([a, b, 5], ([x, y, known]) => x + y + known);
  close(sum.value, a.value + b.value + 5);
  close(sum.high - sum.low, 2 * 1.96 * Math.sqrt(2 / 400), 0.03);
  assert.equal(sum.repetitions, 400);
});

test("a slope is found with its interval, and a flat series shows none", () => {
  const random = randomNumbers(23);
  const line = Array.from({ length: 50 }, (_, x) => [x, 7 + 2 * x + normal(random)]);
  const steep = slope(line);
  close(steep.value, 2, 0.05);
  assert.ok(steep.low > 1.9 && steep.high < 2.1);
  const flat = slope(line.map(([x]) => [x, normal(random)]));
  assert.ok(flat.low < 0 && flat.high > 0);
});
