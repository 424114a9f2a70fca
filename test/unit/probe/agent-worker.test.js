"use strict";
const assert = require("node:assert/strict");
const { test } = require("node:test");
const { BroadcastChannel } = require("node:worker_threads");
const {
  PROBE_CHANNEL,
  REQUEST_CHANNEL,
  WORD_LISTENING,
  WORD_WAITING_REPORTS,
} = require("../../../dist/model/messages");
const { AgentWorker, RemoteWorker } = require("../../../dist/probe/agent-worker");
const { SharedWords } = require("../../../dist/probe/shared-words");
const { hello, report } = require("../worker/probe-messages");

const LISTENER = { started: () => {}, requested: () => {}, died: () => {}, gaveUp: () => {} };

test("a worker thread sends no more than 32 reports that nobody has handled", (context) => {
  const receiver = new BroadcastChannel(PROBE_CHANNEL);
  const words = SharedWords.ofProcess();
  const sink = new RemoteWorker(LISTENER, words);
  context.after(() => {
    sink.close();
    receiver.close();
  });
  sink.post(hello());
  assert.equal(sink.isReady, false, "nobody listens yet: what it knows is kept");
  Atomics.store(new Int32Array(words.buffer), WORD_LISTENING, 1);
  for (let i = 0; i < 31; i++) sink.post(report());
  assert.equal(words.waitingReports, 31, "a hello is no report");
  assert.equal(sink.isReady, true);
  sink.post(report());
  assert.equal(sink.isReady, false);
  Atomics.sub(new Int32Array(words.buffer), WORD_WAITING_REPORTS, 1);
  assert.equal(sink.isReady, true);
});

test("a thread whose event loop never turns hears what the agent's worker asks for, once", async (context) => {
  const asked = [];
  const listener = { ...LISTENER, started: (count) => asked.push(count), requested: ({ type }) => asked.push(type) };
  const sink = new RemoteWorker(listener, SharedWords.ofProcess());
  const worker = new BroadcastChannel(REQUEST_CHANNEL);
  context.after(() => {
    sink.close();
    worker.close();
  });
  worker.postMessage({ type: "ready" });
  worker.postMessage({ type: "names" });
  sink.listen();
  assert.deepEqual(asked, [0, 1, "names"]);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(asked.length, 3);
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

/** Starts workers that cannot start, for they have no settings; each wait for the next one is over at once. */
async function untilGivenUp(context) {
  const keepsAlive = setInterval(() => {}, 1_000); // The agent's worker does not.
  context.after(() => clearInterval(keepsAlive));
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const told = { started: 0, died: 0 };
  const started = () => {
    told.started++;
  };
  const reason = await new Promise((gaveUp) => {
    const died = () => {
      told.died++;
      setImmediate(() => context.mock.timers.tick(60_000));
    };
    told.sink = new AgentWorker({}, { started, requested: () => {}, died, gaveUp });
  });
  return { ...told, reason, startedNow: () => told.started };
}

test("a worker that dies again and again before its first report is given up, with the reason", async (context) => {
  const { started, died, reason, sink, startedNow } = await untilGivenUp(context);
  assert.deepEqual([started, died], [8, 7]);
  assert.match(reason, /undefined/);
  assert.equal(sink.isReady, false);
  context.mock.timers.tick(3_600_000);
  assert.equal(startedNow(), 8, "no further one is started");
});

test("deaths after a report that was handled do not count", async (context) => {
  let count = 0;
  const onWorker = (worker) => {
    if (++count <= 3) worker.emit("message", { type: "ready" });
  };
  process.on("worker", onWorker);
  context.after(() => process.off("worker", onWorker));
  const { started } = await untilGivenUp(context);
  assert.equal(started, 2 + 8);
});
