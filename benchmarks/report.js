/**
 * `npm run bench:report`: writes the README's budget table, the tables of docs/overhead.md and the SVG plot from
 * benchmarks/results/*.json.
 * Owns which files go where; a test checks that what is committed is what this makes.
 */
"use strict";

const { existsSync, readFileSync, writeFileSync } = require("node:fs");
const { join } = require("node:path");
const { budgetPlot } = require("./report/plots");
const { componentBlock, fullBlock, readmeBlock, withBlock } = require("./report/readme-table");

const ROOT = join(__dirname, "..");
const RESULTS = join(__dirname, "results");
/** The primary lines, in the order of the table's columns. */
const PRIMARY = ["node-24", "node-26"];
/** In the order of the component table's rows. */
const ALL = [...PRIMARY, "worst-24", "node-22", "node-20"];
/** Parts that only `bench:full` has: hours, so they come from runs, and maybe from machines, of their own, a table each. */
const FULL = ["full-24", "full-26", "scale-24", "blocks-24"];

function read(names) {
  const files = names.map((name) => join(RESULTS, `${name}.json`)).filter(existsSync);
  return files.map((file) => JSON.parse(readFileSync(file, "utf8")));
}

/** @returns path -> the text it should hold. */
function makeFiles() {
  const primary = read(PRIMARY);
  if (primary.length === 0) throw new Error("no results: npm run bench -- --json benchmarks/results/node-24.json");
  const blocks = {
    "README.md": [readmeBlock(primary)],
    "docs/overhead.md": [componentBlock(read(ALL)), fullBlock(read(FULL))],
  };
  const documents = Object.entries(blocks).map(([name, ofDocument]) => {
    const file = join(ROOT, name);
    return [file, ofDocument.reduce(withBlock, readFileSync(file, "utf8"))];
  });
  return new Map([...documents, [join(RESULTS, "budgets.svg"), budgetPlot(primary)]]);
}

if (require.main === module) for (const [file, text] of makeFiles()) writeFileSync(file, text);

module.exports = { makeFiles };
