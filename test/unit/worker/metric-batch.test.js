"use strict";
const assert = require("node:assert/strict");
const test = require("node:test");
const { Histogram } = require("../../../dist/worker/histogram.js");
const { AgentTotals } = require("../../../dist/worker/agent-totals.js");
const { MetricBatch, MetricEncoder } = require("../../../dist/worker/metric-batch.js");
const { METRICS } = require("../../../dist/worker/metric-names.js");
const { report } = require("./probe-messages.js");

const SDK = {
  DataPointType: { HISTOGRAM: 0, GAUGE: 2, SUM: 3 },
  AggregationTemporality: { DELTA: 0, CUMULATIVE: 1 },
};
const CUMULATIVE = { sum: 1, histogram: 1 };
const DELTA = { sum: 0, histogram: 0 };

function withCounts(given, samples) {
  const made = report(given);
  return { ...made, counts: { ...made.counts, samples, ringOverflows: samples } };
}

function batchOf(fill) {
  const batch = new MetricBatch();
  fill(batch);
  return batch;
}

test("readings with the same attributes are one point: sums add up, of gauges the greatest stays", () => {
  const batch = batchOf((it) => {
    it.add(METRICS.retainedSize, 1, { a: "x", b: "y" }, 0);
    it.add(METRICS.retainedSize, 2, { b: "y", a: "x" }, 0);
    it.add(METRICS.retainedSize, 4, { a: "z" }, 0);
    it.add(METRICS.lnEvidence, 3, {}, 0);
    it.add(METRICS.lnEvidence, 2, {}, 0);
    it.add(METRICS.heapPostGc, Number.NaN, {}, 0);
  });
  const metrics = new MetricEncoder(SDK, CUMULATIVE).encode(batch, 1_500);
  assert.deepEqual(
    metrics.map(({ descriptor, dataPoints }) => [descriptor.name, dataPoints.map(({ value }) => value)]),
    [
      ["leak_agent.retained.size", [3, 4]],
      ["leak_agent.evidence.ln_e", [3]],
    ],
  );
  assert.deepEqual(metrics[0].dataPoints[0].endTime, [1, 500_000_000]);
});

test("only counts are whole numbers: an estimate keeps its type when it happens to be whole", () => {
  const batch = batchOf((it) => {
    it.add(METRICS.samples, 5, {}, 0);
    it.add(METRICS.retainedSize, 5, {}, 0);
    it.add(METRICS.lnEvidence, 5, {}, 0);
  });
  const types = new MetricEncoder(SDK, CUMULATIVE).encode(batch, 1).map(({ descriptor }) => descriptor.valueType);
  assert.deepEqual(types, [0, 1, 1]);
});

test("a series that is not read any more is not sent any more", () => {
  const encoder = new MetricEncoder(SDK, CUMULATIVE);
  encoder.encode(
    batchOf((it) => it.add(METRICS.verdict, 1, { id: "a" }, 0)),
    1,
  );
  const [metric] = encoder.encode(
    batchOf((it) => it.add(METRICS.verdict, 1, { id: "b" }, 0)),
    2,
  );
  assert.deepEqual(
    metric.dataPoints.map(({ attributes }) => attributes.id),
    ["b"],
  );
});

test("differences: of sums and histograms since the last export, never of gauges", () => {
  const encoder = new MetricEncoder(SDK, DELTA);
  const pauses = new Histogram([1, 2]);
  const read = (samples, heap) =>
    batchOf((it) => {
      it.add(METRICS.samples, samples, {}, 0);
      it.add(METRICS.heapPostGc, heap, {}, 0);
      it.addHistogram(METRICS.capturePause, pauses.value(), {}, 0);
    });
  pauses.record(0.5);
  encoder.encode(read(10, 100), 1_000);
  pauses.record(5, 3);
  const [samples, heap, pause] = encoder.encode(read(13, 90), 2_000);
  assert.equal(samples.aggregationTemporality, 0);
  assert.deepEqual([samples.dataPoints[0].value, samples.dataPoints[0].startTime], [3, [1, 0]]);
  assert.equal(heap.dataPoints[0].value, 90);
  const { buckets, count, sum } = pause.dataPoints[0].value;
  assert.deepEqual([buckets.counts, count, sum], [[0, 0, 3], 3, 15]);
});

test("series beyond 5,000 are left out and counted", () => {
  const batch = batchOf((it) => {
    for (let index = 0; index < 5_010; index++) it.add(METRICS.retainedSize, 1, { index }, 0);
  });
  assert.equal(batch.droppedSeries, 10);
  assert.equal(new MetricEncoder(SDK, CUMULATIVE).encode(batch, 1)[0].dataPoints.length, 5_000);
});

test("buckets take their upper bound in", () => {
  const histogram = new Histogram([1, 2]);
  for (const value of [0.5, 1, 1.5, 2, 3]) histogram.record(value);
  histogram.record(Number.NaN);
  histogram.record(1, 0);
  const { buckets, count, sum, min, max } = histogram.value();
  assert.deepEqual([buckets.counts, count, sum, min, max], [[2, 2, 1], 5, 8, 0.5, 3]);
});

test("totals of threads only grow: an ended thread, and one that starts again at 0", () => {
  const totals = new AgentTotals();
  const counted = (thread, samples, majorCount) =>
    totals.report(withCounts({ thread, gc: { majorCount, majorPauseNanos: majorCount * 2e6 } }, samples));
  counted(0, 100, 3);
  counted(1, 50, 1);
  assert.equal(totals.sampleCount, 150);
  totals.forgetThread(1);
  counted(0, 120, 4);
  assert.equal(totals.sampleCount, 170);
  counted(0, 5, 0);
  assert.equal(totals.sampleCount, 175);
  assert.equal(new Map(totals.droppedCounts()).get("label_ring"), 175);
  const gcs = totals.majorGcs.value();
  assert.equal(gcs.count, 5);
  assert.ok(Math.abs(gcs.sum - 0.01) < 1e-12);
  assert.deepEqual(
    totals.threads().map(({ thread }) => thread),
    [0],
  );
});
