/**
 * `bench:full`: how the cost grows. A capture's time against live samples where the call paths stay, and against nodes and
 * samples where they grow, too (must be linear); the cost of a request after a million requests and with 5,000 routes (must
 * be flat). Owns the sizes; each is measured in a child program.
 */
"use strict";

const { join } = require("node:path");
const { combined, estimate, mean, median, slope } = require("../statistics");
const { judge } = require("../verdicts");
const { runChild } = require("./components");
const { GATE, PRELOAD } = require("./service-process");

/** Of time against what a capture reads; 1 is linear. */
const LINEAR_EXPONENT = 1.15;
const FLAT_RATIO = 1.2;
/** Processes of each kind, in turns, with so many batches of 100 requests with and without the agent: V8 compiles each its own way. */
const PROCESSES = 8;
const PAIRS = 150;
const NO_SAMPLES = "16777215";
/** About 6,000 nodes, all of them there from the smallest heap on. */
const SETTLED_PATHS = "300";

async function measureScale(size, progress) {
  const captures = {};
  for (const [name, paths] of [
    ["settled", SETTLED_PATHS],
    ["growing", "new"],
  ]) {
    progress(`scale: captures of growing heaps, ${name} call paths`);
    const program = join(__dirname, "../micro/capture-scale.js");
    captures[name] = JSON.parse(await runChild([program, String(size.captureRounds), paths]));
  }
  return { captures, requests: await measureRequests(progress) };
}

/** @returns by kind what the agent adds to a request, in nanoseconds, by the medians of its processes. */
async function measureRequests(progress) {
  const kinds = { base: [40, 0], routes: [5_000, 0], uptime: [40, 1_000_000] };
  const nanos = { base: [], routes: [], uptime: [] };
  for (let round = 0; round < PROCESSES; round++) {
    for (const [name, [routes, before]] of Object.entries(kinds)) {
      progress(`scale: requests, round ${round + 1} of ${PROCESSES}, ${name}`);
      const program = join(__dirname, "../micro/request-cost.js");
      const args = ["-r", GATE, "-r", PRELOAD, program, String(PAIRS), "express", String(routes), String(before)];
      const { results } = JSON.parse(await runChild(args, { LEAK_AGENT_SAMPLING_INTERVAL: NO_SAMPLES }));
      const { on, off } = results.express;
      nanos[name].push(median(on.map((value, i) => value - off[i])));
    }
  }
  return Object.fromEntries(Object.entries(nanos).map(([name, medians]) => [name, estimate(medians, mean)]));
}

/** @param sizeOf what the time should be linear in, of one heap. */
function linearBudget(id, heaps, what, sizeOf) {
  const points = heaps.flatMap((heap) => heap.millis.map((time) => [Math.log(sizeOf(heap)), Math.log(time)]));
  return judge({
    id,
    what: `exponent of a capture's time in ${what}, ${sizeOf(heaps[0])} to ${sizeOf(heaps.at(-1))}`,
    estimate: slope(points),
    limit: LINEAR_EXPONENT,
    unit: "ratio",
    design: 1,
    note: heaps.map((heap) => `${sizeOf(heap)}: ${median(heap.millis).toFixed(2)} ms`).join(", "),
  });
}

function scaleBudgets({ captures, requests }) {
  const flat = (name, what) =>
    judge({
      id: `flat-${name}`,
      what,
      estimate: combined([requests[name], requests.base], ([large, small]) => large / small),
      limit: FLAT_RATIO,
      unit: "ratio",
      design: 1,
    });
  return [
    linearBudget("linear-captures", captures.settled, "live samples on the same call paths", ({ samples }) => samples),
    linearBudget(
      "linear-captures-growing",
      captures.growing,
      "nodes and live samples, each on a call path of its own",
      ({ samples, treeNodes }) => samples + treeNodes,
    ),
    flat("routes", "cost of a request with 5,000 routes, against 40"),
    flat("uptime", "cost of a request after a million requests, against none"),
  ];
}

module.exports = { measureScale, scaleBudgets };
