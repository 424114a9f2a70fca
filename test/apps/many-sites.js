/**
 * Keeps some objects of each of many functions with long names that gzip cannot shorten: the profile is as large as one
 * hardly ever gets. Asks itself over HTTP and lets go of old objects, so that profiles differ. Leaves on a line on stdin.
 */
"use strict";
const { createHash } = require("node:crypto");
const { setTimeout: delay } = require("node:timers/promises");
const vm = require("node:vm");
const { whenServed, request, closeServer } = require("./served");

const SITES = Number(process.env.SITES ?? 700);
/** Of numbers: 4 KiB each, so that a sampling interval of 4 KiB sees most of them. */
const LENGTH = 512;
const KEPT = 2;
const PAUSE_MILLIS = 20;

/** 192 hexadecimal digits: 96 bytes of chance. */
function nameOf(number) {
  return [0, 1, 2].map((part) => createHash("sha256").update(`${number} ${part}`).digest("hex")).join("");
}

const source = Array.from(
  { length: SITES },
  (_, number) => `function f${nameOf(number)}() { return new Array(${LENGTH}).fill(${number} + 0.5); }`,
).join("\n");
const names = Array.from({ length: SITES }, (_, number) => `f${nameOf(number)}`);
const makers = vm.runInThisContext(`(() => {\n${source}\nreturn [${names}];\n})()`, { filename: "generated.js" });

const kept = makers.map(() => []);
let next = 0;
let leaving = false;

async function handle(_incoming, response) {
  await null;
  for (let i = 0; i < 40; i++) {
    const objects = kept[next % SITES];
    objects.push(makers[next % SITES]());
    if (objects.length > KEPT) objects.shift();
    next++;
  }
  response.end("ok");
}

async function drive(server) {
  while (!leaving) {
    await request(server, "/keep");
    await delay(PAUSE_MILLIS);
  }
  closeServer(server);
}

const server = whenServed(() => {
  leaving = true;
}, handle);
server.once("listening", () => drive(server));
