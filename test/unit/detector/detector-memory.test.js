"use strict";
const assert = require("node:assert/strict");
const test = require("node:test");
const { DetectorMemory } = require("../../../dist/detector/detector-memory");

const LEVEL = {
  postGcHeapBytes: 20e6,
  heapLimitBytes: 2e9,
  externalBytes: 1e6,
  rssBytes: 60e6,
  cgroupBytes: null,
  cgroupLimitBytes: null,
};

function memoryThat(...steps) {
  const memory = new DetectorMemory({ horizonMillis: 30_000, windowMillis: 250, applicationRoot: "/srv/app" });
  steps.forEach((step, index) => {
    memory.takeIn({
      timeMillis: (index + 1) * 1_000,
      epoch: 1,
      intervalBytes: 32_769,
      requestedGcCount: 0,
      level: LEVEL,
      liveSampleCount: 0,
      liveBytes: 0,
      labelledRatio: null,
      ...step,
    });
  });
  return memory;
}

test("the mark-compacts of a thread that has ended are forgotten", () => {
  const threads = Array.from({ length: 100 }, (_, index) => index + 1);
  const memory = memoryThat(
    { thread: 0, majorGcCount: 7 },
    ...threads.flatMap((thread) => [
      { thread, majorGcCount: 3 },
      { thread, majorGcCount: 3, restarted: true },
    ]),
  );
  assert.equal(memory.gcs.size, 1);
  assert.equal(memory.majorGcCount(0), 7);
});

test("a thread whose sampler began anew has decided births again after two mark-compacts", () => {
  const begun = [
    { thread: 5, majorGcCount: 9 },
    { thread: 5, majorGcCount: 9, restarted: true },
    { thread: 5, majorGcCount: 9 },
  ];
  assert.equal(memoryThat(...begun, { thread: 5, majorGcCount: 10 }).decidableMillis(5), 0);
  assert.equal(memoryThat(...begun, { thread: 5, majorGcCount: 11 }).decidableMillis(5), 3_000);
});
