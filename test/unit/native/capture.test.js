"use strict";
const assert = require("node:assert/strict");
const { afterEach, beforeEach, test } = require("node:test");
const {
  CAPTURE_FLAG_COMPLETE,
  CAPTURE_FLAG_SYNTHETIC_ORDINALS,
  decodeCapture,
} = require("../../../dist/model/capture.js");
const { loadNative } = require("../../../dist/native.js");
const { Inspector, allocate, collectGarbage } = require("./garbage.js");

const { addon } = loadNative();
const kept = [];

beforeEach(() => assert.equal(addon.startSampler(4_095, 64), "started"));
afterEach(() => {
  addon.stopSampler();
  kept.length = 0;
});

function aFunctionWithAName() {
  return allocate(400_000);
}

test("a first capture names every node, parents first", () => {
  kept.push(aFunctionWithAName());
  const capture = decodeCapture(addon.capture());
  assert.equal(capture.flags, CAPTURE_FLAG_COMPLETE);
  assert.equal(capture.flags & CAPTURE_FLAG_SYNTHETIC_ORDINALS, 0);
  assert.equal(capture.newNodes.length, capture.treeNodeCount);
  const seen = new Set([0]);
  for (const node of capture.newNodes) {
    assert.ok(seen.has(node.parentId), `parent of ${node.id}`);
    assert.ok(!seen.has(node.id), `${node.id} twice`);
    seen.add(node.id);
  }
  const named = capture.newNodes.find((node) => node.functionName === "aFunctionWithAName");
  assert.equal(named.scriptName, __filename);
  const source = aFunctionWithAName.toString();
  const lines = require("node:fs").readFileSync(__filename, "utf8").split("\n");
  assert.ok(lines[named.line - 1].startsWith("function aFunctionWithAName"), `line ${named.line}`);
  assert.equal(named.column, "function aFunctionWithAName".length + 1);
  assert.ok(named.scriptId > 0 && source.length > 0);
});

test("a function with a name of two-byte characters keeps it", () => {
  const größe漢字 = new Function("return function größe漢字(make) { return make(400_000); }")();
  kept.push(größe漢字(allocate));
  const names = decodeCapture(addon.capture()).newNodes.map((node) => node.functionName);
  assert.ok(names.includes("größe漢字"));
});

test("names are sent once, every sample's node has been sent, and resendNames repeats all", () => {
  const sent = new Set();
  for (let round = 0; round < 12; round++) {
    const make = new Function("allocate", `return function round${round}() { return allocate(60_000); }`)(allocate);
    if (round % 3 === 0) kept.length = 0;
    kept.push(make());
    const capture = decodeCapture(addon.capture());
    for (const node of capture.newNodes) {
      assert.ok(!sent.has(node.id), `node ${node.id} twice`);
      sent.add(node.id);
    }
    for (const id of capture.nodeIds) assert.ok(sent.has(id), `node ${id} never sent`);
    if (round > 0) assert.equal(capture.flags, 0);
  }
  addon.resendNames();
  const again = decodeCapture(addon.capture());
  assert.equal(again.flags, CAPTURE_FLAG_COMPLETE);
  assert.equal(again.newNodes.length, again.treeNodeCount);
});

test("a node that left the tree does not confuse which names are new", async () => {
  const sent = new Set(decodeCapture(addon.capture()).newNodes.map((node) => node.id));
  for (let round = 0; round < 5; round++) {
    allocate(200_000);
    await collectGarbage();
    kept.push(aFunctionWithAName());
    const capture = decodeCapture(addon.capture());
    for (const node of capture.newNodes) sent.add(node.id);
    for (const id of capture.nodeIds) assert.ok(sent.has(id));
  }
});

test("the samples are those that V8's inspector reports: ordinal, node and size", () => {
  kept.push(aFunctionWithAName());
  const inspector = new Inspector();
  inspector.ask("HeapProfiler.enable");
  const ours = decodeCapture(addon.capture());
  const { profile } = inspector.ask("HeapProfiler.getSamplingProfile");
  inspector.close();
  const theirs = new Map(profile.samples.map((sample) => [sample.ordinal, sample]));
  assert.ok(ours.sampleCount > 30);
  for (let i = 0; i < ours.sampleCount; i++) {
    const sample = theirs.get(ours.ordinals[i]);
    assert.equal(sample.nodeId, ours.nodeIds[i]);
    const scale = -1 / Math.expm1(-ours.sizesBytes[i] / 4_095);
    assert.equal(
      sample.size,
      ours.sizesBytes[i] * Math.round(scale),
      "the inspector scales by 1 / (1 - exp(-size/interval))",
    );
  }
});

test("without a sampler there is no capture and no ordinal", () => {
  addon.stopSampler();
  assert.equal(addon.capture(), null);
  assert.equal(addon.readOrdinal(), -1);
  assert.equal(addon.counterView(), null);
  assert.equal(addon.samplerIsOurs(), false);
  assert.equal(addon.benchmarkAllocationProfile(), 0);
  addon.stopSampler();
});

test("a capture can be transferred to another thread", () => {
  kept.push(aFunctionWithAName());
  const buffer = addon.capture();
  const moved = structuredClone(buffer, { transfer: [buffer] });
  assert.equal(buffer.byteLength, 0);
  assert.ok(decodeCapture(moved).sampleCount > 0);
});

test("wrong arguments and a second start are refused", () => {
  assert.equal(addon.startSampler(4_095, 64), "failed");
  addon.stopSampler();
  for (const args of [[], [0, 64], [Number.NaN, 64], [4_095, 0], [4_095, 256], [-1, 64], ["4095", 64], [4_095, 1.5]]) {
    assert.equal(addon.startSampler(...args), "failed", JSON.stringify(args));
    assert.equal(addon.samplerIsOurs(), false);
  }
});
