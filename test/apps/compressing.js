/**
 * Ends, or ends its worker, while that one compresses without pause: Node aborts one such end in fifty unless the two
 * threads keep out of each other's way. The main thread's half is the probe's own AgentWorker, the worker's half the
 * agent's own `compress`. Prints how often the worker compressed after it had been told to stop.
 * Usage: compressing.js exit|close [unguarded]
 */
"use strict";
const { join } = require("node:path");
const workerThreads = require("node:worker_threads");

const DIST = join(__dirname, "..", "..", "dist");
const LATEST_END_MILLIS = 20;
const WATCHED_MILLIS = 50;

const [way, unguarded] = process.argv.slice(2);
const counts = new Int32Array(new SharedArrayBuffer(4));
workerThreads.setEnvironmentData("compressions", counts.buffer);

const COMPRESSING = `
  const { getEnvironmentData, parentPort, workerData } = require("node:worker_threads");
  const { gzip, guardCompression } = require(${JSON.stringify(join(DIST, "export", "compress"))});
  if (${unguarded === undefined}) guardCompression(workerData.exitWords);
  const counts = new Int32Array(getEnvironmentData("compressions"));
  const content = Buffer.alloc(2_000, "abc");
  parentPort.postMessage({ type: "ready" });
  for (;;) {
    gzip(content);
    Atomics.add(counts, 0, 1);
  }
`;

// The agent's worker does the same, but rarely.
const { Worker } = workerThreads;
workerThreads.Worker = class extends Worker {
  constructor(_file, options) {
    super(COMPRESSING, { ...options, eval: true });
  }
};
const { AgentWorker } = require(join(DIST, "probe", "agent-worker"));
const sink = new AgentWorker(
  {},
  { started: () => {}, requested: () => setTimeout(end, delay()), died: () => {}, gaveUp: () => {} },
);
const keepsAlive = setInterval(() => {}, 1_000);

function delay() {
  return Math.random() * LATEST_END_MILLIS;
}

function end() {
  if (Atomics.load(counts, 0) === 0) return void setTimeout(end, delay());
  if (way === "close") {
    sink.close();
    clearInterval(keepsAlive);
    return;
  }
  process.once("exit", () => {
    sink.leave(0);
    const before = Atomics.load(counts, 0);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, WATCHED_MILLIS);
    process.stdout.write(`compressed ${Atomics.load(counts, 0) - before} times after the end\n`);
  });
  process.exit(0);
}
