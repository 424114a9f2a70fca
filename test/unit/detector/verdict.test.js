"use strict";
const assert = require("node:assert/strict");
const { test } = require("node:test");
const { judge } = require("../../../dist/detector/verdict");

const held = (current = "watch", unrefutedMillis = 30_000) => ({
  heldMillis: 30_000,
  unrefutedMillis,
  oldestMillis: () => 60_000,
  horizonMillis: 30_000,
  current,
});
const evidence = (halfRatio, minQuarterRatio = 0.8, survivorCount = 40, overThreshold = true) => ({
  overThreshold,
  halfRatio,
  halfRatioLow: halfRatio === null ? null : 0.75 * halfRatio,
  halfRatioHigh: halfRatio === null ? null : 1.4 * halfRatio,
  minQuarterRatio,
  survivors: new Array(survivorCount).fill({}),
});

test("growth that halves from one half to the next is saturating, not a leak", () => {
  assert.equal(judge(evidence(0.95), held()), "leak");
  assert.equal(judge(evidence(0.69), held()), "saturating");
  assert.equal(judge(evidence(0.29), held()), "watch");
});

test("a rate that may be steady for all that its few survivors show is not called saturating, and does not end a leak", () => {
  for (const current of ["watch", "leak"]) {
    const evaluation = evidence(0.5);
    assert.equal(judge({ ...evaluation, halfRatioHigh: 1 }, held(current)), "watch");
    assert.equal(judge({ ...evaluation, halfRatioHigh: 0.99 }, held(current)), "saturating");
  }
});

test("a standing leak is kept through counting noise, and not below it", () => {
  assert.equal(judge(evidence(0.6), held("leak")), "leak");
  assert.equal(judge(evidence(0.5), held("leak")), "saturating");
  assert.equal(judge(evidence(0.9, 0.3), held("leak")), "leak");
});

test("an empty quarter, too short a hold, or too few survivors stay a watch", () => {
  assert.equal(judge(evidence(0.9, 0.4), held()), "watch");
  assert.equal(judge(evidence(0.9), { ...held(), heldMillis: 29_999 }), "watch");
  assert.equal(judge(evidence(0.9, 0.8, 19), held()), "watch");
  assert.equal(judge(evidence(null, null), held()), "watch");
});

test("a rate that may have halved, and evidence that was refuted within the horizon, make no leak but do not end one", () => {
  const unsure = { ...evidence(0.9), halfRatioLow: 0.49 };
  assert.equal(judge(unsure, held()), "watch");
  assert.equal(judge(unsure, held("leak")), "leak");
  assert.equal(judge(evidence(0.9), held("saturating", 29_999)), "watch");
  assert.equal(judge(evidence(0.9), held("urgent", 29_999)), "leak");
});

test("no leak is told before an object of the site has lived for two horizons, and none ends for lack of one", () => {
  const young = (current) => ({ ...held(current), oldestMillis: () => 59_999 });
  assert.equal(judge(evidence(0.9), young()), "watch");
  assert.equal(judge(evidence(0.9), young("saturating")), "watch");
  assert.equal(judge(evidence(0.9), young("leak")), "leak");
});

test("below the threshold nothing is said", () => {
  assert.equal(judge(evidence(0.9, 0.8, 40, false), held("leak")), null);
  assert.equal(judge(null, held()), null);
});
