"use strict";
const assert = require("node:assert/strict");
const { test } = require("node:test");
const { decodeCapture } = require("../../../dist/model/capture.js");
const { readConfiguration } = require("../../../dist/config.js");
const { selectEngine } = require("../../../dist/probe/engine-choice.js");

test("the addon is the first choice, and its engine samples, captures, counts and stops", () => {
  const choice = selectEngine(readConfiguration({}).settings);
  assert.equal(choice.ok, true, choice.reason);
  const { engine } = choice;
  assert.equal(engine.name, "native");
  assert.equal(choice.note, "");
  assert.equal(engine.start(4_096, 64), "started");
  const kept = Array.from({ length: 1_000 }, (_, i) => new Array(100).fill(i));
  assert.ok(engine.readOrdinal() > 50);
  assert.ok(decodeCapture(engine.capture()).sampleCount > 50);
  assert.equal(engine.isOurs(), true);
  assert.equal(engine.labels.counterProblem(), "");
  const before = engine.readGc();
  assert.equal(engine.requestMajorGc(), true);
  assert.equal(engine.readGc().requestedMajorCount, before.requestedMajorCount + 1);
  engine.stop();
  assert.equal(engine.isOurs(), false);
  assert.equal(engine.capture(), null);
  assert.equal(kept.length, 1_000);
});

test("LEAK_AGENT_ENGINE=pprof leaves the addon out", () => {
  const choice = selectEngine(readConfiguration({ LEAK_AGENT_ENGINE: "pprof" }).settings);
  if (choice.ok) assert.equal(choice.engine.name, "pprof");
  else assert.match(choice.reason, /^pprof: ./);
});
