"use strict";
const assert = require("node:assert/strict");
const { PerformanceObserver, constants } = require("node:perf_hooks");
const { test } = require("node:test");
const native = require("../../../dist/native.js");
const { allocate, collect, collectGarbage } = require("./garbage.js");

const { addon } = native.loadNative();
const counters = addon.gcCounters;

test("a full collection counts as a mark-compact, with its pause and the heap after it", async () => {
  await collectGarbage();
  const kept = allocate(20_000_000);
  const majorsBefore = counters[native.GC_MAJOR_COUNT];
  const pauseBefore = counters[native.GC_MAJOR_PAUSE_NANOS];
  const start = process.hrtime.bigint();
  collect();
  const elapsed = Number(process.hrtime.bigint() - start);
  const majors = counters[native.GC_MAJOR_COUNT] - majorsBefore;
  // Two when V8 was marking already: it ends that cycle first.
  assert.ok(majors === 1 || majors === 2, `${majors} mark-compacts`);
  const pause = counters[native.GC_MAJOR_PAUSE_NANOS] - pauseBefore;
  assert.ok(pause > 0 && pause <= elapsed, `${pause} of ${elapsed} ns`);
  const withKept = counters[native.GC_POST_MAJOR_HEAP_BYTES];
  kept.length = 0;
  await collectGarbage();
  const freed = withKept - counters[native.GC_POST_MAJOR_HEAP_BYTES];
  assert.ok(freed > 18_000_000 && freed < 23_000_000, `${freed} bytes fewer`);
});

test("mark-compacts and scavenges are counted as perf_hooks counts them", async () => {
  const seen = { major: 0, minor: 0 };
  const observer = new PerformanceObserver((list) => {
    for (const { detail } of list.getEntries()) {
      if (detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR) seen.major++;
      if (detail.kind === constants.NODE_PERFORMANCE_GC_MINOR) seen.minor++;
    }
  });
  const nextTurn = () => new Promise((resolve) => setTimeout(resolve, 1));
  await collectGarbage();
  await nextTurn();
  observer.observe({ entryTypes: ["gc"] });
  const minorsBefore = counters[native.GC_MINOR_COUNT];
  const majorsBefore = counters[native.GC_MAJOR_COUNT];
  const ring = new Array(100);
  for (let i = 0; i < 2_000_000; i++) ring[i % 100] = { i, text: `short-lived ${i}` };
  collect();
  const minors = counters[native.GC_MINOR_COUNT] - minorsBefore;
  const majors = counters[native.GC_MAJOR_COUNT] - majorsBefore;
  while (seen.major + seen.minor < majors + minors) await nextTurn();
  observer.disconnect();
  assert.deepEqual(seen, { major: majors, minor: minors });
  assert.ok(minors > 0 && majors > 0, `${minors} minor, ${majors} major`);
  assert.ok(counters[native.GC_MINOR_PAUSE_NANOS] > 0);
});

test("requestMajorGc leads to a mark-compact", async () => {
  await collectGarbage();
  const before = counters[native.GC_MAJOR_COUNT];
  addon.requestMajorGc();
  while (counters[native.GC_MAJOR_COUNT] === before) {
    allocate(1_000_000);
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.ok(counters[native.GC_MAJOR_COUNT] > before);
});
