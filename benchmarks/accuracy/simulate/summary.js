/** Pure. Owns the figures per family and in total, from the results of single runs. */
"use strict";

const IMPACTS = ["minor", "material", "critical"];

function summarizeFamily(family, results) {
  const weeks = sum(results.map((result) => result.weeks));
  const alarms = results.flatMap((result) => result.alarms);
  const wrong = results.flatMap((result) => result.wrong);
  const retracted = [...alarms, ...wrong].flatMap(({ retractedAfterHours }) => retractedAfterHours ?? []);
  const intervals = results.flatMap((result) => result.interval ?? []);
  return {
    family: family.name,
    kind: family.isHealthy ? `healthy, ${family.fills}` : "leak",
    runs: results.length,
    weeks,
    falseByImpact: Object.fromEntries(
      IMPACTS.map((impact) => [impact, wrong.filter((alarm) => alarm.impact === impact).length]),
    ),
    found: results.filter((result) => result.leakHours !== null).length,
    watchHours: delays(results.map((result) => result.watchHours)),
    leakHours: delays(results.map((result) => result.leakHours)),
    retractions: retracted.length,
    retractionHours: delays(retracted),
    fixes: fixesOf(results),
    standing: sum(results.map((result) => result.standing)),
    intervals: intervals.length,
    covered: intervals.filter(({ covers }) => covers).length,
    medianRatio: quantile(
      intervals.map(({ ratio }) => ratio),
      0.5,
    ),
    ...(results.some((result) => result.notes !== undefined) ? { notes: results.map((result) => result.notes) } : {}),
  };
}

/** Of the runs whose leak was found before a build without it was deployed: how many were told as fixed, and how long after. */
function fixesOf(results) {
  const asked = results.filter(
    ({ leakHours, fixedHours }) => fixedHours !== null && leakHours !== null && leakHours < fixedHours,
  );
  return {
    asked: asked.length,
    fixed: asked.filter(({ fix }) => fix?.verdict === "fixed").length,
    hours: delays(asked.map(({ fix }) => (fix?.verdict === "fixed" ? fix.hours : null))),
  };
}

/** Quantiles over all runs; a run without the event counts as later than any other (null where the quantile falls there). */
function delays(values) {
  return { p50: quantile(values, 0.5), p95: quantile(values, 0.95) };
}

function quantile(values, share) {
  const sorted = values
    .map((value) => (value === null || value === undefined ? Number.POSITIVE_INFINITY : value))
    .sort((a, b) => a - b);
  const value = sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)];
  return value === undefined || value === Number.POSITIVE_INFINITY ? null : value;
}

function totals(summaries) {
  const of = (predicate) => summaries.filter(predicate);
  const falseOf = (rows, impacts) => sum(rows.flatMap((row) => impacts.map((impact) => row.falseByImpact[impact])));
  const fast = of((row) => row.kind === "healthy, fast");
  const slow = of((row) => row.kind === "healthy, slow");
  const leaks = of((row) => row.kind === "leak");
  const part = (rows) => ({
    weeks: sum(rows.map((row) => row.weeks)),
    minor: falseOf(rows, ["minor"]),
    material: falseOf(rows, ["material", "critical"]),
  });
  const intervals = sum(summaries.map((row) => row.intervals));
  const covered = sum(summaries.map((row) => row.covered));
  return {
    fast: part(fast),
    slow: part(slow),
    leaks: {
      ...part(leaks),
      runs: sum(leaks.map((row) => row.runs)),
      found: sum(leaks.map((row) => row.found)),
    },
    intervals,
    covered,
  };
}

function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}

module.exports = { fixesOf, quantile, summarizeFamily, totals };
