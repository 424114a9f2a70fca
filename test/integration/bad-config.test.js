/**
 * A bad configuration costs one clear line that names the setting and the fix; the service runs on and leaves as it
 * would without the agent. The off switches cost nothing at all.
 */
"use strict";
const assert = require("node:assert/strict");
const { mkdirSync, writeFileSync } = require("node:fs");
const { join } = require("node:path");
const test = require("node:test");
const { APPS, PRELOAD, Service, agentIsAwake, filesBelow, temporaryFolder } = require("../harness/service");

const SERVICE = join(APPS, "exits/normal-end.js");

function start(env, before = []) {
  return new Service([...before, "-r", PRELOAD, SERVICE], { env: { LEAK_AGENT_LOG: "stderr", ...env } });
}

/** Ends the service by its own way out; it must be as good as ever. */
async function endWell(service) {
  service.say("leave");
  const { code, signal, stderr, stdout } = await service.ended;
  assert.deepEqual({ code, signal }, { code: 0, signal: null }, stderr);
  return { lines: stderr.split("\n").filter((line) => line !== ""), stdout };
}

function linesNaming(lines, pattern) {
  return lines.filter((line) => pattern.test(line));
}

const BAD_SETTINGS = [
  {
    title: "an unknown variable",
    env: { LEAK_AGENT_HORIZN: "30s" },
    names: /LEAK_AGENT_HORIZN/,
    fix: /LEAK_AGENT_HORIZON\b/,
  },
  {
    title: "a value out of range",
    env: { LEAK_AGENT_CPU_BUDGET: "99" },
    names: /LEAK_AGENT_CPU_BUDGET/,
    fix: /0\.05 to 10/,
  },
  {
    title: "a value of the wrong kind",
    env: { LEAK_AGENT_LABELS: "yes" },
    names: /LEAK_AGENT_LABELS/,
    fix: /auto, interpose, hook, off/,
  },
];

for (const { title, env, names, fix } of BAD_SETTINGS) {
  test(`${title}: one line with the setting and the fix, and the agent works`, async (context) => {
    const folder = temporaryFolder(context);
    const service = start({ ...env, LEAK_AGENT_DIR: folder });
    context.after(() => service.stop());
    await service.untilPrinted("served");
    await service.untilStderr(names);
    await service.until(() => agentIsAwake(folder), "the agent woke up");
    const { lines } = await endWell(service);
    const naming = linesNaming(lines, names);
    assert.equal(naming.length, 1, lines.join("\n"));
    assert.match(naming[0], fix);
  });
}

test("a folder that cannot be written: one line that names LEAK_AGENT_DIR", async (context) => {
  const file = join(temporaryFolder(context), "a-file");
  writeFileSync(file, "");
  // Below a file nobody can make a folder, not even root.
  const service = start({ LEAK_AGENT_DIR: join(file, "folder") });
  context.after(() => service.stop());
  await service.untilPrinted("served");
  await service.untilStderr(/LEAK_AGENT_DIR/);
  const { lines } = await endWell(service);
  assert.equal(linesNaming(lines, /LEAK_AGENT_DIR/).length, 1, lines.join("\n"));
});

test("another profiler holds V8's sampler: one line, and its sampler stays intact", async (context) => {
  const folder = temporaryFolder(context);
  const service = start({ LEAK_AGENT_DIR: folder }, ["-r", join(APPS, "foreign-sampler.js")]);
  context.after(() => service.stop());
  await service.untilPrinted("served");
  await service.untilStderr(/profiler/i);
  const { lines, stdout } = await endWell(service);
  assert.equal(linesNaming(lines, /another .*profiler/i).length, 1, lines.join("\n"));
  assert.match(stdout, /foreign sampler intact/);
});

test("LEAK_AGENT_ENABLED=0: no line, no file", async (context) => {
  const folder = temporaryFolder(context);
  const service = start({ LEAK_AGENT_ENABLED: "0", LEAK_AGENT_DIR: join(folder, "agent") });
  context.after(() => service.stop());
  await service.untilPrinted("served");
  const { lines } = await endWell(service);
  assert.deepEqual(lines, []);
  assert.deepEqual(filesBelow(folder), []);
});

test("the off file at start: the agent writes nothing", async (context) => {
  const folder = join(temporaryFolder(context), "agent");
  mkdirSync(folder);
  writeFileSync(join(folder, "off"), "");
  const service = start({ LEAK_AGENT_DIR: folder });
  context.after(() => service.stop());
  await service.untilPrinted("served");
  await endWell(service);
  assert.deepEqual(filesBelow(folder), [join(folder, "off")]);
});
