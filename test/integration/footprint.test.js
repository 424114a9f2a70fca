/** After preload the main thread holds an allow-list of modules and nothing else: what is loaded costs memory and trust. */
"use strict";
const assert = require("node:assert/strict");
const { join, relative } = require("node:path");
const test = require("node:test");
const { PRELOAD, ROOT, Service } = require("../harness/service");

const ALLOWED = [
  /^dist\/(preload|index|off-switch|config|otlp-config|setting-reader|errors|native)\.js$/,
  /^dist\/(model|probe)\/[a-z0-9-/]+\.js$/,
  /^node_modules\/@opentelemetry\/api\/build\/src\/[A-Za-z0-9-/]+\.js$/,
  /^node_modules\/node-gyp-build\/(index|node-gyp-build)\.js$/,
  /^(build\/Release|prebuilds\/[a-z0-9-]+)\/[^/]+\.node$/,
  /^package\.json$/,
];

async function loadedModules(env) {
  const print = "console.log(JSON.stringify(Object.keys(require.cache)))";
  const { stdout, stderr, code } = await new Service(["-r", PRELOAD, "-e", print], { env }).ended;
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout).map((file) => relative(ROOT, file));
}

test("the main thread loads the probe and @opentelemetry/api, nothing else", async () => {
  const loaded = await loadedModules({});
  assert.ok(loaded.includes(join("dist", "preload.js")), "the preload itself is listed");
  assert.ok(
    loaded.some((file) => file.startsWith("dist/probe/")),
    "the probe is listed",
  );
  assert.deepEqual(
    loaded.filter((file) => !ALLOWED.some((pattern) => pattern.test(file))),
    [],
  );
});

test("a start reads few files of the agent: what it needs is bundled", async () => {
  const loaded = await loadedModules({});
  assert.deepEqual(loaded.filter((file) => file.startsWith("dist/")).sort(), [
    "dist/config.js",
    "dist/native.js",
    "dist/off-switch.js",
    "dist/preload.js",
    "dist/probe/probe.js",
    "dist/probe/request-context.js",
  ]);
});

for (const value of ["0", "false", " FALSE "]) {
  test(`switched off with ${JSON.stringify(value)}, nothing but the switch itself is loaded`, async () => {
    const loaded = await loadedModules({ LEAK_AGENT_ENABLED: value });
    assert.deepEqual(loaded.sort(), ["dist/off-switch.js", "dist/preload.js"]);
  });
}
