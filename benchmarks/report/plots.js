/** Owns the SVG plots: plain text without scripts, readable on light and dark pages. Pure. */
"use strict";

const { formatEstimate } = require("../verdicts");

const WIDTH = 860;
const LABEL_WIDTH = 360;
const ROW_HEIGHT = 34;
const TOP = 34;
/** The axis ends at this many times the limit; what is beyond is drawn at the edge, with its number beside it. */
const AXIS_END = 1.6;
const NUMBERS_WIDTH = 150;
const STYLE = `
  text { font: 12px system-ui, sans-serif; fill: #24292f; }
  .small { font-size: 10px; fill: #57606a; }
  .axis { stroke: #8c959f; stroke-width: 1; }
  .limit { stroke: #cf222e; stroke-width: 1.5; stroke-dasharray: 4 3; }
  .met { stroke: #1a7f37; fill: #1a7f37; }
  .not-met { stroke: #cf222e; fill: #cf222e; }
  .not-shown { stroke: #9a6700; fill: #9a6700; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .small { fill: #9da7b3; }
    .limit, .not-met { stroke: #ff7b72; }
    .not-met { fill: #ff7b72; }
    .met { stroke: #3fb950; fill: #3fb950; }
    .not-shown { stroke: #d29922; fill: #d29922; }
  }`;

function escaped(text) {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}

function fixed(value) {
  return Number(value.toFixed(1)).toString();
}

/** A ratio around 1 is shown by what it adds; anything else by its size. */
function partOfLimit(value, { unit, limit, design }) {
  return unit === "ratio" && design !== 1 ? (value - 1) / (limit - 1) : value / limit;
}

function xOf(part) {
  const span = WIDTH - LABEL_WIDTH - NUMBERS_WIDTH;
  return LABEL_WIDTH + (Math.min(Math.max(part, -0.2), AXIS_END) + 0.2) * (span / (AXIS_END + 0.2));
}

function bar(row, line, y) {
  const name = row.verdict.replace(" ", "-");
  const numbers = row.estimate === null ? "not measured" : formatEstimate(row.estimate, row.unit).split(" (")[0];
  const text = `<text class="small" x="${WIDTH - NUMBERS_WIDTH + 6}" y="${y + 4}">${escaped(`${line}: ${numbers}`)}</text>`;
  if (row.estimate === null) return text;
  const [low, value, high] = ["low", "value", "high"].map((key) => xOf(partOfLimit(row.estimate[key], row)));
  return (
    `<line class="${name}" stroke-width="3" x1="${fixed(low)}" x2="${fixed(high)}" y1="${y}" y2="${y}"/>` +
    `<circle class="${name}" cx="${fixed(value)}" cy="${y}" r="4"/>${text}`
  );
}

/** Every budget as a part of its limit. @param results parsed result files; one bar each. */
function budgetPlot(results) {
  const ids = [...new Set(results.flatMap((result) => result.budgets.map((row) => row.id)))];
  const height = TOP + ids.length * ROW_HEIGHT + 16;
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}">`,
    `<style>${STYLE}\n</style>`,
    `<text x="${fixed(xOf(0))}" y="16" text-anchor="middle" class="small">0</text>`,
    `<text x="${fixed(xOf(1))}" y="16" text-anchor="middle">limit</text>`,
    `<line class="axis" x1="${fixed(xOf(0))}" x2="${fixed(xOf(0))}" y1="22" y2="${height - 8}"/>`,
    `<line class="limit" x1="${fixed(xOf(1))}" x2="${fixed(xOf(1))}" y1="22" y2="${height - 8}"/>`,
  ];
  ids.forEach((id, i) => {
    const y = TOP + i * ROW_HEIGHT;
    parts.push(`<text x="0" y="${y + 14}">${escaped(id)}</text>`);
    results.forEach((result, j) => {
      const row = result.budgets.find((candidate) => candidate.id === id);
      const line = `Node ${result.machine.node.slice(1).split(".")[0]}`;
      if (row !== undefined)
        parts.push(bar(row, line, y + 6 + (j * (ROW_HEIGHT - 12)) / Math.max(1, results.length - 1)));
    });
  });
  return `${parts.join("\n")}\n</svg>\n`;
}

module.exports = { budgetPlot };
