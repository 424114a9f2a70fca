"use strict";
const assert = require("node:assert/strict");
const { test } = require("node:test");
const { survivalOf } = require("../../../dist/detector/survival.js");
const { StoredSample } = require("../../../dist/detector/sample-store.js");

const FOREVER = Number.POSITIVE_INFINITY;

/** One sample an hour from hour 1 on. @param diesAt (born) => hour of death, as seen until `now`. */
function samples(now, diesAt) {
  const made = [];
  for (let born = 1; born <= now; born++) {
    const sample = new StoredSample(born, 0, born, born + 0.5, "request", "route:1", 0, 100, 1_000);
    const dies = diesAt(born);
    if (dies <= now) sample.freedMillis = dies;
    made.push(sample);
  }
  return made;
}

test("a time to live shows as a cliff as soon as six cohorts have reached it", () => {
  const ttl = (now) =>
    survivalOf(
      samples(now, (born) => born + 72),
      40,
      0,
      now,
    );
  assert.equal(ttl(70), null);
  assert.ok(ttl(120).ratio < 0.01, `${ttl(120).ratio}`);
  assert.equal(ttl(120).medianMillis, 72);
});

test("what is never freed has no curve; a tenth that is freed leaves nine tenths", () => {
  assert.equal(
    survivalOf(
      samples(200, () => FOREVER),
      100,
      0,
      200,
    ),
    null,
  );
  const tenth = survivalOf(
    samples(200, (born) => (born % 10 === 0 ? born + 5 : FOREVER)),
    100,
    0,
    200,
  );
  assert.ok(Math.abs(tenth.ratio - 0.9) < 0.02, `${tenth.ratio}`);
  assert.equal(tenth.medianMillis, null);
});

test("deaths before the age at which cohorts enter, and before the period, do not count", () => {
  const early = (born) => (born % 10 === 0 ? FOREVER : born + 5);
  assert.equal(survivalOf(samples(200, early), 100, 24, 200), null);
  const stopped = (born) => (born < 50 ? born + 5 : FOREVER);
  assert.equal(survivalOf(samples(200, stopped), 100, 0, 200), null);
});

test("few cohorts at risk say nothing, and one window is one cohort", () => {
  assert.equal(
    survivalOf(
      samples(5, (born) => born + 1),
      0,
      0,
      5,
    ).ratio,
    1,
  );
  const burst = samples(30, () => FOREVER);
  for (let i = 0; i < 40; i++) {
    const sample = new StoredSample(100 + i, 0, 12, 12.5, "request", "route:1", 0, 100, 1_000);
    sample.freedMillis = 20;
    burst.splice(12, 0, sample);
  }
  assert.ok(survivalOf(burst, 0, 0, 30).ratio > 0.9);
});
