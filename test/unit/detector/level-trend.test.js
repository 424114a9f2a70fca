"use strict";
const assert = require("node:assert/strict");
const test = require("node:test");
const { growthThatReaches } = require("../../../dist/detector/forecast");
const { headroomOf, LevelHistory } = require("../../../dist/detector/level-trend");

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const MB = 1e6;

function reading(heapMb, limitMb = 1_000) {
  return {
    postGcHeapBytes: heapMb * MB,
    heapLimitBytes: limitMb * MB,
    externalBytes: 0,
    rssBytes: heapMb * MB,
    cgroupBytes: null,
    cgroupLimitBytes: null,
  };
}

/** So many hours at one reading a minute: a history that has been thinned. */
function levels(hours, heapMb) {
  const history = new LevelHistory();
  for (let minute = 0; minute <= hours * 60; minute++) history.add(minute * MINUTE, reading(heapMb(minute / 60)));
  return history;
}

test("the latest reading is the last one taken, however few are kept", () => {
  const history = levels(30 * 24, () => 100);
  const { times } = history.series(({ rssBytes }) => rssBytes, 0);
  assert.ok(times.length <= 512 && times.at(-1) - times.at(-2) > HOUR, "it is thinned");
  history.add(30 * 24 * HOUR + MINUTE, reading(800));
  assert.equal(history.latest().rssBytes, 800 * MB);
  assert.equal(headroomOf(history.latest()).bytes, 100 * MB);
  assert.equal(
    history.series(({ rssBytes }) => rssBytes, 0).times.length,
    times.length,
    "what is kept is spaced as before",
  );
});

test("half of the room at the start is reckoned from the level that the headroom is of", () => {
  const days = 20;
  // From 100 MB to 480 MB of 900, ever faster: less than half of the room is gone.
  const history = levels(days * 24, (hour) => 100 + 380 * (hour / (days * 24)) ** 3);
  const now = days * 24 * HOUR + MINUTE;
  assert.equal(growthThatReaches(history, 0, now, days * 24 * HOUR), null);
  history.add(now, reading(510)); // Too soon after the last one to be kept.
  assert.notEqual(growthThatReaches(history, 0, now, days * 24 * HOUR), null);
});
