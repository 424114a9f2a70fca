/** Owns the README's table of budgets, as text made from result files and nothing else. Pure. */
"use strict";

const { format, formatEstimate } = require("../verdicts");

const BEGIN = "<!-- bench:begin (made by npm run bench:report) -->";
const END = "<!-- bench:end -->";

function lineOf(result) {
  return `Node ${result.machine.node.slice(1).split(".")[0]}`;
}

/** One cell: the verdict, the estimate and its interval; an A/A resolution where there is one. */
function cell(row) {
  if (row === undefined) return "not run";
  const verdict = row.verdict === "met" ? "met" : `**${row.verdict}**`;
  return `${verdict}: ${formatEstimate(row.estimate, row.unit)}`;
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

function conditions(results) {
  return results
    .map(({ machine, date, loadAverageBefore, loadAverageAfter, seconds }) => {
      const load = `load average ${loadAverageBefore} before and ${loadAverageAfter} after`;
      return `${machine.node} on ${machine.cores} x ${machine.cpuModel}, ${date.slice(0, 10)}, ${load}, ${seconds} s`;
    })
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

/** @returns the text with its block replaced; throws when the markers are missing. */
function withBlock(text, block) {
  const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`the README lacks ${BEGIN} ... ${END}`);
  return text.slice(0, begin) + block + text.slice(end + END.length);
}

module.exports = { BEGIN, END, budgetTable, readmeBlock, withBlock };
