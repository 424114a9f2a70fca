"use strict";
const assert = require("node:assert/strict");
const { join } = require("node:path");
const test = require("node:test");
const { FINDING } = require("../../harness/a-finding");
const { START_MILLIS, runCli, temporaryFolder, writeLife } = require("./fixtures");

/** A folder with one life of each build. */
function folderOf(context, builds) {
  const folder = join(temporaryFolder(context), "agent");
  builds.forEach(([buildId, leaks], index) => {
    writeLife(folder, { buildId, leaks, startMillis: START_MILLIS + index * 3_600_000 });
  });
  return folder;
}

test("verify with nothing to verify says so and exits 0", async (context) => {
  const only = folderOf(context, [["one", []]]);
  const first = await runCli(["verify", only]);
  assert.deepEqual([first.code, first.stderr], [0, ""]);
  assert.match(first.stdout, /^Nothing to verify: no build before one has a leak on record; on record.*: one\n$/);
  const leaksNow = folderOf(context, [
    ["one", []],
    ["two", [FINDING]],
  ]);
  const { code, stdout } = await runCli(["verify", leaksNow, "--json"]);
  assert.equal(code, 0);
  assert.deepEqual(JSON.parse(stdout), { schema: "leak-agent.verify/1", before: null, after: "two", findings: [] });
});

test("verify of a build that is not on record is wrong usage", async (context) => {
  const folder = folderOf(context, [
    ["one", []],
    ["two", []],
  ]);
  for (const option of ["--before", "--after"]) {
    const { code, stdout, stderr } = await runCli(["verify", folder, option, "three", "--json"]);
    assert.deepEqual([code, stdout], [2, ""]);
    assert.match(stderr, /three is not on record; on record, oldest first: one, two; .*\[ERR_LEAK_AGENT_USAGE\]\n$/);
  }
});
