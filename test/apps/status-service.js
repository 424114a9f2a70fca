/**
 * A service with one busy worker thread. Whenever a line comes, it prints what both probes say of themselves, and what a
 * request was answered; after "leave" it ends.
 */
"use strict";
const { once } = require("node:events");
const { createInterface } = require("node:readline");
const { Worker } = require("node:worker_threads");
const http = require("node:http");
const { request } = require("./served");

const STATUS = 'globalThis[Symbol.for("leak-agent.probe")].status()';
const BUSY = `
  const { parentPort } = require("node:worker_threads");
  const kept = [];
  setInterval(() => { for (let i = 0; i < 50; i++) kept.push({ i, text: "x".repeat(20) + i }); }, 5);
  parentPort.on("message", () => parentPort.postMessage(${STATUS}));
`;

const worker = new Worker(BUSY, { eval: true });
const server = http.createServer((_request, response) => response.end("ok"));
server.listen(0, "127.0.0.1", async () => {
  for await (const line of createInterface({ input: process.stdin })) {
    if (line === "leave") break;
    await request(server, "/items");
    worker.postMessage("status");
    const [thread] = await once(worker, "message");
    const main = globalThis[Symbol.for("leak-agent.probe")].status();
    process.stdout.write(`${JSON.stringify({ main, thread })}\n`);
  }
  process.stdin.destroy();
  await worker.terminate();
  server.close();
});
