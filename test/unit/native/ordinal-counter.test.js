"use strict";
const assert = require("node:assert/strict");
const { afterEach, test } = require("node:test");
const { decodeCapture } = require("../../../dist/model/capture.js");
const { loadNative } = require("../../../dist/native.js");
const { allocate } = require("./garbage.js");

const { addon } = loadNative();
const kept = [];

afterEach(() => {
  addon.stopSampler();
  kept.length = 0;
});

function readThrough(view) {
  assert.equal(view.profilerWord[0], view.expectedLow);
  assert.equal(view.profilerWord[1], view.expectedHigh);
  assert.equal(view.sampler[view.intervalIndex], view.intervalBytes);
  return view.sampler[view.ordinalIndex + 1] * 2 ** 32 + view.sampler[view.ordinalIndex];
}

test("the counter is found, and its word equals the greatest ordinal that was handed out", () => {
  assert.equal(addon.startSampler(1_023, 64), "started");
  assert.equal(addon.counterProblem(), "");
  const ordinalsBefore = addon.readOrdinal();
  kept.push(allocate(2_000_000));
  const buffer = addon.capture();
  const now = addon.readOrdinal();
  const capture = decodeCapture(buffer);
  const greatest = Math.max(...capture.ordinals);
  assert.equal(new Set(capture.ordinals).size, capture.sampleCount);
  assert.ok(Math.min(...capture.ordinals) >= 1);
  assert.ok(greatest > ordinalsBefore + 400, `${greatest} after about 2,000 samples`);
  assert.ok(greatest <= now);
  assert.ok(now - greatest < 50, `${now - greatest} samples between the capture and the reading`);
});

test("ordinals of an object allocated between two reads lie between them", () => {
  assert.equal(addon.startSampler(1_023, 64), "started");
  for (let round = 0; round < 20; round++) {
    const before = addon.readOrdinal();
    kept.push(allocate(40_000));
    const after = addon.readOrdinal();
    const between = decodeCapture(addon.capture()).ordinals.filter((ordinal) => ordinal > before && ordinal <= after);
    assert.ok(between.length >= 8, `${between.length} live samples in 40 KB`);
    assert.ok(after - before >= between.length);
  }
});

test("JavaScript reads the same number through the view", () => {
  assert.equal(addon.startSampler(1_023, 64), "started");
  const view = addon.counterView();
  for (let round = 0; round < 50; round++) {
    kept.push(allocate(10_000));
    const before = addon.readOrdinal();
    const read = readThrough(view);
    assert.ok(read >= before && read <= addon.readOrdinal());
  }
});

test("an even interval is made odd, so that nobody else's sampler looks like ours", () => {
  assert.equal(addon.startSampler(131_072, 64), "started");
  assert.equal(addon.counterView().intervalBytes, 131_071);
  addon.stopSampler();
  assert.equal(addon.startSampler(131_071, 64), "started");
  assert.equal(addon.counterView().intervalBytes, 131_071);
  addon.stopSampler();
  assert.equal(addon.startSampler(1, 64), "started");
  assert.equal(addon.counterView().intervalBytes, 1);
});

test("after a stop the old view says by itself that it may not be read", () => {
  assert.equal(addon.startSampler(1_023, 64), "started");
  const view = addon.counterView();
  addon.stopSampler();
  assert.equal(view.profilerWord[0], 0);
  assert.equal(view.profilerWord[1], 0);
  assert.equal(addon.counterProblem(), "the sampler is not ours any more");
});

test("the counter is found again in every sampler life and starts anew", () => {
  for (let life = 0; life < 30; life++) {
    assert.equal(addon.startSampler(1_023 + 2 * life, 64), "started");
    assert.equal(addon.counterProblem(), "", `life ${life}`);
    assert.ok(addon.readOrdinal() >= 0 && addon.readOrdinal() < 200);
    kept.push(allocate(20_000));
    assert.ok(addon.readOrdinal() > 0);
    addon.stopSampler();
  }
});
