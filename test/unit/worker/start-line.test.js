"use strict";
const assert = require("node:assert/strict");
const { test } = require("node:test");
const { readConfiguration } = require("../../../dist/config");
const { startLine } = require("../../../dist/worker/start-line");

const HELLO = { type: "hello", thread: 0, labels: "none", labelsReason: "", startTimeMillis: 0, threadName: "" };

test("the first line does not name an engine, nor an interval, where nothing is sampled", () => {
  const { settings } = readConfiguration({});
  const { message, fields } = startLine(settings, { ...HELLO, engine: "none" }, null, true);
  assert.match(message, /engine none, .*sampling interval none \(nothing is sampled\)/);
  assert.equal(fields.engine, "none");
  assert.match(startLine(settings, { ...HELLO, engine: "native" }, 65_536, true).message, /engine native.*64 KiB/);
});
