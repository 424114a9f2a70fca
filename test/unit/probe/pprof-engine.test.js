"use strict";
const assert = require("node:assert/strict");
const { afterEach, beforeEach, test } = require("node:test");
const {
  CAPTURE_FLAG_COMPLETE,
  CAPTURE_FLAG_SYNTHETIC_ORDINALS,
  decodeCapture,
} = require("../../../dist/model/capture.js");
const { createPprofEngine, PprofEngine } = require("../../../dist/probe/pprof-engine.js");

const INTERVAL_BYTES = 1_000;

/** Sizes this far above the interval are not scaled: one count is one sample. */
const BIG = 20_000;

function node(name, children = [], allocations = []) {
  return {
    name,
    scriptName: `/app/${name}.js`,
    scriptId: name.length,
    lineNumber: 3,
    columnNumber: 7,
    children,
    allocations,
  };
}

/** Stands for V8 and pprof's addon; like the real one it has no profile when nobody samples. */
class FakeBindings {
  tree = node("(root)");
  running = false;
  starts = 0;
  startSamplingHeapProfiler() {
    if (this.running) return;
    this.running = true;
    this.starts++;
    this.tree = node("(root)");
  }
  stopSamplingHeapProfiler() {
    this.running = false;
  }
  getAllocationProfile() {
    assert.ok(this.running, "the real one crashes the process here");
    return this.tree;
  }
}

let bindings;
let engine;

beforeEach(() => {
  bindings = new FakeBindings();
  engine = new PprofEngine(bindings, 86_400_000);
  assert.equal(engine.start(INTERVAL_BYTES, 64), "started");
});
afterEach(() => engine.stop());

function captureOf(allocations) {
  bindings.tree = node("(root)", [node("a", [node("b", [], allocations)])]);
  return decodeCapture(engine.capture());
}

test("a tree becomes a capture with its own ordinals, and says so", () => {
  const capture = captureOf([{ sizeBytes: BIG, count: 3 }]);
  assert.equal(capture.flags, CAPTURE_FLAG_COMPLETE | CAPTURE_FLAG_SYNTHETIC_ORDINALS);
  assert.deepEqual(
    capture.newNodes.map(({ id, parentId, functionName }) => [id, parentId, functionName]),
    [
      [1, 0, "(root)"],
      [2, 1, "a"],
      [3, 2, "b"],
    ],
  );
  assert.deepEqual(capture.newNodes[2], {
    id: 3,
    parentId: 2,
    functionName: "b",
    scriptName: "/app/b.js",
    scriptId: 1,
    line: 3,
    column: 7,
  });
  assert.deepEqual([...capture.ordinals], [1, 2, 3]);
  assert.deepEqual([...capture.sizesBytes], [BIG, BIG, BIG]);
  assert.deepEqual([...capture.nodeIds], [3, 3, 3]);
  assert.equal(engine.readOrdinal(), 3);
});

test("more are births, fewer are deaths of the youngest, the same is nothing", () => {
  captureOf([{ sizeBytes: BIG, count: 3 }]);
  assert.deepEqual([...captureOf([{ sizeBytes: BIG, count: 5 }]).ordinals], [1, 2, 3, 4, 5]);
  assert.deepEqual([...captureOf([{ sizeBytes: BIG, count: 4 }]).ordinals], [1, 2, 3, 4]);
  assert.deepEqual([...captureOf([{ sizeBytes: BIG, count: 5 }]).ordinals], [1, 2, 3, 4, 6]);
  assert.deepEqual([...captureOf([{ sizeBytes: BIG, count: 5 }]).ordinals], [1, 2, 3, 4, 6]);
  const other = captureOf([
    { sizeBytes: BIG + 8, count: 1 },
    { sizeBytes: BIG, count: 1 },
  ]);
  assert.deepEqual([...other.ordinals].sort(), [1, 7]);
});

test("V8's scaling of small objects is undone", () => {
  const scaled = Math.round(7 / -Math.expm1(-48 / INTERVAL_BYTES));
  assert.ok(scaled > 100);
  assert.equal(captureOf([{ sizeBytes: 48, count: scaled }]).sampleCount, 7);
});

test("names are sent once and again on demand; a node that went and came back is a new one", () => {
  captureOf([{ sizeBytes: BIG, count: 1 }]);
  const second = captureOf([{ sizeBytes: BIG, count: 1 }]);
  assert.equal(second.newNodes.length, 0);
  assert.equal(second.treeNodeCount, 3);
  assert.equal(second.flags, CAPTURE_FLAG_SYNTHETIC_ORDINALS);
  engine.resendNames();
  assert.equal(captureOf([{ sizeBytes: BIG, count: 1 }]).newNodes.length, 3);
  bindings.tree = node("(root)");
  assert.equal(decodeCapture(engine.capture()).sampleCount, 0);
  const back = captureOf([{ sizeBytes: BIG, count: 1 }]);
  assert.deepEqual(
    back.newNodes.map(({ id }) => id),
    [4, 5],
  );
  assert.deepEqual([...back.ordinals], [2]);
});

test("another tool's sampler is not taken for ours, nor stopped", () => {
  engine.stop();
  bindings.running = true;
  bindings.tree = node("(root)", [node("theirs", [], [{ sizeBytes: BIG, count: 100 }])]);
  assert.equal(engine.start(INTERVAL_BYTES, 64), "foreign");
  assert.equal(engine.isOurs(), false);
  assert.equal(engine.capture(), null);
  engine.stop();
  assert.equal(bindings.running, true);
});

test("somebody else's stop neither crashes the capture nor makes everything look freed", () => {
  captureOf([{ sizeBytes: BIG, count: 100 }]);
  captureOf([{ sizeBytes: BIG, count: 100 }]);
  bindings.running = false;
  assert.equal(engine.capture(), null);
  assert.equal(engine.isOurs(), false);
  assert.equal(engine.readOrdinal(), -1);
});

test("captures are ten minutes apart, in a load test a tenth of the horizon", () => {
  assert.equal(engine.minimumCaptureSpacingMillis, 600_000);
  assert.equal(new PprofEngine(bindings, 60_000).minimumCaptureSpacingMillis, 6_000);
  assert.equal(engine.labels, null);
  assert.equal(engine.requestMajorGc(), false);
});

test("on Node 24 the engine is refused with the reason, elsewhere it works or says why not", () => {
  const result = createPprofEngine(60_000);
  const major = Number(process.versions.node.split(".")[0]);
  if (major === 24) assert.deepEqual(result, { ok: false, reason: "not safe at exit on Node 24" });
  else assert.ok(result.ok || result.reason.length > 0);
  if (!result.ok) return;
  assert.equal(result.engine.start(4_095, 64), "started");
  const kept = Array.from({ length: 1_000 }, (_, i) => new Array(100).fill(i));
  const capture = decodeCapture(result.engine.capture());
  result.engine.stop();
  assert.equal(kept.length, 1_000);
  assert.ok(capture.sampleCount > 50);
  assert.ok(capture.newNodes.some((each) => each.scriptName === __filename));
});
