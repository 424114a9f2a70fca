/**
 * Worker threads of the service report to the one agent worker; when that one dies, the service does not notice and a
 * new one goes on.
 */
"use strict";
const assert = require("node:assert/strict");
const { join } = require("node:path");
const test = require("node:test");
const { APPS, PRELOAD, Service, agentIsAwake, historyLines, temporaryFolder } = require("../harness/service");

const SPY = join(APPS, "spy-workers.js");

function start(app, folder) {
  // A machine that is busy with other tests makes slow captures; they must not be held back here.
  const env = {
    LEAK_AGENT_DIR: folder,
    LEAK_AGENT_HORIZON: "10s",
    LEAK_AGENT_LOG: "stderr",
    LEAK_AGENT_PAUSE_BUDGET_MS: "1000",
  };
  return new Service(["-r", SPY, "-r", PRELOAD, join(APPS, app)], { env });
}

function occurrences(text, part) {
  return text.split(part).length - 1;
}

test("each worker thread of the service is observed by the one agent worker", async (context) => {
  const folder = temporaryFolder(context);
  const service = start("threaded-service.js", folder);
  context.after(() => service.stop());
  await service.untilPrinted("served");
  const threads = await service.until(() => {
    const seen = new Set(historyLines(folder).flatMap((line) => (line.liveSampleCount > 0 ? [line.thread] : [])));
    return seen.size >= 3 ? seen : null;
  }, "three threads had captures in the history");
  assert.ok(threads.has(0), "the main thread is one of them");
  assert.equal(occurrences(service.stdout, "agent worker started"), 1);
  service.say("leave");
  const { code, signal } = await service.ended;
  assert.deepEqual({ code, signal }, { code: 0, signal: null });
});

test("a killed agent worker is restarted, keeps its history, and the service goes on", async (context) => {
  const folder = temporaryFolder(context);
  const service = start("exits/normal-end.js", folder);
  context.after(() => service.stop());
  await service.untilPrinted("served");
  await service.until(() => agentIsAwake(folder), "the agent woke up");
  await service.until(() => historyLines(folder).length > 1, "a first observation");
  const before = historyLines(folder).length;
  service.child.kill("SIGUSR2");
  await service.untilPrinted("agent worker ended");
  await service.until(
    () => occurrences(service.stdout, "agent worker started") === 2,
    "the agent worker was restarted",
  );
  await service.until(() => historyLines(folder).length > before + 1, "the new worker observed something");
  service.say("leave");
  const { code, signal } = await service.ended;
  assert.deepEqual({ code, signal }, { code: 0, signal: null });
});
