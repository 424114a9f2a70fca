"use strict";
const assert = require("node:assert/strict");
const { test } = require("node:test");
const { CostTally, describeBreaker, describeCost } = require("../../../dist/cli/cost-tally");

const MB = 1024 * 1024;

function cost(given = {}) {
  return {
    samplingMillis: 0,
    captureMillis: 0,
    labelsMillis: 0,
    workerMillis: 0,
    memoryBytes: 18 * MB,
    worstPauseMillisPerMinute: 14,
    breaker: "closed",
    ...given,
  };
}

test("the cost of a life in words, by component", () => {
  const tally = new CostTally();
  tally.add(cost({ samplingMillis: 60, captureMillis: 5, labelsMillis: 25, workerMillis: 15, memoryBytes: 17 * MB }));
  tally.add(cost({ samplingMillis: 120, captureMillis: 10, labelsMillis: 50, workerMillis: 30 }));
  const life = tally.life(100_000);
  assert.equal(
    describeCost(life),
    "0.21 % of a core (sampling 0.12, captures 0.01, labels 0.05, worker 0.03); 14 ms of pauses a minute at most; 18 MiB",
  );
  assert.equal(describeBreaker(life), null);
});

test("a worker that was restarted starts its account again; what it cost before is not forgotten", () => {
  const tally = new CostTally();
  for (const workerMillis of [100, 300, 40, 60]) tally.add(cost({ workerMillis, samplingMillis: 50 }));
  const { ratios, cpuMillis } = tally.life(10_000);
  assert.equal(ratios.worker, 0.036);
  assert.equal(ratios.sampling, 0.005);
  assert.equal(cpuMillis, 410);
});

test("the breaker's openings, and how it stands", () => {
  const tally = new CostTally();
  tally.add(cost({ openings: { pause: 1 }, breaker: "open" }));
  assert.equal(
    describeBreaker(tally.life(1_000)),
    "captures were switched off once, over the budget of pauses; they are off",
  );
  tally.add(cost({ openings: { pause: 1, memory: 2 }, breaker: "closed" }));
  assert.equal(
    describeBreaker(tally.life(1_000)),
    "captures were switched off 3 times, over the budget of pauses and memory; they are on again",
  );
});

test("a history of an agent that did not tell has no cost", () => {
  assert.equal(new CostTally().life(1_000), null);
});
