/** After preload the main thread holds an allow-list of modules and nothing else: what is loaded costs memory and trust. */
"use strict";
const assert = require("node:assert/strict");
const { copyFileSync, mkdirSync, symlinkSync } = require("node:fs");
const { join, relative } = require("node:path");
const test = require("node:test");
const { PRELOAD, ROOT, Service, temporaryFolder } = require("../harness/service");

const ALLOWED = [
  /^dist\/(preload|index|off-switch|config|otlp-config|setting-reader|errors|native)\.js$/,
  /^dist\/(model|probe)\/[a-z0-9-/]+\.js$/,
  /^node_modules\/@opentelemetry\/api\/build\/src\/[A-Za-z0-9-/]+\.js$/,
  /^prebuilds\/[a-z0-9-]+\/[^/]+\.node$/,
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

test("a start loads none of Node's modules that only a service needs", async () => {
  const print = "console.log(JSON.stringify(process.moduleLoadList))";
  const { stdout } = await new Service(["-r", PRELOAD, "-e", print], {}).ended;
  const loaded = JSON.parse(stdout);
  assert.ok(loaded.includes("NativeModule worker_threads"), "the list names modules like this");
  assert.deepEqual(
    loaded.filter((name) => ["NativeModule perf_hooks", "NativeModule v8"].includes(name)),
    [],
  );
});

test("an addon that is not where the install script puts it is found by node-gyp-build", async (context) => {
  const folder = temporaryFolder(context);
  for (const name of ["dist", "node_modules", "package.json"]) symlinkSync(join(ROOT, name), join(folder, name));
  const ask = `const native = require(${JSON.stringify(join(folder, "dist/native.js"))}).loadNative();
    console.log(native.ok ? native.addon.v8MajorMinor : native.reason)`;
  const asked = async () => {
    const args = ["--preserve-symlinks", "-e", ask];
    return (await new Service(args, {}).ended).stdout.trim();
  };
  assert.match(await asked(), /^No native build was found/);
  mkdirSync(join(folder, "build/Release"), { recursive: true });
  assert.ok(require(join(ROOT, "dist/native.js")).loadNative().ok);
  const installed = Object.keys(require.cache).find((file) => file.endsWith(".node"));
  copyFileSync(installed, join(folder, "build/Release/leak_agent.node"));
  assert.equal(await asked(), process.versions.v8.split(".").slice(0, 2).join("."));
});

for (const value of ["0", "false", " FALSE "]) {
  test(`switched off with ${JSON.stringify(value)}, nothing but the switch itself is loaded`, async () => {
    const loaded = await loadedModules({ LEAK_AGENT_ENABLED: value });
    assert.deepEqual(loaded.sort(), ["dist/off-switch.js", "dist/preload.js"]);
  });
}
