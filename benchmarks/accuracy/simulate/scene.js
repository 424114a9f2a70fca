/**
 * Owns the ordinary service that every family lives in: seven routes, traffic by day and night, garbage that waits for the
 * next mark-compact, sessions, small caches, a warm-up. Times of day, rates and mark-compacts differ from seed to seed.
 */
"use strict";
const lifetimes = require("./lifetimes.js");
const { DAY, HOUR, MINUTE, MONDAY, SECOND, WEEK, office, steady } = require("./traffic.js");

/** The route whose memory a family is about; index 0. */
const SUBJECT = "GET /subject/:id";
const OTHERS = ["GET /items", "GET /items/:id", "POST /orders", "GET /search", "POST /login", "GET /health"];
const APP = "/srv/app/src";

/** A call path through the service's own code into a function that allocates. */
function pathTo(name, route = "subject") {
  return [
    "processTicksAndRejections node:internal/process/task_queues",
    `handle /srv/app/node_modules/router/index.js`,
    `${route}Handler ${APP}/routes/${route}.js`,
    `${name} ${APP}/${name}.js`,
  ];
}

/**
 * @param options.random drawn from for what differs between services.
 * @param options.hypotheses further functions that are tested before anything leaks, ten to a route. @param
 * options.intervalBytes R. @param options.gcMillis mark-compacts at the peak; default 2 to 30 minutes, by seed.
 */
function ordinaryService({ random, startMillis, endMillis, intervalBytes = 65_537, gcMillis, hypotheses = 0, shape }) {
  const traffic = shape ?? (random.uniform() < 0.75 ? office : steady);
  const rates = [2, 6, 4, 1, 3, 1, 0.5].map((rate) => rate * (0.5 + random.uniform()));
  const scene = {
    startMillis,
    endMillis,
    intervalBytes,
    horizonMillis: DAY,
    // The product aims at ten minutes; the pause budget may allow less.
    captureMillis: random.pick([10, 10, 20, 30]) * MINUTE,
    gcMillis: gcMillis ?? random.pick([2, 5, 10, 30]) * MINUTE,
    baseHeapBytes: 60e6 + 100e6 * random.uniform(),
    heapLimitBytes: () => 2_147_483_648,
    routes: [SUBJECT, ...OTHERS].map((name, index) => ({ name, rate: (millis) => rates[index] * traffic(millis) })),
    populations: [],
    containers: [],
    random,
    traffic,
  };
  ordinaryObjects(scene);
  addHypotheses(scene, hypotheses);
  return scene;
}

/** Bounded structures in steady state, each of which costs a share of the error budget. */
function addHypotheses(scene, count) {
  const base = scene.routes.length;
  for (let i = 0; i < count; i++) {
    const route = base + Math.floor(i / 10);
    if (scene.routes.length <= route) {
      const rate = 0.5 + scene.random.uniform();
      scene.routes.push({ name: `GET /more/${route}`, rate: (millis) => rate * scene.traffic(millis) });
    }
    const life = lifetimes.exponentialLife((2 + 3 * scene.random.uniform()) * HOUR);
    keep(scene, { route, path: pathTo(`part${i}`, `more${route}`), samplesPerDay: 90, sizes: [96, 200], life });
  }
}

function ordinaryObjects(scene) {
  const floating = lifetimes.exponentialLife(40 * SECOND);
  for (const [index, name] of ["subject", "items", "item", "orders", "search", "login"].entries()) {
    keep(scene, {
      route: index,
      path: pathTo("parseBody", name),
      samplesPerDay: 250,
      life: floating,
      sizes: [64, 400],
    });
    keep(scene, {
      route: index,
      path: pathTo("compileSchema", name),
      samplesPerDay: 300,
      keep: decaying(HOUR / 2),
      life: lifetimes.forever,
      sizes: [120, 1_000],
    });
  }
  const session = lifetimes.rollingSession(20 * MINUTE, 2 * HOUR, 12 * HOUR);
  keep(scene, { route: 5, path: pathTo("openSession", "login"), samplesPerDay: 200, life: session, sizes: [300, 90] });
  const cache = lifetimes.leastRecentlyUsed(2 * HOUR);
  keep(scene, { route: 2, path: pathTo("remember", "item"), samplesPerDay: 200, life: cache, sizes: [500, 2_000] });
  const ring = lifetimes.timeToLive(HOUR);
  keep(scene, { route: null, path: ["collect /srv/app/src/metrics.js"], samplesPerDay: 60, life: ring, sizes: [80] });
}

/**
 * Adds objects of one function. `samplesPerDay`: sampled objects on an average day of the first week, while all are kept.
 * @returns the population, with `bytesPerUnit` (bytes per request, or per hour without a route).
 */
function keep(scene, { samplesPerDay, ...population }) {
  const { intervalBytes } = scene;
  const meanSize = population.sizes.reduce((sum, size) => sum + size, 0) / population.sizes.length;
  const share =
    population.sizes.reduce((sum, size) => sum - Math.expm1(-size / intervalBytes), 0) / population.sizes.length;
  const units = population.route === null ? 24 : requestsPerDay(scene, population.route);
  const added = { ...population, bytesPerUnit: ((samplesPerDay / share) * meanSize) / units };
  scene.populations.push(added);
  return added;
}

/** Mean over the first week. */
function requestsPerDay(scene, route) {
  let sum = 0;
  for (let minute = 0; minute < 7 * 24 * 60; minute += 10) {
    sum += 600 * scene.routes[route].rate(scene.startMillis + minute * MINUTE);
  }
  return sum / 7;
}

/** The share of births that are kept falls with time: lazy modules, compiled schemas, interned strings. */
function decaying(meanMillis, fromMillis) {
  return (millis, _exposure, scene) => Math.exp(-Math.max(0, millis - (fromMillis ?? scene.startMillis)) / meanMillis);
}

/** A service is deployed at any hour of the week. */
function randomStart(random) {
  return MONDAY + Math.floor((random.uniform() * WEEK) / (10 * MINUTE)) * 10 * MINUTE;
}

module.exports = { SUBJECT, decaying, keep, ordinaryService, pathTo, randomStart, requestsPerDay };
