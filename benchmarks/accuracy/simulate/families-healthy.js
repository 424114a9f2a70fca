/**
 * Owns the healthy services: each looks like a leak in some way and is none. `fills` says how long the structure takes to
 * be 95 % full: "fast" ones (within 24 h of average traffic) must never alarm with material impact; "slow" ones are
 * reported as they are, none left out.
 */
"use strict";
const lifetimes = require("./lifetimes.js");
const { ARRAY, MAP } = require("./containers.js");
const { decaying, keep, pathTo, requestsPerDay } = require("./scene.js");
const { DAY, HOUR, MINUTE, MONDAY, SECOND, WEEK, growing } = require("./traffic.js");

const SIZES = [48, 96, 600];

/** One structure of the subject's route, 20 to 400 sampled objects a day, by seed. */
function structure(name, life, extra = {}) {
  return (scene) => {
    const samplesPerDay = 20 * 20 ** scene.random.uniform();
    keep(scene, { route: 0, path: pathTo(name), samplesPerDay, sizes: SIZES, life, ...extra });
  };
}

/** A finite set of keys, each kept once: the share of requests that bring a new one falls exponentially. */
function finiteKeys(timeConstantMillis) {
  return (scene) => {
    const keys = (requestsPerDay(scene, 0) * timeConstantMillis) / DAY;
    const isNew = (minute, exposure) => Math.exp(-exposure.at(minute) / keys);
    // As many samples as 30 to 300 a day for the time constant: a set that is quick to fill is no smaller.
    const samplesPerDay = 30 * 10 ** scene.random.uniform() * Math.max(1, DAY / timeConstantMillis);
    keep(scene, {
      route: 0,
      path: pathTo("intern"),
      samplesPerDay,
      sizes: SIZES,
      life: lifetimes.forever,
      keep: isNew,
    });
  };
}

/** @param isOn (millis, scene) => whether the objects are made at that time, at `boost` times the average rate. */
function during(isOn, boost) {
  return (minute, _exposure, scene) => (isOn(minute, scene) ? boost : 0);
}

function trafficGrowth(scene) {
  const base = scene.traffic;
  const grown = growing(base, scene.startMillis + DAY, 2, 16);
  for (const route of scene.routes) {
    const { rate } = route;
    route.rate = (millis) => (rate(millis) * grown(millis)) / Math.max(1e-9, base(millis));
  }
  structure("window", lifetimes.timeToLive(2 * HOUR))(scene);
}

function newRoute(scene) {
  const from = scene.startMillis + 2 * DAY;
  const { rate } = scene.routes[0];
  scene.routes[0].rate = (millis) => (millis < from ? 0 : rate(millis));
  structure("loadTemplates", lifetimes.forever, { keep: decaying(HOUR / 2, from) })(scene);
}

function heapResize(scene) {
  const { startMillis } = scene;
  scene.heapLimitBytes = (millis) => (millis < startMillis + 2 * DAY ? 2_147_483_648 : 734_003_200);
  scene.otherGrowthBytes = (millis) => (millis < startMillis + 4 * DAY ? 0 : 250e6);
  structure("cacheEntry", lifetimes.leastRecentlyUsed(6 * HOUR))(scene);
}

function pool(days) {
  return structure("acquire", lifetimes.forever, {
    keep: during((millis, scene) => millis < scene.startMillis + days * DAY, 1),
  });
}

function container(kind, most) {
  return (scene) => {
    const perDay = requestsPerDay(scene, 0);
    scene.containers.push({ ...kind, route: 0, path: pathTo("lookup"), elementsPerUnit: most / (perDay / 4), most });
  };
}

const isNight = (millis) => (millis - MONDAY) % DAY < 2 * HOUR;
const isSunday = (millis) => (millis - MONDAY) % WEEK > 6 * DAY && isNight(millis);
const since = (days) => (millis, scene) => millis >= scene.startMillis + days * DAY;

const { firstInFirstOut, forever, leastRecentlyUsed, randomEviction, timeToLive } = lifetimes;

const FAST = {
  "warm-up": structure("loadModule", forever, { keep: decaying(HOUR) }),
  "late warm-up": structure("loadModule", forever, { keep: decaying(4 * HOUR) }),
  "new route's warm-up": newRoute,
  "late flag, finite cache": structure("flagged", forever, {
    keep: (minute, _exposure, scene) =>
      minute < scene.startMillis + 3 * DAY ? 0 : 4 * Math.exp(-(minute - scene.startMillis - 3 * DAY) / (6 * HOUR)),
  }),
  "late flag, lru": structure("flagged", timeToLive(10 * HOUR), { keep: during(since(3), 1) }),
  "ttl 1 h": structure("cacheFor", timeToLive(HOUR)),
  "ttl 6 h": structure("cacheFor", timeToLive(6 * HOUR)),
  "ttl 24 h": structure("cacheFor", timeToLive(DAY)),
  "fifo 1 h": structure("enqueue", firstInFirstOut(HOUR)),
  "fifo 6 h": structure("enqueue", firstInFirstOut(6 * HOUR)),
  "fifo 24 h": structure("enqueue", firstInFirstOut(DAY)),
  "lru 6 h": structure("cacheEntry", leastRecentlyUsed(6 * HOUR)),
  "random eviction 12 h": structure("cacheEntry", randomEviction(12 * HOUR)),
  "finite keys 1 h": finiteKeys(HOUR),
  "finite keys 8 h": finiteKeys(8 * HOUR),
  "sliding window 24 h": structure("record", timeToLive(DAY, 10 * MINUTE)),
  "rolling sessions": structure("session", lifetimes.rollingSession(30 * MINUTE, 8 * HOUR, DAY)),
  connections: structure("onConnect", lifetimes.rollingSession(HOUR, 5 * HOUR, DAY), { route: null, keep: byTraffic }),
  "traffic growth": trafficGrowth,
  "floating garbage": structure("parse", lifetimes.exponentialLife(20 * SECOND), {
    keep: () => 20,
  }),
  promotion: structure("buildPage", lifetimes.mixed(0.9, lifetimes.exponentialLife(5 * MINUTE), timeToLive(3 * HOUR))),
  "cleared daily": structure("buffer", lifetimes.clearedEvery(DAY, 3 * HOUR)),
  "daily batch": structure("batchRow", lifetimes.clearedEvery(DAY, 0), { route: null, keep: during(isNight, 12) }),
  "weekly batch": structure("batchRow", timeToLive(WEEK), { route: null, keep: during(isSunday, 60) }),
  "weekly batch on a route": structure("batchRow", timeToLive(WEEK), { keep: during(isSunday, 60) }),
  "map of fixed size": container(MAP, 60_000),
  "array that fills once": container(ARRAY, 120_000),
  "heap-limit resize": heapResize,
  "daily deploys: fifo 14 h": structure("cacheEntry", firstInFirstOut(14 * HOUR)),
  "weekly deploys": structure("cacheEntry", firstInFirstOut(DAY)),
  "restarts every 36 h: finite keys 8 h": finiteKeys(8 * HOUR),
  "short lives: fifo 2 h": structure("cacheEntry", firstInFirstOut(2 * HOUR)),
  "nightly restarts: warm-up": structure("loadModule", forever, { keep: decaying(4 * HOUR) }),
  "nightly restarts: finite keys 8 h": finiteKeys(8 * HOUR),
  "nightly restarts: ttl 6 h": structure("cacheFor", timeToLive(6 * HOUR)),
  "nightly restarts: lru 6 h": structure("cacheEntry", leastRecentlyUsed(6 * HOUR)),
};

const SLOW = {
  "finite keys 24 h": finiteKeys(DAY),
  "finite keys 4 d": finiteKeys(4 * DAY),
  "finite keys 7 d": finiteKeys(7 * DAY),
  "fifo 4 d": structure("enqueue", firstInFirstOut(4 * DAY)),
  "fifo 7 d": structure("enqueue", firstInFirstOut(7 * DAY)),
  "ttl 3 d": structure("cacheFor", timeToLive(3 * DAY)),
  "ttl 7 d": structure("cacheFor", timeToLive(7 * DAY)),
  "pool growing 5 d": pool(5),
  // Never full within a life.
  "short lives: fifo 6 h": structure("cacheEntry", firstInFirstOut(6 * HOUR)),
  "daily deploys: fifo 30 h": structure("cacheEntry", firstInFirstOut(30 * HOUR)),
  "nightly restarts: finite keys 24 h": finiteKeys(DAY),
};

/** Process lives, in hours, and whether each is of a new build; one whole life where none are named. */
const LIVES = {
  "daily deploys: fifo 14 h": { lifeHours: 24, deploys: true },
  "daily deploys: fifo 30 h": { lifeHours: 24, deploys: true },
  "weekly deploys": { lifeHours: 168, deploys: true },
  "restarts every 36 h: finite keys 8 h": { lifeHours: 36 },
  "short lives: fifo 2 h": { lifeHours: 5 },
  "short lives: fifo 6 h": { lifeHours: 5 },
  "nightly restarts: warm-up": { lifeHours: 24 },
  "nightly restarts: finite keys 8 h": { lifeHours: 24 },
  "nightly restarts: finite keys 24 h": { lifeHours: 24 },
  "nightly restarts: ttl 6 h": { lifeHours: 24 },
  "nightly restarts: lru 6 h": { lifeHours: 24 },
};

function byTraffic(minute, _exposure, scene) {
  return 2 * scene.traffic(minute);
}

const HEALTHY = [
  ...Object.entries(FAST).map(([name, add]) => ({ name, add, fills: "fast" })),
  ...Object.entries(SLOW).map(([name, add]) => ({ name, add, fills: "slow" })),
].map((family) => ({ ...family, isHealthy: true, ...LIVES[family.name] }));

module.exports = { HEALTHY };
