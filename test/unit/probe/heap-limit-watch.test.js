"use strict";
const assert = require("node:assert/strict");
const { symlinkSync, mkdtempSync, rmSync } = require("node:fs");
const { tmpdir } = require("node:os");
const { join } = require("node:path");
const { pathToFileURL } = require("node:url");
const { test } = require("node:test");
const { nodeArguments } = require("../../../dist/config");
const { isFirstPreload } = require("../../../dist/probe/heap-limit-watch");

const PRELOAD = join(__dirname, "../../../dist/preload.js");

test("the agent is first when nothing is preloaded before it", () => {
  for (const args of [
    ["-r", "leak-agent"],
    ["--require", "leak-agent/preload", "-r", "other"],
    ["--require=leak-agent"],
    ["--import", "leak-agent", "--import", "other"],
    ["--max-old-space-size=100", "-r", PRELOAD],
    ["--import", pathToFileURL(PRELOAD).href],
  ])
    assert.equal(isFirstPreload(args), true, args.join(" "));
});

test("it is not when something else is, or when it was never preloaded", () => {
  for (const args of [
    null,
    [],
    ["-r", "dd-trace/init", "-r", "leak-agent"],
    ["--import", "leak-agent", "-r", "other"],
    ["--import=./other.mjs", "--import=leak-agent"],
    ["--experimental-loader", "./hooks.mjs", "--import", "leak-agent"],
    ["-r", "leak-agent-of-somebody"],
    ["-r"],
  ])
    assert.equal(isFirstPreload(args), false, args?.join(" "));
});

test("it keeps out of the way of heap snapshots, debuggers and option files", () => {
  for (const option of [
    "--heapsnapshot-near-heap-limit=2",
    "--heapsnapshot_near_heap_limit=2",
    "--inspect-brk",
    "--inspect=0",
    "--experimental-default-config-file",
    "--experimental-config-file=x.json",
  ])
    assert.equal(isFirstPreload(["-r", "leak-agent", option]), false, option);
});

test("a link to the package is the package", (context) => {
  const folder = mkdtempSync(join(tmpdir(), "leak-agent-test-"));
  context.after(() => rmSync(folder, { recursive: true }));
  symlinkSync(join(__dirname, "../../.."), join(folder, "linked"));
  assert.equal(isFirstPreload(["-r", join(folder, "linked/dist/preload.js")]), true);
});

test("NODE_OPTIONS come before the command line; quotes are not guessed at", () => {
  assert.deepEqual(nodeArguments({ NODE_OPTIONS: " -r  a --inspect" }, ["-r", "b"]), [
    "-r",
    "a",
    "--inspect",
    "-r",
    "b",
  ]);
  assert.deepEqual(nodeArguments({}, ["-r", "b"]), ["-r", "b"]);
  assert.equal(nodeArguments({ NODE_OPTIONS: '-r "a b"' }, []), null);
});
