/**
 * NODE_OPTIONS also reaches npm, tsc and scripts: until a program is a service, the agent writes no file and no line,
 * starts no thread, and leaves exit code and output alone.
 */
"use strict";
const assert = require("node:assert/strict");
const { execFileSync } = require("node:child_process");
const { realpathSync } = require("node:fs");
const { join } = require("node:path");
const test = require("node:test");
const { APPS, PRELOAD, Service, filesBelow, temporaryFolder } = require("../harness/service");

const SCRIPT = join(APPS, "short-script.js");

async function run(args, env) {
  const service = new Service(args, { env });
  return service.ended;
}

/** Runs a program that is no service, with the agent in NODE_OPTIONS; everything it might write lands in `folder`. */
function runWithAgent(args, folder) {
  return run(args, {
    NODE_OPTIONS: `-r ${PRELOAD}`,
    TMPDIR: folder,
    LEAK_AGENT_DIR: join(folder, "agent"),
    NODE_DISABLE_COMPILE_CACHE: "1", // npm itself switches the cache on, which lies in TMPDIR.
  });
}

function npmProgram() {
  const path = process.env.npm_execpath ?? execFileSync("which", ["npm"], { encoding: "utf8" }).trim();
  return realpathSync(path);
}

test("npm --version with the agent in NODE_OPTIONS prints the version and nothing else", async (context) => {
  const folder = temporaryFolder(context);
  const result = await runWithAgent([npmProgram(), "--version"], folder);
  assert.match(result.stdout, /^\d+\.\d+\.\d+\n$/);
  assert.equal(result.stderr, "");
  assert.equal(result.code, 0);
  assert.deepEqual(filesBelow(folder), []);
});

for (const what of ["plain", "throw", "worker"]) {
  test(`a short script (${what}) behaves as if the agent were not there`, async (context) => {
    const folder = temporaryFolder(context);
    const expected = await run([SCRIPT, what], {});
    assert.equal(expected.code, what === "throw" ? 1 : 5);
    assert.deepEqual(await runWithAgent([SCRIPT, what], folder), expected);
    assert.deepEqual(filesBelow(folder), []);
  });
}
