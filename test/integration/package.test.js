/** What a user installs: the packed files, the entry points, and that every way of loading starts exactly one agent. */
"use strict";
const assert = require("node:assert/strict");
const { execFileSync } = require("node:child_process");
const { existsSync, mkdirSync, readFileSync, symlinkSync } = require("node:fs");
const { join } = require("node:path");
const test = require("node:test");
const { APPS, ROOT, Service, agentIsAwake, cleanEnvironment, temporaryFolder } = require("../harness/service");

const MANIFEST = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
const SPY = join(APPS, "spy-workers.js");

/** A project that has leak-agent among its dependencies. */
function project(context) {
  const folder = temporaryFolder(context);
  mkdirSync(join(folder, "node_modules"));
  symlinkSync(ROOT, join(folder, "node_modules/leak-agent"));
  return folder;
}

test("npm pack holds what runs and what builds, and no tests, examples or sources of ours", () => {
  const output = execFileSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], {
    cwd: ROOT,
    encoding: "utf8",
    env: cleanEnvironment(),
    stdio: ["ignore", "pipe", "ignore"],
  });
  const files = JSON.parse(output)[0].files.map((file) => file.path);
  const needed = ["package.json", "LICENSE", "README.md", "CHANGELOG.md", "binding.gyp", "scripts/install-addon.js"];
  const entries = ["dist/preload.js", "dist/index.js", "dist/index.d.ts", "dist/cli/main.js", "dist/worker/main.js"];
  for (const file of [...needed, ...entries]) assert.ok(files.includes(file), `${file} is packed`);
  assert.ok(files.some((file) => /^native\/.*\.cc$/.test(file)));
  const unwanted = /^(src|test|examples|benchmarks|node_modules|build|\.ci)\/|^scripts\/(?!install-addon\.js$)/;
  assert.deepEqual(
    files.filter((file) => unwanted.test(file)),
    [],
  );
});

test("every path that package.json names exists", () => {
  const named = [
    MANIFEST.main,
    MANIFEST.types,
    ...Object.values(MANIFEST.bin),
    ...Object.values(MANIFEST.exports).flatMap((entry) => (typeof entry === "string" ? [entry] : Object.values(entry))),
  ];
  for (const file of named) assert.ok(existsSync(join(ROOT, file)), `${file} exists`);
});

test("the command's file starts with a node shebang", () => {
  assert.match(readFileSync(join(ROOT, MANIFEST.bin["leak-agent"]), "utf8"), /^#!\/usr\/bin\/env node\n/);
});

const LOADINGS = [
  ["-r", "leak-agent"],
  ["--import", "leak-agent"],
  ["-r", "leak-agent/preload"],
  ["-r", "leak-agent", "--import", "leak-agent"],
];

for (const loading of LOADINGS) {
  for (const app of ["exits/normal-end.js", "esm-service.mjs"]) {
    test(`node ${loading.join(" ")} ${app} starts exactly one agent`, async (context) => {
      const folder = temporaryFolder(context);
      const env = { LEAK_AGENT_DIR: folder, LEAK_AGENT_LOG: "off", LEAK_AGENT_HORIZON: "30s" };
      const service = new Service(["-r", SPY, ...loading, join(APPS, app)], { env, cwd: project(context) });
      context.after(() => service.stop());
      await service.untilPrinted("served");
      await service.until(() => agentIsAwake(folder), "the agent woke up");
      service.say("leave");
      const { code, stdout, stderr } = await service.ended;
      assert.equal(code, 0, stderr);
      assert.equal(stderr, "");
      assert.equal(stdout.split("agent worker started").length - 1, 1);
    });
  }
}
