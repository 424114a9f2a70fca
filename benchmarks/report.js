/**
 * `npm run bench:report`: writes the README's overhead table and the SVG plot from benchmarks/results/node-*.json.
 * Owns which files go where; a test checks that what is committed is what this makes.
 */
"use strict";

const { existsSync, readFileSync, writeFileSync } = require("node:fs");
const { join } = require("node:path");
const { budgetPlot } = require("./report/plots");
const { readmeBlock, withBlock } = require("./report/readme-table");

const ROOT = join(__dirname, "..");
const RESULTS = join(__dirname, "results");
/** The primary lines, in the order of the table's columns. */
const LINES = [24, 26];

/** @returns path -> the text it should hold. */
function makeFiles() {
  const files = LINES.map((line) => join(RESULTS, `node-${line}.json`)).filter(existsSync);
  const results = files.map((file) => JSON.parse(readFileSync(file, "utf8")));
  if (results.length === 0) throw new Error("no results: npm run bench -- --json benchmarks/results/node-24.json");
  const readme = join(ROOT, "README.md");
  return new Map([
    [readme, withBlock(readFileSync(readme, "utf8"), readmeBlock(results))],
    [join(RESULTS, "budgets.svg"), budgetPlot(results)],
  ]);
}

if (require.main === module) for (const [file, text] of makeFiles()) writeFileSync(file, text);

module.exports = { makeFiles };
