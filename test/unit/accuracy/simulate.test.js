"use strict";
const assert = require("node:assert/strict");
const { describe, it } = require("node:test");
const SIMULATE = "../../../benchmarks/accuracy/simulate";
const lifetimes = require(`${SIMULATE}/lifetimes.js`);
const { Random } = require(`${SIMULATE}/random.js`);
const { run } = require(`${SIMULATE}/run.js`);
const { keep, pathTo } = require(`${SIMULATE}/scene.js`);
const { SimulatedLife, inclusion } = require(`${SIMULATE}/service.js`);
const { summarizeFamily } = require(`${SIMULATE}/summary.js`);
const { DAY, HOUR, MINUTE, MONDAY, office, steady } = require(`${SIMULATE}/traffic.js`);

const INTERVAL_BYTES = 65_537;

function sceneOf(add, { traffic = steady, days = 2 } = {}) {
  const scene = {
    startMillis: MONDAY,
    endMillis: MONDAY + days * DAY,
    intervalBytes: INTERVAL_BYTES,
    horizonMillis: DAY,
    captureMillis: 10 * MINUTE,
    gcMillis: 5 * MINUTE,
    baseHeapBytes: 50e6,
    heapLimitBytes: () => 2e9,
    routes: [{ name: "GET /a", rate: (millis) => 2 * traffic(millis) }],
    populations: [],
    containers: [],
    random: new Random(7),
    traffic,
  };
  add(scene);
  return scene;
}

const kept =
  (life, samplesPerDay = 800) =>
  (scene) =>
    keep(scene, { route: 0, path: pathTo("keepIt"), samplesPerDay, sizes: [48, 900, 20_000], life });

function last(scene) {
  let shown = null;
  for (const captured of new SimulatedLife(scene, new Random(3)).captures()) shown = captured;
  return shown;
}

describe("a simulated life", () => {
  it("samples objects as V8 does: the bytes estimated from samples are those that were kept", () => {
    const scene = sceneOf(kept(lifetimes.forever));
    const { capture } = last(scene);
    const bytes = [...capture.sizesBytes].reduce((sum, size) => sum + size / inclusion(size, INTERVAL_BYTES), 0);
    const truth = scene.populations[0].bytesPerUnit * 2 * 86_400 * 2;
    assert.ok(Math.abs(bytes / truth - 1) < 5 / Math.sqrt(capture.sampleCount), `${bytes} of ${truth}`);
  });

  it("frees what has expired at the next mark-compact, and nothing else", () => {
    const perHour = 800 / 24;
    const { capture } = last(sceneOf(kept(lifetimes.timeToLive(3 * HOUR, MINUTE))));
    assert.ok(Math.abs(capture.sampleCount - 3 * perHour) < 5 * Math.sqrt(3 * perHour), `${capture.sampleCount}`);
  });

  it("gives ordinals in order of allocation, windows that cover them, and mark-compacts that follow the traffic", () => {
    const gcsByHour = new Array(24).fill(0);
    let before = 0;
    let covered = 0;
    for (const { report, capture } of new SimulatedLife(
      sceneOf(kept(lifetimes.forever), { traffic: office, days: 1 }),
      new Random(3),
    ).captures()) {
      for (let at = 0; at < report.windows.length; at += 3) {
        assert.ok(report.windows[at + 1] > covered);
        covered = report.windows[at + 1];
      }
      assert.ok(capture.ordinals.every((ordinal) => ordinal <= covered));
      gcsByHour[Math.floor((report.timeMillis - 1 - MONDAY) / HOUR)] += report.gc.majorCount - before;
      before = report.gc.majorCount;
    }
    assert.ok(gcsByHour[14] >= 8 && gcsByHour[2] <= 1, gcsByHour.join());
  });
});

describe("a simulated run", () => {
  it("is the same for the same seed, and another for another", () => {
    const of = (seed) => {
      const { detectorMillis: _a, totalMillis: _b, ...result } = run({ family: "timers", seed, weeks: 1 });
      return result;
    };
    assert.deepEqual(of(5), of(5));
    assert.notDeepEqual(of(5).leakHours, of(6).leakHours);
  });

  it("finds a leak at its site with the truth stated, and counts an alarm of a healthy service as false", () => {
    const leak = run({ family: "closures", seed: 3, weeks: 1 });
    assert.ok(leak.leakHours > leak.watchHours, JSON.stringify(leak));
    assert.equal(typeof leak.interval.covers, "boolean");
    const slow = run({ family: "ttl 7 d", seed: 1, weeks: 1 });
    const { falseByImpact, weeks } = summarizeFamily({ name: "ttl 7 d", isHealthy: true, fills: "slow" }, [slow]);
    assert.equal(weeks, 1);
    assert.equal(falseByImpact.material + falseByImpact.critical + falseByImpact.minor, slow.wrong.length);
    assert.ok(slow.wrong.length > 0);
  });

  it("restarts every night: lives find the leak together, once, and the build without it is told as fixed", () => {
    const result = run({ family: "restarts until fixed", seed: 5002, weeks: 2 });
    assert.ok(result.leakHours > 48 && result.leakHours < result.fixedHours, JSON.stringify(result));
    assert.deepEqual([result.alarms.length, result.wrong.length, result.standing], [1, 0, 0]);
    assert.equal(result.fix.verdict, "fixed");
    assert.ok(result.fix.hours > 0 && result.fix.hours < 7 * 24, `${result.fix.hours}`);
    const { fixes } = summarizeFamily({ name: "", isHealthy: false }, [result]);
    assert.deepEqual(fixes, { asked: 1, fixed: 1, hours: { p50: result.fix.hours, p95: result.fix.hours } });
  });

  it("what fills for longer than a life alarms across lives, and is counted as false", () => {
    assert.ok(run({ family: "daily deploys: fifo 30 h", seed: 2, weeks: 1 }).wrong.length > 0);
  });
});
