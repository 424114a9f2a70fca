"use strict";
/**
 * Makes observation streams of one service: requests arrive, some allocate an object that is sampled, objects live as
 * long as the family says. Deaths are seen only at mark-compacts, as in V8. Seeded; time is simulated.
 */

/** Mulberry32: small, seeded, good enough for streams. */
function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let value = Math.imul(state ^ (state >>> 15), 1 | state);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) / 4294967296;
  };
}

const APP = { function: "handler", file: "/srv/app/routes.js", line: 10, column: 1 };
const SHARED = { function: "load", file: "/srv/app/data.js", line: 20, column: 1 };
const LEAF = { function: "remember", file: "/srv/app/node_modules/pkg/index.js", line: 5, column: 1 };
const OTHER = { function: "render", file: "/srv/app/render.js", line: 7, column: 1 };

/**
 * @param options.route name of each route
 * @param options.otherShare share of the kept objects that GET /other allocates through the same function
 * @param options.lifeSeconds (bornSeconds, index, rnd) => seconds a kept object lives; 0 = dies at once, Infinity = leak
 */
function* observations({
  seed = 1,
  seconds = 150,
  windowMillis = 250,
  captureSeconds = 1,
  gcSeconds = 3,
  samplesPerSecond = 3,
  requestsPerSecond = () => 50,
  intervalBytes = 32_769,
  sizeBytes = 400,
  otherShare = 0,
  otherRequestsRatio = 1,
  lifeSeconds,
}) {
  const rnd = random(seed);
  const start = 1_000_000;
  const level = {
    postGcHeapBytes: 20e6,
    heapLimitBytes: 2e9,
    externalBytes: 1e6,
    rssBytes: 60e6,
    cgroupBytes: null,
    cgroupLimitBytes: null,
  };
  const live = [];
  let gcs = 0;
  let ordinal = 0;
  let nextGc = gcSeconds;
  let windows = [];
  yield {
    timeMillis: start,
    thread: 0,
    epoch: 1,
    intervalBytes,
    majorGcCount: 0,
    requestedGcCount: 0,
    level,
    newRoutes: [
      { name: "(other)", method: null, template: null },
      { name: "GET /leak/:id", method: "GET", template: "/leak/:id" },
      { name: "GET /other", method: "GET", template: "/other" },
    ],
    newFrames: [APP, SHARED, LEAF, OTHER],
    newStacks: [
      [0, 1, 2],
      [0, 3],
    ],
    liveSampleCount: 0,
    liveBytes: 0,
    labelledRatio: 1,
  };
  for (let tick = 1; tick * windowMillis <= seconds * 1_000; tick++) {
    const now = start + tick * windowMillis;
    const elapsed = (tick * windowMillis) / 1_000;
    const requests = Math.round(requestsPerSecond(elapsed) * (windowMillis / 1_000));
    windows.push([now, 1, requests]);
    if (otherShare > 0) windows.push([now, 2, requests * otherRequestsRatio]);
    const births = poisson(samplesPerSecond * (windowMillis / 1_000) * (requestsPerSecond(elapsed) / 50), rnd);
    for (let i = 0; i < births; i++) {
      ordinal++;
      live.push({
        key: `0:1:${ordinal}`,
        bornMillis: now,
        diesMillis: now + 1_000 * lifeSeconds(elapsed, ordinal, rnd),
        gcs,
        route: otherShare > 0 && rnd() < otherShare ? 2 : 1,
        matured: false,
      });
    }
    let collected = false;
    if (elapsed >= nextGc) {
      nextGc += gcSeconds;
      gcs++;
      collected = true;
    }
    const freed = [];
    if (collected) {
      for (let i = live.length - 1; i >= 0; i--) {
        if (live[i].diesMillis > now) continue;
        const [dead] = live.splice(i, 1);
        if (dead.matured) freed.push(dead.key);
      }
    }
    pendingFreed.push(...freed);
    if ((tick * windowMillis) % (captureSeconds * 1_000) !== 0) continue;
    const matured = [];
    for (const sample of live) {
      if (sample.matured || gcs < sample.gcs + 2) continue;
      sample.matured = true;
      matured.push({
        key: sample.key,
        bornMillis: sample.bornMillis,
        kind: "request",
        route: sample.route,
        stack: 0,
        sizeBytes,
      });
    }
    yield {
      timeMillis: now,
      thread: 0,
      epoch: 1,
      intervalBytes,
      majorGcCount: gcs,
      requestedGcCount: 0,
      requests: windows,
      matured,
      freed: pendingFreed.splice(0),
      level,
      liveSampleCount: live.length,
      liveBytes: 0,
      labelledRatio: 1,
    };
    windows = [];
  }
}

const pendingFreed = [];

function poisson(mean, rnd) {
  const limit = Math.exp(-mean);
  let product = rnd();
  let count = 0;
  while (product > limit) {
    product *= rnd();
    count++;
  }
  return count;
}

module.exports = { observations, random, poisson };
