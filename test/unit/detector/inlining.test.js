"use strict";
const assert = require("node:assert/strict");
const { test } = require("node:test");
const { nameBelow } = require("../../../dist/detector/inlining");
const { StackIndex } = require("../../../dist/detector/stack-index");

const FRAMES = [
  { function: "handle", file: "/srv/app/node_modules/router/index.js", line: 1, column: 1 },
  { function: "handler", file: "/srv/app/server.js", line: 27, column: 1 },
  { function: "scoped", file: "/srv/app/log.js", line: 6, column: 1 },
  { function: "create", file: "/srv/app/node_modules/debug/common.js", line: 64, column: 1 },
  { function: "enabled", file: "/srv/app/node_modules/debug/common.js", line: 211, column: 1 },
  { function: "init", file: "/srv/app/node_modules/debug/node.js", line: 227, column: 1 },
  { function: "json", file: "/srv/app/node_modules/express/response.js", line: 9, column: 1 },
];
const [HANDLE, HANDLER, SCOPED, CREATE, ENABLED, INIT, JSON_] = FRAMES.keys();

function index(stacks) {
  const known = new StackIndex();
  known.addFrames(FRAMES);
  known.addStacks(stacks);
  return known;
}

/** Samples in order of birth, as indexes into the stacks. */
const born = (...stacks) => stacks.map((stack, order) => ({ stack, bornMillis: order }));
const repeat = (stack, count) => new Array(count).fill(stack);

test("a call that skips known functions proves that they were inlined", () => {
  const stacks = index([
    [HANDLE, HANDLER, SCOPED, CREATE, ENABLED],
    [HANDLE, HANDLER],
    [HANDLE, HANDLER, ENABLED],
  ]);
  assert.equal(nameBelow(HANDLER, born(...repeat(1, 20), ...repeat(2, 6)), stacks), ENABLED);
  const mixed = index([
    [HANDLE, HANDLER, SCOPED, CREATE, ENABLED],
    [HANDLE, HANDLER],
    [HANDLE, HANDLER, ENABLED],
    [HANDLE, HANDLER, SCOPED, CREATE, INIT],
  ]);
  assert.equal(nameBelow(HANDLER, born(...repeat(3, 4), ...repeat(1, 20), ...repeat(2, 6)), mixed), CREATE);
});

test("samples that all lay below a function before its own began were inlined into it", () => {
  const stacks = index([
    [HANDLE, HANDLER, SCOPED, CREATE],
    [HANDLE, HANDLER],
  ]);
  assert.equal(nameBelow(HANDLER, born(...repeat(0, 6), ...repeat(1, 30)), stacks), CREATE);
});

test("a function whose own share never changed is named itself", () => {
  const stacks = index([
    [HANDLE, HANDLER, SCOPED, CREATE],
    [HANDLE, HANDLER],
  ]);
  const samples = Array.from({ length: 40 }, (_, order) => ({ stack: order % 4 === 1 ? 0 : 1, bornMillis: order }));
  assert.equal(nameBelow(HANDLER, samples, stacks), HANDLER);
});

test("a package that holds four fifths is named by the deepest of its most common functions", () => {
  const stacks = index([
    [HANDLE, HANDLER, CREATE],
    [HANDLE, HANDLER, INIT],
    [HANDLE, HANDLER, JSON_],
  ]);
  assert.equal(nameBelow(HANDLER, born(...repeat(0, 9), ...repeat(1, 8), ...repeat(2, 2)), stacks), CREATE);
  assert.equal(nameBelow(HANDLER, born(...repeat(0, 5), ...repeat(1, 5), ...repeat(2, 5)), stacks), HANDLER);
});

test("of a package, a function that is on fewer than four fifths as many as the most common one is too deep", () => {
  const stacks = index([
    [HANDLE, HANDLER, CREATE, ENABLED, INIT],
    [HANDLE, HANDLER, CREATE, ENABLED],
    [HANDLE, HANDLER, CREATE],
    [HANDLE, HANDLER, JSON_],
  ]);
  const samples = (whole, part, alone) =>
    born(...repeat(0, whole), ...repeat(1, part), ...repeat(2, alone), ...repeat(3, 2));
  assert.equal(nameBelow(HANDLER, samples(8, 1, 1), stacks), INIT);
  assert.equal(nameBelow(HANDLER, samples(6, 2, 2), stacks), ENABLED);
  assert.equal(nameBelow(HANDLER, samples(2, 3, 5), stacks), CREATE);
});

test("too few samples below say nothing", () => {
  const stacks = index([
    [HANDLE, HANDLER, CREATE],
    [HANDLE, HANDLER],
  ]);
  assert.equal(nameBelow(HANDLER, born(0, 0, ...repeat(1, 30)), stacks), HANDLER);
});

const { Detector } = require("../../../dist/detector/detector");
const { observations } = require("./stream");

/**
 * Two routes that leak below one function. Its callees are seen until V8 inlines them (the first third of the samples), then
 * their samples are the function's own. @param second callee on the second route, with `common` of its samples in the first's
 */
function routesOfLeaks(common) {
  const files = ["handler", "record", "first", "second"].map((name) => ({
    function: name,
    file: `/srv/app/${name}.js`,
    line: 1,
    column: 1,
  }));
  const stacks = [
    [0, 1],
    [0, 1, 2],
    [0, 1, 3],
  ];
  const [OWN, FIRST, SECOND] = [0, 1, 2];
  const detector = new Detector({ horizonMillis: 30_000, windowMillis: 250, applicationRoot: "/srv/app" });
  const leaks = [];
  const family = { lifeSeconds: () => Number.POSITIVE_INFINITY, samplesPerSecond: 9, otherShare: 0.4, seed: 2 };
  for (const observation of observations({ captureSeconds: 2, ...family })) {
    const matured = observation.matured?.map((sample) => {
      const ordinal = Number(sample.key.split(":")[2]);
      const isEarly = sample.bornMillis < 1_020_000;
      const isCommon = ordinal % 100 < 100 * common;
      const callee = sample.route === 1 || isCommon ? FIRST : SECOND;
      const isSeen = isEarly || ordinal % 3 === 0 || (sample.route === 2 && isCommon);
      return { ...sample, stack: isSeen ? callee : OWN };
    });
    const first = observation.newFrames === undefined ? {} : { newFrames: files, newStacks: stacks };
    const changed = { ...observation, ...first, ...(matured === undefined ? {} : { matured }) };
    leaks.push(...detector.observe(changed).filter(({ verdict }) => verdict === "leak"));
  }
  return leaks.map(({ route }) => route.name).sort();
}

test("two callees of one function that leak on two routes are two findings; with a part in common they are one", () => {
  assert.deepEqual(routesOfLeaks(0), ["GET /leak/:id", "GET /other"]);
  assert.deepEqual(routesOfLeaks(0.35), ["GET /leak/:id"]);
});
