"use strict";
const assert = require("node:assert/strict");
const { describe, it } = require("node:test");
const { HourClock } = require("../../../dist/detector/exposure.js");
const { OwnerState } = require("../../../dist/detector/owner-state.js");
const { StoredSample } = require("../../../dist/detector/sample-store.js");
const { lowerRatio, steadinessOf } = require("../../../dist/detector/steadiness.js");
const { Random } = require("../../../benchmarks/accuracy/simulate/random.js");

const HOUR = 3_600_000;
const sample = (hour, id = 0) =>
  new StoredSample(id, 0, hour * HOUR, (hour + 1) * HOUR, "request", "route:1", 0, 100, 1_000);
/** Over 100 hours, one exposure unit each. */
const over = (hours) => steadinessOf(hours.map(sample), 0, 100 * HOUR, new HourClock(0));

describe("the lower end of the ratio of two halves", () => {
  it("covers the true ratio in about 95 of 100 draws, at a constant rate and at half of it", () => {
    const random = new Random(3);
    for (const truth of [1, 0.5]) {
      let below = 0;
      for (let i = 0; i < 4_000; i++) {
        const later = random.poisson(20 * truth);
        if (lowerRatio(later, random.poisson(20), 1) <= truth) below++;
      }
      assert.ok(Math.abs(below / 4_000 - 0.95) < 0.015, `${truth}: ${below / 4_000}`);
    }
  });

  it("is exp(-1.645 sqrt(2/n)) for two equal counts, and counts a burst once", () => {
    assert.ok(Math.abs(lowerRatio(49.5, 49.5, 1) - Math.exp(-1.644854 * Math.sqrt(2 / 50))) < 1e-9);
    assert.ok(lowerRatio(60, 60, 5) < lowerRatio(60, 60, 1));
    const alone = over(Array.from({ length: 40 }, (_, i) => 1 + 2.4 * i));
    const inBursts = over(Array.from({ length: 40 }, (_, i) => 8 + 12 * Math.floor(i / 5)));
    assert.ok(alone.halfRatioLow > 0.5, `${alone.halfRatioLow}`);
    const ends = alone.halfRatioHigh * alone.halfRatioLow;
    assert.ok(Math.abs(ends - (19.5 / 21.5) ** 2) < 1e-9, `19 after 21, the ends at equal factors: ${ends}`);
    assert.ok(inBursts.halfRatioHigh > alone.halfRatioHigh);
    assert.ok(inBursts.halfRatio >= 0.7 && inBursts.halfRatioLow < 0.5, JSON.stringify(inBursts));
  });
});

describe("a hold without a refutation", () => {
  const look = (survivalRatio, overThreshold = true) =>
    new Map([[7, { overThreshold, survivalRatio, halfRatio: 1, minQuarterRatio: 1 }]]);
  const owner = () => new OwnerState("route:1", 1, new HourClock(0), true);

  it("begins anew at each look that speaks against a leak; evidence alone is held on", () => {
    const state = owner();
    state.noteLook(look(null), 0);
    state.noteLook(look(0.25), 10);
    state.noteLook(look(0.6), 20);
    assert.deepEqual([state.heldMillis(7, 30), state.unrefutedMillis(7, 30)], [30, 20]);
  });

  it("is never longer than the evidence is over its threshold", () => {
    const state = owner();
    state.noteLook(look(null), 0);
    state.noteLook(look(null, false), 10);
    state.noteLook(look(null), 20);
    assert.deepEqual([state.heldMillis(7, 30), state.unrefutedMillis(7, 30)], [10, 10]);
    assert.equal(state.unrefutedMillis(8, 30), 0);
  });
});
