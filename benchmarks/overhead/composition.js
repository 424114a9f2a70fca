/**
 * Design 1: adds up what the agent costs, from measured parts. Pure: raw numbers of the runs in, budget rows out.
 * Every part has its own interval; the sum's interval is drawn from all of theirs.
 */
"use strict";

const { combined, estimate, mean, median, midmean, pairedRatio, quantile } = require("../statistics");
const { judge } = require("../verdicts");
const { quantileRatio } = require("./blocks");

/** 0.5 % of a core, and 0.5 % of the CPU per request. */
const CPU_CORE_RATIO = 0.005;
const CPU_REQUEST_RATIO = 0.005;
const LABEL_RATIO = 0.003;
const FLOOR_RATIO = 1.2;
const P99_RATIO = 1.01;
const CAPTURE_RATIO = 1.3;
/** At the default horizon; the first captures, which come sooner, are past. */
const STEADY_CAPTURES_PER_SECOND = 1 / 600;
/** Within so long after a capture the worker has dealt with it. */
const AFTER_CAPTURE_MILLIS = 2_500;
const PAUSE_MILLIS = 5;
const PAUSE_SUM_MILLIS = 20;

/** How the requests of each variant get their route's name; see micro/request-cost.js. */
const SHAPES = { express: "express", fastify: "fastify", hello: "plain", promises: "plain" };

function column(rows, name) {
  return rows.map((row) => row[name]);
}

/**
 * Microseconds of CPU that one of V8's samples costs in the service, deaths and all: what the dense state adds, by the
 * samples it took. So many samples find V8's code in the caches; where the agent times rare ones, and they are dearer, they count.
 */
function costInService({ blocks, sampleSeconds }) {
  const { bareDense, off } = blocks;
  const micros = bareDense.map((row, i) => (row.mainMicros - off[i].mainMicros) / (row.samples / row.served));
  const dense = estimate(micros, midmean);
  if (sampleSeconds === null) return dense;
  const rare = estimate(column(sampleSeconds, "micros"), mean);
  return rare.value > dense.value ? rare : dense;
}

/** Microseconds that the agent's labels add to one sample, from micro/sample-cost.js. */
function labelsPerSample({ labels, bare }) {
  return estimate(
    labels.map((row, i) => (row.micros - bare[i].micros) / row.samples),
    midmean,
  );
}

/** Nanoseconds per async boundary. Each child's fastest tenth stands for it: other load only ever adds. */
function boundaryCost(awaits, requestCost) {
  if (awaits.gated !== null) return gatedBoundaryCost(awaits);
  const perRequestNanos = perRequestOf(requestCost, "plain").value;
  const floors = (mode) => awaits[mode].map((nanos) => quantile(nanos, 0.1));
  const agent = floors("agent");
  const plain = floors("plain");
  const perBoundary = agent.map((nanos, i) => (nanos - plain[i] - perRequestNanos) / awaits.boundaries);
  return estimate(perBoundary, midmean);
}

/** What three more skeletons add with the agent's subscribers, against without, within each round of each process. */
function gatedBoundaryCost({ gated, boundaries }) {
  const perBoundary = gated.flatMap(({ short, long }) =>
    long.on.map((nanos, i) => (nanos - long.off[i] - (short.on[i] - short.off[i])) / (3 * boundaries)),
  );
  return estimate(perBoundary, midmean);
}

/** All parts of one variant, in microseconds per request or per second. */
function partsOf({ run, requestCost, sampleCost, awaits, boundariesPerRequest }) {
  const { blocks, seconds } = run;
  const perRequest = perRequestOf(requestCost, SHAPES[run.variant]);
  const boundary = boundaryCost(awaits, requestCost);
  const served = estimate(column(seconds, "served"), median);
  return {
    servedPerSecond: served,
    requestMicros: estimate(column(blocks.off, "processMicros"), midmean),
    samplesPerRequest: estimate(
      blocks.on.map((row) => row.samples / row.served),
      mean,
    ),
    sampleMicros: costInService(run),
    labelSampleMicros: labelsPerSample(sampleCost),
    perRequestNanos: perRequest,
    boundaryNanos: boundary,
    boundariesPerRequest,
    tickMicrosPerSecond: estimate(column(seconds, "tickMicros"), mean),
    workerMicrosPerSecond: estimate(column(seconds, "workerMicros"), mean),
    captureMicrosPerSecond: captureCost(run),
  };
}

/** Nanoseconds: the mean of the processes, each with its median difference. */
function perRequestOf(requestCost, shape) {
  const medians = requestCost.map(({ [shape]: { on, off } }) => median(on.map((nanos, i) => nanos - off[i])));
  return estimate(medians, mean);
}

/** As often as in the worst minute, which is an upper bound: the first captures come at 1, 2, 4, ... s, later ones rarely. */
function captureCost({ captures, capturePairs }) {
  const perSecond = capturesInWorstMinute(captures).length / 60;
  return estimate(
    capturePairs.rows.map((row) => row.ours * 1e3 * perSecond),
    mean,
  );
}

function capturesInWorstMinute(captures) {
  let worst = [];
  captures.forEach((first, i) => {
    const within = captures.slice(i).filter((one) => one.atMillis < first.atMillis + 60_000);
    if (sumOf(within) > sumOf(worst)) worst = within;
  });
  return worst;
}

function sumOf(captures) {
  return captures.reduce((sum, one) => sum + one.millis, 0);
}

/** What the agent does between captures, and what one capture brings: main thread and worker, in microseconds. */
function steadyParts({ seconds, captures }, { capturePairs }) {
  const isAfterCapture = (second) =>
    captures.some(({ atMillis }) => atMillis > second.atMillis - AFTER_CAPTURE_MILLIS && atMillis <= second.atMillis);
  const quiet = seconds.filter((second) => !isAfterCapture(second));
  const busy = seconds.filter(isAfterCapture);
  const betweenMicros = estimate(
    quiet.map((second) => second.tickMicros + second.workerMicros),
    mean,
  );
  const extraMicros = busy.reduce((sum, one) => sum + one.tickMicros + one.workerMicros - betweenMicros.value, 0);
  const captured = captures.filter(({ atMillis }) => atMillis > seconds[0].atMillis - 1_000).length;
  const pauseMicros = mean(column(capturePairs.rows, "ours")) * 1e3;
  return { betweenMicros, captureMicros: pauseMicros + Math.max(0, extraMicros) / Math.max(1, captured) };
}

/** Microseconds per request that labels cost: route and record, boundaries, and what they add to each sample. */
function labelMicros(parts) {
  const { perRequestNanos, boundaryNanos, boundariesPerRequest, samplesPerRequest, labelSampleMicros } = parts;
  return combined(
    [perRequestNanos, boundaryNanos, boundariesPerRequest, samplesPerRequest, labelSampleMicros],
    ([request, boundary, boundaries, samples, label]) =>
      request / 1e3 + (boundary * boundaries) / 1e3 + samples * label,
  );
}

/** Microseconds per second of everything. */
function totalMicros(parts) {
  const labels = labelMicros(parts);
  return combined(
    [
      parts.servedPerSecond,
      parts.samplesPerRequest,
      parts.sampleMicros,
      labels,
      parts.tickMicrosPerSecond,
      parts.workerMicrosPerSecond,
      parts.captureMicrosPerSecond,
    ],
    ([served, samples, bare, label, tick, worker, capture]) =>
      served * (samples * bare + label) + tick + worker + capture,
  );
}

/** @returns { parts, rows }: what was added up, and the budget rows of this variant. */
function budgetsOf(measured) {
  const { run } = measured;
  const name = run.variant;
  const parts = partsOf(measured);
  const total = totalMicros(parts);
  const labels = labelMicros(parts);
  const perCore = combined([total], ([micros]) => micros / 1e6);
  const ofBudget = combined(
    [total, parts.servedPerSecond, parts.requestMicros],
    ([micros, served, request]) => micros / (CPU_CORE_RATIO * 1e6 + CPU_REQUEST_RATIO * served * request),
  );
  const floor = (life, labelMicrosPerRequest) => {
    const { betweenMicros, captureMicros } = steadyParts(life, run);
    return combined(
      [parts.servedPerSecond, parts.samplesPerRequest, parts.sampleMicros, betweenMicros, labelMicrosPerRequest],
      ([served, samples, bare, between, label]) =>
        1 + (between + STEADY_CAPTURES_PER_SECOND * captureMicros + served * label) / (served * samples * bare),
    );
  };
  // The worker's share of the labels shows in the life that has them.
  const withLabels = floor(run, labels).value.toFixed(2);
  const labelRatio = combined([labels, parts.requestMicros], ([label, request]) => label / request);
  const rows = [
    judge({
      id: `cpu/${name}`,
      what: `CPU of everything the agent does, of its budget (0.5 % of a core + 0.5 % per request), ${name}`,
      estimate: ofBudget,
      limit: 1,
      unit: "ratio",
      design: 1,
      note: `${(perCore.value * 100).toFixed(2)} % of a core at ${parts.servedPerSecond.value.toFixed(0)} requests/s`,
    }),
    judge({
      id: `labels/${name}`,
      what: `request labels (${run.labels}), of CPU per request, ${name}`,
      estimate: labelRatio,
      limit: LABEL_RATIO,
      unit: "percent",
      design: 1,
      note: `${labels.value.toFixed(2)} of ${parts.requestMicros.value.toFixed(0)} microseconds`,
    }),
    judge({
      id: `floor/${name}`,
      what: `the agent without labels, against V8's sampler alone and never read, ${name}`,
      estimate: floor(measured.steady, 0),
      limit: FLOOR_RATIO,
      unit: "ratio",
      design: 1,
      note: `between captures and at one in ten minutes; with labels ${withLabels}`,
    }),
  ];
  return { parts, total, labels, rows: [...rows, ...pauseBudgets(run)] };
}

function pauseBudgets(run) {
  const { rows, treeNodes } = run.capturePairs;
  const ours = column(rows, "ours");
  const v8 = column(rows, "v8");
  const worst = capturesInWorstMinute(run.captures);
  const sum = sumOf(worst);
  return [
    judge({
      id: `capture/${run.variant}`,
      what: `block per capture, against V8's own GetAllocationProfile, ${run.variant}'s own tree`,
      estimate: pairedRatio(ours, v8),
      resolution: pairedRatio(column(rows, "v8Again"), v8),
      limit: CAPTURE_RATIO,
      unit: "ratio",
      design: 1,
      note: `${treeNodes} nodes`,
    }),
    judge({
      id: `pause/${run.variant}`,
      what: `one capture's pause, 95th percentile, ${run.variant}'s own tree`,
      estimate: estimate(ours, (values) => quantile(values, 0.95)),
      limit: PAUSE_MILLIS,
      unit: "ms",
      isWallClock: true,
      design: 1,
    }),
    judge({
      id: `pauses/${run.variant}`,
      what: `sum of pauses in the worst minute of the default life, ${run.variant}`,
      estimate: worst.length === 0 ? null : { value: sum, low: sum, high: sum, repetitions: worst.length },
      limit: PAUSE_SUM_MILLIS,
      unit: "ms",
      isWallClock: true,
      design: 1,
      note: "counted, not estimated: one run",
    }),
  ];
}

/** Design 2's rows of one variant: the same budgets by difference. */
function blockBudgets(run, name) {
  const { on, off, offAgain } = run.blocks;
  const served = median(column(run.seconds, "served"));
  const requestMicros = midmean(column(off, "processMicros"));
  const limit = 1 + CPU_REQUEST_RATIO + (CPU_CORE_RATIO * 1e6) / (served * requestMicros);
  return [
    judge({
      id: `cpu-blocks/${name}`,
      what: `CPU per request with the agent on, against off, ${name}`,
      estimate: pairedRatio(column(on, "processMicros"), column(off, "processMicros")),
      resolution: pairedRatio(column(offAgain, "processMicros"), column(off, "processMicros")),
      limit,
      unit: "ratio",
      design: 2,
      note: "limit: 0.5 % of a core + 0.5 % per request, at this load",
    }),
    judge({
      id: `p99/${name}`,
      what: `p99 latency at ${Math.round(run.utilisation * 100)} % of saturation, open loop, ${name}`,
      estimate: quantileRatio(on, off, 0.99),
      resolution: quantileRatio(offAgain, off, 0.99),
      limit: P99_RATIO,
      unit: "ratio",
      isWallClock: true,
      design: 2,
    }),
  ];
}

module.exports = { SHAPES, blockBudgets, budgetsOf };
