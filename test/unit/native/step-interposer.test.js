"use strict";
const assert = require("node:assert/strict");
const { AsyncLocalStorage, executionAsyncId } = require("node:async_hooks");
const { afterEach, beforeEach, test } = require("node:test");
const { decodeCapture } = require("../../../dist/model/capture.js");
const native = require("../../../dist/native.js");
const { Inspector, allocate, collectGarbage } = require("./garbage.js");

const { addon } = native.loadNative();
const storage = new AsyncLocalStorage();
const kept = [];
/** Ordinal to store, as they were drained. */
const owners = new Map();
/** Node keeps the context in V8 from 24 on; before that there is nothing to see. */
const SUPPORTED = Number(process.versions.node.split(".")[0]) >= 24;

function drained(ordinals, stores, count) {
  for (let i = 0; i < count; i++) owners.set(ordinals[i], stores[i]);
}

beforeEach(() => assert.equal(addon.startSampler(1_023, 64), "started"));
afterEach(() => {
  addon.stopSampler();
  kept.length = 0;
  owners.clear();
});

if (!SUPPORTED) {
  test("is refused where Node keeps no context in V8, and changes nothing", () => {
    assert.equal(addon.interpose(storage, drained), false);
    kept.push(allocate(200_000));
    addon.drain();
    assert.equal(owners.size, 0);
    assert.equal(addon.control[native.CONTROL_RING_LENGTH], 0);
    assert.ok(decodeCapture(addon.capture()).sampleCount > 50);
    addon.removeInterposition();
  });
} else {
  test("a loop turn is counted when its samples have been handed out", async () => {
    const turnAtDrain = [];
    const count = () => addon.control[native.CONTROL_TURN];
    assert.equal(
      addon.interpose(storage, () => turnAtDrain.push(count())),
      true,
    );
    const turns = [];
    for (let i = 0; i < 4; i++) {
      kept.push(allocate(20_000));
      turns.push(count());
      await new Promise((resolve) => setImmediate(resolve));
    }
    const first = turns[0];
    assert.deepEqual(turns, [first, first + 1, first + 2, first + 3]);
    assert.deepEqual(turnAtDrain.slice(0, 3), turns.slice(0, 3));
    addon.removeInterposition();
    assert.equal(
      addon.interpose(storage, () => {}),
      true,
    );
    assert.ok(count() > turns[3], "what ended before is not of the first turn");
  });

  test("one sample in 16 is timed, and what V8 takes for all of them is within the thread's own CPU time", () => {
    const [count, nanos] = [native.CONTROL_TIMED_SAMPLES, native.CONTROL_TIMED_NANOS];
    assert.equal(addon.interpose(storage, drained), true);
    const since = { count: addon.control[count], nanos: addon.control[nanos], ordinal: addon.readOrdinal() };
    const before = process.cpuUsage();
    for (let i = 0; i < 20; i++) kept.push(allocate(100_000));
    const { user, system } = process.cpuUsage(before);
    const samples = addon.readOrdinal() - since.ordinal;
    const timed = (addon.control[count] - since.count) | 0;
    const micros = ((addon.control[nanos] - since.nanos) | 0) / 1e3;
    assert.ok(samples > 500, `${samples} samples`);
    assert.ok(Math.abs(timed - samples / 16) <= 1, `${timed} of ${samples}`);
    assert.ok(micros / timed > 0.5, `${micros / timed} microseconds per sample`);
    assert.ok((micros / timed) * samples < user + system, `${micros / timed} microseconds x ${samples} of ${user}`);
  });

  test("every sample gets the store of its own context, across awaits", async () => {
    assert.equal(addon.interpose(storage, drained), true);
    const overflowsBefore = addon.control[native.CONTROL_RING_OVERFLOWS];
    const first = addon.readOrdinal();
    async function work(name) {
      for (let i = 0; i < 30; i++) {
        await new Promise((resolve) => setImmediate(resolve));
        const before = addon.readOrdinal();
        kept.push(allocate(20_000));
        const after = addon.readOrdinal();
        addon.drain();
        for (let ordinal = before + 1; ordinal <= after; ordinal++) assert.equal(owners.get(ordinal), name);
      }
    }
    await Promise.all(["a", "b", "c"].map((name) => storage.run(name, work, name)));
    addon.drain();
    const overflows = addon.control[native.CONTROL_RING_OVERFLOWS] - overflowsBefore;
    const last = Math.max(...owners.keys());
    for (let ordinal = first + 1; ordinal <= last; ordinal++)
      assert.ok(owners.has(ordinal), `ordinal ${ordinal} was lost`);
    assert.equal(overflows, 0);
    assert.equal(addon.control[native.CONTROL_DRAIN_ERRORS], 0);
  });

  test("without a context, or without this storage in it, the store is the number of the resource that ran", () => {
    assert.equal(addon.interpose(storage, drained), true);
    kept.push(allocate(20_000));
    new AsyncLocalStorage().run("other", () => kept.push(allocate(20_000)));
    addon.drain();
    const stores = new Set(owners.values());
    assert.ok(owners.size > 3);
    assert.deepEqual([...stores], [executionAsyncId()]);
  });

  test("samples taken inside the agent are marked, whatever the context", () => {
    assert.equal(addon.interpose(storage, drained), true);
    storage.run("request", () => {
      addon.drain();
      owners.clear();
      addon.control[native.CONTROL_INSIDE_AGENT] = 1;
      const before = addon.readOrdinal();
      kept.push(allocate(20_000));
      const after = addon.readOrdinal();
      addon.control[native.CONTROL_INSIDE_AGENT] = 0;
      addon.drain();
      for (let ordinal = before + 1; ordinal <= after; ordinal++) assert.equal(owners.get(ordinal), native.AGENT_STORE);
      assert.ok(after > before);
    });
    assert.equal(addon.control[native.CONTROL_INSIDE_AGENT], 0, "the drain leaves the mark as it was");
  });

  test("a full ring counts what it drops, and keeps what it has", () => {
    assert.equal(addon.interpose(storage, drained), true);
    addon.drain();
    owners.clear();
    const overflowsBefore = addon.control[native.CONTROL_RING_OVERFLOWS];
    const before = addon.readOrdinal();
    kept.push(allocate(2_000_000));
    const after = addon.readOrdinal();
    assert.equal(addon.control[native.CONTROL_RING_LENGTH], 256);
    assert.equal(addon.control[native.CONTROL_RING_OVERFLOWS] - overflowsBefore >= after - before - 256, true);
    addon.drain();
    assert.equal(owners.size >= 256, true);
    assert.ok(owners.has(before + 1) && owners.has(before + 200) && !owners.has(before + 400));
  });

  test("the loop drains once per turn by itself, and keeps no process alive", async () => {
    assert.equal(addon.interpose(storage, drained), true);
    kept.push(allocate(20_000));
    assert.ok(addon.control[native.CONTROL_RING_LENGTH] > 0);
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    assert.ok(owners.size > 3);
    assert.ok(!process.getActiveResourcesInfo().includes("Check"));
  });

  test("no store outlives the drain", async () => {
    assert.equal(
      addon.interpose(storage, () => {}),
      true,
    );
    const references = [];
    for (let i = 0; i < 20; i++) {
      (() => {
        const store = { request: i };
        references.push(new WeakRef(store));
        storage.run(store, () => kept.push(allocate(10_000)));
      })();
    }
    assert.ok(addon.control[native.CONTROL_RING_LENGTH] > 0);
    addon.drain();
    await collectGarbage();
    assert.deepEqual(
      references.filter((reference) => reference.deref() !== undefined),
      [],
    );
  });

  test("a drain that throws is counted and goes no further", () => {
    const errorsBefore = addon.control[native.CONTROL_DRAIN_ERRORS];
    assert.equal(
      addon.interpose(storage, () => {
        throw new Error("from drained");
      }),
      true,
    );
    kept.push(allocate(20_000));
    addon.drain();
    assert.equal(addon.control[native.CONTROL_DRAIN_ERRORS], errorsBefore + 1);
    kept.push(allocate(20_000));
    addon.removeInterposition();
    assert.equal(addon.control[native.CONTROL_RING_LENGTH], 0);
    addon.drain();
    assert.equal(addon.control[native.CONTROL_DRAIN_ERRORS], errorsBefore + 1);
  });

  test("removed, V8 samples on without us; it can be put in again", () => {
    assert.equal(addon.interpose(storage, drained), true);
    const vtable = () => addon.counterView().sampler[8];
    const ours = vtable();
    addon.removeInterposition();
    assert.notEqual(vtable(), ours);
    const before = addon.readOrdinal();
    kept.push(allocate(200_000));
    assert.ok(addon.readOrdinal() > before + 50);
    assert.equal(addon.control[native.CONTROL_RING_LENGTH], 0);
    assert.equal(addon.interpose(storage, drained), true);
    kept.push(allocate(20_000));
    addon.drain();
    assert.ok(owners.size > 3);
  });

  test("somebody else's stop and start takes the interposition away without a trace", () => {
    for (let round = 0; round < 30; round++) {
      assert.equal(addon.interpose(storage, drained), true);
      const inspector = new Inspector();
      inspector.ask("HeapProfiler.startSampling");
      inspector.ask("HeapProfiler.stopSampling");
      inspector.ask("HeapProfiler.startSampling", { samplingInterval: 512 });
      addon.removeInterposition();
      assert.equal(addon.interpose(storage, drained), false);
      owners.clear();
      kept.push(allocate(50_000));
      addon.drain();
      assert.equal(owners.size, 0);
      assert.ok(inspector.ask("HeapProfiler.stopSampling").profile.samples.length > 10);
      inspector.close();
      assert.equal(addon.startSampler(1_023, 64), "started");
      kept.length = 0;
    }
  });
}
