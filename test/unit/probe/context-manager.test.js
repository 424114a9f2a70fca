/** The agent's context manager, in the orders in which services load OpenTelemetry's API and register with it. */
"use strict";
const assert = require("node:assert/strict");
const { cpSync, mkdtempSync, rmSync, writeFileSync } = require("node:fs");
const { tmpdir } = require("node:os");
const { dirname, join } = require("node:path");
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

test("nothing is registered before the service has loaded an API: which version will it be?", () => {
  assert.equal(registerContextManager(), false);
  assert.equal(globalThis[API_GLOBAL], undefined);
  assert.deepEqual(loadedApi(), []);
});

test("a service whose copy of the API is of another version can start its SDK after the first request", (context) => {
  const folder = mkdtempSync(join(tmpdir(), "leak-agent-api-"));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  const copy = join(folder, "node_modules/@opentelemetry/api");
  cpSync(join(dirname(require.resolve("@opentelemetry/api")), "../.."), copy, { recursive: true });
  const versionFile = join(copy, "build/src/version.js");
  writeFileSync(versionFile, 'exports.VERSION = "1.2.3";');
  const api = require(copy);
  assert.equal(registerContextManager(), false);
  assert.equal(api.trace.setGlobalTracerProvider(new api.ProxyTracerProvider()), true);
  for (const file of Object.keys(require.cache)) if (file.startsWith(folder)) delete require.cache[file];
  delete globalThis[API_GLOBAL];
});

test("an API that has registered nothing gets the context manager, and can register the rest", async () => {
  const api = require("@opentelemetry/api");
  assert.equal(registerContextManager(), true);
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
