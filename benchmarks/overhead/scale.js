/**
 * `bench:full`: how the cost grows. A capture's time against live samples (must be linear); the cost of a request after a
 * million requests and with 5,000 routes (must be flat). Owns the sizes; each is measured in a child program.
 */
"use strict";

const { join } = require("node:path");
const { combined, estimate, median, slope } = require("../statistics");
const { judge } = require("../verdicts");
const { runChild } = require("./components");
const { GATE, PRELOAD } = require("./service-process");

/** Exponent of time against live samples; 1 is linear. */
const LINEAR_EXPONENT = 1.15;
const FLAT_RATIO = 1.2;
/** Batches of 100 requests with and without the agent. */
const SCALE_PAIRS = 1_500;
const NO_SAMPLES = "16777215";

async function measureScale(size, progress) {
  progress("scale: captures of growing heaps");
  const captures = JSON.parse(
    await runChild([join(__dirname, "../micro/capture-scale.js"), String(size.captureRounds)]),
  );
  const requests = {};
  for (const [name, routes, before] of [
    ["base", 40, 0],
    ["routes", 5_000, 0],
    ["uptime", 40, 1_000_000],
  ]) {
    progress(`scale: requests, ${name}`);
    const program = join(__dirname, "../micro/request-cost.js");
    const args = ["-r", GATE, "-r", PRELOAD, program, String(SCALE_PAIRS), "express", String(routes), String(before)];
    const { results } = JSON.parse(await runChild(args, { LEAK_AGENT_SAMPLING_INTERVAL: NO_SAMPLES }));
    requests[name] = estimate(results.express.on.map((nanos, i) => nanos - results.express.off[i]));
  }
  return { captures, requests };
}

function scaleBudgets({ captures, requests }) {
  const points = captures.flatMap(({ samples, millis }) => millis.map((time) => [Math.log(samples), Math.log(time)]));
  const flat = (name, what) =>
    judge({
      id: `flat-${name}`,
      what,
      estimate: combined([requests[name], requests.base], ([large, small]) => large / small),
      limit: FLAT_RATIO,
      unit: "ratio",
      design: 1,
    });
  const [first, last] = [captures[0], captures.at(-1)];
  return [
    judge({
      id: "linear-captures",
      what: `exponent of a capture's time in live samples, ${first.samples} to ${last.samples}`,
      estimate: slope(points),
      limit: LINEAR_EXPONENT,
      unit: "ratio",
      design: 1,
      note: captures.map(({ samples, millis }) => `${samples}: ${median(millis).toFixed(2)} ms`).join(", "),
    }),
    flat("routes", "cost of a request with 5,000 routes, against 40"),
    flat("uptime", "cost of a request after a million requests, against none"),
  ];
}

module.exports = { measureScale, scaleBudgets };
