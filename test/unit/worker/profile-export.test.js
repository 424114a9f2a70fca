"use strict";
const assert = require("node:assert/strict");
const { beforeEach, test } = require("node:test");
const { readConfiguration } = require("../../../dist/config");
const { ProfileExport } = require("../../../dist/worker/profile-export");
const { ProfilesRequest } = require("../../harness/otlp-profiles-decoder");

const START = Date.UTC(2026, 10, 25, 10);
const LEAF = { parent: null, frame: { function: "keep", file: "/srv/store.js", line: 7, column: 3 } };
const nanos = (millis) => BigInt(millis) * 1_000_000n;

let bodies;
beforeEach(() => {
  bodies = [];
});

function start(env = {}, resource = Promise.resolve({ attributes: { "service.name": "shop" }, schemaUrl: "" })) {
  const { settings } = readConfiguration({ OTEL_EXPORTER_OTLP_ENDPOINT: "http://c:4318", ...env });
  return new ProfileExport({
    settings: settings.otlp,
    delivery: {
      enqueue: (body) => bodies.push(new ProfilesRequest(body).message),
      flush: async () => {},
      drops: () => ({ profiles_spool_full: 5 }),
    },
    resource,
    processStartMillis: START,
  });
}

/** A thread with live samples of one site. */
function life(thread, sizes, intervalBytes = 1_000) {
  return {
    thread,
    threadName: thread === 0 ? "main" : "",
    intervalBytes,
    size: sizes.length,
    forEach: (visit) => {
      for (const size of sizes) visit(LEAF, "request", "GET /users/:id", size);
    },
  };
}

const profilesOf = (request) => request.resourceProfiles[0].scopeProfiles[0].profiles;

test("one profile per interval, each over the time since the one before", async () => {
  const profiles = start();
  await null;
  const seconds = [30, 45, 89, 91, 150, 151, 400];
  for (const second of seconds) profiles.offer([life(0, [500])], START + second * 1_000, false);
  const windows = bodies.map((body) => {
    const [{ timeUnixNano, durationNano }] = profilesOf(body);
    return [timeUnixNano, timeUnixNano + durationNano].map((time) => Number(time / 1_000_000n - BigInt(START)) / 1_000);
  });
  assert.deepEqual(windows, [
    [0, 30],
    [31, 91],
    [91, 151],
    [340, 400],
  ]);
});

test("a verdict that became a leak does not wait", async () => {
  const profiles = start();
  await null;
  profiles.offer([life(0, [500])], START + 1_000, false);
  profiles.offer([life(0, [500])], START + 2_000, true);
  profiles.offer([life(0, [500])], START + 3_000, false);
  assert.equal(bodies.length, 2);
  assert.equal(profilesOf(bodies[1])[0].timeUnixNano, nanos(START + 1_000));
});

test("before the process leaves, the last capture is sent when it was not yet, and only then", async () => {
  const profiles = start();
  await null;
  profiles.offer([life(0, [500])], START + 1_000, false);
  await profiles.flush();
  assert.equal(bodies.length, 1);
  profiles.offer([life(0, [500, 600])], START + 2_000, false);
  await profiles.flush();
  await profiles.flush();
  assert.equal(bodies.length, 2);
});

test("every thread is in it, with its own interval; nothing live is no profile", async () => {
  const profiles = start();
  await null;
  profiles.offer([life(0, []), life(3, [])], START + 1_000, false);
  assert.equal(bodies.length, 0);
  profiles.offer([life(0, [500], 1_000), life(3, [500], 100)], START + 2_000, false);
  const [space] = profilesOf(bodies[0]);
  const weighted = [1_000, 100].map((interval) => BigInt(Math.round(500 / -Math.expm1(-500 / interval))));
  assert.deepEqual(space.samples.map((sample) => sample.values[0]).sort(), weighted.sort());
  assert.equal(space.period, 1_000n);
});

test("nothing is sent before the resource is known", async () => {
  let known;
  const profiles = start({}, new Promise((resolve) => (known = resolve)));
  profiles.offer([life(0, [500])], START + 1_000, true);
  known({ attributes: { "service.name": "late" }, schemaUrl: "" });
  await null;
  profiles.offer([life(0, [500])], START + 2_000, false);
  assert.equal(bodies.length, 1);
  assert.equal(bodies[0].resourceProfiles[0].resource.attributes[0].value.stringValue, "late");
});

test("what was lost is told by reason", () => {
  assert.deepEqual(start().drops(), { profiles_spool_full: 5, profiles_samples: 0 });
});
