/**
 * Node aborts a process that ends while one of its threads makes a zlib stream (docs/decisions/0020): the agent's worker
 * is never caught at it.
 */
"use strict";
const assert = require("node:assert/strict");
const { join } = require("node:path");
const test = require("node:test");
const { APPS, Service } = require("../harness/service");

const APP = join(APPS, "compressing.js");
/** The abort itself is a matter of luck: what must not be is counted in every run. */
const ROUNDS = 10;

test("nothing is compressed any more when the process has begun to leave", async () => {
  const ends = await Promise.all(Array.from({ length: ROUNDS }, () => new Service([APP, "exit"]).ended));
  for (const { code, signal, stdout, stderr } of ends) {
    assert.deepEqual({ code, signal, stderr }, { code: 0, signal: null, stderr: "" });
    assert.match(stdout, /^compressed [01] times/, "one may be counted after it has ended");
  }
});

test("a worker that is ended while it compresses does not take the process with it", async () => {
  const ends = await Promise.all(Array.from({ length: ROUNDS }, () => new Service([APP, "close"]).ended));
  for (const { code, signal, stderr } of ends)
    assert.deepEqual({ code, signal, stderr }, { code: 0, signal: null, stderr: "" });
});

test("without the guard the worker goes on, so the count can fail", async () => {
  const { stdout } = await new Service([APP, "exit", "unguarded"]).ended;
  // The process may be aborted instead, before or after it has printed.
  if (stdout !== "") assert.match(stdout, /^compressed [1-9]\d+ times/);
});
