/**
 * A service whose routes come in a mix that varies from second to second: `GET /leak` keeps what it allocates, `GET /clean`
 * and `GET /other` allocate the same and keep nothing. It asks itself until a line comes on stdin.
 */
"use strict";
const http = require("node:http");
const { setTimeout: delay } = require("node:timers/promises");
const { closeServer, request } = require("./served");

const kept = [];

/** Asynchronous, so that V8 does not inline it. */
async function remember(number, isKept) {
  await null;
  const record = { number, words: new Array(40).fill(number + 0.5) };
  if (isKept) kept.push(record);
}

const server = http.createServer(async (incoming, response) => {
  for (let i = 0; i < 20; i++) await remember(i, incoming.url === "/leak");
  response.end("ok");
});

/** Linear congruential (Numerical Recipes): the same mix in every run. */
let seed = 20_261_128;
function upTo(bound) {
  seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
  return Math.floor((seed / 2 ** 32) * (bound + 1));
}

server.listen(0, "127.0.0.1", async () => {
  process.stdout.write("listening\n");
  let isOver = false;
  process.stdin.once("data", () => {
    isOver = true;
  });
  while (!isOver) {
    const second = delay(1_000);
    for (const path of ["/leak", "/clean", "/other"]) {
      for (let count = upTo(25); count > 0; count--) await request(server, path);
    }
    await second;
  }
  process.stdin.destroy();
  closeServer(server);
});
