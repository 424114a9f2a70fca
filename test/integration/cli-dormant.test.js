/** NODE_OPTIONS="-r leak-agent" reaches the agent's own command line too: it works, and nothing of it is sampled. */
"use strict";
const assert = require("node:assert/strict");
const { chmodSync, mkdirSync, statSync, symlinkSync, writeFileSync } = require("node:fs");
const { join } = require("node:path");
const test = require("node:test");
const { PRELOAD, ROOT, Service, filesBelow, temporaryFolder } = require("../harness/service");
const { LEAKING, writeHistory } = require("../unit/cli/fixtures");

const MAIN = join(ROOT, "dist/cli/main.js");
const SPY = `process.on("exit", () => {
  const probe = globalThis[Symbol.for("leak-agent.probe")];
  const addons = Object.keys(require.cache).filter((name) => name.endsWith(".node"));
  process.stderr.write(JSON.stringify({ sampled: probe !== null && probe !== undefined, addons: addons.length }));
});`;

/** A project that has installed the agent: node_modules/.bin/leak-agent, and a service's folder with a history. */
function project(context) {
  const root = temporaryFolder(context);
  const bin = join(root, "node_modules/.bin");
  mkdirSync(bin, { recursive: true });
  symlinkSync(MAIN, join(bin, "leak-agent"));
  const spy = join(root, "spy.js");
  writeFileSync(spy, SPY);
  const agent = join(root, "agent");
  const history = writeHistory(agent, LEAKING);
  return { root, program: join(bin, "leak-agent"), spy, agent, history };
}

test("report and replay run under NODE_OPTIONS=-r leak-agent, dormant, with the same output", async (context) => {
  const { root, program, spy, agent, history } = project(context);
  for (const args of [
    ["report", agent],
    ["replay", history],
  ]) {
    const env = { TMPDIR: root };
    const plain = await new Service([program, ...args], { env, cwd: root }).ended;
    const before = filesBelow(root);
    const options = { NODE_OPTIONS: `-r ${PRELOAD} -r ${spy}`, ...env };
    const watched = await new Service([program, ...args], { env: options, cwd: root }).ended;
    assert.equal(watched.stdout, plain.stdout);
    assert.equal(watched.code, plain.code);
    assert.deepEqual(JSON.parse(watched.stderr), { sampled: false, addons: 0 });
    assert.deepEqual(filesBelow(root), before);
  }
});

test("a program of another name that is called main.js is sampled", async (context) => {
  const { root, spy } = project(context);
  const other = join(root, "main.js");
  writeFileSync(other, "");
  const env = { NODE_OPTIONS: `-r ${PRELOAD} -r ${spy}`, TMPDIR: root };
  const { stderr } = await new Service([other], { env, cwd: root }).ended;
  assert.deepEqual(JSON.parse(stderr), { sampled: true, addons: 1 });
});

test("npm and its like, which live as long as the service they start, are not sampled", async (context) => {
  const { root, spy } = project(context);
  for (const [name, sampled] of [
    ["npm-cli.js", false],
    ["npm", false],
    ["yarn.js", false],
    ["pnpm.cjs", false],
    ["yarn-4.9.2.cjs", false],
    ["my-npm.js", true],
  ]) {
    writeFileSync(join(root, name), "");
    const env = { NODE_OPTIONS: `-r ${PRELOAD} -r ${spy}`, TMPDIR: root };
    const { stderr } = await new Service([join(root, name)], { env, cwd: root }).ended;
    assert.equal(JSON.parse(stderr).sampled, sampled, name);
  }
});

test("the program can be started by its path alone", async (context) => {
  const { root, program } = project(context);
  chmodSync(MAIN, statSync(MAIN).mode | 0o111); // npm does this when it links a package's bin.
  const { spawnSync } = require("node:child_process");
  const { status, stdout } = spawnSync(program, ["--help"], { cwd: root, encoding: "utf8" });
  assert.equal(status, 0);
  assert.match(stdout, /^Usage: leak-agent COMMAND/);
});
