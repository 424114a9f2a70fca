/**
 * Design 2: one warmed-up service under a steady load, switched between states in random order.
 * Owns the switching and the reading; what a state means is gate.js's. Drift of the machine meets all states alike.
 */
"use strict";

const { setTimeout: delay } = require("node:timers/promises");
const { bootstrapDraws, intervalOf, shuffled } = require("../statistics");
const { LatencyHistogram, pooled } = require("./latency-histogram");

/**
 * `millis` are measured, after `settleMillis` that are not: requests of the state before are still under way, and a sampler
 * that was switched on meets every call path for the first time, which costs several samples each.
 */
const SHORT = { millis: 2_000, settleMillis: 100 };
const GROWN = { millis: 2_000, settleMillis: 2_500 };
const LONG = { millis: 5_000, settleMillis: 4_000 };
/** Requests sent later than this before the end may be answered in the next state. */
const LATE_MILLIS = 100;
const LATENCY_RESAMPLES = 500;

/**
 * @param states name -> { apply, block }: what gate.js applies, and for how long.
 * @returns name -> one { processMicros, mainMicros, served, samples, latencies } per round; micros are per request.
 */
async function runBlocks(service, load, states, rounds, progress) {
  const rows = Object.fromEntries(Object.keys(states).map((name) => [name, []]));
  let current = null;
  load.onLatency = (intendedMillis, millis) => {
    if (current !== null && intendedMillis >= current.from && intendedMillis < current.to)
      current.latencies.add(millis);
  };
  for (let round = 0; round < rounds; round++) {
    progress(`round ${round + 1} of ${rounds}`);
    for (const name of shuffled(Object.keys(states))) {
      const { apply, block } = states[name];
      await service.ask("apply", { state: apply });
      await delay(block.settleMillis);
      const before = await service.ask("read");
      const from = performance.now();
      current = { from, to: from + block.millis - LATE_MILLIS, latencies: new LatencyHistogram() };
      await delay(block.millis);
      const after = await service.ask("read");
      load.check();
      rows[name].push(perRequest(before, after, current.latencies));
    }
  }
  load.onLatency = () => {};
  return rows;
}

function perRequest(before, after, latencies) {
  const served = after.served - before.served;
  return {
    processMicros: (after.processMicros - before.processMicros) / served,
    mainMicros: (after.mainMicros - before.mainMicros) / served,
    served,
    samples: after.ordinal >= before.ordinal && before.ordinal >= 0 ? after.ordinal - before.ordinal : 0,
    latencies,
  };
}

/** Ratio of a latency quantile of pooled blocks, with whole rounds resampled. */
function quantileRatio(numerators, denominators, p) {
  const [a, b] = [numerators, denominators].map((rows) => rows.map((row) => row.latencies));
  const of = (chosen) => pooled(a, chosen).quantile(p) / pooled(b, chosen).quantile(p);
  const draws = bootstrapDraws(a.length, of, { resamples: LATENCY_RESAMPLES });
  const [low, high] = intervalOf(draws);
  return { value: of(a.map((_, i) => i)), low, high, repetitions: a.length, draws };
}

module.exports = { GROWN, LONG, SHORT, quantileRatio, runBlocks };
