"use strict";
const assert = require("node:assert/strict");
const { afterEach, beforeEach, test } = require("node:test");
const { decodeCapture } = require("../../../dist/model/capture.js");
const { loadNative } = require("../../../dist/native.js");
const { Inspector, allocate } = require("./garbage.js");

const { addon } = loadNative();
const kept = [];
let inspector;

beforeEach(() => {
  inspector = new Inspector();
});
afterEach(() => {
  addon.stopSampler();
  inspector.close();
  kept.length = 0;
});

test("theirs first: ours is refused, their sampler is neither read nor stopped", () => {
  inspector.ask("HeapProfiler.startSampling", { samplingInterval: 1_024 });
  kept.push(allocate(400_000));
  assert.equal(addon.startSampler(4_095, 64), "foreign");
  assert.equal(addon.samplerIsOurs(), false);
  assert.equal(addon.capture(), null);
  assert.equal(addon.readOrdinal(), -1);
  assert.equal(addon.counterView(), null);
  addon.stopSampler();
  const { profile } = inspector.ask("HeapProfiler.stopSampling");
  assert.ok(profile.samples.length > 80, "their samples are all there");
  assert.equal(addon.startSampler(4_095, 64), "started");
});

test("their start while ours runs changes nothing; their stop ends ours, which is noticed", () => {
  assert.equal(addon.startSampler(4_095, 64), "started");
  const view = addon.counterView();
  inspector.ask("HeapProfiler.startSampling", { samplingInterval: 1_024 });
  kept.push(allocate(400_000));
  assert.equal(addon.samplerIsOurs(), true);
  assert.ok(decodeCapture(addon.capture()).sampleCount > 30);
  inspector.ask("HeapProfiler.stopSampling");
  assert.notEqual(view.profilerWord[0], view.expectedLow);
  assert.equal(addon.readOrdinal(), -1);
  assert.equal(addon.samplerIsOurs(), false);
  assert.equal(addon.capture(), null);
});

test("an inspector client that started and disconnects ends ours, which is noticed", () => {
  assert.equal(addon.startSampler(4_095, 64), "started");
  const other = new Inspector();
  other.ask("HeapProfiler.startSampling");
  other.close();
  assert.equal(addon.samplerIsOurs(), false);
  assert.equal(addon.capture(), null);
});

test("an inspector client that only looked leaves ours alone", () => {
  assert.equal(addon.startSampler(4_095, 64), "started");
  const other = new Inspector();
  other.ask("HeapProfiler.enable");
  other.close();
  assert.equal(addon.samplerIsOurs(), true);
});

test("a foreign sampler at the address of ours is not taken for ours", () => {
  let sameAddress = 0;
  for (let round = 0; round < 40; round++) {
    assert.equal(addon.startSampler(4_095, 64), "started");
    const view = addon.counterView();
    inspector.ask("HeapProfiler.startSampling");
    inspector.ask("HeapProfiler.stopSampling");
    inspector.ask("HeapProfiler.startSampling", { samplingInterval: 4_096 });
    if (view.profilerWord[0] === view.expectedLow && view.profilerWord[1] === view.expectedHigh) {
      sameAddress++;
      assert.notEqual(view.sampler[view.intervalIndex], view.intervalBytes);
    }
    assert.equal(addon.readOrdinal(), -1);
    assert.equal(addon.samplerIsOurs(), false);
    assert.equal(addon.capture(), null);
    addon.stopSampler();
    const { profile } = inspector.ask("HeapProfiler.stopSampling");
    assert.ok(profile.head, "theirs was still running");
  }
  assert.ok(sameAddress > 0, "malloc never gave the same address, so this test shows nothing");
});

test("their sampler with our very interval, in the place of ours, is given away by a counter that went backwards", () => {
  let sameAddress = 0;
  for (let round = 0; round < 40; round++) {
    assert.equal(addon.startSampler(4_095, 64), "started");
    const view = addon.counterView();
    kept.push(allocate(800_000));
    assert.ok(addon.readOrdinal() > 100);
    inspector.ask("HeapProfiler.startSampling");
    inspector.ask("HeapProfiler.stopSampling");
    inspector.ask("HeapProfiler.startSampling", { samplingInterval: 4_095 });
    if (view.profilerWord[0] === view.expectedLow && view.profilerWord[1] === view.expectedHigh) sameAddress++;
    assert.equal(addon.readOrdinal(), -1);
    assert.equal(addon.samplerIsOurs(), false);
    inspector.ask("HeapProfiler.stopSampling");
    kept.length = 0;
  }
  assert.ok(sameAddress > 0, "malloc never gave the same address, so this test shows nothing");
});
