"use strict";
const assert = require("node:assert/strict");
const { test } = require("node:test");
const { ExposureClock } = require("../../../dist/detector/exposure");
const { lifeNumbers } = require("../../../dist/detector/life-series");

const SECOND = 1_000;

/** One request and one kept sample a second; samples born after `decidableMillis` have not matured, and are not known. */
function steadyLeak({ nowMillis, decidableMillis }) {
  const clock = new ExposureClock(0, SECOND);
  for (let at = SECOND; at <= nowMillis; at += SECOND) clock.add(at, 1);
  const samples = [];
  for (let bornMillis = SECOND; bornMillis <= decidableMillis; bornMillis += SECOND) {
    samples.push({
      bornMillis,
      freedMillis: Number.POSITIVE_INFINITY,
      sizeBytes: 100,
      weight: 10,
      container: false,
      thread: 0,
    });
  }
  const memory = {
    intervalBytes: 1_000,
    decidableMillis: () => decidableMillis,
    store: { of: () => new Set(samples) },
  };
  return lifeNumbers(memory, [{ key: "route:1" }], clock, null, nowMillis);
}

test("the later half's exposure is as much as the earlier one's, whatever of it can be judged", () => {
  const numbers = steadyLeak({ nowMillis: 100 * SECOND, decidableMillis: 70 * SECOND });
  assert.deepEqual([numbers.startMillis, numbers.endMillis], [50 * SECOND, 70 * SECOND]);
  assert.deepEqual([numbers.exposure, numbers.laterExposure], [20, 50]);
  assert.equal(numbers.matureBytes, 70_000);
  // The later half would bring what the earlier one did.
  const later = (numbers.bytes * numbers.laterExposure) / numbers.exposure;
  assert.ok(Math.abs(later / (numbers.matureBytes - numbers.bytes) - 1) < 0.1, String(later));
});
