/**
 * A service that holds objects from hundreds of call paths which share no function below the first few: one capture of
 * that tree takes milliseconds. They are made at preload's interval of 64 KiB, so each object is as good as sampled.
 */
"use strict";
const { whenServed, closeServer } = require("./served");

const PATHS = 500;
const DEPTH = 45;
const held = [];

function left(seed, depth) {
  return depth === 0 ? new Array(8_192).fill(seed) : step(seed, depth);
}

function right(seed, depth) {
  return depth === 0 ? new Array(8_192).fill(seed) : step(seed, depth);
}

/** A path of its own for each seed, the same in every run. */
function step(seed, depth) {
  const next = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
  return (next >>> 16) & 1 ? left(next, depth - 1) : right(next, depth - 1);
}

for (let i = 0; i < PATHS; i++) held.push(step(i * 2_654_435_761, DEPTH));
const server = whenServed(() => closeServer(server));
setInterval(() => held.length, 60_000).unref();
