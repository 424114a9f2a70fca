/**
 * A service whose call tree takes longer to capture than its pause budget: the breaker opens, says so, and comes back. And one
 * whose samples are dear: they are billed so.
 */
"use strict";
const assert = require("node:assert/strict");
const { join } = require("node:path");
const test = require("node:test");
const { APPS, PRELOAD, ROOT, Service, historyLines, temporaryFolder } = require("../harness/service");

/** Smaller than any capture of that tree, larger than one of a tree that has just begun. */
const PAUSE_BUDGET_MS = "1";

async function report(folder, ...options) {
  const { stdout } = await new Service([join(ROOT, "dist/cli/main.js"), "report", folder, ...options]).ended;
  return stdout;
}

test("captures are switched off in one line, and on again after the cool-down", async (context) => {
  const folder = temporaryFolder(context);
  const env = {
    LEAK_AGENT_DIR: folder,
    LEAK_AGENT_HORIZON: "20s",
    LEAK_AGENT_PAUSE_BUDGET_MS: PAUSE_BUDGET_MS,
  };
  const service = new Service(["-r", PRELOAD, join(APPS, "big-call-tree.js")], { env, deadlineMillis: 90_000 });
  context.after(() => service.stop());
  await service.untilStderr(/captures are off for 2 s or longer: .*LEAK_AGENT_PAUSE_BUDGET_MS/);
  const capturesBefore = historyLines(folder).filter((line) => line.liveSampleCount > 0).length;
  assert.ok(capturesBefore >= 1 && capturesBefore <= 3, `${capturesBefore} captures of the large tree`);
  await service.untilStderr(/captures are on again: the pause budget is kept \(sampling interval 128 KiB\)/);
  assert.equal(service.stderr.match(/ERR_LEAK_AGENT_BUDGET/g).length, 2, service.stderr);
  const last = await service.until(
    () => historyLines(folder).findLast((line) => line.cost?.breaker === "closed" && line.cost.openings !== undefined),
    "the history says that the breaker has closed",
  );
  assert.ok(last.cost.openings.pause >= 1);
  assert.match(await report(folder), /breaker +captures were switched off .*over the budget of\s+pauses/);
  const [process] = JSON.parse(await report(folder, "--json")).processes;
  assert.ok(process.cost.openings.pause >= 1);
  assert.ok(process.cost.ratios.worker > 0 && process.cost.ratios.total < 1);
  service.say("leave");
  const { code, signal } = await service.ended;
  assert.deepEqual({ code, signal }, { code: 0, signal: null });
});

test("what the sampler's step has timed is what samples are billed at, also when its counter has run over", async (context) => {
  const env = { LEAK_AGENT_DIR: temporaryFolder(context), LEAK_AGENT_SAMPLING_INTERVAL: "16385" };
  const service = new Service(["-r", PRELOAD, join(APPS, "dear-samples.js")], { env });
  context.after(() => service.stop());
  const { code, stdout, stderr } = await service.ended;
  assert.equal(code, 0, stderr);
  // Ten times the least price, 4 to 14 microseconds by the depth of the stacks: more is not believed.
  const micros = Number(stdout.match(/billed ([\d.]+)/)[1]);
  assert.ok(micros > 30 && micros < 150, `${micros} microseconds per sample`);
});
