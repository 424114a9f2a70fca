"use strict";
const assert = require("node:assert/strict");
const test = require("node:test");
const { inferRoute } = require("../../../dist/detector/route-regression");
const { random, poisson } = require("./stream");

const WINDOWS = 96;

/** Poisson request counts at each route's mean, and survivors of 24 bytes with 30 % sampling noise. */
function service(seed, means, perRequest, windows = WINDOWS) {
  const rnd = random(seed);
  const counts = new Map(means.map((_, route) => [route, []]));
  const survivors = [];
  for (let window = 0; window < windows; window++) {
    let kept = 0;
    means.forEach((mean, route) => {
      const expected = typeof mean === "function" ? mean(window, rnd, counts) : mean;
      const count = expected > 400 ? Math.round(expected) : poisson(expected, rnd);
      counts.get(route).push(count);
      kept += count * (perRequest[route] ?? 0);
    });
    survivors.push(Math.max(0, kept * (1 + 0.6 * (rnd() - 0.5))));
  }
  return inferRoute(survivors, counts);
}

/** A route with a rhythm of its own. */
const wave =
  (mean, period, phase = 0) =>
  (window) =>
    mean * (1 + 0.8 * Math.sin((2 * Math.PI * window) / period + phase));

test("the route that keeps memory is named when the mix varies, and its rate lies in the interval", () => {
  let covered = 0;
  for (let seed = 1; seed <= 20; seed++) {
    const { known, inferred, reason } = service(seed, [wave(40, 24), wave(60, 13), wave(50, 31, 1), 30], { 1: 24 });
    assert.ok(known, `seed ${seed}: ${reason}`);
    assert.equal(inferred.route, 1, `seed ${seed}`);
    if (inferred.perRequestLow <= 24 && 24 <= inferred.perRequestHigh) covered++;
  }
  assert.ok(covered >= 17, `${covered} of 20`);
});

for (const [what, means, perRequest] of [
  ["the mix is constant", [400.1, 500, 600], { 1: 24 }],
  ["all routes share one rhythm", [wave(4_000, 24), wave(6_000, 24), wave(5_000, 24)], { 1: 24 }],
  [
    "one route is always called with another",
    [wave(40, 24), (window, _rnd, counts) => counts.get(0)[window] * 2 + 400, wave(50, 31)],
    { 1: 24 },
  ],
  ["two routes keep memory", [wave(40, 24), wave(60, 13), wave(50, 31)], { 0: 24, 1: 20 }],
  ["nobody keeps memory", [wave(40, 24), wave(60, 13)], {}],
]) {
  test(`nobody is named when ${what}`, () => {
    for (let seed = 1; seed <= 10; seed++) {
      const inference = service(seed, means, perRequest);
      assert.equal(inference.known, false, `seed ${seed}: ${JSON.stringify(inference)}`);
    }
  });
}

test("background work that follows no route is blamed on none of them", () => {
  let named = 0;
  for (let seed = 1; seed <= 200; seed++) {
    const rnd = random(seed);
    const survivors = Array.from({ length: WINDOWS }, () => 1_000 * rnd());
    const counts = new Map(
      [0, 1, 2, 3, 4, 5].map((route) => [route, Array.from({ length: WINDOWS }, () => poisson(20, rnd))]),
    );
    if (inferRoute(survivors, counts).known) named++;
  }
  assert.equal(named, 0);
});

test("a few windows say nothing", () => {
  assert.deepEqual(service(1, [wave(40, 24), wave(60, 13)], { 1: 24 }, 20), { known: false, reason: "few-windows" });
});
