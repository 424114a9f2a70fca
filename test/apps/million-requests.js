/**
 * Plays a million requests over 5,000 routes to the agent, without sockets: the messages that Node would publish, with as
 * much of a request as the agent reads. Started with --expose-gc; prints one JSON line with the heap after each part.
 */
"use strict";
const { channel } = require("node:diagnostics_channel");
const { EventEmitter } = require("node:events");
const http = require("node:http");

const REQUESTS = Number(process.env.REQUESTS ?? 1_000_000);
const ROUTES = 5_000;
const PARTS = 25;
const TURN = 100;
const started = channel("http.server.request.start");
const finished = channel("http.server.response.finish");
const turn = () => new Promise((resolve) => setImmediate(resolve));

const routes = Array.from({ length: ROUTES }, (_, index) => ({ path: `/area${index % 50}/thing${index}/:id` }));

function play(index) {
  const request = { method: "GET", url: `/x/${index}?q=${index}`, baseUrl: "" };
  const response = Object.assign(new EventEmitter(), { req: request, statusCode: 200, writableFinished: true });
  started.publish({ request, response });
  if (index % 10 !== 0) request.route = routes[index % ROUTES];
  if (index % 7 !== 0) finished.publish({ request, response });
  response.emit("close");
}

async function main() {
  const server = http.createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => setTimeout(resolve, 700));
  const points = [];
  for (let part = -2; part < PARTS; part++) {
    const perPart = REQUESTS / PARTS;
    for (let i = 0; i < perPart; i++) {
      play((part + 2) * perPart + i);
      if (i % TURN === 0) await turn();
    }
    await new Promise((resolve) => setTimeout(resolve, 300)); // At least one tick of the agent's timer.
    global.gc();
    global.gc();
    const { arrayBuffers, heapUsed } = process.memoryUsage();
    if (part >= 0) points.push({ requests: part * perPart, heapUsed, arrayBuffers });
  }
  server.close();
  console.log(JSON.stringify({ points, agent: globalThis[Symbol.for("leak-agent.probe")].status() }));
  process.exit(0);
}

main();
