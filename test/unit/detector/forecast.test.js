"use strict";
const assert = require("node:assert/strict");
const test = require("node:test");
const { firstPassage, forecastLevel, growthThatReaches, Urgency } = require("../../../dist/detector/forecast");
const { LevelHistory } = require("../../../dist/detector/level-trend");
const { random } = require("./stream");

const HOUR = 3_600_000;
const HORIZON = 24 * HOUR;
const MB = 1e6;

/** A history of readings every `everyHours`, by functions of the hour. */
function levels(
  hours,
  heapMb,
  { limitMb = 1_000, cgroupMb = null, cgroupLimitMb = null, everyHours = 0.5, limitAt } = {},
) {
  const history = new LevelHistory();
  for (let hour = 0; hour <= hours; hour += everyHours) {
    history.add(hour * HOUR, {
      postGcHeapBytes: heapMb(hour) * MB,
      heapLimitBytes: (limitAt?.(hour) ?? limitMb) * MB,
      externalBytes: 0,
      rssBytes: heapMb(hour) * MB,
      cgroupBytes: cgroupMb === null ? null : cgroupMb(hour) * MB,
      cgroupLimitBytes: cgroupLimitMb === null ? null : cgroupLimitMb * MB,
    });
  }
  return history;
}

test("steady growth reaches the heap limit when its slope says so", () => {
  const forecast = forecastLevel(
    levels(48, (hour) => 100 + 5 * hour),
    0,
  );
  assert.equal(forecast.limit, "heap");
  assert.equal(forecast.headroomBytes, (900 - 340) * MB);
  for (const hours of [forecast.hoursP10, forecast.hoursP50, forecast.hoursP90])
    assert.ok(Math.abs(hours - 112) < 3, `${hours} h`);
});

test("the limit that is met first is the one that counts, not the one with less room", () => {
  const history = levels(48, (hour) => 100 + 5 * hour, {
    limitMb: 500,
    cgroupMb: (hour) => 200 + 20 * hour,
    cgroupLimitMb: 1_500,
  });
  const forecast = forecastLevel(history, 0);
  assert.equal(forecast.limit, "cgroup");
  assert.ok(Math.abs(forecast.hoursP50 - 17) < 2, `${forecast.hoursP50} h`);
});

test("noise widens the forecast around the truth; growth by day only is drawn in whole days", () => {
  const rnd = random(3);
  const noisy = forecastLevel(
    levels(72, (hour) => 100 + 3 * hour + 20 * (rnd() - 0.5)),
    0,
  );
  assert.ok(noisy.hoursP10 < noisy.hoursP50 && noisy.hoursP50 < noisy.hoursP90);
  assert.ok(Math.abs(noisy.hoursP50 - 195) < 25, `${noisy.hoursP50} h`);
  const byDay = (hour) => 100 + 4 * (12 * Math.floor(hour / 24) + Math.min(12, hour % 24));
  const daily = forecastLevel(levels(8 * 24, byDay), 0);
  const left = (900 - byDay(8 * 24)) / 48;
  assert.ok(Math.abs(daily.hoursP50 - 24 * left) < 30, `${daily.hoursP50} h against ${24 * left} h`);
});

test("a level that does not grow has no forecast, and few readings have none", () => {
  const rnd = random(5);
  const flat = forecastLevel(
    levels(72, () => 300 + 10 * rnd()),
    0,
  );
  assert.deepEqual([flat.hoursP10, flat.hoursP50, flat.hoursP90], [null, null, null]);
  assert.equal(firstPassage({ times: [0, 1, 2], values: [1, 2, 3] }, 10), null);
});

const soon = (history, hours, horizon = HORIZON) => growthThatReaches(history, 0, hours * HOUR, horizon) !== null;

test("urgent: the limit is near in time, half of the room is used, and growth does not flatten", () => {
  const steady = (hour) => 100 + 12 * hour;
  assert.equal(soon(levels(48, steady), 48), true);
  assert.equal(soon(levels(26, steady), 26), false, "37 hours are left");
  const flattening = (hour) => 100 + 640 * (1 - Math.exp(-hour / 12));
  assert.equal(soon(levels(48, flattening), 48), false);
  const warmUp = (hour) => Math.min(700, 100 + 300 * hour);
  for (const hours of [3, 6, 12, 24, 30]) assert.equal(soon(levels(hours, warmUp), hours), false, `${hours} h`);
});

test("urgent comes before a whole horizon has passed when the end does", () => {
  assert.equal(
    soon(
      levels(6.5, (hour) => 100 + 80 * hour, { everyHours: 0.1 }),
      6.5,
    ),
    true,
  );
  assert.equal(
    soon(
      levels(4, (hour) => 100 + 150 * hour, { everyHours: 0.1 }),
      4,
    ),
    false,
    "nothing is known so early",
  );
});

test("a heap limit that is raised makes room again", () => {
  const steady = (hour) => 100 + 12 * hour;
  assert.equal(soon(levels(60, steady, { limitAt: (hour) => (hour < 50 ? 1_000 : 4_000) }), 60), false);
});

test("a thread's own heap limit counts, not the sum of all threads against the main thread's", () => {
  const history = new LevelHistory();
  for (let hour = 0; hour <= 48; hour++) {
    history.add(hour * HOUR, {
      postGcHeapBytes: 950 * MB,
      heapLimitBytes: 1_000 * MB,
      fullestHeapBytes: (50 + hour) * MB,
      fullestHeapLimitBytes: 400 * MB,
      externalBytes: 0,
      rssBytes: 0,
      cgroupBytes: null,
      cgroupLimitBytes: null,
    });
  }
  const forecast = forecastLevel(history, 0);
  assert.equal(forecast.headroomBytes, (360 - 98) * MB);
  assert.ok(Math.abs(forecast.hoursP50 - 262) < 5, `${forecast.hoursP50} h`);
});

test("the room ends where the old generation does: --max-old-space-size=512 on Node 24", () => {
  const history = new LevelHistory();
  for (let hour = 0; hour <= 40; hour++) {
    history.add(hour * HOUR, {
      postGcHeapBytes: (50 + 10 * hour) * MB,
      heapLimitBytes: 704 * MB,
      fullestHeapLimitBytes: 704 * MB,
      fullestOldGenerationLimitBytes: 512 * MB,
      externalBytes: 0,
      rssBytes: 0,
      cgroupBytes: null,
      cgroupLimitBytes: null,
    });
  }
  assert.equal(forecastLevel(history, 0).headroomBytes, Math.round((0.9 * 512 - 450) * MB));
  assert.notEqual(growthThatReaches(history, 0, 40 * HOUR, HORIZON), null);
});

test("one look neither wakes nor calms anybody", () => {
  const urgency = new Urgency(HORIZON);
  const steady = levels(48, (hour) => 100 + 12 * hour);
  assert.equal(urgency.look(steady, 0, 48 * HOUR), false);
  assert.equal(urgency.look(steady, 0, 49.1 * HOUR), true);
  const flat = levels(50, () => 100);
  assert.equal(urgency.look(flat, 0, 50 * HOUR), true);
  assert.equal(urgency.look(flat, 0, 59 * HOUR), false);
});

test("what the agent's own records add to the heap is told, and is not growth of the service", () => {
  const { explainedBy } = require("../../../dist/detector/level-trend");
  const history = new LevelHistory();
  for (let hour = 0; hour <= 48; hour++) {
    history.add(hour * HOUR, {
      postGcHeapBytes: (100 + 5 * hour) * MB,
      agentBytes: 2 * hour * MB,
      heapLimitBytes: 1_000 * MB,
      externalBytes: 0,
      rssBytes: (300 + 8 * hour) * MB,
      cgroupBytes: null,
      cgroupLimitBytes: null,
    });
  }
  const explained = explainedBy(3 * MB, history, 0);
  assert.ok(Math.abs(explained.heapGrowthRatio - 1) < 1e-6);
  assert.ok(Math.abs(explained.rssGrowthRatio - 0.5) < 1e-6);
  assert.ok(Math.abs(explained.agentBytesPerHour - 2 * MB) < 1);
  assert.ok(explained.unexplainedBytesPerHour < 1);
});
