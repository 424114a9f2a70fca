"use strict";
const assert = require("node:assert/strict");
const { test } = require("node:test");
const { LevelTally } = require("../../../dist/cli/level-tally");

const MINUTE = 60_000;

function reading(megabytes, heapLimitBytes = null) {
  return {
    postGcHeapBytes: megabytes === null ? null : megabytes * 1e6,
    externalBytes: 0,
    rssBytes: 1e9,
    heapLimitBytes,
    cgroupBytes: null,
    cgroupLimitBytes: null,
  };
}

test("the last level is that of the last capture, however long the life; the trend is that of all", () => {
  const tally = new LevelTally();
  for (let minute = 0; minute < 5_003; minute++) tally.add(minute * MINUTE, reading(100 + minute / 60, 1e9));
  tally.add(5_003 * MINUTE, reading(250, 2e9));
  const heap = tally.rows().find((row) => row.name === "heap after GC");
  assert.deepEqual([heap.firstBytes, heap.lastBytes, heap.limitBytes], [100e6, 250e6, 2e9]);
  assert.ok(Math.abs(heap.trend.bytesPerHour - 1e6) < 1e3, JSON.stringify(heap.trend));
});

test("a last capture that read no level leaves the one before; without any there is no row", () => {
  const tally = new LevelTally();
  assert.deepEqual(tally.rows(), []);
  tally.add(0, reading(100));
  tally.add(MINUTE, reading(120));
  tally.add(2 * MINUTE, reading(null));
  const heap = tally.rows().find((row) => row.name === "heap after GC");
  assert.deepEqual([heap.firstBytes, heap.lastBytes], [100e6, 120e6]);
  assert.deepEqual(
    tally.rows().map((row) => row.name),
    ["heap after GC", "external", "RSS"],
  );
});
