/** Owns the leaking services: what leaks, on which route, and how much of it there is, so that a finding can be scored. */
"use strict";
const { ARRAY, MAP } = require("./containers.js");
const lifetimes = require("./lifetimes.js");
const { SUBJECT, keep, pathTo } = require("./scene.js");
const { DAY, HOUR } = require("./traffic.js");

const { exponentialLife, forever, mixed } = lifetimes;

/** @param options.keptShare of the objects that stay for good, for the truth of bytes/request; null: no truth is stated. */
function leak(name, { samplesPerDay = 60, sizes = [48], keptShare = 1, ...extra } = {}) {
  return (scene) => {
    const population = keep(scene, { route: 0, path: pathTo(name), samplesPerDay, sizes, life: forever, ...extra });
    return {
      route: extra.route === null ? "background" : SUBJECT,
      functions: [name],
      bytesPerRequest: keptShare === null || extra.route === null ? null : population.bytesPerUnit * keptShare,
    };
  };
}

/** An array of numbers: nothing but its backing store, one object, is ever sampled. */
function numbers(scene) {
  scene.containers.push({ ...ARRAY, route: 0, path: pathTo("record"), elementsPerUnit: 6 });
  return { route: SUBJECT, functions: ["record"], bytesPerRequest: null };
}

function mapOfStrings(scene) {
  const population = keep(scene, { route: 0, path: pathTo("index"), samplesPerDay: 60, sizes: [72], life: forever });
  const elementsPerUnit = population.bytesPerUnit / 72;
  scene.containers.push({ ...MAP, route: 0, path: pathTo("index"), elementsPerUnit });
  return { route: SUBJECT, functions: ["index"], bytesPerRequest: null };
}

function twoRoutes(scene) {
  const population = leak("memoize")(scene);
  const path = pathTo("memoize", "item");
  keep(scene, { route: 2, path, samplesPerDay: 60, sizes: [48], life: forever });
  return { ...population, route: [SUBJECT, scene.routes[2].name] };
}

/** V8 compiles the function into its caller on the second day: from then on its samples are the caller's. */
function inlined(scene) {
  const whole = pathTo("remember2");
  const until = (minute) => (minute < scene.startMillis + DAY ? 1 : 0);
  const shared = { route: 0, samplesPerDay: 60, sizes: [48], life: forever };
  const population = keep(scene, { ...shared, path: whole, keep: until });
  keep(scene, { ...shared, path: whole.slice(0, -1), keep: (minute) => 1 - until(minute) });
  return { route: SUBJECT, functions: ["remember2", "subjectHandler"], bytesPerRequest: population.bytesPerUnit };
}

/** Nothing is added in a build without the leak. */
function fixable(add) {
  return (scene, { isFixed }) => (isFixed ? null : add(scene));
}

const later = (days) => (minute, _exposure, scene) => (minute < scene.startMillis + days * DAY ? 0 : 1);
const faster = (minute, _exposure, scene) => 0.2 + (minute - scene.startMillis) / (5 * DAY);

const FAMILIES = {
  "numbers in an array": numbers,
  "map of strings": mapOfStrings,
  listeners: leak("onUpdate", { sizes: [56, 32] }),
  closures: leak("makeCallback", { sizes: [64] }),
  timers: leak("schedule", { sizes: [88, 120] }),
  "promise never settled": leak("waitFor", { sizes: [200, 80], isAfterResponse: true }),
  "per-tenant registry": leak("registerTenant", { samplesPerDay: 25, sizes: [2_000, 300] }),
  "error path only": leak("rememberError", { samplesPerDay: 30, sizes: [400] }),
  "background timer": leak("poll", { route: null, samplesPerDay: 60, sizes: [96] }),
  "flag on day 3": leak("flagged", { keep: later(3) }),
  "5 % of churn": leak("churn", {
    samplesPerDay: 1_000,
    life: mixed(0.05, forever, exponentialLife(2 * HOUR)),
    keptShare: 0.05,
  }),
  "10 % freed later": leak("hold", { life: mixed(0.9, forever, exponentialLife(DAY)), keptShare: null }),
  "90 % freed later": leak("hold", {
    samplesPerDay: 400,
    life: mixed(0.1, forever, exponentialLife(4 * HOUR)),
    keptShare: null,
  }),
  accelerating: leak("spread", { keep: faster, keptShare: null }),
  "rare bursts": leak("importFile", { samplesPerDay: 90, batch: 15, sizes: [300] }),
  "across nightly restarts": leak("onUpdate", { samplesPerDay: 120 }),
  // Longer than a horizon, and shorter than the two that a life alone needs; then just longer.
  "restarts every 36 h": leak("onUpdate", { samplesPerDay: 120 }),
  "restarts every 54 h": leak("onUpdate", { samplesPerDay: 120 }),
  "restarts until fixed": fixable(leak("onUpdate", { samplesPerDay: 120 })),
  "two routes sharing a site": twoRoutes,
  "inlined site": inlined,
  "freed after a day": leak("stage", { samplesPerDay: 120, life: lifetimes.timeToLive(30 * HOUR), keptShare: null }),
};

/** Process lives, in hours, and when a build without the leak is deployed. */
const LIVES = {
  "across nightly restarts": { lifeHours: 24 },
  "restarts every 36 h": { lifeHours: 36 },
  "restarts every 54 h": { lifeHours: 54 },
  "restarts until fixed": { lifeHours: 24, fixedAfterHours: 192 },
};

const LEAKING = Object.entries(FAMILIES).map(([name, add]) => ({
  name,
  add,
  isHealthy: false,
  ...LIVES[name],
}));

module.exports = { LEAKING };
