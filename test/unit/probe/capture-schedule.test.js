"use strict";
const assert = require("node:assert/strict");
const { test } = require("node:test");
const { birthWindowMillis, CaptureSchedule, GcRequests } = require("../../../dist/probe/capture-schedule");

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

function schedule(options = {}) {
  return new CaptureSchedule({
    horizonMillis: 30_000,
    pauseBudgetMillisPerMinute: 20,
    minimumSpacingMillis: 0,
    startMillis: 0,
    ...options,
  });
}

/** Runs a clock of one tick per window; every capture takes `pauseMillis`. @returns the times of the captures. */
function run(plan, untilMillis, { pauseMillis = 1, nodes = 1_000, utilisation = () => 0.1, stepMillis = 250 } = {}) {
  const times = [];
  for (let now = stepMillis; now <= untilMillis; now += stepMillis) {
    if (plan.decide(now, utilisation(now)) !== "capture") continue;
    times.push(now);
    plan.captured(now, pauseMillis, nodes);
  }
  return times;
}

test("birth windows follow the horizon between a quarter of a second and a second", () => {
  assert.equal(birthWindowMillis(30_000), 250);
  assert.equal(birthWindowMillis(60_000), 500);
  assert.equal(birthWindowMillis(DAY), 1_000);
});

test("the first captures come early, the others at a twentieth of the horizon", () => {
  const times = run(schedule({ horizonMillis: 200_000 }), MINUTE, { pauseMillis: 0.1 });
  assert.deepEqual(times, [1_000, 2_000, 4_000, 8_000, 16_000, 26_000, 36_000, 46_000, 56_000]);
});

test("a day's horizon captures every ten minutes", () => {
  const times = run(schedule({ horizonMillis: DAY }), 60 * MINUTE, { stepMillis: 1_000 });
  assert.deepEqual(times.slice(-3), [2_224_000, 2_824_000, 3_424_000]);
});

test("the engine's own spacing wins where it is longer", () => {
  const times = run(schedule({ minimumSpacingMillis: 10 * MINUTE }), 11 * MINUTE);
  assert.deepEqual(times, [1_000, 601_000]);
});

test("pauses stay within the budget over an hour, whatever one of them takes", () => {
  for (const pauseMillis of [0.2, 3, 12, 90]) {
    const plan = schedule();
    const times = run(plan, 60 * MINUTE, { pauseMillis });
    const spent = times.length * pauseMillis;
    // One bucket to begin with, one pause that is paid off afterwards, and the first one, which is not believed.
    assert.ok(spent <= 61 * 20 + 2 * pauseMillis, `${pauseMillis} ms: ${spent} ms spent`);
    assert.ok(
      times.length >= Math.min(2_000, (60 * 20 * 0.8) / pauseMillis),
      `${pauseMillis} ms: ${times.length} captures`,
    );
  }
});

test("no minute has more than its budget, the first one included; in a load test that one may have twice", () => {
  for (const pauseMillis of [1.5, 4, 6]) {
    for (const horizonMillis of [10 * MINUTE, DAY]) {
      const times = run(schedule({ horizonMillis }), 10 * MINUTE, { pauseMillis });
      const worst = Math.max(...times.map((first) => times.filter((at) => at >= first && at < first + MINUTE).length));
      assert.ok(worst * pauseMillis <= 20, `${worst} captures of ${pauseMillis} ms in a minute`);
      assert.ok(times.length >= 3, `${times.length} captures of ${pauseMillis} ms`);
    }
    const first = run(schedule(), MINUTE, { pauseMillis }).length * pauseMillis;
    assert.ok(first > 20 && first <= 40, `${first} ms in the first minute of a load test`);
  }
});

test("a saturated event loop is left alone, and the wait is counted once per capture", () => {
  const plan = schedule();
  const times = run(plan, 20_000, {
    pauseMillis: 0.1,
    utilisation: (now) => (now > 5_000 && now < 10_000 ? 0.95 : 0.2),
  });
  assert.ok(times.every((time) => time <= 5_000 || time >= 10_000));
  assert.ok(times.some((time) => time >= 10_000));
  assert.equal(plan.skippedCount, 1);
  assert.deepEqual(plan.skipped, { pause_budget: 0, busy_loop: 1, worker_behind: 0, breaker: 0 });
});

test("a loop that stays saturated is captured now and then, within the pause budget", () => {
  const times = run(schedule(), 10 * MINUTE, { pauseMillis: 1, utilisation: () => 1 });
  const gaps = times.slice(4).map((time, index) => time - times[index + 3]);
  // Planned every 1.5 s; each waits four times that.
  assert.ok(gaps.length > 60, `${gaps.length} captures`);
  assert.ok(Math.min(...gaps) >= 6_000 && Math.max(...gaps) <= 10_000, `${Math.min(...gaps)}-${Math.max(...gaps)} ms`);
  const dear = run(schedule(), 60 * MINUTE, { pauseMillis: 30, utilisation: () => 1 });
  assert.ok(dear.length * 30 <= 61 * 20 + 30, `${dear.length} captures of 30 ms in an hour`);
});

test("what forbids a capture is counted by its reason, and a spacing factor stretches the pace", () => {
  const plan = schedule({ horizonMillis: 200_000 });
  for (let now = 1_000; now < 3_000; now += 250) assert.equal(plan.decide(now, 0.1, "worker_behind"), "worker_behind");
  assert.equal(plan.decide(3_000, 0.1, null), "capture");
  plan.captured(3_000, 0.1, 100);
  assert.deepEqual(plan.skipped, { pause_budget: 0, busy_loop: 0, worker_behind: 1, breaker: 0 });
  plan.spacingFactor = 4;
  const times = run(plan, 200_000, { pauseMillis: 0.1 });
  assert.deepEqual(
    times.slice(-2).map((time, _index, all) => time - all[0]),
    [0, 40_000],
  );
});

test("the pause is predicted from the size of the tree", () => {
  const plan = schedule();
  plan.captured(0, 2, 1_000);
  assert.ok(Math.abs(plan.predictedPauseMillis - 1_000 * (0.001 + 0.3 * (0.002 - 0.001))) < 1e-9);
  for (let i = 0; i < 40; i++) plan.captured(0, 8, 2_000);
  assert.ok(Math.abs(plan.predictedPauseMillis - 8) < 0.01);
});

test("one preempted capture does not stop the next ones", () => {
  const plan = schedule();
  plan.captured(0, 60, 1_000);
  assert.ok(plan.predictedPauseMillis < 3, `${plan.predictedPauseMillis} ms predicted`);
});

test("a pause that the machine made long blinds no load test for minutes, and is paid off where it comes again", () => {
  const plan = schedule();
  const longFrom = [60_000, 120_000];
  const gaps = [];
  let longMillis = null;
  for (let now = 250; now <= 10 * MINUTE; now += 250) {
    if (plan.decide(now, 0.1) !== "capture") continue;
    if (longMillis !== null) gaps.push(now - longMillis);
    longMillis = now >= longFrom[0] ? now : null;
    if (longMillis !== null) longFrom.shift();
    plan.captured(now, longMillis === null ? 0.5 : 80, 1_000);
  }
  const [first, second] = gaps;
  assert.ok(first <= 10_000, `${first} ms until the capture after the first one`);
  assert.ok(second > MINUTE, `${second} ms until the capture after the second one`);
});

test("a mark-compact is asked for only in load tests, under traffic, and where V8 had none of its own", () => {
  const production = new GcRequests(DAY, 0);
  assert.equal(production.isDue(DAY * 2, 0, 1_000), false);
  const load = new GcRequests(30_000, 0);
  assert.equal(load.isDue(2_999, 0, 10), false);
  assert.equal(load.isDue(3_000, 0, 0), true, "requests since the last one count");
  assert.equal(load.isDue(6_100, 0, 0), false, "no traffic");
  assert.equal(load.isDue(6_200, 1, 10), false, "a natural one starts the time anew");
  assert.equal(load.isDue(9_100, 1, 10), false);
  assert.equal(load.isDue(9_200, 1, 0), true);
});

test("a sampler that starts anew owes nothing for the old one's tree", () => {
  const plan = schedule();
  assert.equal(plan.decide(1_000, 0.1), "capture");
  plan.captured(1_000, 300, 10);
  plan.captured(2_000, 300, 10);
  assert.equal(plan.decide(60_000, 0.1), "pause_budget");
  plan.restarted(60_000);
  assert.equal(plan.decide(61_000, 0.1), "capture");
});
