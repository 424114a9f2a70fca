/**
 * Serves requests that all end, then counts how many of their objects are still there after garbage collection.
 * Started with --expose-gc; prints one JSON line { requests, kept: { name: count } }.
 */
"use strict";
const { AsyncLocalStorage } = require("node:async_hooks");
const http = require("node:http");
const { context, createContextKey } = require("@opentelemetry/api");

const REQUESTS = 60;
const SPAN = createContextKey("span");
const store = new AsyncLocalStorage();
const watched = { request: [], response: [], store: [], span: [] };

function watch(name, object) {
  watched[name].push(new WeakRef(object));
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

const server = http.createServer((request, response) => {
  const mine = { id: request.url };
  const span = { url: request.url };
  setImmediate(() => server.emit(`reached ${request.url.split("/").pop()}`));
  watch("request", request);
  watch("response", response);
  watch("store", mine);
  watch("span", span);
  store.run(mine, () => {
    context.with(context.active().setValue(SPAN, span), async () => {
      const garbage = [];
      for (let i = 0; i < 20; i++) {
        await turn();
        garbage.push(new Array(2_000).fill(i));
      }
      // Half of the clients have gone by now.
      response.end(String(garbage.length));
    });
  });
});

function get(port, index) {
  return new Promise((resolve) => {
    const request = http.get({ port, path: `/item/${index}`, agent: false }, (response) =>
      response.resume().on("close", resolve),
    );
    request.on("error", resolve);
    if (index % 2 === 1) request.on("socket", () => server.once(`reached ${index}`, () => request.destroy()));
  });
}

async function main() {
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => setTimeout(resolve, 700)); // The agent looks for a listening server twice a second.
  await Promise.all(Array.from({ length: REQUESTS }, (_, index) => get(port, index)));
  server.close();
  let kept = {};
  for (let round = 0; round < 40; round++) {
    await new Promise((resolve) => setTimeout(resolve, 25));
    global.gc();
    kept = Object.fromEntries(
      Object.entries(watched).map(([name, refs]) => [name, refs.filter((ref) => ref.deref() !== undefined).length]),
    );
    if (Object.values(kept).every((count) => count === 0)) break;
  }
  const agent = globalThis[Symbol.for("leak-agent.probe")]?.status();
  console.log(JSON.stringify({ requests: watched.request.length, kept, agent }));
  process.exit(0);
}

main();
