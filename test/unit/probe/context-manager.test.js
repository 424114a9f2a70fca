/** The order in which services meet it: first the agent's context manager, much later, or never, OpenTelemetry's API. */
"use strict";
const assert = require("node:assert/strict");
const { test } = require("node:test");
const { enterRecord, registerContextManager, RequestRecord } = require("../../../dist/probe/request-context");

const API_GLOBAL = Symbol.for("opentelemetry.js.api.1");
const loadedApi = () =>
  Object.keys(require.cache).filter((file) => file.endsWith("@opentelemetry/api/build/src/index.js"));

test("an API of another version that is there already is left alone", () => {
  globalThis[API_GLOBAL] = { version: "1.0.0" };
  assert.equal(registerContextManager(), false);
  assert.deepEqual(globalThis[API_GLOBAL], { version: "1.0.0" });
  delete globalThis[API_GLOBAL];
});

test("the context manager is there without OpenTelemetry's API, which finds it as its own once it is loaded", async () => {
  assert.equal(registerContextManager(), true);
  assert.deepEqual(loadedApi(), []);
  const api = require("@opentelemetry/api");
  assert.equal(api.context.active(), api.ROOT_CONTEXT);
  const key = api.createContextKey("test");
  await api.context.with(api.ROOT_CONTEXT.setValue(key, 7), async () => {
    await null;
    assert.equal(api.context.active().getValue(key), 7);
  });
  const errors = [];
  api.diag.setLogger({ error: (text) => errors.push(text), warn() {}, info() {}, debug() {}, verbose() {} });
  assert.equal(api.trace.setGlobalTracerProvider(new api.ProxyTracerProvider()), true);
  assert.deepEqual(errors, [], "the service can register the rest");
  const record = new RequestRecord(1);
  enterRecord(record);
  assert.equal(api.context.active(), record);
});
