"use strict";
const assert = require("node:assert/strict");
const { test } = require("node:test");
const { BroadcastChannel } = require("node:worker_threads");
const { PROBE_CHANNEL, WORD_WAITING_REPORTS } = require("../../../dist/model/messages");
const { RemoteWorker } = require("../../../dist/probe/agent-worker");
const { SharedWords } = require("../../../dist/probe/shared-words");
const { hello, report } = require("../worker/probe-messages");

const LISTENER = { started: () => {}, requested: () => {}, died: () => {} };

test("a worker thread sends no more than 32 reports that nobody has handled", (context) => {
  const receiver = new BroadcastChannel(PROBE_CHANNEL);
  const words = SharedWords.ofProcess();
  const sink = new RemoteWorker(LISTENER, words);
  context.after(() => {
    sink.close();
    receiver.close();
  });
  sink.post(hello());
  for (let i = 0; i < 31; i++) sink.post(report());
  assert.equal(words.waitingReports, 31, "a hello is no report");
  assert.equal(sink.isReady, true);
  sink.post(report());
  assert.equal(sink.isReady, false);
  Atomics.sub(new Int32Array(words.buffer), WORD_WAITING_REPORTS, 1);
  assert.equal(sink.isReady, true);
});

test("what the main thread's governor asks of captures reaches all threads", () => {
  const words = SharedWords.ofProcess();
  assert.equal(words.spacingFactor, 1);
  words.spacingFactor = 4;
  assert.equal(words.spacingFactor, 4);
  assert.equal(words.areCapturesOff, false);
  words.areCapturesOff = true;
  assert.equal(words.areCapturesOff, true);
});
