/** A service with eight busy worker threads. Each second it prints, summed up over them, what their probes say. */
"use strict";
const { join } = require("node:path");
const { Worker } = require("node:worker_threads");
const { whenServed, closeServer } = require("./served");

const AGENT = join(__dirname, "../../dist/index.js");
const BUSY = `
  const { parentPort } = require("node:worker_threads");
  const { status } = require(${JSON.stringify(AGENT)});
  const kept = [];
  setInterval(() => { for (let i = 0; i < 50; i++) kept.push({ i, text: "x".repeat(20) + i }); }, 5);
  setInterval(() => {
    const { captures, governor } = status();
    parentPort.postMessage({ captures, behind: governor.skipped.worker_behind });
  }, 500);
`;

const latest = new Map();
const workers = [];
for (let i = 0; i < 8; i++) {
  const worker = new Worker(BUSY, { eval: true });
  worker.on("message", (message) => latest.set(i, message));
  workers.push(worker);
}
const print = setInterval(() => {
  const rows = [...latest.values()];
  const sum = (name) => rows.reduce((total, row) => total + row[name], 0);
  process.stdout.write(`${JSON.stringify({ captures: sum("captures"), behind: sum("behind") })}\n`);
}, 1_000);
const server = whenServed(async () => {
  clearInterval(print);
  await Promise.all(workers.map((worker) => worker.terminate()));
  closeServer(server);
});
