"use strict";
const assert = require("node:assert/strict");
const test = require("node:test");
const { LevelHistory } = require("../../../dist/detector/level-trend");
const { OutsideGrowth } = require("../../../dist/detector/outside-growth");
const { random } = require("./stream");

const HOUR = 3_600_000;
const HORIZON = 24 * HOUR;
const MB = 1_048_576;

/** Weeks of hourly readings in which one level moves as `change` says; every change of a verdict, with its hour. */
function changes(hours, change, { isUrgent = () => false, siteBytesPerHour = 0 } = {}) {
  const growth = new OutsideGrowth(HORIZON);
  const history = new LevelHistory();
  const seen = [];
  for (let hour = 0; hour <= hours; hour++) {
    const reading = {
      postGcHeapBytes: 200 * MB,
      heapLimitBytes: 2_000 * MB,
      heapTotalBytes: 260 * MB,
      externalBytes: 30 * MB,
      arrayBuffersBytes: 20 * MB,
      moduleCount: 900,
      openFileCount: 60,
      cgroupBytes: null,
      cgroupLimitBytes: null,
      ...change(hour),
    };
    reading.rssBytes ??= reading.heapTotalBytes + reading.externalBytes + 50 * MB;
    history.add(hour * HOUR, reading);
    const look = { nowMillis: hour * HOUR, originMillis: 0, isUrgent: isUrgent(hour), siteBytesPerHour };
    for (const {
      reading: { signal },
      verdict,
    } of growth.look(history, look))
      seen.push([hour, signal, verdict]);
  }
  return seen;
}

const verdicts = (seen, signal) => seen.filter(([, name]) => name === signal).map(([, , verdict]) => verdict);
const alarms = (seen) => seen.filter(([, , verdict]) => verdict === "leak" || verdict === "urgent");
const buffers = (megabytes) => ({ arrayBuffersBytes: (20 + megabytes) * MB, externalBytes: (30 + megabytes) * MB });

test("Buffers that are kept are watched after two horizons, a leak after four, and explain the growth of RSS", () => {
  const seen = changes(7 * 24, (hour) => buffers(2 * hour));
  assert.deepEqual(verdicts(seen, "array-buffers"), ["watch", "leak"]);
  assert.deepEqual([...new Set(seen.map(([, signal]) => signal))], ["array-buffers"]);
  const [watch, leak] = seen.map(([hour]) => hour);
  assert.ok(watch >= 24 && watch <= 49, `${watch} h`);
  assert.ok(leak >= 95 && leak <= 98, `${leak} h`);
});

test("sockets, modules, native memory: each by its own signal", () => {
  assert.deepEqual(
    alarms(changes(168, (hour) => ({ openFileCount: 60 + 3 * hour }))).map(([, s]) => s),
    ["open-files"],
  );
  assert.deepEqual(
    alarms(changes(168, (hour) => ({ moduleCount: 900 + 5 * hour }))).map(([, s]) => s),
    ["modules"],
  );
  assert.deepEqual(
    alarms(changes(168, (hour) => ({ rssBytes: (400 + 3 * hour) * MB }))).map(([, s]) => s),
    ["native"],
  );
});

for (const [what, change] of [
  [
    "a level that is flat with noise",
    (_hour, rnd) => ({
      ...buffers(40 * rnd()),
      rssBytes: (400 + 40 * rnd()) * MB,
      openFileCount: 60 + Math.round(40 * rnd()),
    }),
  ],
  [
    "a plateau after start-up",
    (hour) => ({ ...buffers(Math.min(200, 60 * hour)), rssBytes: (400 + Math.min(300, 50 * hour)) * MB }),
  ],
  ["fragmentation that flattens", (hour) => ({ rssBytes: (400 + 200 * (1 - Math.exp(-hour / 20))) * MB })],
  ["a pool of Buffers that fills for a day", (hour) => buffers(Math.min(240, 10 * hour))],
  [
    "connections that follow the day",
    (hour) => ({ openFileCount: 60 + Math.round(400 * Math.max(0, Math.sin((hour * Math.PI) / 12))) }),
  ],
  ["lazily loaded modules", (hour) => ({ moduleCount: 900 + Math.round(300 * (1 - Math.exp(-hour / 10))) })],
  ["a weekly batch", (hour) => buffers(hour % 168 < 4 ? 400 : 0)],
  [
    "an LRU of Buffers with large entries that come and go",
    (hour, rnd) => buffers(300 * rnd() * Math.min(1, hour / 12)),
  ],
]) {
  test(`healthy: ${what} does not alarm`, () => {
    const rnd = random(11);
    assert.deepEqual(alarms(changes(14 * 24, (hour) => change(hour, rnd))), []);
  });
}

test("growth that stops is withdrawn", () => {
  const seen = changes(14 * 24, (hour) => buffers(2 * Math.min(hour, 120)));
  assert.deepEqual(verdicts(seen, "array-buffers"), ["watch", "leak", "retracted"]);
});

test("a heap that no site explains is told only when it is urgent, and not when a site explains it", () => {
  const heap = (hour) => ({ postGcHeapBytes: (200 + 4 * hour) * MB });
  assert.deepEqual(changes(168, heap), []);
  const late = { isUrgent: (hour) => hour > 100 };
  assert.deepEqual(verdicts(changes(168, heap, late), "heap"), ["urgent"]);
  assert.deepEqual(changes(168, heap, { ...late, siteBytesPerHour: 3.9 * MB }), []);
});

test("what drives the level to its limit is urgent, what only grows beside it is not", () => {
  const seen = changes(168, (hour) => ({ ...buffers(8 * hour), openFileCount: 60 + hour }), {
    isUrgent: (hour) => hour > 60,
  });
  assert.ok(verdicts(seen, "array-buffers").includes("urgent"));
  assert.ok(!verdicts(seen, "open-files").includes("urgent"));
});

test("a level that makes half of the growth of RSS, a little more or less, is not urgent anew at each look", () => {
  const rnd = random(3);
  const seen = changes(168, (hour) => ({ ...buffers(8 * hour), rssBytes: (340 + 16 * hour + 60 * rnd()) * MB }), {
    isUrgent: (hour) => hour > 60,
  }).filter(([, signal]) => signal === "array-buffers");
  assert.ok(verdicts(seen, "array-buffers").includes("urgent"));
  for (const [index, [hour, , verdict]] of seen.entries()) {
    const [before, , previous] = seen[index - 1] ?? [];
    if (previous === "urgent") assert.ok(hour - before >= 8, `${verdict} after ${hour - before} h`);
  }
});

test("what is no longer urgent is what it was before, a third of the horizon later", () => {
  const isUrgent = (hour) => hour > 120 && hour < 140;
  const seen = changes(168, (hour) => buffers(8 * hour), { isUrgent });
  assert.deepEqual(verdicts(seen, "array-buffers"), ["watch", "leak", "urgent", "leak"]);
  assert.deepEqual(
    seen.slice(2).map(([hour]) => hour),
    [121, 148],
  );
});
