"use strict";

const assert = require("node:assert/strict");
const { spawnSync } = require("node:child_process");
const { mkdtempSync, rmSync, writeFileSync } = require("node:fs");
const { tmpdir } = require("node:os");
const { join } = require("node:path");
const { after, test } = require("node:test");
const { UsageError, readOptions } = require("../../../benchmarks/options");
const { NAMES, SIZES } = require("../../../benchmarks/parts");

const folder = mkdtempSync(join(tmpdir(), "leak-agent-options-"));
after(() => rmSync(folder, { recursive: true, force: true }));

test("the usual run is the parts of `npm run bench` at their size", () => {
  const { parts, size, json, merge } = readOptions([]);
  assert.deepEqual(parts, ["startup", "components", "memory"]);
  assert.deepEqual(size, SIZES.bench);
  assert.deepEqual([json, merge], [undefined, false]);
});

test("the full run is every part, at the larger size", () => {
  const { parts, size } = readOptions(["--full"]);
  assert.deepEqual(parts, NAMES);
  assert.deepEqual(size, SIZES.full);
});

test("what is chosen replaces what the size has", () => {
  const file = join(folder, "result.json");
  const { parts, size, known, json } = readOptions(
    `--quick --only blocks --services hello,promises --rounds 7 --utilisation 0.4 --known a,b --json ${file}`.split(
      " ",
    ),
  );
  assert.deepEqual(parts, ["blocks"]);
  assert.deepEqual(size, { ...SIZES.quick, variants: ["hello", "promises"], rounds: 7, utilisation: 0.4 });
  assert.deepEqual([...known], ["a", "b"]);
  assert.equal(json, file);
});

for (const [title, args, message] of [
  ["an option that does not exist", ["--frob"], /--frob/],
  ["an unknown part", ["--only", "peers,foo"], /--only knows startup, .*; not foo$/],
  ["no part", ["--only", ""], /--only knows .*; not ""$/],
  ["an unknown service", ["--services", "koa"], /--services knows express, .*; not koa$/],
  ["rounds that are no number", ["--rounds", "many"], /--rounds takes a whole number of at least 1, not "many"/],
  ["half a round", ["--rounds", "1.5"], /--rounds takes/],
  ["no rounds", ["--rounds", "0"], /--rounds takes/],
  ["more than saturation", ["--utilisation", "1.2"], /--utilisation takes a number between 0 and 1, not "1.2"/],
  ["an empty number", ["--utilisation", ""], /--utilisation takes/],
  ["results that are nowhere", ["--merge"], /--merge needs --json FILE/],
  ["results that do not exist", ["--merge", "--json", join(folder, "none.json")], /--json .*none\.json: ENOENT/],
  ["a folder that does not exist", ["--json", join(folder, "none", "x.json")], /--json .*x\.json: ENOENT/],
])
  test(`${title}: one clear error before anything is measured`, () => {
    assert.throws(
      () => readOptions(args),
      (error) => error instanceof UsageError && message.test(error.message),
    );
  });

test("results that are there may be merged into", () => {
  const file = join(folder, "before.json");
  writeFileSync(file, "{}");
  assert.equal(readOptions(["--merge", "--json", file]).merge, true);
});

test("the program says what is wrong and what there is, without a stack, and ends with 3", () => {
  const program = join(__dirname, "../../../benchmarks/run.js");
  const { status, stderr, stdout } = spawnSync(process.execPath, [program, "--rounds", "x"], { encoding: "utf8" });
  assert.equal(status, 3);
  assert.match(stderr, /^--rounds takes a whole number of at least 1, not "x"\nusage: npm run bench/);
  assert.doesNotMatch(stderr, /\n {4}at /);
  assert.equal(stdout, "");
});
