/**
 * Owns the story that this project automates, at its own rates: a list of timer metrics keeps 24 B of each call, 168
 * thousand calls in four days, busy by day and idle at night; beside it a constant metrics buffer, JSON that hovers, a
 * second place that grows, and a memory level that climbs 33 MB a day for reasons of its own. After a week a build without the
 * list is deployed.
 */
"use strict";
const { SAMPLING_SHARE } = require("../../../dist/probe/governor.js");
const { affordableIntervalBytes, MIN_INTERVAL_BYTES } = require("../../../dist/probe/interval-choice.js");
const lifetimes = require("./lifetimes.js");
const { keep, pathTo } = require("./scene.js");
const { DAY, HOUR, MINUTE, SECOND, office } = require("./traffic.js");

const CALLS_PER_DAY = 168_000 / 4;
const BYTES_PER_CALL = 24;
/** The service allocates 16 MB/s by day; the default budget is half a percent of a core. */
const ALLOCATED_BYTES_PER_MILLI = 16_000;
const DEFAULT_CPU_BUDGET = 0.005;
/** 10 microseconds a sample. */
const SAMPLE_MILLIS = 0.01;
const LEVEL_BYTES_PER_DAY = 33e6;

/** @param build.isFixed without the list and what it keeps; all else stays. */
function add(scene, { isFixed }) {
  const perDay = meanPerDay(scene);
  const { rate } = scene.routes[0];
  scene.routes[0] = { name: "POST /report", rate: (millis) => (rate(millis) * CALLS_PER_DAY) / perDay };
  if (!isFixed) addTimers(scene);
  keep(scene, {
    route: null,
    path: ["flush /srv/app/src/metrics-buffer.js"],
    samplesPerDay: (5 * 1024 * 1024) / scene.intervalBytes / (2 / 24),
    sizes: [160],
    life: lifetimes.timeToLive(2 * HOUR),
  });
  keep(scene, {
    route: 1,
    path: pathTo("decodeJson", "items"),
    samplesPerDay: 2_000,
    sizes: [32, 400],
    life: lifetimes.exponentialLife(MINUTE),
  });
  const start = scene.startMillis;
  scene.otherGrowthBytes = (millis) => (LEVEL_BYTES_PER_DAY * (millis - start)) / DAY;
  if (isFixed) return null;
  return {
    route: "POST /report",
    functions: ["recordTimer"],
    bytesPerRequest: BYTES_PER_CALL + 12 * 0.75,
  };
}

function addTimers(scene) {
  const list = { route: 0, life: lifetimes.forever };
  scene.populations.push({
    ...list,
    path: pathTo("recordTimer"),
    sizes: [BYTES_PER_CALL],
    bytesPerUnit: BYTES_PER_CALL,
  });
  // The second line of the story's diff: the same calls, another 12 B each, kept by the same list.
  scene.populations.push({
    ...list,
    path: [...pathTo("recordTimer"), "makeTimer /srv/app/src/recordTimer.js"],
    sizes: [12],
    bytesPerUnit: 12 * 0.75,
  });
}

function meanPerDay(scene) {
  let sum = 0;
  for (let second = 0; second < (7 * DAY) / SECOND; second += 600) {
    sum += 600 * scene.routes[0].rate(scene.startMillis + second * SECOND);
  }
  return sum / 7;
}

const STORY = {
  name: "the story",
  add,
  isHealthy: false,
  fixedAfterHours: 168,
  options: {
    shape: office,
    intervalBytes: affordableIntervalBytes(
      ALLOCATED_BYTES_PER_MILLI,
      SAMPLE_MILLIS,
      SAMPLING_SHARE * DEFAULT_CPU_BUDGET,
      MIN_INTERVAL_BYTES,
    ),
  },
};

module.exports = { STORY };
