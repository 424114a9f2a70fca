"use strict";
const assert = require("node:assert/strict");
const test = require("node:test");
const { Detector } = require("../../../dist/detector/detector");
const { toFinding } = require("../../../dist/detector/finding-record");
const { observations, random, poisson } = require("./stream");

const OPTIONS = { horizonMillis: 30_000, windowMillis: 1_000, applicationRoot: "/srv/app" };
const CONTEXT = {
  service: {
    name: "s",
    version: null,
    buildId: null,
    firstBuildId: null,
    instanceId: "i",
    processId: 1,
    nodeVersion: "",
    v8Version: "",
  },
  agent: { version: "1", engine: "native", attribution: "none" },
  describe: ({ file }) => ({ file, package: "app", original: null, isApplication: true }),
};

/** The stream of test/unit/detector/stream.js as an agent without labels sees it, with a second route of its own rhythm. */
function* unlabelled(requestsPerSecond, otherPerSecond, more = {}) {
  const rnd = random(7);
  for (const observation of observations({
    lifeSeconds: () => Number.POSITIVE_INFINITY,
    seconds: 200,
    ...more,
    samplesPerSecond: 8,
    requestsPerSecond,
  })) {
    const requests = [...(observation.requests ?? [])];
    for (const [time] of observation.requests ?? []) {
      requests.push([time, 2, poisson(otherPerSecond((time - 1_000_000) / 1_000) / 4, rnd)]);
    }
    const matured = observation.matured?.map((sample) => ({ ...sample, kind: "unattributed", route: -1 }));
    yield { ...observation, labelledRatio: null, ...(matured === undefined ? {} : { matured }), requests };
  }
}

function leakOf(stream) {
  const detector = new Detector(OPTIONS);
  const found = [];
  for (const observation of stream) found.push(...detector.observe(observation));
  const findings = found.map((transition) => toFinding(transition, CONTEXT));
  return { findings, leak: findings.find(({ verdict }) => verdict === "leak") };
}

const wave = (mean, period) => (t) => mean * (1 + 0.7 * Math.sin((2 * Math.PI * t) / period));

test("without labels the route that the growth follows is named, as inferred, and the finding's id does not depend on it", () => {
  const { leak, findings } = leakOf(unlabelled(wave(50, 17), wave(40, 11)));
  assert.equal(leak.route.name, "GET /leak/:id");
  assert.equal(leak.agent.attribution, "inferred");
  assert.match(leak.text, /inferred/);
  const p = -Math.expm1(-400 / 32_769);
  const truth = (8 * 400) / p / 50;
  assert.ok(Math.abs(leak.growth.bytesPerRequest / truth - 1) < 0.35, `${leak.growth.bytesPerRequest} of ${truth}`);
  const own = findings.filter((finding) => finding.site.function === leak.site.function);
  assert.equal(new Set(own.map(({ id }) => id)).size, 1);
});

test("without labels and at a constant mix the route stays unknown", () => {
  const { leak } = leakOf(
    unlabelled(
      () => 400,
      () => 400,
    ),
  );
  assert.equal(leak.route.name, "(unattributed)");
  assert.equal(leak.agent.attribution, "none");
  assert.equal(leak.growth.bytesPerRequest, null);
});

test("a leak that was told without a route is told again when its route shows", () => {
  const from = (start, rate) => (t) => (t < start ? 50 : rate(t));
  const { findings } = leakOf(unlabelled(from(150, wave(50, 17)), from(150, wave(40, 11)), { seconds: 500 }));
  const told = findings.filter(({ verdict }) => verdict === "leak");
  assert.deepEqual(
    told.map(({ route, agent, previousVerdict }) => [route.name, agent.attribution, previousVerdict]),
    [
      ["(unattributed)", "none", "watch"],
      ["GET /leak/:id", "inferred", "leak"],
    ],
  );
  assert.equal(told[1].sequence, told[0].sequence + 1);
  assert.equal(told[1].id, told[0].id);
});

test("a route that was told stays, when the growth ends and the mix cannot tell any more", () => {
  const until = (end, rate) => (t) => (t < end ? rate(t) : 50);
  const stream = unlabelled(until(200, wave(50, 17)), until(200, wave(40, 11)), {
    seconds: 500,
    lifeSeconds: (born) => 300 - born,
  });
  const { findings } = leakOf(stream);
  const told = findings.filter(({ site, verdict }) => site.function === "remember" && verdict !== "watch");
  assert.deepEqual(
    told.map(({ verdict, route }) => [verdict, route.name]),
    [
      ["saturating", "GET /leak/:id"],
      ["leak", "GET /leak/:id"],
      ["retracted", "GET /leak/:id"],
    ],
  );
});
