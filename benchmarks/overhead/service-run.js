/**
 * One service with the agent as shipped, under a steady load: first a minute and a half of its default life (what it
 * samples, ticks, captures and uses on its worker thread), then blocks; and one without labels in a life that is no longer
 * young. Owns the sequence and the raw numbers.
 */
"use strict";

const { setTimeout: delay } = require("node:timers/promises");
const { GROWN, LONG, SHORT, runBlocks } = require("./blocks");
const { OpenLoop } = require("./open-loop");
const { GATE, PRELOAD, ServiceProcess, pin } = require("./service-process");
const { requestMix } = require("./shop");

const SATURATION_CONNECTIONS = 16;
/** The agent measures 90 s of traffic before it chooses its interval. */
const CHOICE_DEADLINE_MILLIS = 100_000;
/** The first seconds are start-up: code is compiled, and captures come at 1, 2, 4 s. */
const FACTS_FROM_MILLIS = 20_000;
const REGROW_MILLIS = 15_000;
const SAMPLES_SECONDS = 15;
const CAPTURE_PAIRS = 60;
const CAPTURE_PAIRS_MILLIS = 100;
/** Code is compiled by then, and the captures of the first seconds are past. */
const STEADY_FROM_MILLIS = 25_000;
const STEADY_SECONDS = 60;
/** So many samples that their cost stands out from the noise: some dozen a request. */
const DENSE_INTERVAL_BYTES = 2_047;

/**
 * @param options.rounds of the blocks.
 * @param options.design which blocks follow: `components` (1) or `alternating` (2).
 * @param options.utilisation arrivals, as a part of saturation.
 * @param options.pages of work that each request has beside its own.
 * @param options.cpu pins the service to one CPU.
 */
async function runService(variant, { rounds, utilisation, design, pages, cpu = null, progress }) {
  const service = await ServiceProcess.start(variant, { preloads: [GATE, PRELOAD], pages, cpu });
  // Where there are two CPUs, the load keeps to the last one.
  if (cpu !== null) pin(process.pid, cpu === 0 ? 1 : 0);
  const load = new OpenLoop(service.port, requestMix());
  try {
    progress(`${variant}: looking for saturation`);
    await load.saturate(SATURATION_CONNECTIONS, 4);
    const saturation = await load.saturate(SATURATION_CONNECTIONS, 6);
    await delay(500);
    // Where two CPUs are one core, a load that spins slows the service by half: only latencies need its precision.
    load.start(saturation * utilisation, design === "alternating");
    const facts = await defaultLife(service, load, progress);
    // The choice has restarted the sampler: its tree grows again.
    await delay(REGROW_MILLIS);
    const sampleSeconds = await secondsOfSamples(service, load, progress);
    const pairs = await service.ask("capturePairs", { count: CAPTURE_PAIRS, millis: CAPTURE_PAIRS_MILLIS });
    const chosen = STATES[design](facts.intervalBytes);
    const blocks = await runBlocks(service, load, chosen, rounds, (text) => progress(`${variant}: ${text}`));
    return {
      variant,
      pages,
      utilisation,
      saturationPerSecond: saturation,
      ...facts,
      sampleSeconds,
      capturePairs: pairs,
      blocks,
    };
  } finally {
    load.stop();
    await service.stop();
  }
}

const OFF = { subscribers: false, agent: false };
const on = (interval) => ({ subscribers: true, agent: true, interval });
const bareDense = { subscribers: false, agent: false, bareSampler: true, interval: DENSE_INTERVAL_BYTES };

/** The dense sampler nearly doubles the work of a request: it is not for latencies. */
const STATES = {
  components: (interval) => ({
    off: { apply: OFF, block: SHORT },
    on: { apply: on(interval), block: SHORT },
    bareDense: { apply: bareDense, block: GROWN },
  }),
  alternating: (interval) => ({
    off: { apply: OFF, block: LONG },
    offAgain: { apply: OFF, block: LONG },
    on: { apply: on(interval), block: LONG },
  }),
};

/** Second by second until the agent has chosen its interval. */
async function defaultLife(service, load, progress) {
  const began = performance.now();
  const first = await service.ask("read");
  const seconds = [];
  let last = first;
  while (performance.now() - began < CHOICE_DEADLINE_MILLIS) {
    await delay(1_000);
    load.check();
    const now = await service.ask("read");
    seconds.push(secondOf(last, now));
    last = now;
    progress(`default life, ${Math.round((now.atMillis - first.atMillis) / 1_000)} s`);
    if (now.status.samplingIntervalBytes !== first.status.samplingIntervalBytes) break;
  }
  const steady = seconds.filter((one) => one.atMillis - first.atMillis > FACTS_FROM_MILLIS);
  return {
    startIntervalBytes: first.status.samplingIntervalBytes,
    intervalBytes: last.status.samplingIntervalBytes,
    labels: last.status.labels,
    seconds: steady,
    captures: last.captures,
    hasChosen: last.status.samplingIntervalBytes !== first.status.samplingIntervalBytes,
  };
}

/** What V8 takes for a sample at the chosen interval, as the agent times it; null on Node 20 and 22, where it does not. */
async function secondsOfSamples(service, load, progress) {
  const seconds = [];
  let last = await service.ask("read");
  for (let second = 0; second < SAMPLES_SECONDS; second++) {
    progress(`what samples take, ${second} s`);
    await delay(1_000);
    load.check();
    const now = await service.ask("read");
    const count = (now.timedSamples - last.timedSamples) | 0;
    if (count > 0) seconds.push({ count, micros: ((now.timedNanos - last.timedNanos) | 0) / 1e3 / count });
    last = now;
  }
  return seconds.length === 0 ? null : seconds;
}

/**
 * What the agent does most of its life, labels left out, whose cost has a budget of its own.
 * @param run of the same variant: its interval and its load.
 */
async function steadyLife({ variant, pages, intervalBytes, saturationPerSecond, utilisation }, progress) {
  const env = { LEAK_AGENT_LABELS: "off", LEAK_AGENT_SAMPLING_INTERVAL: String(intervalBytes) };
  const service = await ServiceProcess.start(variant, { preloads: [GATE, PRELOAD], pages, env });
  const load = new OpenLoop(service.port, requestMix());
  try {
    load.start(saturationPerSecond * utilisation, false);
    progress("without labels: warm-up");
    await delay(STEADY_FROM_MILLIS);
    const seconds = [];
    let last = await service.ask("read");
    for (let second = 0; second < STEADY_SECONDS; second++) {
      progress(`without labels, ${second} s`);
      await delay(1_000);
      load.check();
      const now = await service.ask("read");
      seconds.push(secondOf(last, now));
      last = now;
    }
    return { seconds, captures: last.captures };
  } finally {
    load.stop();
    await service.stop();
  }
}

function secondOf(before, after) {
  const seconds = (after.atMillis - before.atMillis) / 1_000;
  const captureMicros = after.captures.slice(before.captures.length).reduce((sum, one) => sum + one.cpuMicros, 0);
  return {
    atMillis: after.atMillis,
    served: (after.served - before.served) / seconds,
    processMicros: (after.processMicros - before.processMicros) / seconds,
    mainMicros: (after.mainMicros - before.mainMicros) / seconds,
    workerMicros: (after.agentNanos - before.agentNanos) / 1e3 / seconds,
    tickMicros: (after.tickMicros - before.tickMicros - captureMicros) / seconds,
    samples: after.ordinal >= before.ordinal ? (after.ordinal - before.ordinal) / seconds : null,
  };
}

module.exports = { DENSE_INTERVAL_BYTES, runService, steadyLife };
