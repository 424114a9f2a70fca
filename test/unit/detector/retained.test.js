"use strict";
const assert = require("node:assert/strict");
const { test } = require("node:test");
const { Detector } = require("../../../dist/detector/detector");
const { observations } = require("./stream");

const FOREVER = Number.POSITIVE_INFINITY;
const BODY = { function: "parserOnBody", file: "node:_http_common", line: 121, column: 1 };
const DECODE = { function: "write", file: "node:string_decoder", line: 94, column: 1 };
const CONNECTION = { function: "onconnection", file: "node:net", line: 2168, column: 1 };
const KEEP = { function: "keep", file: "/srv/app/titles.js", line: 5, column: 1 };
const PACKAGE = { function: "Socket", file: "/srv/app/node_modules/pkg/socket.js", line: 16, column: 1 };
const PARTS = ["a", "b", "c", "d", "e"].map((name) => ({
  ...PACKAGE,
  function: name,
  file: `/srv/app/node_modules/${name}/x.js`,
}));
const FRAMES = [BODY, DECODE, CONNECTION, KEEP, PACKAGE, ...PARTS];
const NODE_ONLY = [0, 1];
const NEW_CONNECTION = [2, 1];
const OWN = [3];
const PACKAGE_ONLY = [4];
const PART_STACKS = PARTS.map((_, index) => [5 + index]);

/** The stream's samples with other stacks. @param stackOf ordinal => one of the stacks above */
function transitionsOf({ stackOf, kind = "request", ...family }) {
  const detector = new Detector({ horizonMillis: 30_000, windowMillis: 250, applicationRoot: "/srv/app" });
  const stacks = [NODE_ONLY, NEW_CONNECTION, OWN, PACKAGE_ONLY, ...PART_STACKS];
  const transitions = [];
  for (const observation of observations({ seed: 3, captureSeconds: 2, ...family })) {
    const matured = observation.matured?.map((sample) => ({
      ...sample,
      kind,
      route: kind === "background" ? -1 : sample.route,
      stack: stacks.indexOf(stackOf(Number(sample.key.split(":")[2]))),
    }));
    const first = observation.newFrames === undefined ? {} : { newFrames: FRAMES, newStacks: stacks };
    transitions.push(...detector.observe({ ...observation, ...first, ...(matured === undefined ? {} : { matured }) }));
  }
  return transitions;
}

const leakOf = (family) => transitionsOf(family).find((transition) => transition.verdict === "leak");
/** Bytes that a stream's samples stand for, per request. */
const truth = (samplesPerSecond) => (samplesPerSecond * 400) / -Math.expm1(-400 / 32_769) / 50;

test("what only Node has on the stack is a leak of its route, and the service's code that keeps beside it is told", () => {
  const leak = leakOf({ lifeSeconds: () => FOREVER, stackOf: (ordinal) => (ordinal % 12 === 0 ? OWN : NODE_ONLY) });
  assert.equal(leak?.route.name, "GET /leak/:id");
  assert.equal(leak.site.function, "write");
  assert.deepEqual(leak.applicationFrames, [KEEP]);
});

test("what Node makes for a new connection, or without a route, is no site", () => {
  const family = { lifeSeconds: () => FOREVER, samplesPerSecond: 6 };
  assert.deepEqual(transitionsOf({ ...family, stackOf: () => NEW_CONNECTION }), []);
  assert.deepEqual(transitionsOf({ ...family, kind: "background", stackOf: () => NODE_ONLY }), []);
});

test("other code names the site before Node's does, and the rate is that of the whole graph", () => {
  const stackOf = (ordinal) => (ordinal % 7 === 0 ? PACKAGE_ONLY : NODE_ONLY);
  const leak = leakOf({ lifeSeconds: () => FOREVER, samplesPerSecond: 6, stackOf });
  assert.equal(leak?.site.function, "Socket");
  assert.ok(Math.abs(leak.growth.bytesPerRequest / truth(6) - 1) < 0.3, `${leak.growth.bytesPerRequest} ${truth(6)}`);
});

test("parts too small to be found alone count for the rate", () => {
  const stackOf = (ordinal) => (ordinal % 2 === 0 ? OWN : PART_STACKS[ordinal % 5]);
  const leak = leakOf({ lifeSeconds: () => FOREVER, samplesPerSecond: 6, stackOf });
  assert.equal(leak?.site.function, "keep");
  assert.ok(Math.abs(leak.growth.bytesPerRequest / truth(6) - 1) < 0.3, `${leak.growth.bytesPerRequest} ${truth(6)}`);
});

test("a cache of the same route counts neither for the rate nor as the service's code that keeps", () => {
  const isCached = (ordinal) => ordinal % 2 === 0;
  const leak = leakOf({
    samplesPerSecond: 6,
    lifeSeconds: (_elapsed, ordinal) => (isCached(ordinal) ? 10 : FOREVER),
    stackOf: (ordinal) => (isCached(ordinal) ? OWN : PACKAGE_ONLY),
  });
  assert.equal(leak?.site.function, "Socket");
  assert.ok(Math.abs(leak.growth.bytesPerRequest / truth(3) - 1) < 0.3, `${leak.growth.bytesPerRequest} ${truth(3)}`);
  assert.deepEqual(leak.applicationFrames, []);
});
