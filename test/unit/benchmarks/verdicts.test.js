/** A budget is judged by the interval, never by the point estimate. */
"use strict";
const assert = require("node:assert/strict");
const { test } = require("node:test");
const { exitCodeOf, formatEstimate, judge, verdictOf, withBusyMachine } = require("../../../benchmarks/verdicts");

const row = (verdict) => ({ verdict });

test("the interval decides: below the limit met, above it not met, across it not shown", () => {
  assert.equal(verdictOf({ value: 0.9, low: 0.8, high: 1 }, 1), "met");
  assert.equal(verdictOf({ value: 0.9, low: 0.8, high: 1.01 }, 1), "not shown");
  assert.equal(verdictOf({ value: 1.4, low: 0.99, high: 2 }, 1), "not shown");
  assert.equal(verdictOf({ value: 1.4, low: 1.01, high: 2 }, 1), "not met");
  assert.equal(verdictOf({ value: -0.3, low: -0.4, high: -0.1 }, 1), "not shown", "a cost below zero is noise");
});

test("what was not measured, or is no number, is not shown", () => {
  assert.equal(verdictOf(null, 1), "not shown");
  assert.equal(verdictOf({ value: Number.NaN, low: Number.NaN, high: Number.NaN }, 1), "not shown");
  assert.equal(verdictOf({ value: 0, low: Number.NEGATIVE_INFINITY, high: 0.5 }, 1), "not shown");
});

test("exit codes: 1 for a budget that is not met, 2 for one that is not shown, 0 when all are met", () => {
  assert.equal(exitCodeOf([row("met"), row("met")]), 0);
  assert.equal(exitCodeOf([row("met"), row("not shown")]), 2);
  assert.equal(exitCodeOf([row("not shown"), row("not met")]), 1);
  assert.equal(exitCodeOf([]), 2);
});

test("a latency measured on a busy machine shows nothing, a CPU time still does", () => {
  const estimate = { value: 0.5, low: 0.4, high: 0.6, repetitions: 9 };
  const base = { id: "x", what: "x", estimate, limit: 1, unit: "ratio", design: 1 };
  const wall = judge({ ...base, isWallClock: true });
  assert.equal(wall.verdict, "met");
  assert.equal(withBusyMachine(wall, 0.1).verdict, "met");
  assert.equal(withBusyMachine(wall, 0.3).verdict, "not shown");
  assert.match(withBusyMachine(wall, 0.3).note, /busy/);
  assert.equal(withBusyMachine(judge(base), 1).verdict, "met");
});

test("numbers are written with their unit and interval", () => {
  const estimate = { value: 0.0021, low: 0.0018, high: 0.0025 };
  assert.equal(formatEstimate(estimate, "percent"), "0.21 % (0.18 % to 0.25 %)");
  assert.equal(formatEstimate({ value: 1.5e6, low: 1e6, high: 2e6 }, "MB"), "1.5 MB (1.0 MB to 2.0 MB)");
  assert.equal(formatEstimate({ value: 3, low: 3, high: 3 }, "ms"), "3.0 ms");
  assert.equal(formatEstimate(null, "ms"), "not measured");
});
