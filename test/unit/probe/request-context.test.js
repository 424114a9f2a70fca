"use strict";
const assert = require("node:assert/strict");
const { AsyncResource } = require("node:async_hooks");
const { test } = require("node:test");
const { context, createContextKey, ROOT_CONTEXT } = require("@opentelemetry/api");
const {
  currentRecord,
  enterRecord,
  recordIn,
  registerContextManager,
  RequestRecord,
  runInContext,
  setSwitchListener,
  storage,
} = require("../../../dist/probe/request-context");

const KEY = createContextKey("test");

test("a record is an OpenTelemetry context, and is found in every context derived from it", () => {
  const record = new RequestRecord(4);
  const derived = record.setValue(KEY, 1).setValue(createContextKey("more"), 2);
  assert.equal(recordIn(record), record);
  assert.equal(recordIn(derived), record);
  assert.equal(derived.getValue(KEY), 1);
  assert.equal(record.getValue(KEY), undefined);
  assert.equal(record.deleteValue(KEY), record);
});

test("what is no record is none", () => {
  for (const store of [undefined, null, false, 1, {}, ROOT_CONTEXT, ROOT_CONTEXT.setValue(KEY, 1)]) {
    assert.equal(recordIn(store), null);
  }
});

test("a switch of context is reported before it, and again inside before it goes back", () => {
  const seen = [];
  const record = new RequestRecord(1);
  setSwitchListener(() => seen.push(currentRecord()));
  const value = runInContext(record, (a, b) => a + b, undefined, 1, 2);
  assert.throws(
    () =>
      runInContext(record, () => {
        throw new Error("theirs");
      }),
    /theirs/,
  );
  setSwitchListener(() => {});
  assert.equal(value, 3);
  assert.deepEqual(seen, [null, record, null, record]);
});

test("with no context manager of the app's, OpenTelemetry contexts follow asynchronous calls and keep the record", async () => {
  assert.equal(registerContextManager(), true);
  assert.equal(registerContextManager(), false, "a second registration leaves the first alone");
  const record = new RequestRecord(1);
  await new AsyncResource("test").runInAsyncScope(async () => {
    enterRecord(record);
    assert.equal(context.active(), record);
    await context.with(
      context.active().setValue(KEY, "value"),
      async function (argument) {
        await null;
        assert.equal(this.name, "receiver");
        assert.equal(argument, 5);
        assert.equal(context.active().getValue(KEY), "value");
        assert.equal(currentRecord(), record);
      },
      { name: "receiver" },
      5,
    );
    assert.equal(context.active(), record);
    const bound = context.bind(record.setValue(KEY, "bound"), (_a, _b) => context.active().getValue(KEY));
    assert.equal(bound.length, 2);
    assert.equal(storage.exit(bound), "bound");
    assert.equal(context.bind(record, 5), 5);
  });
  assert.equal(context.active(), ROOT_CONTEXT);
});
