/** Owns the README's table of budgets, as text made from result files and nothing else. Pure. */
"use strict";

const { format, formatEstimate } = require("../verdicts");

const BEGIN = "<!-- bench:begin (made by npm run bench:report) -->";
const END = "<!-- bench:end -->";
const FULL_BEGIN = "<!-- bench-full:begin (made by npm run bench:report) -->";
const FULL_END = "<!-- bench-full:end -->";

function lineOf(result) {
  return `Node ${result.machine.node.slice(1).split(".")[0]}`;
}

/** One cell: the verdict, the estimate and its interval, and what the row adds in words. */
function cell(row) {
  if (row === undefined) return "not run";
  const verdict = row.verdict === "met" ? "met" : `**${row.verdict}**`;
  const note = row.note ? `; ${row.note}` : "";
  return `${verdict}: ${formatEstimate(row.estimate, row.unit)}${note}`;
}

function resolutionOf(rows) {
  const parts = rows.filter((row) => row?.resolution != null).map((row) => formatEstimate(row.resolution, row.unit));
  return parts.length === 0 ? "" : parts[0];
}

/** @param results parsed result files, in the order of their columns. */
function budgetTable(results) {
  const ids = [...new Set(results.flatMap((result) => result.budgets.map((row) => row.id)))];
  const lines = [
    `| budget | limit | ${results.map(lineOf).join(" | ")} | A/A |`,
    `|---|---|${results.map(() => "---|").join("")}---|`,
  ];
  for (const id of ids) {
    const rows = results.map((result) => result.budgets.find((row) => row.id === id));
    const known = rows.find((row) => row !== undefined);
    const limit = format(known.limit, known.unit);
    lines.push(`| ${known.what} | ${limit} | ${rows.map(cell).join(" | ")} | ${resolutionOf(rows)} |`);
  }
  return lines.join("\n");
}

function percent(ratio) {
  return `${Math.round(ratio * 100)} %`;
}

/** A result may have been put together from several runs of some parts each. */
function conditions(results) {
  return results
    .flatMap((result) => (result.runs ?? [result]).map((run) => ({ machine: result.machine, ...run })))
    .map(
      ({ machine, date, service, loadAverageBefore, loadAverageAfter, busyRatioBefore, busyRatioAfter, seconds }) => {
        const average = `load average ${loadAverageBefore} before and ${loadAverageAfter} after`;
        const load =
          busyRatioBefore === undefined
            ? average
            : `others used ${percent(busyRatioBefore)} of the CPUs before and ${percent(busyRatioAfter)} after, ${average}`;
        const work =
          service === undefined ? "" : `${service.requestMicros.toFixed(0)} us of CPU per request at saturation, `;
        return `${machine.node} on ${machine.cores} x ${machine.cpuModel}, ${date.slice(0, 10)}, ${work}${load}, ${seconds} s`;
      },
    )
    .join("; ");
}

function readmeBlock(results) {
  return [
    BEGIN,
    "",
    "![Each budget as a part of its limit, with 95 % intervals](benchmarks/results/budgets.svg)",
    "",
    budgetTable(results),
    "",
    `Measured with \`npm run bench\`: ${conditions(results)}.`,
    "",
    END,
  ].join("\n");
}

function interval({ value, low, high }, digits) {
  return `${value.toFixed(digits)} (${low.toFixed(digits)} to ${high.toFixed(digits)})`;
}

function share(part, whole, digits) {
  return `${((100 * part) / whole).toFixed(digits)} %`;
}

/** Design 1 part by part, one row per Node line and service. */
function componentTable(results) {
  const lines = [
    "| | CPU per request, us | boundaries per request | start and end of a request, ns | per boundary, ns | V8's sample, us " +
      "| labels per sample, us | labels of CPU per request | worker, of a core | everything, of a core |",
    "|---|---|---|---|---|---|---|---|---|---|",
  ];
  for (const result of results) {
    for (const [variant, parts] of Object.entries(result.tables.components ?? {})) {
      const { intervalBytes, labels } = result.tables.service[variant];
      lines.push(
        [
          `| ${lineOf(result)}, ${variant}, ${labels}, sampled every ${Math.round(intervalBytes / 1024)} KiB`,
          interval(parts.requestMicros, 0),
          parts.boundariesPerRequest.value.toFixed(0),
          interval(parts.perRequestNanos, 0),
          interval(parts.boundaryNanos, 0),
          interval(parts.sampleMicros, 1),
          interval(parts.labelSampleMicros, 1),
          share(parts.labelMicrosPerRequest.value, parts.requestMicros.value, 2),
          share(parts.workerMicrosPerSecond.value, 1e6, 3),
          `${share(parts.totalMicrosPerSecond.value, 1e6, 2)} at ${parts.servedPerSecond.value.toFixed(0)} requests/s |`,
        ].join(" | "),
      );
    }
  }
  return lines.join("\n");
}

function componentBlock(results) {
  return [BEGIN, "", componentTable(results), "", `Measured: ${conditions(results)}.`, "", END].join("\n");
}

/** Each profiler's cost in the same service under the same load; one that does not start is named with the reason's first line. */
function peerTable(result) {
  const lines = [
    `| ${lineOf(result)} | CPU per request, against no profiler | pause of a capture or profile, CPU ms | longest event-loop delay, ms | RSS, MB |`,
    "|---|---|---|---|---|",
  ];
  for (const row of result.tables.peers) {
    if (row.failure !== undefined) {
      lines.push(`| ${row.name} | does not start here: ${row.failure.split("\n")[0]} | | | |`);
      continue;
    }
    const pause = row.pauseCpuMillis === null ? "not read" : interval(row.pauseCpuMillis, 1);
    const cells = [interval(row.cpuRatio, 3), pause, interval(row.delayMaxMillis, 1), (row.rssBytes / 1e6).toFixed(0)];
    lines.push(`| ${[row.name, ...cells].join(" | ")} |`);
  }
  return lines.join("\n");
}

/** What only `npm run bench:full` measures. */
function fullBlock(results) {
  const tables = results.flatMap((result) => {
    const peers = result.tables.peers === undefined ? [] : [peerTable(result), ""];
    return [budgetTable([result]), "", ...peers, `Measured: ${conditions([result])}.`, ""];
  });
  return [FULL_BEGIN, "", ...tables, FULL_END].join("\n");
}

/** @returns the text with the block of the same markers replaced; throws when the text lacks them. */
function withBlock(text, block) {
  const [first, last] = block.startsWith(FULL_BEGIN) ? [FULL_BEGIN, FULL_END] : [BEGIN, END];
  const [begin, end] = [text.indexOf(first), text.indexOf(last)];
  if (begin < 0 || end < begin) throw new Error(`the document lacks ${first} ... ${last}`);
  return text.slice(0, begin) + block + text.slice(end + last.length);
}

module.exports = { BEGIN, END, budgetTable, componentBlock, fullBlock, readmeBlock, withBlock };
