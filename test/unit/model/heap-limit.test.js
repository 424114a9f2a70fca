"use strict";
const assert = require("node:assert/strict");
const { spawnSync } = require("node:child_process");
const { test } = require("node:test");
const { oldGenerationLimit, semiSpaceMib } = require("../../../dist/model/heap-limit");

const MIB = 1024 * 1024;

/** What this Node calls its limit, given these options. */
function heapLimitBytes(args) {
  const print = "console.log(require('node:v8').getHeapStatistics().heap_size_limit)";
  return Number(spawnSync(process.execPath, [...args, "-e", print], { encoding: "utf8" }).stdout);
}

test("what a person gives as --max-old-space-size is found again in this Node's limit", () => {
  for (const args of [
    ["--max-old-space-size=128"],
    ["--max-old-space-size=2000"],
    ["--max-old-space-size=128", "--max-semi-space-size=8"],
    ["--max_old_space_size=600", "--max_semi_space_size=64"],
  ]) {
    const limit = oldGenerationLimit(heapLimitBytes(args), process.versions.node, semiSpaceMib(args));
    assert.equal(limit / MIB, Number(/\d+/.exec(args[0])[0]), args.join(" "));
  }
});

test("the last semi-space counts; 0, none and unknown options are the default", () => {
  const given = ["--max-semi-space-size=8", "-r", "x", "--max_semi_space_size=16"];
  assert.equal(semiSpaceMib(given), 16);
  for (const args of [null, [], ["--max-semi-space-size=0"], ["--semi-space-growth-factor=2"]])
    assert.equal(semiSpaceMib(args), null);
});

test("a limit that is smaller than the young generation is halved rather than negative", () => {
  assert.equal(oldGenerationLimit(40 * MIB, "20.20.2"), 20 * MIB);
});
