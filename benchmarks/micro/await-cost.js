/**
 * Child program: nanoseconds for the asynchronous skeleton of a request (awaits, Promise.all, a later loop turn), in one
 * mode. `plain`: nothing; `als`: the service itself uses AsyncLocalStorage; `agent`: leak-agent is preloaded, its labels
 * on and its interval too long for samples; `both`; `count`: how many times an async_hooks `after` would run; `gated`
 * (`-r gate.js -r agent`): batches with and without the agent's subscribers alternate. Each batch is of one skeleton or of
 * four in a row, so that the difference is made of boundaries alone. Prints one JSON line.
 */
"use strict";

const { AsyncLocalStorage, createHook } = require("node:async_hooks");
const { channel } = require("node:diagnostics_channel");
const http = require("node:http");
const { shuffled } = require("../statistics");
const { threadMicros } = require("../thread-clock");

const SKELETONS = 40;
const WARM_UP_BATCHES = 60;
/** Skeletons in a row. */
const LENGTHS = { short: 1, long: 4 };
const turn = () => new Promise((resolve) => setImmediate(resolve));

async function step(value) {
  return value + 1;
}

async function query(value) {
  await turn();
  return step(value);
}

async function skeleton() {
  let value = 0;
  for (let i = 0; i < 12; i++) value = await step(value);
  value += await query(value);
  const parts = await Promise.all([1, 2, 3, 4, 5, 6, 7, 8].map(step));
  return value + parts.length;
}

const started = channel("http.server.request.start");
const finished = channel("http.server.response.finish");

/** In every mode the same objects are made and the same messages published; only who listens differs. */
function makeEnter(mode, storage) {
  const ownsStorage = mode === "als" || mode === "both";
  return () => {
    if (ownsStorage) storage.enterWith({ id: 1 });
    const request = new http.IncomingMessage(null);
    const response = new http.ServerResponse(request);
    started.publish({ request, response });
    return () => finished.publish({ request, response });
  };
}

async function batch(enter, length = LENGTHS.short) {
  const running = [];
  const start = threadMicros();
  for (let i = 0; i < SKELETONS; i++) {
    running.push(
      turn().then(async () => {
        const leave = enter();
        for (let part = 0; part < length; part++) await skeleton();
        leave();
      }),
    );
  }
  await Promise.all(running);
  return ((threadMicros() - start) * 1e3) / SKELETONS;
}

/** @returns `short` and `long` -> nanoseconds per request, one of each per round. */
async function alternate(batches, enter) {
  const gate = require("../overhead/gate");
  const states = Object.keys(LENGTHS).flatMap((length) => [true, false].map((isOn) => ({ length, isOn })));
  const rows = { short: { on: [], off: [] }, long: { on: [], off: [] } };
  for (let round = -WARM_UP_BATCHES; round < batches; round++) {
    for (const { length, isOn } of shuffled(states)) {
      gate.state.subscribers = isOn;
      await turn();
      const nanos = await batch(enter, LENGTHS[length]);
      if (round >= 0) rows[length][isOn ? "on" : "off"].push(nanos);
    }
  }
  return rows;
}

async function repeat(batches, enter) {
  for (let i = 0; i < WARM_UP_BATCHES; i++) await batch(enter);
  const nanos = [];
  for (let i = 0; i < batches; i++) nanos.push(await batch(enter));
  return nanos;
}

/** @returns boundaries of one skeleton. */
async function count(batches, enter) {
  let after = 0;
  const hook = createHook({ after: () => after++ }).enable();
  for (let i = 0; i < batches; i++) await batch(enter);
  hook.disable();
  return after / batches / SKELETONS;
}

async function main() {
  const [mode, batches] = [process.argv[2], Number(process.argv[3])];
  http.createServer().listen(0, "127.0.0.1");
  if (mode === "agent" || mode === "both" || mode === "gated") await new Promise((resolve) => setTimeout(resolve, 700));
  const enter = makeEnter(mode, new AsyncLocalStorage());
  const measure = { count, gated: alternate }[mode] ?? repeat;
  const result = await measure(batches, enter);
  // A pipe takes a long line in parts: leave when it has taken all.
  process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
}

main();
