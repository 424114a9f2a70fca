#!/usr/bin/env node
/**
 * `npm run bench:detector`: what one capture costs the agent's worker at the largest size that is supported: 20,000 live
 * samples, 5,000 sites, 500 routes. Compared with JSON.parse of the same history in the same run, so that the machine
 * cancels out. Exit code 1 where a capture costs more than 3 x that, or the state is 32 MB or more.
 */
"use strict";
const { setFlagsFromString } = require("node:v8");
const { runInNewContext } = require("node:vm");
const lifetimes = require("../accuracy/simulate/lifetimes.js");
const { ProductLife } = require("../accuracy/simulate/product.js");
const { Random } = require("../accuracy/simulate/random.js");
const { keep, pathTo } = require("../accuracy/simulate/scene.js");
const { SimulatedLife } = require("../accuracy/simulate/service.js");
const { DAY, HOUR, MINUTE, MONDAY, steady } = require("../accuracy/simulate/traffic.js");

const ROUTES = 500;
const SITES_PER_ROUTE = 10;
const LIVE_PER_SITE = 4.1;
const LIFE_MILLIS = 8 * HOUR;
const MAX_RATIO = 3;
const MAX_STATE_BYTES = 32e6;
/** Captures whose cost is reported: the last ones, when the structures are full. */
const MEASURED_CAPTURES = 36;

function scene(random) {
  const made = {
    startMillis: MONDAY,
    endMillis: MONDAY + 1.25 * DAY,
    intervalBytes: 65_537,
    horizonMillis: DAY,
    captureMillis: 10 * MINUTE,
    gcMillis: 5 * MINUTE,
    baseHeapBytes: 200e6,
    heapLimitBytes: () => 4e9,
    routes: Array.from({ length: ROUTES }, (_, route) => ({ name: `GET /r${route}/:id`, rate: () => 0.05 })),
    populations: [],
    containers: [],
    random,
    traffic: steady,
  };
  for (let site = 0; site < ROUTES * SITES_PER_ROUTE; site++) {
    const route = Math.floor(site / SITES_PER_ROUTE);
    keep(made, {
      route,
      path: pathTo(`site${site}`, `r${route}`),
      samplesPerDay: (LIVE_PER_SITE * DAY) / LIFE_MILLIS,
      sizes: [64, 300],
      life: site % 500 === 0 ? lifetimes.forever : lifetimes.exponentialLife(LIFE_MILLIS),
    });
  }
  return made;
}

function main() {
  const random = new Random(1);
  const life = new SimulatedLife(scene(random), random);
  const product = new ProductLife(DAY);
  product.detector.tally();
  const gc = exposeGc();
  const costs = [];
  let parseMillis = 0;
  let handleMillis = 0;
  let lines = 0;
  let bytes = 0;
  let live = 0;
  for (const { report, capture } of life.captures()) {
    const begin = cpuMillis();
    const observation = product.observationOf(report, capture);
    const absorbed = cpuMillis();
    const text = JSON.stringify(observation);
    const written = cpuMillis();
    const read = JSON.parse(text);
    const parsed = cpuMillis();
    product.detector.observe(read);
    const observed = cpuMillis();
    parseMillis += parsed - written;
    handleMillis += absorbed - begin + (observed - parsed);
    costs.push({ absorb: absorbed - begin, observe: observed - parsed });
    lines++;
    bytes += text.length;
    live = capture.sampleCount;
  }
  const last = costs.slice(-MEASURED_CAPTURES);
  const worst = Math.max(...last.map(({ absorb, observe }) => absorb + observe));
  const stateBytes = stateOf(product, gc);
  const ratio = handleMillis / parseMillis;
  const single = worst / parseMillis;
  const print = (text) => process.stdout.write(`${text}\n`);
  print(
    `${live} live samples, ${ROUTES * SITES_PER_ROUTE} sites, ${ROUTES} routes; ${lines} captures, ${(bytes / 1e6).toFixed(1)} MB of history`,
  );
  print(
    `JSON.parse of that history: ${parseMillis.toFixed(0)} ms; live samples and detector: ${handleMillis.toFixed(0)} ms`,
  );
  print(`ratio over the whole history: ${ratio.toFixed(2)} (no goal: for comparison)`);
  print(
    `the dearest of the last ${last.length} captures: ${worst.toFixed(1)} ms, ${single.toFixed(2)} x JSON.parse of the history (goal: <= ${MAX_RATIO})`,
  );
  print(
    `state of live samples, dictionary and detector: ${(stateBytes / 1e6).toFixed(1)} MB (goal: < ${MAX_STATE_BYTES / 1e6} MB)`,
  );
  process.exitCode = single <= MAX_RATIO && stateBytes < MAX_STATE_BYTES ? 0 : 1;
}

/** CPU time of this process, so that a busy machine does not count. */
function cpuMillis() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

/** Heap that becomes free when the product's state is let go. */
function stateOf(product, gc) {
  gc();
  const before = process.memoryUsage().heapUsed;
  product.detector = null;
  product.thread = null;
  product.dictionary = null;
  gc();
  return before - process.memoryUsage().heapUsed;
}

function exposeGc() {
  setFlagsFromString("--expose-gc");
  return runInNewContext("gc");
}

main();
