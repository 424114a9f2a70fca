"use strict";
const assert = require("node:assert/strict");
const { test } = require("node:test");
const { AgentCosts } = require("../../../dist/worker/agent-cost");
const { ownUsage } = require("../../../dist/worker/own-usage");

function reportOf(thread, { sampling = 0, breaker = "closed", openings = {}, skipped = {} } = {}) {
  return {
    thread,
    governor: {
      breaker,
      openings: { pause: 0, cpu: 0, memory: 0, ...openings },
      skipped: { pause_budget: 0, busy_loop: 0, worker_behind: 0, breaker: 0, ...skipped },
      cost: { samplingMillis: sampling, captureMillis: 1, labelsMillis: 2 },
      worstPauseMillisPerMinute: 3 * thread,
      memoryBytes: 1_000,
      intervalChanges: 0,
    },
  };
}

const USAGE = { cpuMillis: 77, memoryBytes: 20_000, meanStackDepth: null };

test("threads and the worker add up; a thread that ends stays in the totals, its memory does not", () => {
  const costs = new AgentCosts();
  costs.report(reportOf(0, { sampling: 10 }));
  costs.report(reportOf(0, { sampling: 20 }));
  costs.report(reportOf(1, { sampling: 5, openings: { cpu: 1 }, skipped: { busy_loop: 4 } }));
  const total = {
    samplingMillis: 25,
    captureMillis: 2,
    labelsMillis: 4,
    workerMillis: 77,
    memoryBytes: 22_000,
    worstPauseMillisPerMinute: 3,
    breaker: "closed",
    openings: { cpu: 1 },
  };
  assert.deepEqual(costs.total(USAGE), total);
  costs.forgetThread(1);
  assert.deepEqual(costs.total(USAGE), { ...total, memoryBytes: 21_000 });
  assert.equal(costs.skipped().busy_loop, 4);
  assert.equal(costs.openings().cpu, 1);
});

test("the worst breaker of all threads is the process's", () => {
  const costs = new AgentCosts();
  assert.equal(costs.breakerState, 0);
  costs.report(reportOf(0));
  costs.report(reportOf(1, { breaker: "half-open" }));
  assert.equal(costs.breakerState, 1);
  costs.report(reportOf(2, { breaker: "open" }));
  assert.equal(costs.breakerState, 2);
  assert.equal(costs.total(USAGE).breaker, "open");
  assert.equal(costs.total(USAGE).openings, undefined, "no budget was exceeded: nothing is said");
});

test("what a thread uses is more than nothing, and grows with what it keeps", () => {
  const before = ownUsage(12);
  const kept = Array.from({ length: 400_000 }, (_, index) => ({ index }));
  const after = ownUsage(12);
  assert.ok(before.memoryBytes > 4e6, `${before.memoryBytes}`);
  assert.ok(
    after.memoryBytes - before.memoryBytes > 5e6,
    `${after.memoryBytes - before.memoryBytes} for ${kept.length}`,
  );
  assert.ok(after.cpuMillis > before.cpuMillis);
  assert.equal(after.meanStackDepth, 12);
});
