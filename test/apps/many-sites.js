/**
 * Keeps some objects of each of 150 functions with long names that gzip cannot shorten: the profile is as large as one
 * hardly ever gets. Asks itself over HTTP and lets go of old objects, so that profiles differ. Leaves on a line on stdin.
 */
"use strict";
const { createHash } = require("node:crypto");
const { setTimeout: delay } = require("node:timers/promises");
const vm = require("node:vm");
const { whenServed, request, closeServer } = require("./served");

const SITES = 150;
/** Of numbers: 16 KiB, so that a sampling interval of 16 KiB sees most of what a function keeps. */
const LENGTH = 2_048;
const KEPT = 2;
const PER_REQUEST = 10;
const PAUSE_MILLIS = 20;

/** 2,048 hexadecimal digits: 1 KiB of chance. */
function nameOf(number) {
  const parts = Array.from({ length: 32 }, (_, part) => createHash("sha256").update(`${number} ${part}`).digest("hex"));
  return parts.join("");
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
  for (let i = 0; i < PER_REQUEST; i++) {
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
