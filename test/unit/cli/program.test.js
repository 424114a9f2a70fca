"use strict";
const assert = require("node:assert/strict");
const { readFileSync, writeFileSync } = require("node:fs");
const { join, resolve } = require("node:path");
const test = require("node:test");
const { runCli, temporaryFolder, writeProfile } = require("./fixtures");

const ROOT = resolve(__dirname, "../../..");

test("--version prints the package's version", async () => {
  const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  assert.deepEqual(await runCli(["--version"]), { code: 0, signal: null, stdout: `${version}\n`, stderr: "" });
});

test("every command has its help with its exit codes, in at most 100 columns", async () => {
  const general = await runCli(["--help"]);
  assert.equal(general.code, 0);
  const commands = [...general.stdout.matchAll(/^ {2}(\w+) {2,}\S/gm)].map((match) => match[1]);
  assert.deepEqual(commands, ["report", "diff", "replay", "ack", "verify", "doctor"]);
  for (const command of commands) {
    const { code, stdout } = await runCli([command, "--help"]);
    assert.equal(code, 0);
    assert.match(stdout, new RegExp(`^Usage: leak-agent ${command} `));
    assert.match(stdout, /^Exit codes:\n {2}0 {2}it ran/m);
    assert.equal(/^ {2}1 {2}/m.test(stdout), !["diff", "ack"].includes(command), "only what judges has bad news");
    assert.ok(stdout.split("\n").every((line) => line.length <= 100));
    assert.equal((await runCli(["help", command])).stdout, stdout);
  }
});

test("every option in a command's help is one it takes, and the other way round", async () => {
  for (const name of ["report", "diff", "replay", "ack", "verify", "doctor"]) {
    const { [`${name}Command`]: command } = require(`../../../dist/cli/${name}`);
    const described = [...command.help.matchAll(/^ {2}--([a-z-]+)/gm)].map((match) => match[1]).sort();
    assert.deepEqual(described, Object.keys(command.options).sort());
  }
});

test("no command and an unknown one are wrong usage", async () => {
  const none = await runCli([]);
  assert.equal(none.code, 2);
  assert.match(none.stderr, /^Usage: leak-agent COMMAND/);
  const unknown = await runCli(["repot"]);
  assert.equal(unknown.code, 2);
  assert.equal(
    unknown.stderr,
    "leak-agent: repot is not a command: write one of report, diff, replay, ack, verify, doctor [ERR_LEAK_AGENT_USAGE]\n",
  );
});

test("the program loads neither the preload, nor the probe, nor the addon", async (context) => {
  const folder = temporaryFolder(context);
  const file = join(folder, "a.pb.gz");
  writeProfile(file, [["f", "/srv/a.js", 1, null, 1, 100]]);
  const spy = join(folder, "spy.js");
  writeFileSync(
    spy,
    `process.on("exit", () => {
       const dist = ${JSON.stringify(join(ROOT, "dist"))};
       const own = Object.keys(require.cache).filter((name) => name.startsWith(dist) || name.endsWith(".node"));
       process.stderr.write(own.map((name) => name.slice(dist.length + 1)).join("\\n"));
     });`,
  );
  const { code, stderr } = await runCli(["diff", file, file], { env: { NODE_OPTIONS: `-r ${spy}` } });
  assert.equal(code, 0);
  const loaded = stderr.split("\n");
  assert.ok(loaded.includes("cli/diff.js"));
  assert.deepEqual(
    loaded.filter(
      (name) =>
        !/^(cli|detector|export|model)\/|^(config|errors|off-switch|otlp-config|setting-reader)\.js$/.test(name),
    ),
    [],
  );
});

test("a bug in the program itself exits 4 and asks to be reported", async (context) => {
  const folder = temporaryFolder(context);
  const breaks = join(folder, "breaks.js");
  writeFileSync(breaks, 'require("node:fs").statSync = () => { throw new RangeError("made up"); };');
  const { code, stdout, stderr } = await runCli(["diff", folder, "--from", "-1h"], {
    env: { NODE_OPTIONS: `-r ${breaks}` },
  });
  assert.equal(code, 4);
  assert.equal(stdout, "");
  assert.match(stderr, /^leak-agent: internal error, please report it: RangeError: made up\n {4}at /);
});
