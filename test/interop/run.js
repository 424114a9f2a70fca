#!/usr/bin/env node
/**
 * `npm run interop`: the agent against real backends. Needs Go, Python 3.10 with venv, openssl, and once the Go proxy and
 * PyPI; whatever is missing fails its step. Options: --tools only builds and installs what the steps need, without a step;
 * further words keep only the steps whose file contains one of them. Prints how long each step took.
 */
"use strict";
const { spawnSync } = require("node:child_process");
const { readdirSync } = require("node:fs");
const { join, resolve } = require("node:path");
const { parseArgs } = require("node:util");
const { runScript } = require("./conformance/validator");
const { goProgram, programNames } = require("./go-programs");

const ROOT = resolve(__dirname, "../..");
/** A step that hangs must not eat the run. */
const STEP_MILLIS = 420_000;

const rows = [];

/** Runs `work`, which throws or returns a problem when it fails. @returns whether it did not. */
function timed(title, work) {
  const started = Date.now();
  console.log(`\n### ${title}`);
  let problem = null;
  try {
    problem = work() ?? null;
  } catch (error) {
    problem = error.message;
  }
  if (problem !== null) console.error(`${title}: ${problem}`);
  rows.push({ title, isOk: problem === null, seconds: (Date.now() - started) / 1000 });
  return problem === null;
}

function node(args) {
  const { status, signal, error } = spawnSync(process.execPath, args, {
    cwd: ROOT,
    stdio: "inherit",
    timeout: STEP_MILLIS,
    killSignal: "SIGTERM",
  });
  if (error !== undefined) return error.message;
  return status === 0 ? null : `ended with ${signal ?? status}`;
}

function makeTools() {
  const outcomes = programNames.map((name) => timed(`tool ${name}`, () => void goProgram(name)));
  outcomes.push(timed("tool opentelemetry-proto (Python)", () => void runScript("validate.py", ["--rules"])));
  return outcomes.every(Boolean);
}

function printTable(started) {
  console.log("");
  for (const { title, isOk, seconds } of rows)
    console.log(`${title.padEnd(40)} ${(isOk ? "ok" : "FAILED").padEnd(7)} ${seconds.toFixed(0).padStart(5)} s`);
  console.log(
    `${`all, Node ${process.version}`.padEnd(48)} ${((Date.now() - started) / 1000).toFixed(0).padStart(5)} s`,
  );
}

function main() {
  const started = Date.now();
  const { values, positionals } = parseArgs({
    options: { tools: { type: "boolean", default: false } },
    allowPositionals: true,
  });
  const files = readdirSync(__dirname)
    .filter((name) => name.endsWith(".test.js"))
    .filter((name) => positionals.length === 0 || positionals.some((word) => name.includes(word)))
    .sort();
  if (files.length === 0) {
    console.error("no step matches");
    process.exitCode = 1;
    return;
  }
  if (makeTools() && !values.tools) {
    const isBuilt = timed("compile", () => node(["node_modules/typescript/bin/tsc", "-p", "tsconfig.json"]));
    if (isBuilt && timed("addon", () => node(["scripts/install-addon.js"]))) {
      for (const file of files)
        timed(file.replace(".test.js", ""), () => node(["--test", "--test-reporter=spec", join(__dirname, file)]));
    }
  }
  printTable(started);
  process.exitCode = rows.every(({ isOk }) => isOk) ? 0 : 1;
}

main();
