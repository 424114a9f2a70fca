/**
 * What is too short to judge in one life is judged over several; a deploy is checked; a person's word is taken in while the
 * service runs. Minutes of real time: runs in CI only.
 */
"use strict";
const assert = require("node:assert/strict");
const { cpSync } = require("node:fs");
const test = require("node:test");
const { readLives } = require("../../dist/export/life-file");
const { runCli } = require("../unit/cli/fixtures");
const { findings, live } = require("../harness/deployed-service");
const { assertFinding } = require("../harness/finding-schema");
const { temporaryFolder } = require("../harness/service");

test("restarts that are too frequent for any verdict of one life add up to a leak", async (context) => {
  const folder = temporaryFolder(context);
  for (let round = 0; round < 6 && !findings(folder).some(({ verdict }) => verdict === "leak"); round++) {
    // No life reaches its horizon: none can say `leak` by itself.
    const service = live(folder, { horizon: "16s", env: { LIVE_MILLIS: "14000" } });
    await service.ended;
    if (round < 2)
      assert.deepEqual(
        findings(folder).filter(({ verdict }) => verdict === "leak"),
        [],
      );
  }
  const leak = findings(folder).find(({ verdict }) => verdict === "leak");
  assert.ok(leak, "no leak in six lives");
  assertFinding(leak);
  assert.equal(leak.route.name, "GET /leak");
  assert.equal(leak.site.function, "remember");
  assert.ok(leak.evidence.lives >= 3);
  assert.match(leak.text, /In the later halves of \d lives that agree/);
});

test("a deploy is checked by itself; a finding keeps its id and is silenced by a person's word", async (context) => {
  const folder = temporaryFolder(context);
  const one = live(folder);
  const leak = await one.until(() => findings(folder).find(({ verdict }) => verdict === "leak"), "the leak was found");
  assert.deepEqual([leak.service.buildId, leak.fix], ["one", null]);
  await one.until(() => survivorsOf(folder) >= 40, "the numbers that a later build is held against");
  one.child.kill("SIGKILL");
  await one.ended;
  const copy = temporaryFolder(context);
  cpSync(folder, copy, { recursive: true });
  await Promise.all([isFixed(folder, leak), isNotFixed(copy, leak)]);
});

/** What the only life in a folder has written down of its leaking site. */
function survivorsOf(folder) {
  const series = readLives(folder).flatMap((life) => life.series);
  return series.find(({ route, site }) => route === "GET /leak" && site?.function === "remember")?.survivors ?? 0;
}

async function isFixed(folder, leak) {
  const two = live(folder, { build: "two", env: { BUILD_FIX: "1" } });
  const told = await two.until(() => findings(folder).find(({ fix }) => fix !== null), "the fix was checked");
  assertFinding(told);
  assert.deepEqual([told.id, told.verdict, told.fix.verdict], [leak.id, "retracted", "fixed"]);
  assert.deepEqual([told.service.buildId, told.service.firstBuildId], ["two", "one"]);
  const { code, stdout } = await runCli(["verify", folder]);
  assert.equal(code, 0, stdout);
  assert.match(stdout, /^FIXED {2}GET \/leak at .*deployed-service\.js:\d+ remember$/m);
  assert.equal((await runCli(["report", folder])).code, 0);
  await two.stop();
}

async function isNotFixed(folder, leak) {
  const three = live(folder, { build: "three" });
  const told = await three.until(() => findings(folder).find(({ fix }) => fix !== null), "the fix was checked");
  assert.deepEqual([told.id, told.verdict, told.fix.verdict], [leak.id, "leak", "not fixed"]);
  const { code, stdout } = await runCli(["verify", folder, "--before", "one", "--after", "three", "--json"]);
  assert.equal(code, 1, stdout);
  assert.equal(JSON.parse(stdout).findings[0].fix.verdict, "not fixed");
  const verdicts = () => findings(folder).map(({ id, verdict }) => (id === leak.id ? verdict : null));
  assert.equal((await runCli(["ack", leak.id, folder, "--reason", "known", "--until", "8s"])).code, 0);
  await three.until(() => verdicts().at(-1) === "acknowledged", "the acknowledgement was taken in");
  await three.until(() => verdicts().at(-1) === "leak", "it alarmed again when its time was over");
  await three.stop();
}
