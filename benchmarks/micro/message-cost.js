/**
 * `node benchmarks/micro/message-cost.js [--rounds N]`: what following the messages between threads adds to one message, in
 * CPU time of the thread that sends it and takes the answer. One process with the agent; only the wrapped functions are
 * exchanged for Node's own, in blocks: own, wrapped, own again (A/A). Ratios are paired per round.
 */
"use strict";

const threads = require("node:worker_threads");
const { parseArgs } = require("node:util");

const { MessagePort, Worker } = threads;
const DISPATCH = Symbol.for("nodejs.internal.kHybridDispatch");
const own = functions();
process.env.LEAK_AGENT_LOG = "off";
const agent = require("../../dist/index.js");
const wrapped = functions();
const { estimate, median, pairedDifference, pairedRatio } = require("../statistics");
const { threadMicros } = require("../thread-clock");

const MESSAGES = 4_000;
const WARM_UP = 1_000;

function functions() {
  return {
    port: MessagePort.prototype.postMessage,
    worker: Worker.prototype.postMessage,
    dispatch: MessagePort.prototype[DISPATCH],
  };
}

/** Only between blocks, when nothing is on its way: both ends of a port must have counted the same. */
function use({ port, worker, dispatch }) {
  MessagePort.prototype.postMessage = port;
  Worker.prototype.postMessage = worker;
  Object.defineProperty(MessagePort.prototype, DISPATCH, { configurable: true, writable: true, value: dispatch });
}

/** Sends so many messages, 50 at a time, and waits for their answers. */
function exchange(port, count) {
  return new Promise((resolve) => {
    let sent = 0;
    let taken = 0;
    const send = () => {
      for (let i = 0; i < 50 && sent < count; i++) port.postMessage({ id: sent++, name: "task", values: [1, 2, 3] });
    };
    port.removeAllListeners("message");
    port.on("message", () => {
      taken++;
      if (taken === count) resolve();
      else if (taken === sent) send();
    });
    send();
  });
}

async function nanosPerMessage(port, way) {
  use(way);
  await exchange(port, WARM_UP);
  const start = threadMicros();
  await exchange(port, MESSAGES);
  return ((threadMicros() - start) * 1e3) / MESSAGES;
}

async function measure(name, port, rounds) {
  const [a, b, again] = [[], [], []];
  for (let round = -1; round < rounds; round++) {
    const row = [];
    for (const way of [own, wrapped, own]) row.push(await nanosPerMessage(port, way));
    if (round < 0) continue;
    for (const [i, values] of [a, b, again].entries()) values.push(row[i]);
  }
  const text = ({ value, low, high }, digits) =>
    `${value.toFixed(digits)} [${low.toFixed(digits)}, ${high.toFixed(digits)}]`;
  const both = a.map((value, i) => (value + again[i]) / 2);
  console.log(
    `${name}: own ${estimate(a, median).value.toFixed(0)} ns, added ${text(pairedDifference(b, both), 0)} ns, ` +
      `ratio ${text(pairedRatio(b, both), 3)}, A/A ${text(pairedRatio(again, a), 3)}, ${rounds} rounds`,
  );
}

async function main() {
  const { values } = parseArgs({ options: { rounds: { type: "string", default: "15" } } });
  const rounds = Number(values.rounds);
  const echo =
    "const { parentPort } = require('node:worker_threads'); parentPort.on('message', (m) => parentPort.postMessage(m));";
  use(wrapped);
  const { port1, port2 } = new threads.MessageChannel();
  port2.on("message", (message) => port2.postMessage(message));
  const worker = new Worker(echo, { eval: true, execArgv: [] });
  console.log(`Node ${process.version}, labels ${agent.status().labels}`);
  await measure("channel within the thread (two messages), outside of requests", port1, rounds);
  await measure("worker, outside of requests", worker, rounds);
  await agent.withRoute("bench", () => measure("worker, in one request", worker, rounds));
  await worker.terminate();
  process.exit(0);
}

main();
