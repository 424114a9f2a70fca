/** The agent's worker cannot start at all: it is tried eight times, one line says so, and the service has no agent then. */
"use strict";
const assert = require("node:assert/strict");
const { cpSync, symlinkSync, writeFileSync } = require("node:fs");
const { join } = require("node:path");
const test = require("node:test");
const { APPS, ROOT, Service, temporaryFolder } = require("../harness/service");

/** The waits between the tries, one second to a minute each, are over at once. */
const IMPATIENT = `
  const wait = globalThis.setTimeout;
  globalThis.setTimeout = (run, millis, ...rest) => wait(run, Math.min(millis, 10), ...rest);
`;

/** A copy of the package whose worker throws as it is loaded. */
function brokenCopy(folder) {
  for (const name of ["dist", "prebuilds"]) cpSync(join(ROOT, name), join(folder, name), { recursive: true });
  for (const name of ["node_modules", "package.json"]) symlinkSync(join(ROOT, name), join(folder, name));
  writeFileSync(join(folder, "dist/worker/main.js"), 'throw new Error("no workers on this platform");');
  writeFileSync(join(folder, "impatient.js"), IMPATIENT);
  return join(folder, "dist/preload.js");
}

test("a worker that cannot start is given up: one line, all threads stop sampling, the service goes on", async (context) => {
  const folder = temporaryFolder(context);
  const preload = brokenCopy(folder);
  const env = { LEAK_AGENT_DIR: join(folder, "agent"), LEAK_AGENT_HORIZON: "10s", LEAK_AGENT_LOG: "stderr" };
  const args = ["-r", join(folder, "impatient.js"), "-r", preload, join(APPS, "status-service.js")];
  const service = new Service(args, { env });
  context.after(() => service.stop());
  await service.untilStderr(/ERR_LEAK_AGENT_WORKER/);
  const statuses = await service.until(() => {
    service.say("status");
    const line = service.stdout.split("\n").findLast((text) => text.startsWith("{") && text.endsWith("}"));
    const said = line === undefined ? null : JSON.parse(line);
    return said?.main.samplingIntervalBytes === 0 && said.thread.samplingIntervalBytes === 0 ? said : null;
  }, "both threads stopped sampling");
  assert.deepEqual([statuses.main.state, statuses.thread.state], ["off", "off"]);
  assert.deepEqual([statuses.main.hookErrors, statuses.thread.hookErrors], [0, 0]);
  service.say("leave");
  const { code, signal, stderr } = await service.ended;
  assert.deepEqual({ code, signal }, { code: 0, signal: null });
  const lines = stderr.split("\n").filter((line) => line !== "");
  assert.equal(lines.length, 1, stderr);
  assert.match(lines[0], /cannot start here, so nothing is profiled in this life: no workers on this platform\./);
});
