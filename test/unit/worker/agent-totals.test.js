"use strict";
const assert = require("node:assert/strict");
const test = require("node:test");
const { AgentTotals } = require("../../../dist/worker/agent-totals.js");
const { report } = require("./probe-messages.js");

function counted(thread, samples) {
  const made = report({ thread, gc: { majorCount: samples, majorPauseNanos: samples } });
  return { ...made, counts: { ...made.counts, samples, ringOverflows: samples } };
}

/** How many threads' numbers it holds. */
function threadCounts(totals) {
  return [totals.samples, totals.gcs, ...totals.drops.values()].map(({ last }) => last.size);
}

test("of a thread that has ended nothing is kept but what it added to the totals", () => {
  const totals = new AgentTotals();
  for (let thread = 1; thread <= 1_000; thread++) {
    totals.report(counted(thread, 3));
    totals.forgetThread(thread);
  }
  assert.equal(totals.sampleCount, 3_000);
  assert.equal(new Map(totals.droppedCounts()).get("label_ring"), 3_000);
  assert.deepEqual(new Set(threadCounts(totals)), new Set([0]));
  assert.ok(totals.ended.size <= 256);
});

test("a report that comes after its thread's goodbye counts nothing twice", () => {
  const totals = new AgentTotals();
  totals.report(counted(1, 3));
  totals.forgetThread(1);
  totals.report(counted(1, 3));
  assert.equal(totals.sampleCount, 3);
  assert.deepEqual(totals.threads(), []);
});
