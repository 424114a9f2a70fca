"use strict";
const assert = require("node:assert/strict");
const { test } = require("node:test");
const { ExposureClock } = require("../../../dist/detector/exposure");
const { inferOwner } = require("../../../dist/detector/infer-owner");

const SECOND = 1_000;
const SECONDS = 60;
const ROUTES = [
  { name: "GET /leak", method: "GET", template: "/leak" },
  { name: "GET /clean", method: "GET", template: "/clean" },
];

/** Linear congruential (Numerical Recipes). */
function numbersUpTo(bound, seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * (bound + 1));
  };
}

/** A mix that varies from second to second; 100 bytes a request of the first route, dated to the end of their second. */
function growthOf(seed) {
  const upTo = numbersUpTo(25, seed);
  const clocks = ROUTES.map(() => new ExposureClock(0, SECOND));
  const living = [];
  for (let second = 1; second <= SECONDS; second++) {
    clocks.forEach((clock, route) => {
      const requests = upTo();
      clock.add(second * SECOND, requests);
      if (route === 0) living.push({ bornMillis: second * SECOND, sizeBytes: 100, weight: requests });
    });
  }
  // A horizon of 30 s has windows of 1.25 s, whose edges lie within the seconds.
  const memory = {
    options: { horizonMillis: 30 * SECOND, windowMillis: SECOND },
    routeClocks: () => clocks.entries(),
    routeAt: (route) => ROUTES[route],
  };
  return { memory, living };
}

test("births and requests are laid over the windows alike: a mix that changes every second names the route exactly", () => {
  for (const seed of [1, 2, 3, 4, 5]) {
    const { memory, living } = growthOf(seed);
    const owner = inferOwner(memory, living, 0, SECONDS * SECOND);
    assert.equal(owner?.route.name, "GET /leak");
    assert.ok(owner.inferred.partialR2 > 0.99, `R2 ${owner.inferred.partialR2}`);
    assert.ok(Math.abs(owner.inferred.perRequest - 100) < 1, `${owner.inferred.perRequest} B`);
  }
});
