/** A cluster: each process has its own sampler, agent worker and history, and is judged alone. */
"use strict";
const assert = require("node:assert/strict");
const { join } = require("node:path");
const test = require("node:test");
const { APPS, PRELOAD, Service, historyLines, temporaryFolder } = require("../harness/service");

test("two cluster workers write a history each, with their own routes", async (context) => {
  const folder = temporaryFolder(context);
  // A machine that is busy with other tests makes slow captures; they must not be held back here.
  const env = {
    LEAK_AGENT_DIR: folder,
    LEAK_AGENT_HORIZON: "10s",
    LEAK_AGENT_LOG: "off",
    LEAK_AGENT_PAUSE_BUDGET_MS: "1000",
  };
  const service = new Service(["-r", PRELOAD, join(APPS, "cluster-service.js")], { env });
  context.after(() => service.stop());
  await service.until(() => service.stdout.match(/served by \d+/g)?.length === 2, "both workers had served");
  const pids = [...service.stdout.matchAll(/served by (\d+)/g)].map((match) => Number(match[1]));
  await service.until(() => observedProcesses(folder).size === 2, "both workers had observations");
  assert.deepEqual([...observedProcesses(folder)].sort(), pids.sort());
  service.say("leave");
  const { code, stdout } = await service.ended;
  assert.equal(code, 0);
  assert.equal(stdout.match(/worker ended with 0/g)?.length, 2);
});

/** Process ids whose history header is followed by at least one observation with a capture. */
function observedProcesses(folder) {
  const observed = new Set();
  let current = null;
  for (const line of historyLines(folder)) {
    if (line.schema !== undefined) current = line.processId;
    else if (current !== null && line.liveSampleCount > 0) observed.add(current);
  }
  return observed;
}
