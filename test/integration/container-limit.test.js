/** In a real control group: its limit is read, and a kill by the kernel is the first line of the next life. */
"use strict";
const assert = require("node:assert/strict");
const test = require("node:test");
const { readLives } = require("../../dist/export/life-file");
const { controlGroup } = require("../harness/control-group");
const { APP, environment } = require("../harness/deployed-service");
const { PRELOAD, Service, temporaryFolder } = require("../harness/service");

const MIB = 1024 * 1024;
const LIMIT_BYTES = 256 * MIB;

test("a group's limit is read, and its out-of-memory kill told for certain", async (context) => {
  const group = controlGroup(context, LIMIT_BYTES);
  if (group === null) return context.skip("no control group with a memory limit can be made here");
  const folder = temporaryFolder(context);
  const live = (env) =>
    new Service(group.args([process.execPath, "-r", PRELOAD, "--max-old-space-size=2048", APP]), {
      node: "/bin/sh",
      env: environment(folder, { env }),
      deadlineMillis: 120_000,
    });
  const first = live({ BALLAST_MB: "90", LEAK_COUNT: "1000" });
  const { level } = await first.until(() => readLives(folder)[0]?.level, "the agent has begun its record");
  assert.equal(level.cgroupLimitBytes, LIMIT_BYTES);
  assert.ok(level.cgroupBytes > 90 * MIB && level.cgroupBytes <= LIMIT_BYTES, String(level.cgroupBytes));
  const { signal } = await first.ended;
  assert.equal(signal, "SIGKILL");
  const next = live({});
  await next.untilStderr(/leak-agent .* watches/);
  const [line] = next.stderr.split("\n").filter((text) => text.startsWith("{"));
  assert.match(JSON.parse(line).msg, /was killed by the kernel: its control group ran out of memory of 256 MiB/);
  assert.equal(JSON.parse(line).cause, "container-oom");
  await next.stop();
});
