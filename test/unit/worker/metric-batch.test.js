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

/**
 * What each of these totals of one series is sent as, [value, start in seconds], one batch after the other. A total is null
 * where the series is not read, and [total, movedIn] where a part of it moved in.
 */
function deltasOf(encoder, totals, { sinceMillis = 0, others = () => [] } = {}) {
  return totals.map((total, index) => {
    const batch = batchOf((it) => {
      const [value, movedIn] = [total].flat();
      if (value !== null) it.add(METRICS.retainedSize, value, { a: 1 }, sinceMillis, movedIn);
      for (const other of others(index)) it.add(METRICS.retainedSize, 1, { other }, 0);
    });
    const points = encoder.encode(batch, (index + 1) * 1_000)[0]?.dataPoints ?? [];
    const point = points.find(({ attributes }) => attributes.a === 1);
    return point === undefined ? null : [point.value, point.startTime[0]];
  });
}

test("differences: a series that was away comes back with what is new, not with its total", () => {
  assert.deepEqual(deltasOf(new MetricEncoder(SDK, DELTA), [5, null, null, 7]), [[5, 0], null, null, [2, 1]]);
});

test("differences: a series that began anew since it was sent is all new", () => {
  const encoder = new MetricEncoder(SDK, DELTA);
  deltasOf(encoder, [5]);
  assert.deepEqual(deltasOf(encoder, [null, 9], { sinceMillis: 1_500 }), [null, [9, 1]]);
});

test("differences: series that are away are remembered up to a bound, those read last the longest", () => {
  const many = (index) => Array.from({ length: 1_500 }, (_, other) => `${index}-${other}`);
  const long = [5, null, null, null, null, 7];
  assert.deepEqual(deltasOf(new MetricEncoder(SDK, DELTA), long, { others: many }).at(-1), [7, 0]);
  const short = [5, null, null, 7];
  assert.deepEqual(deltasOf(new MetricEncoder(SDK, DELTA), short, { others: many }).at(-1), [2, 1]);
});

test("differences of a worker that replaces a dead one begin at its first reading, for what is older than it", () => {
  const resumed = () => new MetricEncoder(SDK, DELTA, 500);
  assert.deepEqual(deltasOf(resumed(), [100, 103]), [null, [3, 1]]);
  assert.deepEqual(deltasOf(resumed(), [4, 6], { sinceMillis: 600 }), [
    [4, 0],
    [2, 1],
  ]);
  assert.deepEqual(deltasOf(new MetricEncoder(SDK, CUMULATIVE, 500), [100, 103]), [
    [100, 0],
    [103, 0],
  ]);
});

test("differences leave out what moved in from another series; totals have it", () => {
  const totals = [10, [35, 20], [36, 20]];
  assert.deepEqual(deltasOf(new MetricEncoder(SDK, DELTA), totals), [
    [10, 0],
    [5, 1],
    [1, 2],
  ]);
  assert.deepEqual(
    deltasOf(new MetricEncoder(SDK, CUMULATIVE), totals).map(([value]) => value),
    [10, 35, 36],
  );
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
