"use strict";
const assert = require("node:assert/strict");
const { spawnSync } = require("node:child_process");
const { join } = require("node:path");
const { test } = require("node:test");

/** On Node 24 a sampler that outlives its environment kills the process every time (SIGSEGV, double free). */
for (const way of ["end", "terminate", "workerEnd", "workerExit", "workerThrow", "mainFirst", "twice"]) {
  test(`nothing is left behind: ${way}`, () => {
    const child = spawnSync(process.execPath, [join(__dirname, "ways-out.js"), way], { encoding: "utf8" });
    assert.equal(child.signal, null);
    assert.equal(child.status, 0, child.stderr);
    assert.equal(child.stderr, "");
    assert.equal(child.stdout, "done");
  });
}

test("nothing is left behind: exit", () => {
  const child = spawnSync(process.execPath, [join(__dirname, "ways-out.js"), "exit"], { encoding: "utf8" });
  assert.equal(child.signal, null);
  assert.equal(child.status, 0);
  assert.equal(child.stderr, "");
});
