/** The sum of the parts is the sum of the parts: a made-up service whose every cost is known. */
"use strict";
const assert = require("node:assert/strict");
const { test } = require("node:test");
const { blockBudgets, budgetsOf } = require("../../../benchmarks/overhead/composition");
const { LatencyHistogram } = require("../../../benchmarks/overhead/latency-histogram");
const { estimate, mean } = require("../../../benchmarks/statistics");

const ROUNDS = 12;

/** Small, alternating errors, so that intervals have a width and medians stay right. */
function wobble(value, i) {
  return value * (1 + (i % 2 === 0 ? 0.001 : -0.001));
}

function block(mainMicros, samplesPerRequest) {
  return Array.from({ length: ROUNDS }, (_, i) => {
    const latencies = new LatencyHistogram();
    for (let k = 1; k <= 200; k++) latencies.add(k / 100);
    const micros = wobble(mainMicros, i);
    return { processMicros: micros, mainMicros: micros, served: 200, samples: 200 * samplesPerRequest, latencies };
  });
}

/** 500 requests/s of 500 us; 1 sample of 4 us and 80 boundaries of 2 ns a request; 600 ns per request. */
function measurements(changes = {}) {
  const series = (value) => Array.from({ length: 40 }, (_, i) => wobble(value, i));
  const second = { served: 500, workerMicros: 300, tickMicros: 100, processMicros: 250_000, mainMicros: 250_000 };
  const seconds = Array.from({ length: 30 }, (_, i) => ({ ...second, atMillis: (i + 1) * 1_000 }));
  return {
    run: {
      variant: "express",
      labels: "interpose",
      utilisation: 0.6,
      seconds,
      captures: [0, 1, 2, 4, 8, 16].map((s) => ({ atMillis: s * 1_000, millis: 1, cpuMicros: 1_000 })),
      capturePairs: { rows: series(1).map((ours) => ({ ours, v8: ours / 1.1, v8Again: ours / 1.1 })), treeNodes: 900 },
      blocks: { off: block(500, 0), offAgain: block(500, 0), on: block(505, 1), bareDense: block(620, 30) },
      sampleSeconds: null,
    },
    steady: { seconds, captures: [{ atMillis: 0 }] },
    // Two processes: one in which V8 did better than in the other.
    requestCost: [400, 800].map((nanos) => ({
      express: { on: series(1_000 + nanos), off: series(1_000), offAgain: series(1_000) },
      plain: { on: series(1_600), off: series(1_000) },
    })),
    sampleCost: {
      bare: series(300).map((micros) => ({ micros, samples: 80 })),
      labels: series(340).map((micros) => ({ micros, samples: 80 })),
    },
    awaits: {
      plain: [series(4_000), series(4_000)],
      agent: [series(4_664), series(4_664)],
      gated: null,
      boundaries: 32,
    },
    boundariesPerRequest: estimate(series(80), mean),
    ...changes,
  };
}

function within(actual, expected, tolerance) {
  assert.ok(Math.abs(actual / expected - 1) < tolerance, `${actual} is not about ${expected}`);
}

test("the parts are what went in, and the total is their sum", () => {
  const { parts, labels, total, rows } = budgetsOf(measurements());
  within(parts.sampleMicros.value, 4, 0.01);
  within(parts.labelSampleMicros.value, 0.5, 0.01);
  within(parts.perRequestNanos.value, 600, 0.01);
  assert.ok(parts.perRequestNanos.low < 410 && parts.perRequestNanos.high > 790, "processes are what is resampled");
  within(parts.boundaryNanos.value, 2, 0.1);
  within(parts.captureMicrosPerSecond.value, 100, 0.01);
  // 0.6 + 80 x 0.002 + 1 x 0.5, and with the sample 4 more; 500 times a second, with worker, timer and captures.
  within(labels.value, 1.26, 0.02);
  within(total.value, 500 * 5.26 + 300 + 100 + 100, 0.01);
  const row = (id) => rows.find((candidate) => candidate.id === id);
  within(row("cpu/express").estimate.value, 3_130 / (5_000 + 0.005 * 250_000), 0.01);
  within(row("labels/express").estimate.value, 1.26 / 500, 0.02);
  within(row("floor/express").estimate.value, (2_000 + 300 + 100 + 1_000 / 600) / 2_000, 0.01);
  assert.match(row("floor/express").note, /with labels 1\.5/);
  within(row("capture/express").estimate.value, 1.1, 0.001);
  assert.equal(row("cpu/express").verdict, "met");
  assert.equal(row("pauses/express").estimate.value, 6);
});

test("samples that the agent times count where they are dearer than in a crowd", () => {
  const priceOf = (micros) => {
    const measured = measurements();
    measured.run.sampleSeconds = Array.from({ length: 15 }, (_, i) => ({ count: 14, micros: wobble(micros, i) }));
    return budgetsOf(measured).parts.sampleMicros.value;
  };
  within(priceOf(9), 9, 0.01);
  within(priceOf(3), 4, 0.01);
});

test("a worker that eats half a per cent of a core breaks the budget", () => {
  const dear = measurements();
  dear.run.seconds = dear.run.seconds.map((second) => ({ ...second, workerMicros: 5_000 }));
  assert.equal(budgetsOf(dear).rows.find((row) => row.id === "cpu/express").verdict, "not met");
});

test("by blocks, the limit is what the load allows: half a per cent of a core is more at a low load", () => {
  const measured = measurements();
  const [cpu, p99] = blockBudgets(measured.run, "express");
  within(cpu.estimate.value, 1.01, 0.001);
  within(cpu.limit, 1.005 + 5_000 / 250_000, 0.001);
  assert.equal(cpu.verdict, "met");
  within(cpu.resolution.value, 1, 0.001);
  within(p99.estimate.value, 1, 0.005);
});

test("where batches alternate in one process, a boundary costs what longer requests add beyond what they cost anyway", () => {
  const series = (value) => Array.from({ length: 40 }, (_, i) => wobble(value, i));
  const measured = measurements();
  // 3,300 ns a skeleton, 700 ns a request with the agent, 5 ns a boundary.
  const child = {
    short: { off: series(3_300), on: series(3_300 + 700 + 32 * 5) },
    long: { off: series(13_200), on: series(13_200 + 700 + 4 * 32 * 5) },
  };
  const { parts } = budgetsOf({ ...measured, awaits: { ...measured.awaits, gated: [child, child] } });
  within(parts.boundaryNanos.value, 5, 0.01);
});

test("what a capture brings counts to the floor as often as captures come in the long run", () => {
  const measured = measurements();
  const isBurst = (second) => second.atMillis === 25_000;
  const seconds = measured.steady.seconds.map((second) =>
    isBurst(second) ? { ...second, workerMicros: 300 + 600_000 } : second,
  );
  const captures = [{ atMillis: 24_000, millis: 1, cpuMicros: 1_000 }];
  const { rows } = budgetsOf({ ...measured, steady: { seconds, captures } });
  const floor = rows.find(({ id }) => id === "floor/express");
  within(floor.estimate.value, (2_000 + 400 + 601_000 / 600) / 2_000, 0.01);
  assert.equal(floor.verdict, "not met");
});
