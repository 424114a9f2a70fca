#!/usr/bin/env node
/**
 * `npm run interop`: the agent against real backends. Needs Go, Python 3.10 with venv, openssl, and once the Go proxy and
 * PyPI; whatever is missing fails its step. Options: --tools only builds and installs what the steps need; further words
 * keep only the steps whose file contains one of them. Prints how long each step took.
 */
"use strict";
const { spawn } = require("node:child_process");
const { readdirSync } = require("node:fs");
const { join, resolve } = require("node:path");
const { parseArgs } = require("node:util");
const { runScript } = require("./conformance/validator");
const { goProgram, programNames } = require("./go-programs");

const ROOT = resolve(__dirname, "../..");
/** A step that hangs must not eat the run. */
const STEP_MILLIS = 540_000;
/** Steps mostly wait for a verdict or an outage: two at once share two cores well. */
const LANES = 2;
/** The longest first, so that the lanes end together. */
const FIRST = ["faults", "prometheus", "collector"];

const rows = [];

/** Runs `work`, which throws when it fails. @returns whether it did not. */
async function timed(title, work) {
  const started = Date.now();
  let problem = null;
  try {
    await work();
  } catch (error) {
    problem = error.message;
  }
  const seconds = (Date.now() - started) / 1000;
  console.log(`### ${title}: ${problem ?? "ok"}, ${seconds.toFixed(0)} s`);
  rows.push({ title, isOk: problem === null, seconds });
  return problem === null;
}

/** Runs Node and prints what it said when it has ended, so that two steps do not mix their words. */
async function node(args) {
  const child = spawn(process.execPath, args, { cwd: ROOT, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text) => {
      output += text;
    });
  const watchdog = setTimeout(() => child.kill("SIGTERM"), STEP_MILLIS);
  const [code, signal] = await new Promise((resolveEnd, rejectEnd) => {
    child.once("error", rejectEnd);
    child.once("close", (...end) => resolveEnd(end));
  });
  clearTimeout(watchdog);
  console.log(`\n${output.trimEnd()}`);
  if (code !== 0) throw new Error(`FAILED, it ended with ${signal ?? code}`);
}

async function makeTools() {
  let isComplete = true;
  for (const name of programNames) {
    if (!(await timed(`tool ${name}`, () => goProgram(name)))) isComplete = false;
  }
  const hasPython = await timed("tool opentelemetry-proto", () => runScript("validate.py", ["--rules"]));
  return isComplete && hasPython;
}

async function runSteps(files) {
  const compiled = await timed("compile", () => node(["scripts/build.js"]));
  if (!compiled || !(await timed("addon", () => node(["scripts/install-addon.js"])))) return;
  const queue = [...files];
  const lane = async () => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
      const args = ["--test", "--test-reporter=spec", join(__dirname, file)];
      await timed(stepName(file), () => node(args));
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
}

function stepName(file) {
  return file.replace(".test.js", "");
}

function printTable(started) {
  const seconds = (value) => `${value.toFixed(0).padStart(5)} s`;
  console.log("");
  for (const row of rows)
    console.log(`${row.title.padEnd(30)} ${(row.isOk ? "ok" : "FAILED").padEnd(7)} ${seconds(row.seconds)}`);
  const title = `all, Node ${process.version}`;
  console.log(`${title.padEnd(38)} ${seconds((Date.now() - started) / 1000)}`);
}

function order(a, b) {
  const rank = (file) => (FIRST.indexOf(stepName(file)) + FIRST.length + 1) % (FIRST.length + 1);
  return rank(a) - rank(b) || (a < b ? -1 : 1);
}

async function main() {
  const started = Date.now();
  const { values, positionals } = parseArgs({
    options: { tools: { type: "boolean", default: false } },
    allowPositionals: true,
  });
  const files = readdirSync(__dirname)
    .filter((name) => name.endsWith(".test.js"))
    .filter((name) => positionals.length === 0 || positionals.some((word) => name.includes(word)))
    .sort(order);
  if (files.length === 0) {
    console.error("no step matches");
    process.exitCode = 1;
    return;
  }
  if ((await makeTools()) && !values.tools) await runSteps(files);
  printTable(started);
  process.exitCode = rows.every(({ isOk }) => isOk) ? 0 : 1;
}

main();
