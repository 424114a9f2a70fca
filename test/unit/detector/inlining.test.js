"use strict";
const assert = require("node:assert/strict");
const { test } = require("node:test");
const { nameBelow } = require("../../../dist/detector/inlining");
const { StackIndex } = require("../../../dist/detector/stack-index");

const FRAMES = [
  { function: "handle", file: "/srv/app/node_modules/router/index.js", line: 1, column: 1 },
  { function: "handler", file: "/srv/app/server.js", line: 27, column: 1 },
  { function: "scoped", file: "/srv/app/log.js", line: 6, column: 1 },
  { function: "create", file: "/srv/app/node_modules/debug/common.js", line: 64, column: 1 },
  { function: "enabled", file: "/srv/app/node_modules/debug/common.js", line: 211, column: 1 },
  { function: "init", file: "/srv/app/node_modules/debug/node.js", line: 227, column: 1 },
  { function: "json", file: "/srv/app/node_modules/express/response.js", line: 9, column: 1 },
];
const [HANDLE, HANDLER, SCOPED, CREATE, ENABLED, INIT, JSON_] = FRAMES.keys();

function index(stacks) {
  const known = new StackIndex();
  known.addFrames(FRAMES);
  known.addStacks(stacks);
  return known;
}

/** Samples in order of birth, as indexes into the stacks. */
const born = (...stacks) => stacks.map((stack, order) => ({ stack, bornMillis: order }));
const repeat = (stack, count) => new Array(count).fill(stack);

test("a call that skips known functions proves that they were inlined", () => {
  const stacks = index([
    [HANDLE, HANDLER, SCOPED, CREATE, ENABLED],
    [HANDLE, HANDLER],
    [HANDLE, HANDLER, ENABLED],
  ]);
  assert.equal(nameBelow(HANDLER, born(...repeat(1, 20), ...repeat(2, 6)), stacks), ENABLED);
  const mixed = index([
    [HANDLE, HANDLER, SCOPED, CREATE, ENABLED],
    [HANDLE, HANDLER],
    [HANDLE, HANDLER, ENABLED],
    [HANDLE, HANDLER, SCOPED, CREATE, INIT],
  ]);
  assert.equal(nameBelow(HANDLER, born(...repeat(3, 4), ...repeat(1, 20), ...repeat(2, 6)), mixed), CREATE);
});

test("samples that all lay below a function before its own began were inlined into it", () => {
  const stacks = index([
    [HANDLE, HANDLER, SCOPED, CREATE],
    [HANDLE, HANDLER],
  ]);
  assert.equal(nameBelow(HANDLER, born(...repeat(0, 6), ...repeat(1, 30)), stacks), CREATE);
});

test("a function whose own share never changed is named itself", () => {
  const stacks = index([
    [HANDLE, HANDLER, SCOPED, CREATE],
    [HANDLE, HANDLER],
  ]);
  const samples = Array.from({ length: 40 }, (_, order) => ({ stack: order % 4 === 1 ? 0 : 1, bornMillis: order }));
  assert.equal(nameBelow(HANDLER, samples, stacks), HANDLER);
});

test("a package that holds four fifths is named by its most common function", () => {
  const stacks = index([
    [HANDLE, HANDLER, CREATE],
    [HANDLE, HANDLER, INIT],
    [HANDLE, HANDLER, JSON_],
  ]);
  assert.equal(nameBelow(HANDLER, born(...repeat(0, 9), ...repeat(1, 8), ...repeat(2, 2)), stacks), CREATE);
  assert.equal(nameBelow(HANDLER, born(...repeat(0, 5), ...repeat(1, 5), ...repeat(2, 5)), stacks), HANDLER);
});

test("too few samples below say nothing", () => {
  const stacks = index([
    [HANDLE, HANDLER, CREATE],
    [HANDLE, HANDLER],
  ]);
  assert.equal(nameBelow(HANDLER, born(0, 0, ...repeat(1, 30)), stacks), HANDLER);
});
