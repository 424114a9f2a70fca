/**
 * Two routes share one helper. `GET /leak` keeps what it allocates in `remember`, `GET /clean` lets go of the same amount.
 * The program asks itself for both until a line comes on stdin.
 */
"use strict";
const { setTimeout: delay } = require("node:timers/promises");
const { whenServed, request, closeServer } = require("./served");

/** Leaves the event loop idle most of the time: the agent takes no capture of a saturated service. */
const PAUSE_MILLIS = 10;

const kept = [];

function makeRecord(number) {
  return { number, text: `record ${number}`, parts: [number, number + 1, number + 2] };
}

/** Asynchronous, so that V8 cannot inline it: what an inlined function allocates counts for its caller. */
async function remember(number) {
  await null;
  kept.push({ number, words: new Array(40).fill(number + 0.5) });
}

let number = 0;
let leaving = false;

async function handle(incoming, response) {
  await null;
  const records = [];
  for (let i = 0; i < 20; i++) {
    number += 1;
    records.push(makeRecord(number));
    if (incoming.url === "/leak") await remember(number);
  }
  response.end(String(records.length));
}

async function drive(server) {
  while (!leaving) {
    await request(server, "/leak");
    await request(server, "/clean");
    await delay(PAUSE_MILLIS);
  }
  closeServer(server);
}

const server = whenServed(() => {
  leaving = true;
}, handle);
server.once("listening", () => drive(server));
