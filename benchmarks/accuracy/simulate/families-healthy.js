/**
 * Owns the healthy services: each looks like a leak in some way and is none. `fills` says how long the structure takes:
 * "fast" ones (within 24 h) must never alarm with material impact; "slow" ones are reported as they are, none left out.
 */
"use strict";
const lifetimes = require("./lifetimes.js");
const { decaying, keep, pathTo } = require("./scene.js");
const { DAY, HOUR } = require("./traffic.js");

const SIZES = [48, 96, 600];

/** One structure of the subject's route, 20 to 400 sampled objects a day. */
function structure(name, life, extra = {}) {
  return (scene) => {
    const samplesPerDay = 20 * 20 ** scene.random.uniform();
    keep(scene, { route: 0, path: pathTo(name), samplesPerDay, sizes: SIZES, life, ...extra });
  };
}

const FAMILIES = [
  { name: "warm-up", fills: "fast", add: structure("loadModule", lifetimes.forever, { keep: decaying(HOUR) }) },
  { name: "ttl 1 h", fills: "fast", add: structure("cacheFor", lifetimes.timeToLive(HOUR)) },
  { name: "lru 6 h", fills: "fast", add: structure("cacheEntry", lifetimes.leastRecentlyUsed(6 * HOUR)) },
];

module.exports = { HEALTHY: FAMILIES.map((family) => ({ ...family, isHealthy: true })), DAY };
