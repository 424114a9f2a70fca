/**
 * The agent's worker hangs without dying: the service's worker threads stop sending reports instead of filling its queue,
 * and go on when it does. It hangs because its log is a pipe that nobody reads.
 */
"use strict";
const assert = require("node:assert/strict");
const { spawn, spawnSync } = require("node:child_process");
const { join } = require("node:path");
const test = require("node:test");
const { APPS, PRELOAD, Service, temporaryFolder } = require("../harness/service");

/** MAX_REMOTE_REPORTS_WAITING of src/probe/agent-worker.ts, and one more report of each of the eight threads at once. */
const MOST_REPORTS = 32 + 8;

function lastSums(service) {
  const lines = service.stdout.split("\n").filter((line) => line.startsWith("{"));
  return lines.length === 0 ? { captures: 0, behind: 0 } : JSON.parse(lines.at(-1));
}

test("reports of worker threads do not pile up behind a worker that hangs", async (context) => {
  const folder = temporaryFolder(context);
  const log = join(folder, "agent.log");
  assert.equal(spawnSync("mkfifo", [log]).status, 0);
  const env = {
    LEAK_AGENT_DIR: folder,
    LEAK_AGENT_HORIZON: "10s",
    LEAK_AGENT_LOG: "file",
    LEAK_AGENT_PAUSE_BUDGET_MS: "1000",
    LEAK_AGENT_CPU_BUDGET: "10",
  };
  const service = new Service(["-r", PRELOAD, join(APPS, "many-threads.js")], { env, deadlineMillis: 90_000 });
  context.after(() => service.stop());
  await service.until(() => lastSums(service).behind >= 4, "most threads were held back");
  const lines = service.stdout.split("\n").length;
  // Every thread has had its turn twice more by then.
  await service.until(() => service.stdout.split("\n").length >= lines + 4, "four more lines");
  const held = lastSums(service);
  assert.ok(held.captures <= MOST_REPORTS, `${held.captures} captures were sent to a worker that takes none`);
  // Open for both ends: when the worker closes its log, a mere reader would be at its end, and the worker would hang again.
  const reader = spawn("sh", ["-c", 'exec cat <>"$0"', log], { stdio: ["ignore", "ignore", "inherit"] });
  context.after(() => reader.kill());
  await service.until(() => lastSums(service).captures > held.captures + 8, "captures went on");
  service.say("leave");
  const { code, signal } = await service.ended;
  assert.deepEqual({ code, signal }, { code: 0, signal: null });
});
