/** What the README says of the overhead is what the committed results say. */
"use strict";
const assert = require("node:assert/strict");
const { readFileSync } = require("node:fs");
const { test } = require("node:test");
const { makeFiles } = require("../../../benchmarks/report");
const { budgetPlot } = require("../../../benchmarks/report/plots");
const { budgetTable, fullBlock, readmeBlock, withBlock } = require("../../../benchmarks/report/readme-table");
const { judge } = require("../../../benchmarks/verdicts");

function resultOf(node, high) {
  const estimate = { value: 0.5, low: 0.4, high, repetitions: 9 };
  return {
    date: "2026-11-25T10:00:00.000Z",
    machine: { node, cores: 2, cpuModel: "Some CPU <x>" },
    busyRatioBefore: 0.01,
    busyRatioAfter: 0.02,
    loadAverageBefore: 0.1,
    loadAverageAfter: 1.2,
    seconds: 500,
    budgets: [
      judge({ id: "cpu/express", what: "CPU", estimate, limit: 1, unit: "ratio", design: 1 }),
      judge({ id: "rss", what: "RSS", estimate: null, limit: 25e6, unit: "MB", design: 3 }),
    ],
  };
}

test("the README's table and the plot are what npm run bench:report makes of the committed results", () => {
  for (const [file, text] of makeFiles()) assert.equal(readFileSync(file, "utf8"), text, file);
});

test("a table shows each budget's verdict, interval and limit, one column per result", () => {
  const lines = budgetTable([resultOf("v24.1.0", 0.9), resultOf("v26.1.0", 1.5)]).split("\n");
  assert.equal(lines[0], "| budget | limit | Node 24 | Node 26 | A/A |");
  assert.equal(lines[2], "| CPU | 1.000 | met: 0.500 (0.400 to 0.900) | **not shown**: 0.500 (0.400 to 1.500) |  |");
  assert.equal(lines[3], "| RSS | 25.0 MB | **not shown**: not measured | **not shown**: not measured |  |");
});

test("a block replaces the one before, and nothing else", () => {
  const block = readmeBlock([resultOf("v24.1.0", 0.9)]);
  const text = `before\n${block}\nafter\n`;
  assert.equal(withBlock(text, block), text);
  const other = readmeBlock([resultOf("v24.1.0", 2)]);
  assert.equal(withBlock(text, other), `before\n${other}\nafter\n`);
  assert.throws(() => withBlock("no markers", block), /lacks/);
});

test("the plot is one well-formed document that stays within its frame", () => {
  const svg = budgetPlot([resultOf("v24.1.0", 9), resultOf("v26.1.0", 0.9)]);
  const open = [...svg.matchAll(/<([a-z]+)(?:\s[^>]*[^/])?>/g)].map((match) => match[1]);
  const closed = [...svg.matchAll(/<\/([a-z]+)>/g)].map((match) => match[1]);
  assert.deepEqual(open.sort(), closed.sort());
  assert.match(svg, /prefers-color-scheme: dark/);
  const width = Number(/width="(\d+)"/.exec(svg)[1]);
  for (const [, x] of svg.matchAll(/(?:x|x1|x2|cx)="([\d.-]+)"/g)) assert.ok(Number(x) >= 0 && Number(x) <= width, x);
});

test("what bench:full alone measures has a block of its own, with the peers", () => {
  const cost = (value) => ({ value, low: value - 0.1, high: value + 0.1, repetitions: 2 });
  const peer = {
    name: "pprof",
    cpuRatio: cost(1.2),
    delayMaxMillis: cost(30),
    rssBytes: 90e6,
    pauseCpuMillis: cost(5),
  };
  const broken = { name: "dd-trace", failure: "cannot start\n    at somewhere" };
  const result = { ...resultOf("v24.1.0", 0.9), tables: { peers: [{ ...peer, profiles: 2 }, broken] } };
  const block = fullBlock([result]);
  const lines = block.split("\n");
  assert.ok(lines.includes("| pprof | 1.200 (1.100 to 1.300) | 5.0 (4.9 to 5.1) | 30.0 (29.9 to 30.1) | 90 |"), block);
  assert.ok(lines.includes("| dd-trace | does not start here: cannot start | | | |"), block);
  const two = fullBlock([result, { ...resultOf("v26.1.0", 2), tables: {} }]);
  assert.deepEqual(two.match(/^Measured: v\d+/gm), ["Measured: v24", "Measured: v26"], "a table each");
  const text = `${readmeBlock([resultOf("v24.1.0", 2)])}\n${block}\nafter`;
  const other = fullBlock([{ ...resultOf("v24.1.0", 3), tables: {} }]);
  assert.equal(withBlock(text, other), text.replace(block, other));
});
