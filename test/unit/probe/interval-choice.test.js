"use strict";
const assert = require("node:assert/strict");
const { test } = require("node:test");
const {
  affordableIntervalBytes,
  IntervalChoice,
  LOAD_TEST_MIN_INTERVAL_BYTES,
  MIN_INTERVAL_BYTES,
} = require("../../../dist/probe/interval-choice");

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const SAMPLE_MILLIS = 0.01;
const RATIO = 0.005;

/** Feeds windows of one second from `from` to `to`. `bytesPerSecond` is a function of the time. @returns [time, interval] pairs. */
function run(choice, state, from, to, bytesPerSecond, { isBusy = true, windowMillis = 1_000 } = {}) {
  const restarts = [];
  for (let now = from; now < to; now += windowMillis) {
    const chosen = choice.windowClosed({
      nowMillis: now,
      windowMillis,
      samples: (bytesPerSecond(now) * windowMillis) / 1_000 / state.intervalBytes,
      isBusy,
      sampleMillis: SAMPLE_MILLIS,
      affordableRatio: RATIO,
    });
    if (chosen === null) continue;
    restarts.push([now, chosen]);
    state.intervalBytes = chosen;
    choice.restarted(now, chosen);
  }
  return restarts;
}

function start(horizonMillis, intervalBytes = 65_521, isFixed = false) {
  return { choice: new IntervalChoice(horizonMillis, intervalBytes, isFixed), state: { intervalBytes } };
}

test("the first choice comes after 90 busy seconds of a day's horizon, at what the budget affords", () => {
  const { choice, state } = start(DAY);
  assert.deepEqual(
    run(choice, state, 0, HOUR, () => 50e6, { isBusy: false }),
    [],
  );
  // 500 samples a second of 10 microseconds are 0.5 % of a core.
  const restarts = run(choice, state, HOUR, 2 * HOUR, () => 50e6);
  assert.deepEqual(restarts, [[HOUR + 89_000, 100_001]]);
});

test("a restart that gains little is not made: a tenth of the cost, or a quarter more samples", () => {
  const restartsAt = (ratio) => {
    const { choice, state } = start(DAY);
    return run(choice, state, 0, 6 * HOUR, () => 65_521 * 500 * ratio).length;
  };
  assert.deepEqual([0.75, 0.85, 1.08, 1.15].map(restartsAt), [1, 0, 0, 1]);
});

test("a fixed interval is left alone", () => {
  const fixed = start(DAY, 8_191, true);
  assert.deepEqual(
    run(fixed.choice, fixed.state, 0, DAY, () => 500e6),
    [],
  );
  assert.equal(fixed.choice.coarser(0), null);
});

test("a rate that becomes ten times higher during the day is answered once, after three spans of ten minutes", () => {
  const { choice, state } = start(DAY);
  run(choice, state, 0, HOUR, () => 20e6);
  const restarts = run(choice, state, HOUR, 12 * HOUR, () => 200e6);
  assert.equal(restarts.length, 1);
  const [atMillis, interval] = restarts[0];
  assert.ok(atMillis - HOUR <= 40 * MINUTE, `${(atMillis - HOUR) / MINUTE} min`);
  assert.ok(Math.abs(interval - 400_001) < 4_000, String(interval));
});

test("a rate that is ten times higher for five minutes is not answered", () => {
  const { choice, state } = start(DAY);
  run(choice, state, 0, HOUR, () => 20e6);
  const burst = (now) => (now % (2 * HOUR) < 5 * MINUTE ? 200e6 : 20e6);
  assert.deepEqual(run(choice, state, HOUR, 12 * HOUR, burst), []);
});

test("quiet nights do not cost the day's evidence: days and nights of a week need two restarts", () => {
  const { choice, state } = start(DAY);
  const restarts = run(choice, state, 0, 7 * DAY, (now) => (now % DAY < 8 * HOUR ? 6e6 : 100e6));
  assert.equal(restarts.length, 2, JSON.stringify(restarts));
});

test("a service that stays far quieter is sampled finer, after half a horizon", () => {
  const { choice, state } = start(DAY);
  run(choice, state, 0, HOUR, () => 400e6);
  const restarts = run(choice, state, HOUR, 3 * DAY, () => 20e6);
  assert.equal(restarts.length, 1);
  assert.ok(restarts[0][0] - HOUR >= 12 * HOUR);
});

test("never more than two restarts in an hour, whatever happens", () => {
  const { choice, state } = start(30_000);
  let times = [];
  for (let from = 0; from < 3 * HOUR; from += 10_000) {
    const rate = 20e6 * 4 ** (from / HOUR);
    times = times.concat(run(choice, state, from, from + 10_000, () => rate).map(([now]) => now));
    const coarser = choice.coarser(from + 9_999);
    if (coarser === null) continue;
    choice.restarted(from + 9_999, coarser);
    state.intervalBytes = coarser;
    times.push(from + 9_999);
  }
  assert.ok(times.length >= 4);
  for (const time of times) {
    const inHour = times.filter((other) => other > time - HOUR && other <= time).length;
    assert.ok(inHour <= 2, `${inHour} restarts in the hour before ${time}`);
  }
});

test("a window in which the process stood still says nothing", () => {
  const { choice, state } = start(DAY);
  assert.deepEqual(
    run(choice, state, 0, 20 * HOUR, () => 1, { windowMillis: HOUR }),
    [],
  );
});

test("the interval is odd and stays between 16 KiB and 1 MiB", () => {
  assert.equal(affordableIntervalBytes(0, 0.01, 0.005, MIN_INTERVAL_BYTES), 16_385);
  assert.equal(affordableIntervalBytes(1e9, 0.01, 0.005, MIN_INTERVAL_BYTES), 1_048_577);
  assert.equal(affordableIntervalBytes(50_000, 0.01, 0.005, MIN_INTERVAL_BYTES), 100_001);
});

test("a service that allocates little is sampled more finely in a load test than in production", () => {
  for (const [horizonMillis, least] of [
    [30_000, LOAD_TEST_MIN_INTERVAL_BYTES],
    [DAY, MIN_INTERVAL_BYTES],
  ]) {
    const { choice, state } = start(horizonMillis);
    const [[, chosen]] = run(choice, state, 0, 2 * MINUTE, () => 100_000);
    assert.equal(chosen, least + 1);
  }
});

test("a slow machine, whose samples cost more, is sampled more coarsely", () => {
  const at = (sampleMillis) => affordableIntervalBytes(50_000, sampleMillis, 0.005, MIN_INTERVAL_BYTES);
  assert.ok(at(0.03) > 2.9 * at(0.01));
});
