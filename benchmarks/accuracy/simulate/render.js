/** Pure. Owns the words and columns that the simulation prints. */
"use strict";

const COLUMNS = [
  ["family", (row) => row.family],
  ["kind", (row) => row.kind],
  ["weeks", (row) => row.weeks.toFixed(0)],
  ["false/week minor", (row) => perWeek(row.falseByImpact.minor, row.weeks)],
  ["material", (row) => perWeek(row.falseByImpact.material, row.weeks)],
  ["critical", (row) => perWeek(row.falseByImpact.critical, row.weeks)],
  ["found", (row) => (row.kind === "leak" ? `${row.found}/${row.runs}` : "")],
  ["watch p50", (row) => (row.kind === "leak" ? hours(row.watchHours.p50) : "")],
  ["p95", (row) => (row.kind === "leak" ? hours(row.watchHours.p95) : "")],
  ["leak p50", (row) => (row.kind === "leak" ? hours(row.leakHours.p50) : "")],
  ["p95", (row) => (row.kind === "leak" ? hours(row.leakHours.p95) : "")],
  ["retracted", (row) => (row.retractions === 0 ? "" : `${row.retractions}`)],
  ["after p50", (row) => (row.retractions === 0 ? "" : hours(row.retractionHours.p50))],
  ["standing", (row) => (row.standing === 0 ? "" : `${row.standing}`)],
  ["fixed", (row) => (row.fixes.asked === 0 ? "" : `${row.fixes.fixed}/${row.fixes.asked}`)],
  ["after p50", (row) => (row.fixes.asked === 0 ? "" : hours(row.fixes.hours.p50))],
  ["covered", (row) => (row.intervals === 0 ? "" : `${row.covered}/${row.intervals}`)],
  ["of truth", (row) => (row.intervals === 0 ? "" : row.medianRatio.toFixed(2))],
];

function renderTable(rows, columns = COLUMNS) {
  const cells = rows.map((row) => columns.map(([, of]) => of(row)));
  const widths = columns.map(([title], index) => Math.max(title.length, ...cells.map((line) => line[index].length)));
  const line = (texts) =>
    texts.map((text, index) => (index < 2 ? text.padEnd(widths[index]) : text.padStart(widths[index]))).join("  ");
  return [line(columns.map(([title]) => title)), line(widths.map((width) => "-".repeat(width))), ...cells.map(line)]
    .map((text) => text.trimEnd())
    .join("\n");
}

function renderTotals(totals) {
  const lines = [];
  const { fast, slow, leaks } = totals;
  const rate = (count, weeks) => `${count} in ${weeks.toFixed(0)} service-weeks${upper(count, weeks)}`;
  if (fast.weeks > 0)
    lines.push(
      `healthy, filling within 24 h: material false alarms ${rate(fast.material, fast.weeks)}, minor ${fast.minor}`,
    );
  if (slow.weeks > 0)
    lines.push(
      `healthy, filling for days: material false alarms ${rate(slow.material, slow.weeks)}, minor ${slow.minor}`,
    );
  if (leaks.runs > 0)
    lines.push(
      `leaks: found ${leaks.found} of ${leaks.runs}; wrong findings beside them: ${leaks.material} material, ${leaks.minor} minor in ${leaks.weeks.toFixed(0)} weeks`,
    );
  if (totals.intervals > 0)
    lines.push(
      `95 % intervals of bytes/request: ${totals.covered} of ${totals.intervals} cover the truth (${((100 * totals.covered) / totals.intervals).toFixed(1)} %)`,
    );
  return lines.join("\n");
}

/** @param runs of the story: a week with the leak, a week without. @param fixes of these runs (summary.js). */
function renderStory(runs, fixes) {
  const found = runs.filter((run) => run.leakHours !== null);
  const order = found.map((run) => run.leakHours).sort((a, b) => a - b);
  const [first] = found;
  const lines = [
    `the story (24 B a call, 42,000 calls a day, R = ${first?.first.samplingIntervalBytes ?? "?"}): leak in ${found.length} of ${runs.length} runs`,
  ];
  if (first === undefined) return lines[0];
  const { heapGrowthRatio, rssGrowthRatio } = first.first.explained;
  lines.push(
    `  after ${hours(order[Math.floor((order.length - 1) / 2)])} (median), ${hours(order[order.length - 1])} (slowest); impact ${first.first.impact}`,
    `  explains ${percent(heapGrowthRatio)} of the heap's growth, ${percent(rssGrowthRatio)} of RSS`,
    `  "${first.first.text}"`,
    `  deployed without it after a week: fixed in ${fixes.fixed} of ${fixes.asked} runs, ${hours(fixes.hours.p50)} (median), ${hours(fixes.hours.p95)} (slowest) after the deploy`,
  );
  return lines.join("\n");
}

function percent(ratio) {
  return ratio === null ? "an unknown share" : `${(100 * ratio).toFixed(1)} %`;
}

/** Exact 95 % upper bound of a Poisson rate when nothing, or little, was seen. */
function upper(count, weeks) {
  return `, rate at most ${(poissonUpper(count) / weeks).toPrecision(2)} a week (95 %)`;
}

/** The mean at which `count` or fewer events have a chance of 5 %. */
function poissonUpper(count) {
  let low = 0;
  let high = 10 + 3 * count;
  for (let i = 0; i < 60; i++) {
    const mean = (low + high) / 2;
    let term = Math.exp(-mean);
    let chance = term;
    for (let k = 1; k <= count; k++) {
      term *= mean / k;
      chance += term;
    }
    if (chance > 0.05) low = mean;
    else high = mean;
  }
  return high;
}

function perWeek(count, weeks) {
  return count === 0 ? "0" : (count / weeks).toPrecision(2);
}

function hours(value) {
  if (value === null) return "never";
  return value < 48 ? `${value.toFixed(0)} h` : `${(value / 24).toFixed(1)} d`;
}

module.exports = { hours, poissonUpper, renderStory, renderTable, renderTotals };
