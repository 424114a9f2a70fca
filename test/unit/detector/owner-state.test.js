"use strict";
const assert = require("node:assert/strict");
const { test } = require("node:test");
const { HourClock } = require("../../../dist/detector/exposure");
const { MAX_TRACKED_PER_OWNER, OwnerState } = require("../../../dist/detector/owner-state");

const site = (namedFrame, given = {}) => ({
  frame: namedFrame,
  namedFrame,
  verdict: "retracted",
  isSpent: false,
  ladder: null,
  ...given,
});

/** An owner without room: its first sites are these, all others stand. */
function fullOwner(...first) {
  const owner = new OwnerState("route:1", 1, new HourClock(1), true);
  for (let frame = 0; frame < MAX_TRACKED_PER_OWNER; frame++)
    assert.ok(owner.track(site(frame, first[frame] ?? { verdict: "leak" })));
  return owner;
}

const ADDED = MAX_TRACKED_PER_OWNER;

test("the site that was tracked longest of those that are over and done with gives way to a new one", () => {
  const owner = fullOwner({ verdict: "watch" }, { verdict: "inconclusive" }, { verdict: "retracted" });
  assert.equal(owner.track(site(ADDED, { verdict: "leak" })), true);
  assert.deepEqual(
    [0, 1, 2, ADDED].map((frame) => owner.tracked.has(frame)),
    [true, false, true, true],
  );
  assert.equal(owner.tracked.size, MAX_TRACKED_PER_OWNER);
  assert.equal(owner.refusedCount, 0);
});

test("what stands, grows, or would be told anew on the same evidence stays: the new one is refused, and counted", () => {
  const kept = [{ verdict: "saturating" }, { verdict: "urgent" }, { isSpent: true }, { ladder: {} }, {}];
  const owner = fullOwner(...kept);
  owner.noteLook(new Map([[4, { overThreshold: true, survivalRatio: 1, halfRatio: 1 }]]), 1_000);
  assert.equal(owner.track(site(ADDED)), false);
  assert.deepEqual(
    [...kept.keys(), ADDED].map((frame) => owner.tracked.has(frame)),
    [true, true, true, true, true, false],
  );
  assert.equal(owner.refusedCount, 1);
});

test("a function pays the same for being one of many when its site comes back", () => {
  const owner = fullOwner({});
  const orders = [0, 1, 2].map((frame) => owner.siteOrder(frame));
  owner.track(site(ADDED, { verdict: "leak" }));
  assert.equal(owner.tracked.has(0), false);
  assert.deepEqual(
    [0, 1, 2].map((frame) => owner.siteOrder(frame)),
    orders,
  );
});
