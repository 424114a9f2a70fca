/**
 * One service, several builds: BUILD_FIX=1 is the build without the leak. `GET /leak` keeps what it allocates (in the build
 * that leaks), `GET /clean` never does. It asks itself until it is stopped; LIVE_MILLIS is when it ends by itself, with
 * EXIT_CODE.
 */
"use strict";
const http = require("node:http");
const { setTimeout: delay } = require("node:timers/promises");

const kept = [];
const isFixed = process.env.BUILD_FIX === "1";

/** Asynchronous, so that V8 does not inline it. */
async function remember(number) {
  await null;
  const record = { number, words: new Array(40).fill(number + 0.5) };
  if (!isFixed) kept.push(record);
  return record;
}

const server = http.createServer(async (incoming, response) => {
  if (incoming.url === "/leak") for (let i = 0; i < 20; i++) await remember(i);
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

if (process.env.LIVE_MILLIS !== undefined)
  setTimeout(() => process.exit(Number(process.env.EXIT_CODE ?? 0)), Number(process.env.LIVE_MILLIS));
