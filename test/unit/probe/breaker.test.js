"use strict";
const assert = require("node:assert/strict");
const { test } = require("node:test");
const { Breaker } = require("../../../dist/probe/breaker");

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

function opened(horizonMillis = DAY, nowMillis = 0) {
  const breaker = new Breaker(horizonMillis);
  const events = [1, 2, 3].map(() => breaker.exceeded("pause", nowMillis));
  return { breaker, event: events[2], events };
}

test("one excess does not open it, three in a row do, and that is told once", () => {
  const { breaker, events } = opened();
  assert.deepEqual(events, [null, null, { type: "opened", cause: "pause", coolDownMillis: HOUR }]);
  assert.equal(breaker.state, "open");
  assert.equal(breaker.exceeded("pause", 1), null);
  assert.deepEqual(breaker.openings, { pause: 1, cpu: 0, memory: 0 });
});

test("an excess that is followed by a kept budget is forgotten; budgets do not add up", () => {
  const breaker = new Breaker(DAY);
  for (let i = 0; i < 20; i++) {
    breaker.exceeded("pause", i);
    breaker.exceeded("pause", i);
    breaker.exceeded("cpu", i);
    breaker.exceeded("memory", i);
    assert.equal(breaker.kept("pause", i), null);
    breaker.kept("cpu", i);
    breaker.kept("memory", i);
    assert.equal(breaker.state, "closed");
  }
});

test("after the cool-down it is tried again, and closes only when its own budget is kept", () => {
  const { breaker } = opened();
  assert.equal(breaker.poll(HOUR - 1), false);
  assert.equal(breaker.poll(HOUR), true);
  assert.equal(breaker.state, "half-open");
  assert.equal(breaker.poll(HOUR + 1), false, "told once");
  assert.equal(breaker.kept("cpu", HOUR), null);
  assert.equal(breaker.state, "half-open");
  assert.deepEqual(breaker.kept("pause", HOUR), { type: "closed", cause: "pause", coolDownMillis: 0 });
  assert.equal(breaker.state, "closed");
});

test("each failed trial doubles the cool-down up to eight times, without another word", () => {
  const { breaker } = opened();
  let now = 0;
  for (const hours of [1, 2, 4, 8, 8, 8]) {
    assert.equal(breaker.coolDownMillis, hours * HOUR);
    now += hours * HOUR;
    assert.equal(breaker.poll(now - 1), false);
    assert.equal(breaker.poll(now), true);
    assert.equal(breaker.exceeded("memory", now), null);
    assert.equal(breaker.state, "open");
  }
  assert.deepEqual(breaker.openings, { pause: 1, cpu: 0, memory: 6 });
});

test("an opening soon after it had closed lasts longer, one after a time of peace does not", () => {
  const { breaker } = opened();
  breaker.poll(HOUR);
  breaker.kept("pause", HOUR);
  for (let i = 0; i < 3; i++) breaker.exceeded("pause", 2 * HOUR);
  assert.equal(breaker.coolDownMillis, 2 * HOUR);
  breaker.poll(4 * HOUR);
  breaker.kept("pause", 4 * HOUR);
  for (let i = 0; i < 3; i++) breaker.exceeded("pause", 40 * HOUR);
  assert.equal(breaker.coolDownMillis, HOUR);
});

test("the cool-down follows the horizon, between 2 seconds and an hour", () => {
  assert.equal(opened(30_000).event.coolDownMillis, 2_000);
  assert.equal(opened(240_000).event.coolDownMillis, 10_000);
  assert.equal(opened(30 * DAY).event.coolDownMillis, HOUR);
});
