"use strict";
const assert = require("node:assert/strict");
const fs = require("node:fs");
const os = require("node:os");
const { join } = require("node:path");
const { it } = require("node:test");
const { buildIdOf } = require("../../../dist/worker/build-id.js");

function service(context) {
  const root = fs.mkdtempSync(join(os.tmpdir(), "build-test-"));
  context.after(() => fs.rmSync(root, { recursive: true, force: true }));
  fs.mkdirSync(join(root, "lib"));
  fs.mkdirSync(join(root, "node_modules/pkg"), { recursive: true });
  fs.writeFileSync(join(root, "package.json"), "{}");
  fs.writeFileSync(join(root, "server.js"), "run()");
  fs.writeFileSync(join(root, "lib/keep.ts"), "keep()");
  fs.writeFileSync(join(root, "node_modules/pkg/index.js"), "pkg()");
  return root;
}

it("the same code has the same build id wherever it lies; LEAK_AGENT_BUILD_ID is used as it is", (context) => {
  const [a, b] = [service(context), service(context)];
  assert.match(buildIdOf(null, "1.0.0", a), /^[0-9a-f]{12}$/);
  assert.equal(buildIdOf(null, "1.0.0", a), buildIdOf(null, "1.0.0", b));
  assert.equal(buildIdOf("release-7", "1.0.0", a), "release-7");
});

it("a new version, a changed file of the service and a changed lock file are new builds", (context) => {
  const root = service(context);
  const ids = new Set([buildIdOf(null, "1.0.0", root), buildIdOf(null, "1.0.1", root)]);
  fs.writeFileSync(join(root, "lib/keep.ts"), "fixed()");
  ids.add(buildIdOf(null, "1.0.0", root));
  fs.writeFileSync(join(root, "package-lock.json"), "{}");
  ids.add(buildIdOf(null, "1.0.0", root));
  fs.renameSync(join(root, "server.js"), join(root, "main.js"));
  ids.add(buildIdOf(null, "1.0.0", root));
  assert.equal(ids.size, 5);
});

it("what a running service writes is no new build: data, logs, caches, installed packages", (context) => {
  const root = service(context);
  const before = buildIdOf(null, null, root);
  fs.writeFileSync(join(root, "data.json"), "{}");
  fs.writeFileSync(join(root, "out.log"), "line");
  fs.mkdirSync(join(root, ".cache"));
  fs.writeFileSync(join(root, ".cache/x.js"), "x");
  fs.writeFileSync(join(root, "node_modules/pkg/index.js"), "changed()");
  assert.equal(buildIdOf(null, null, root), before);
});
