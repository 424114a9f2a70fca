"use strict";
const assert = require("node:assert/strict");
const { AsyncResource } = require("node:async_hooks");
const { test } = require("node:test");
const { HookLabels, InterposedLabels } = require("../../../dist/probe/boundaries");
const { CONTROL_INSIDE_AGENT, CONTROL_RING_LENGTH, CONTROL_TURN } = require("../../../dist/native");
const { OwnerLedger } = require("../../../dist/probe/owner-ledger");
const { OrdinalReader } = require("../../../dist/probe/ordinal-reader");
const { RequestRecord, runInContext } = require("../../../dist/probe/request-context");

/** A counter that the test moves by hand, in the place of V8's. */
function makeLabels(usesAsyncHook) {
  const counter = { ordinal: 100 };
  const ledger = new OwnerLedger();
  const errors = [];
  const labels = new HookLabels({ read: () => counter.ordinal }, ledger, (error) => errors.push(error), usesAsyncHook);
  return { counter, ledger, errors, labels };
}

test("new ordinals belong to the context that ends at the boundary", () => {
  const { counter, ledger, labels } = makeLabels(false);
  assert.equal(labels.attach(), true);
  const outer = new RequestRecord(1);
  const inner = new RequestRecord(2);
  const resource = runInContext(outer, () => new AsyncResource("outer"));
  counter.ordinal += 1;
  runInContext(inner, () => {
    counter.ordinal += 2;
    resource.runInAsyncScope(() => {
      counter.ordinal += 4;
    });
    counter.ordinal += 8;
    labels.beginAgent();
    counter.ordinal += 16;
    labels.endAgent();
  });
  counter.ordinal += 32;
  labels.settle();
  labels.detach();
  counter.ordinal += 64;
  labels.settle();
  const [i, o] = [inner.recordId, outer.recordId];
  assert.deepEqual(
    [...ledger.takeRanges()],
    [101, 101, 0, 102, 103, i, 104, 107, o, 108, 115, i, 116, 131, -3, 132, 163, 0],
  );
});

test("a ring that the agent has filled is empty again when the service goes on", () => {
  const control = new Int32Array(8);
  const drainedInside = [];
  const source = {
    control,
    drain() {
      drainedInside.push(control[CONTROL_INSIDE_AGENT]);
      control[CONTROL_RING_LENGTH] = 0;
    },
  };
  const labels = new InterposedLabels(source, new OwnerLedger(), assert.fail);
  labels.beginAgent();
  control[CONTROL_RING_LENGTH] = 256;
  labels.endAgent();
  assert.deepEqual([drainedInside, control[CONTROL_RING_LENGTH], control[CONTROL_INSIDE_AGENT]], [[1], 0, 0]);
});

test("what a request allocates in the turn of its end is its own, what it allocates later comes after it", () => {
  const control = new Int32Array(8);
  let drained;
  const source = {
    control,
    interpose(_storage, listener) {
      drained = listener;
      return true;
    },
  };
  const ledger = new OwnerLedger();
  const labels = new InterposedLabels(source, ledger, assert.fail);
  labels.attach();
  control[CONTROL_TURN] = 7;
  const [early, late, old] = [new RequestRecord(1), new RequestRecord(2), new RequestRecord(3)];
  drained(Float64Array.of(10), [early], 1);
  for (const record of [early, late]) {
    record.endTurn = labels.turn;
    ledger.end(record, 10);
  }
  ledger.end(old, 10); // In a turn that nobody has noted.
  drained(Float64Array.of(11, 12, 13), [late, early, old], 3);
  control[CONTROL_TURN] = 8;
  drained(Float64Array.of(14, 15), [early, late], 2);
  const [e, l, o] = [early.recordId, late.recordId, old.recordId];
  assert.deepEqual([...ledger.takeRanges()], [10, 10, e, 11, 11, l, 12, 12, e, 13, 13, o, 14, 14, e, 15, 15, l]);
  const ends = new Map();
  const records = ledger.takeRecords();
  for (let i = 0; i < records.length; i += 3) ends.set(records[i], records[i + 2]);
  assert.deepEqual([ends.get(e), ends.get(l), ends.get(o)], [12, 11, 10], "the last row of a record holds");
});

test("what Node did to parse a request is the request's, unless another one is still running there", () => {
  const { counter, ledger, labels } = makeLabels(false);
  labels.attach();
  const running = new RequestRecord(1);
  const ended = new RequestRecord(1);
  ledger.end(ended, 90);
  const records = [new RequestRecord(2), new RequestRecord(2), new RequestRecord(2)];
  counter.ordinal += 1;
  labels.adopt(records[0]);
  runInContext(ended, () => {
    counter.ordinal += 2;
    labels.adopt(records[1]);
  });
  runInContext(running, () => {
    counter.ordinal += 4;
    labels.adopt(records[2]);
  });
  labels.detach();
  const tokens = [records[0].recordId, records[1].recordId, running.recordId];
  assert.deepEqual([...ledger.takeRanges()], [101, 101, tokens[0], 102, 103, tokens[1], 104, 107, tokens[2]]);
  assert.equal(records[2].recordId, 0);
});

test("the wrapped runInAsyncScope passes receiver, arguments, results and errors on, and goes with the labels", () => {
  const original = AsyncResource.prototype.runInAsyncScope;
  const { labels } = makeLabels(false);
  labels.attach();
  const resource = new AsyncResource("test");
  assert.notEqual(AsyncResource.prototype.runInAsyncScope, original);
  const receiver = {};
  const result = resource.runInAsyncScope(
    function (...args) {
      return [this, ...args];
    },
    receiver,
    1,
    2,
  );
  assert.deepEqual(result, [receiver, 1, 2]);
  assert.throws(
    () =>
      resource.runInAsyncScope(() => {
        throw new RangeError("theirs");
      }),
    RangeError,
  );
  assert.throws(() => resource.runInAsyncScope("no function"), TypeError);
  labels.detach();
  assert.equal(AsyncResource.prototype.runInAsyncScope, original);
});

test("each continuation is a boundary", async () => {
  const { counter, ledger, labels } = makeLabels(true);
  labels.attach();
  const records = [new RequestRecord(1), new RequestRecord(2)];
  await Promise.all(
    records.map((record, index) =>
      runInContext(record, async () => {
        for (let i = 0; i < 3; i++) {
          await new Promise((resolve) => setImmediate(resolve));
          counter.ordinal += 10 ** index;
        }
      }),
    ),
  );
  labels.detach();
  const owned = new Map();
  const rows = ledger.takeRanges();
  for (let at = 0; at < rows.length; at += 3) {
    owned.set(rows[at + 2], (owned.get(rows[at + 2]) ?? 0) + rows[at + 1] - rows[at] + 1);
  }
  assert.deepEqual([owned.get(records[0].recordId), owned.get(records[1].recordId)], [3, 30]);
});

test("a counter that is not ours any more, or that went backwards, gives nobody anything", () => {
  const { counter, ledger, labels } = makeLabels(false);
  labels.attach();
  counter.ordinal = -1;
  labels.settle();
  counter.ordinal = 50;
  labels.settle();
  labels.detach();
  assert.equal(ledger.takeRanges().length, 0);
});

test("the counter is read only while pointer and interval are the sampler's own", () => {
  const view = {
    profilerWord: new Uint32Array([7, 8]),
    expectedLow: 7,
    expectedHigh: 8,
    sampler: new Uint32Array([0, 0, 5, 1, 131_071, 0]),
    ordinalIndex: 2,
    intervalIndex: 4,
    intervalBytes: 131_071,
  };
  const reader = new OrdinalReader({ readOrdinal: () => -1, labels: { counterView: () => view } });
  assert.equal(reader.read(), -1);
  reader.reopen();
  assert.equal(reader.read(), 5 + 2 ** 32);
  view.sampler[4] = 524_288;
  assert.equal(reader.read(), -1);
  view.sampler[4] = 131_071;
  view.profilerWord[0] = 0;
  assert.equal(reader.read(), -1);
});
