/**
 * Owns the table of delays: three leaks in a service with 200 hypotheses, with mark-compacts every 2 and every 30 minutes
 * of busy time, by the product's own cohorts.
 */
"use strict";
const { hours, renderTable } = require("./render.js");
const { quantile } = require("./summary.js");
const { MINUTE } = require("./traffic.js");

const HYPOTHESES = 200;
const LEAKS = ["closures", "error path only", "accelerating"];
const GC_MINUTES = [2, 30];

function delayJobs(runs, seed) {
  return LEAKS.flatMap((family) =>
    GC_MINUTES.flatMap((minutes) =>
      Array.from({ length: runs }, (_, index) => ({
        part: "delays",
        family,
        seed: seed + index,
        weeks: 1,
        options: { gcMillis: minutes * MINUTE, hypotheses: HYPOTHESES },
      })),
    ),
  );
}

/** @param results of `delayJobs`, in any order. */
function delayRows(results) {
  return LEAKS.flatMap((family) =>
    GC_MINUTES.map((minutes) => {
      const own = results.filter((result) => result.family === family && result.gcMillis === minutes * MINUTE);
      return {
        family,
        minutes,
        runs: own.length,
        found: own.filter((result) => result.leakHours !== null).length,
        hypotheses: quantile(
          own.flatMap((result) => result.first?.hypotheses ?? []),
          0.5,
        ),
        watch: [0.5, 0.95].map((share) =>
          quantile(
            own.map((result) => result.watchHours),
            share,
          ),
        ),
        leak: [0.5, 0.95].map((share) =>
          quantile(
            own.map((result) => result.leakHours),
            share,
          ),
        ),
      };
    }),
  );
}

function renderDelays(rows) {
  return renderTable(rows, [
    ["leak", (row) => row.family],
    ["mark-compact every", (row) => `${row.minutes} min`],
    ["hypotheses tested", (row) => (row.hypotheses === null ? "" : `${row.hypotheses}`)],
    ["found", (row) => `${row.found}/${row.runs}`],
    ["watch p50", (row) => hours(row.watch[0])],
    ["p95", (row) => hours(row.watch[1])],
    ["leak p50", (row) => hours(row.leak[0])],
    ["p95", (row) => hours(row.leak[1])],
  ]);
}

module.exports = { delayJobs, delayRows, renderDelays };
