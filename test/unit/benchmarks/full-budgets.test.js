/** What only bench:full judges: peers and growth, from made-up measurements whose answer is known. */
"use strict";
const assert = require("node:assert/strict");
const { test } = require("node:test");
const { peerBudgets } = require("../../../benchmarks/overhead/peers");
const { scaleBudgets } = require("../../../benchmarks/overhead/scale");
const { estimate } = require("../../../benchmarks/statistics");

const ROUNDS = 6;
/** Small, alternating errors, so that intervals have a width. */
const series = (value) => Array.from({ length: ROUNDS }, (_, i) => value * (i % 2 === 0 ? 0.99 : 1.01));
const rowsOf = (cpu, pause) =>
  series(cpu).map((cpuMicrosPerRequest, i) => ({
    cpuMicrosPerRequest,
    pauseCpuMillis: pause === null ? null : series(pause)[i],
  }));
const verdicts = (rows) => Object.fromEntries(rows.map(({ id, verdict }) => [id, verdict]));

test("our agent is judged against each peer that starts, by CPU and by the longest block", () => {
  const rows = {
    none: rowsOf(200, null),
    "none again (A/A)": rowsOf(200, null),
    "leak-agent, its interval": rowsOf(204, 1),
    "leak-agent, OTLP": rowsOf(230, 1),
    "cheap, defaults": rowsOf(190, 0.5),
    "dear, defaults": rowsOf(260, 4),
    "silent, defaults": rowsOf(260, null),
    "broken, defaults": [],
  };
  const judged = peerBudgets({ rows, failures: { "broken, defaults": "does not build" } });
  assert.deepEqual(verdicts(judged), {
    "peer-cpu/cheap, defaults": "not met",
    "peer-pause/cheap, defaults": "not met",
    "peer-cpu/dear, defaults": "met",
    "peer-pause/dear, defaults": "met",
    "peer-cpu/silent, defaults": "met",
    "peer-pause/silent, defaults": "not shown",
  });
});

/** Heaps of growing size; `millisOf` says what a capture of one takes. */
function heaps(millisOf, nodesPerSample) {
  return [2_000, 6_000, 18_000, 54_000].map((samples) => {
    const treeNodes = nodesPerSample === null ? 5_000 : samples * nodesPerSample;
    return { samples, treeNodes, millis: series(millisOf({ samples, treeNodes })) };
  });
}

const requests = { base: estimate(series(300)), routes: estimate(series(310)), uptime: estimate(series(305)) };

test("a capture is linear where its time follows samples, or nodes and samples; quadratic is not met", () => {
  const linear = ({ samples, treeNodes }) => (samples + treeNodes) / 1e3;
  const settled = heaps(linear, null);
  assert.deepEqual(verdicts(scaleBudgets({ captures: { settled, growing: heaps(linear, 8) }, requests })), {
    "linear-captures": "met",
    "linear-captures-growing": "met",
    "flat-routes": "met",
    "flat-uptime": "met",
  });
  const quadratic = ({ samples }) => samples ** 2 / 1e6;
  const slow = { ...requests, routes: estimate(series(600)) };
  const captures = { settled: heaps(quadratic, null), growing: heaps(quadratic, 8) };
  assert.deepEqual(verdicts(scaleBudgets({ captures, requests: slow })), {
    "linear-captures": "not met",
    "linear-captures-growing": "not met",
    "flat-routes": "not met",
    "flat-uptime": "met",
  });
});
