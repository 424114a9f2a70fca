/**
 * Owns what a budget is and how it is judged: by the interval, never by the point estimate. Pure.
 */
"use strict";

const { plain } = require("./statistics");

const MET = "met";
const NOT_MET = "not met";
const NOT_SHOWN = "not shown";
const MAX_BUSY_RATIO = 0.15;

/** @param estimate { value, low, high } or null when it could not be measured. @param limit must not be exceeded. */
function verdictOf(estimate, limit) {
  if (estimate === null || ![estimate.low, estimate.high].every(Number.isFinite)) return NOT_SHOWN;
  // A cost below zero is impossible: the noise is larger than the interval says.
  if (estimate.high < 0) return NOT_SHOWN;
  if (estimate.high <= limit) return MET;
  return estimate.low > limit ? NOT_MET : NOT_SHOWN;
}

/**
 * One row of the budget table.
 * @param row.unit how `estimate` and `limit` read: `ratio`, `percent` (of `value` 0..1), `ms`, `MB`, `B/request`.
 * @param row.resolution the A/A estimate in the same unit; null where the row is no comparison.
 * @param row.isWallClock such a row cannot be judged where something else uses the CPUs.
 * @param row.design 1 components, 2 alternating blocks, 3 whole processes.
 */
function judge({ id, what, estimate, limit, unit, design, resolution = null, note = "", isWallClock = false }) {
  return {
    id,
    what,
    unit,
    limit,
    design,
    estimate: estimate === null ? null : plain(estimate),
    resolution: resolution === null ? null : plain(resolution),
    verdict: verdictOf(estimate, limit),
    isWallClock,
    note,
  };
}

/**
 * On a busy machine a latency is mostly other programs' doing: such rows are not shown there, whatever they say.
 * @param busyRatio what others used of all CPUs right before, 0..1.
 */
function withBusyMachine(row, busyRatio) {
  if (!row.isWallClock || busyRatio <= MAX_BUSY_RATIO) return row;
  return { ...row, verdict: NOT_SHOWN, note: `${row.note}${row.note === "" ? "" : "; "}the machine was busy` };
}

/** 1 when a budget is not met, 2 when one is not shown, else 0. An empty list shows nothing. */
function exitCodeOf(rows) {
  if (rows.some((row) => row.verdict === NOT_MET)) return 1;
  return rows.length === 0 || rows.some((row) => row.verdict === NOT_SHOWN) ? 2 : 0;
}

function number(value, digits) {
  return value.toFixed(digits);
}

const FORMATS = {
  ratio: (value) => number(value, 3),
  percent: (value) => `${number(value * 100, 2)} %`,
  ms: (value) => `${number(value, 1)} ms`,
  MB: (value) => `${number(value / 1e6, 1)} MB`,
  "B/request": (value) => `${number(value, 2)} B`,
};

function format(value, unit) {
  return FORMATS[unit](value);
}

/** `0.21 % (0.18 % to 0.25 %)`, or what is missing. */
function formatEstimate(estimate, unit) {
  if (estimate === null) return "not measured";
  const { value, low, high } = estimate;
  if (low === high) return format(value, unit);
  return `${format(value, unit)} (${format(low, unit)} to ${format(high, unit)})`;
}

module.exports = { MET, NOT_MET, NOT_SHOWN, exitCodeOf, format, formatEstimate, judge, verdictOf, withBusyMachine };
