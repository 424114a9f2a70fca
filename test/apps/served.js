/**
 * Shared by every program of test/apps/exits: a real HTTP service that has served requests, and then waits for the word.
 * The parent writes one line to stdin when the agent (if there is one) is awake; only then the program leaves its way.
 */
"use strict";
const http = require("node:http");

/** @param {(server: http.Server) => void} leave called once the parent said so. */
function whenServed(leave, handler = (_request, response) => response.end("ok")) {
  const server = http.createServer(handler);
  server.listen(0, "127.0.0.1", async () => {
    for (let i = 0; i < 5; i++) await request(server, `/items/${i}`);
    process.stdout.write("served\n");
    process.stdin.once("data", () => {
      process.stdin.destroy();
      leave(server);
    });
  });
  return server;
}

function request(server, path) {
  return new Promise((resolve, reject) => {
    const options = { host: "127.0.0.1", port: server.address().port, path, agent: false };
    http.get(options, (response) => response.resume().on("end", resolve)).on("error", reject);
  });
}

/** Ends the program by itself: nothing is left to wait for. */
function closeServer(server) {
  server.close();
  server.closeAllConnections();
}

/** Keeps allocating on a worker thread, so that its sampler has work. */
const BUSY_WORKER = `
  const { parentPort } = require("node:worker_threads");
  const kept = [];
  setInterval(() => { for (let i = 0; i < 500; i++) kept.push({ i, text: "x".repeat(20) + i }); }, 1);
  parentPort.postMessage("busy");
`;

module.exports = { whenServed, request, closeServer, BUSY_WORKER };
