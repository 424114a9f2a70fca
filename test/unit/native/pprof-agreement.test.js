"use strict";
const assert = require("node:assert/strict");
const { test } = require("node:test");
const { decodeCapture } = require("../../../dist/model/capture.js");
const { loadNative } = require("../../../dist/native.js");
const { sampledCount } = require("../../../dist/probe/synthetic-capture.js");
const { allocate } = require("./garbage.js");

const INTERVAL_BYTES = 4_095;
const { addon } = loadNative();

/** The package's own addon is built for one Node; `npm ci` builds it for the one that runs it. */
function loadPprof() {
  try {
    return require("pprof/out/src/heap-profiler-bindings");
  } catch {
    return null;
  }
}

function add(sums, key, bytes, count) {
  const sum = sums.get(key) ?? { bytes: 0, count: 0 };
  sums.set(key, { bytes: sum.bytes + bytes, count: sum.count + count });
}

function keyOf(name, script, line, column) {
  return `${name} ${script}:${line}:${column}`;
}

/** Samples of pprof's tree per function, its scaling undone. */
function sumsOfTree(node, sums = new Map()) {
  for (const { sizeBytes, count } of node.allocations) {
    const samples = sampledCount(count, sizeBytes, INTERVAL_BYTES);
    add(sums, keyOf(node.name, node.scriptName, node.lineNumber, node.columnNumber), samples * sizeBytes, samples);
  }
  for (const child of node.children) sumsOfTree(child, sums);
  return sums;
}

function sumsOfCapture(capture) {
  const nodes = new Map(capture.newNodes.map((node) => [node.id, node]));
  const sums = new Map();
  for (let i = 0; i < capture.sampleCount; i++) {
    const node = nodes.get(capture.nodeIds[i]);
    add(sums, keyOf(node.functionName, node.scriptName, node.line, node.column), capture.sizesBytes[i], 1);
  }
  return sums;
}

function smallObjects() {
  const objects = [];
  for (let i = 0; i < 20_000; i++) objects.push({ i, text: `number ${i}` });
  return objects;
}

function mixedSizes() {
  const arrays = [];
  for (let i = 0; i < 600; i++) arrays.push(new Array(1 + ((i * 37) % 3_000)).fill(i));
  return arrays;
}

test("our capture and pprof's profile of the same heap agree per function", () => {
  const pprof = loadPprof();
  assert.ok(pprof !== null || process.versions.modules !== "115", "npm ci builds pprof for Node 20");
  assert.equal(addon.startSampler(INTERVAL_BYTES, 64), "started");
  const kept = [smallObjects(), mixedSizes(), allocate(500_000)];
  const buffer = addon.capture();
  const tree = pprof?.getAllocationProfile();
  addon.stopSampler();
  const ours = sumsOfCapture(decodeCapture(buffer));
  const functionNames = new Set();
  for (const [key, sum] of ours) {
    const [name] = key.split(" ");
    functionNames.add(name);
    // Reading the heap allocates in this test's own function and in pprof's, between the two readings.
    if (tree === undefined || key.includes("heap-profiler-bindings") || /^(?:<anonymous>|) /.test(key)) continue;
    assert.deepEqual(sumsOfTree(tree).get(key), sum, key);
  }
  assert.equal(kept.length, 3);
  for (const name of ["smallObjects", "mixedSizes"]) assert.ok(functionNames.has(name), name);
});
