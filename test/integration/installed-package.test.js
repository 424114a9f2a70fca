/**
 * What a user gets: the package is packed, installed from the tarball into an empty project (the addon is built there,
 * without our development tools), and used as the README says. Needs the npm registry, so it runs in CI only.
 */
"use strict";
const assert = require("node:assert/strict");
const { execFileSync } = require("node:child_process");
const { cpSync, existsSync, writeFileSync } = require("node:fs");
const { join } = require("node:path");
const test = require("node:test");
const { APPS, ROOT, Service, agentIsAwake, cleanEnvironment, temporaryFolder } = require("../harness/service");

function npm(args, cwd) {
  return execFileSync("npm", args, {
    cwd,
    encoding: "utf8",
    env: npmEnvironment(),
    stdio: ["ignore", "pipe", "inherit"],
  });
}

/** Settings of the `npm test` around us, such as its own manifest, must not reach the npm of the project. */
function npmEnvironment() {
  const kept = Object.entries(cleanEnvironment()).filter(
    ([name]) => !/^npm_(package|lifecycle|command|config_local)/.test(name),
  );
  return Object.fromEntries(kept);
}

test("an installed package watches a service, and its command runs", async (context) => {
  const project = temporaryFolder(context);
  const [packed] = JSON.parse(npm(["pack", "--json", "--ignore-scripts", "--pack-destination", project], ROOT));
  writeFileSync(join(project, "package.json"), JSON.stringify({ name: "shop", version: "1.2.3", private: true }));
  npm(["install", "--no-audit", "--no-fund", join(project, packed.filename)], project);
  assert.ok(existsSync(join(project, "node_modules/leak-agent/dist/preload.js")));

  cpSync(join(APPS, "served.js"), join(project, "served.js"));
  writeFileSync(join(project, "server.js"), 'const s = require("./served");\ns.whenServed(s.closeServer);\n');
  const folder = join(project, "agent");
  const env = { LEAK_AGENT_DIR: folder, LEAK_AGENT_HORIZON: "30s" };
  const service = new Service(["-r", "leak-agent", "server.js"], { env, cwd: project });
  context.after(() => service.stop());
  await service.untilPrinted("served");
  await service.untilStderr(/watches shop: engine native, route labels exact/);
  await service.until(() => agentIsAwake(folder), "the agent woke up");
  service.say("leave");
  assert.equal((await service.ended).code, 0);

  const command = join(project, "node_modules/.bin/leak-agent");
  assert.match(execFileSync(command, ["--version"], { encoding: "utf8" }), /\d+\.\d+\.\d+/);
  assert.match(execFileSync(command, ["report", folder], { encoding: "utf8" }), /shop/);
});
