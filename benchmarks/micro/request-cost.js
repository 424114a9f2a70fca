/**
 * Child program (`-r gate.js -r agent`): what the agent does at the start and the end of one request, route name and body
 * wrapper included, in nanoseconds. Node's own messages are played on real request and response objects; batches with and
 * without the agent's subscribers alternate in random order. Prints one JSON line.
 */
"use strict";

const { AsyncLocalStorage } = require("node:async_hooks");
const { channel } = require("node:diagnostics_channel");
const http = require("node:http");
const { Socket } = require("node:net");
const { threadMicros } = require("../thread-clock");
const { shuffled } = require("../statistics");
const gate = require("../overhead/gate");

const BATCH = 100;
const WARM_UP_BATCHES = 200;
const started = channel("http.server.request.start");
const finished = channel("http.server.response.finish");
const turn = () => new Promise((resolve) => setImmediate(resolve));

let fastifyHook = () => {};

/** As many routes as a service of some size has; each framework leaves its trace in its own way. */
const SHAPES = {
  express(request, index) {
    request.baseUrl = "";
    request.route = EXPRESS_ROUTES[index % ROUTES.length];
  },
  mounted(request, index) {
    request.baseUrl = `/api/v1/${index}`.slice(0, 7); // New with each request, as a router's is.
    request.route = EXPRESS_ROUTES[index % ROUTES.length];
  },
  fastify(request, index) {
    fastifyHook({ raw: request, routeOptions: { url: ROUTES[index % ROUTES.length] } }, null, () => {});
  },
  plain(request, index) {
    request.url = `/things/${index % 1_000}/parts/${index % 7}?page=${index}`;
  },
};
const ROUTES = Array.from({ length: Number(process.argv[4] ?? 40) }, (_, i) => `/area${i % 8}/thing${i}/:id`);
/** Express makes one object per declared route, and hands it to each request that meets it. */
const EXPRESS_ROUTES = ROUTES.map((path) => ({ path, stack: [], methods: { get: true } }));

/** Connections that are kept alive. */
const SOCKETS = Array.from({ length: 50 }, () => new Socket());
/** From Node 24 on the parser hands over each request in no context at all; before, `enterWith` changes the resource's. */
const inNoContext = Number.parseInt(process.versions.node, 10) >= 24 ? AsyncLocalStorage.snapshot() : (fn) => fn();

function play(shape, index) {
  const socket = SOCKETS[index % SOCKETS.length];
  const request = new http.IncomingMessage(socket);
  request.method = "GET";
  request.url = `/x/${index}`;
  const response = new http.ServerResponse(request);
  inNoContext(() => {
    started.publish({ request, response, socket });
    request.push(null);
    shape(request, index);
    finished.publish({ request, response, socket });
  });
  response.emit("close");
}

/**
 * Each request has a loop turn to itself, as in a service that is not saturated: what is done once per turn counts in full.
 * @returns nanoseconds per request of one batch, with what it leaves to the next loop turns.
 */
async function batch(shape, isOn, seed) {
  gate.state.subscribers = isOn;
  await turn();
  const start = threadMicros();
  for (let i = 0; i < BATCH; i++) {
    play(shape, seed + i);
    await turn();
  }
  await turn();
  return ((threadMicros() - start) * 1e3) / BATCH;
}

async function measure(shape, pairs) {
  const rows = { on: [], off: [], offAgain: [] };
  for (let pair = -WARM_UP_BATCHES; pair < pairs; pair++) {
    for (const name of shuffled(Object.keys(rows))) {
      const nanos = await batch(shape, name === "on", pair * BATCH + WARM_UP_BATCHES * BATCH);
      if (pair >= 0) rows[name].push(nanos);
    }
  }
  return rows;
}

/** Requests of the process's life so far. */
async function playBefore(requests) {
  gate.state.subscribers = true;
  for (let i = 0; i < requests; i++) {
    play(SHAPES.express, i);
    if (i % BATCH === 0) await turn();
  }
}

async function main() {
  const pairs = Number(process.argv[2]);
  const shapes = process.argv[3].split(",");
  http.createServer().listen(0, "127.0.0.1");
  channel("fastify.initialization").publish({
    fastify: {
      addHook(_name, hook) {
        fastifyHook = (...message) => (gate.state.subscribers ? hook(...message) : message[2]());
      },
    },
  });
  await new Promise((resolve) => setTimeout(resolve, 800));
  const probe = globalThis[Symbol.for("leak-agent.probe")];
  await playBefore(Number(process.argv[5] ?? 0));
  const results = {};
  for (const name of shapes) results[name] = await measure(SHAPES[name], pairs);
  // A pipe takes a long line in parts: leave when it has taken all.
  process.stdout.write(`${JSON.stringify({ results, status: probe.status() })}\n`, () => process.exit(0));
}

main();
