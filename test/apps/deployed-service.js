/**
 * One service, several builds: BUILD_FIX=1 is the build without the leak. `GET /leak` keeps what it allocates (in the build
 * that leaks), `GET /clean` never does. It asks itself until a line comes on stdin, or LIVE_MILLIS are over; then it exits
 * with EXIT_CODE. BALLAST_MB is kept from the start.
 */
"use strict";
const http = require("node:http");
const { setTimeout: delay } = require("node:timers/promises");

const kept = Array.from({ length: Number(process.env.BALLAST_MB ?? 0) * 128 }, () => new Array(1_024).fill(0.5));
const isFixed = process.env.BUILD_FIX === "1";
/** Objects kept by each request, so that a small heap fills within seconds. */
const count = Number(process.env.LEAK_COUNT ?? 20);

/** Asynchronous, so that V8 does not inline it. */
async function remember(number) {
  await null;
  const record = { number, words: new Array(40).fill(number + 0.5) };
  if (!isFixed) kept.push(record);
  return record;
}

const server = http.createServer(async (incoming, response) => {
  if (incoming.url === "/leak") for (let i = 0; i < count; i++) await remember(i);
  response.end("ok");
});

function ask(path) {
  return new Promise((resolve, reject) => {
    const options = { host: "127.0.0.1", port: server.address().port, path, agent: false };
    http.get(options, (response) => response.resume().on("end", resolve)).on("error", reject);
  });
}

server.listen(0, "127.0.0.1", async () => {
  process.stdout.write("listening\n");
  for (;;) {
    await ask("/leak");
    await ask("/clean");
    await delay(10);
  }
});

const leave = () => process.exit(Number(process.env.EXIT_CODE ?? 0));
process.stdin.once("data", leave);
if (process.env.LIVE_MILLIS !== undefined) setTimeout(leave, Number(process.env.LIVE_MILLIS));
