/**
 * Child program (`-r gate.js -r agent`): CPU time of one sample, V8's part and what the labels add, at a stack of 40
 * frames. Slices of the same allocations, without a sampler, with V8's alone and with the agent's labels, alternate in
 * random order; a slice includes the loop turn in which labels are handed out. Prints one JSON line.
 */
"use strict";

const { channel } = require("node:diagnostics_channel");
const http = require("node:http");
const { shuffled } = require("../statistics");
const { threadMicros } = require("../thread-clock");
const gate = require("../overhead/gate");

/** Some 90 samples a slice: fewer than the ring of 256 holds. */
const INTERVAL_BYTES = 2_047;
const ALLOCATIONS = 350;
const ARRAY_WORDS = 64;
const DEPTH = 40;
const WARM_UP_ROUNDS = 30;
const STATES = {
  off: { subscribers: true, agent: false },
  bare: { subscribers: true, agent: false, bareSampler: true, interval: INTERVAL_BYTES },
  labels: { subscribers: true, agent: true, interval: INTERVAL_BYTES },
};
const turn = () => new Promise((resolve) => setImmediate(resolve));

function allocateAt(depth) {
  return depth === 0 ? new Array(ARRAY_WORDS).fill(0) : allocateAt(depth - 1);
}

function slice() {
  let kept = null;
  for (let i = 0; i < ALLOCATIONS; i++) kept = allocateAt(DEPTH);
  return kept;
}

async function measure(state) {
  gate.apply(state);
  await turn();
  const request = new http.IncomingMessage(null);
  const response = new http.ServerResponse(request);
  channel("http.server.request.start").publish({ request, response });
  const before = Math.max(0, gate.addon().readOrdinal());
  const start = threadMicros();
  slice();
  await turn();
  const micros = threadMicros() - start;
  const samples = Math.max(0, gate.addon().readOrdinal()) - before;
  channel("http.server.response.finish").publish({ request, response });
  return { micros, samples };
}

async function main() {
  const rounds = Number(process.argv[2]);
  http.createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => setTimeout(resolve, 800));
  gate.clockAddon();
  const rows = { off: [], bare: [], labels: [] };
  for (let round = -WARM_UP_ROUNDS; round < rounds; round++) {
    for (const name of shuffled(Object.keys(STATES))) {
      const row = await measure(STATES[name]);
      if (round >= 0) rows[name].push(row);
    }
  }
  // A pipe takes a long line in parts: leave when it has taken all.
  process.stdout.write(`${JSON.stringify(rows)}\n`, () => process.exit(0));
}

main();
