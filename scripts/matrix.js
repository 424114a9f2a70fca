#!/usr/bin/env node
/**
 * `npm run test:matrix`: the suite and the attribution table on the Node that runs this and on the lines of test/matrix.
 * Options: --lines 22,26 keeps only these lines; --suite-only leaves the attribution table out. Exit code 1 when a line failed.
 */
"use strict";
const { spawn, spawnSync } = require("node:child_process");
const { existsSync } = require("node:fs");
const { join, resolve } = require("node:path");
const { parseArgs } = require("node:util");

const ROOT = resolve(__dirname, "..");
const MATRIX = join(ROOT, "test/matrix");
const OTHER_LINES = [22, 24, 26];
/** With more test files than this that failed, it was not the machine. */
const MOST_SECOND_RUNS = 2;

/** The Node that runs this comes first; a line of test/matrix that it already covers is left out. */
function lines() {
  const own = Number(process.versions.node.split(".")[0]);
  const found = [{ line: own, node: process.execPath, headers: null }];
  for (const line of OTHER_LINES) {
    if (line === own) continue;
    const folder = join(MATRIX, "node_modules", `node-${line}`);
    found.push({ line, node: join(folder, "bin/node"), headers: folder });
  }
  return found;
}

/** The command behind an npm script, for another Node: `node test/x.js --y` becomes [test/x.js, --y]. */
function scriptArguments(name) {
  const command = require(join(ROOT, "package.json")).scripts[name];
  if (command === undefined) throw new Error(`package.json has no script ${name}`);
  const [program, ...args] = command.split(" ");
  if (program !== "node") throw new Error(`the script ${name} must start with node`);
  return args;
}

/** Runs `args` under `entry.node`, shows its output and returns { ok, output, seconds }. */
function run(entry, args) {
  const started = Date.now();
  const env = { ...process.env };
  if (entry.headers !== null) env.npm_config_nodedir = entry.headers;
  return new Promise((resolveRun, rejectRun) => {
    const child = spawn(entry.node, args, { cwd: ROOT, env, stdio: ["ignore", "pipe", "inherit"] });
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text) => {
      output += text;
      process.stdout.write(text);
    });
    child.once("error", rejectRun);
    child.once("close", (code) => resolveRun({ ok: code === 0, output, seconds: (Date.now() - started) / 1000 }));
  });
}

/** The count after `word` in the closing lines of node's test runner. */
function closingCount(output, word) {
  const matches = [...output.matchAll(new RegExp(`^\\S* ?${word} (\\d+)$`, "gm"))];
  return Number(matches.at(-1)?.[1] ?? 0);
}

/** The test files named in the failures of a run of node's test runner. */
function failedFiles(output) {
  return [...new Set([...output.matchAll(/^test at (\S+?):\d+:\d+$/gm)].map(([, file]) => file))];
}

/**
 * The suite, and once more by themselves the few files that failed: services under test on two busy cores miss a deadline now
 * and then. What fails twice has failed; what did not is named in the table.
 */
async function runSuite(entry) {
  const suite = await run(entry, ["scripts/test.js", "--no-build"]);
  const files = failedFiles(suite.output);
  if (suite.ok || files.length === 0 || files.length > MOST_SECOND_RUNS) return { ...suite, secondRun: [] };
  console.log(`\nsecond run on Node ${entry.line}: ${files.join(", ")}`);
  const again = await run(entry, ["scripts/test.js", "--no-build", ...files]);
  return { ...suite, ok: again.ok, secondRun: files, seconds: suite.seconds + again.seconds };
}

async function testLine(entry, suiteOnly) {
  const suite = await runSuite(entry);
  const attribution = suiteOnly
    ? null
    : await run(entry, [...scriptArguments("test:attribution"), "--node", entry.node]);
  const passed = closingCount(suite.output, "pass");
  return {
    line: entry.line,
    version: spawnSync(entry.node, ["--version"], { encoding: "utf8" }).stdout.trim(),
    passed,
    failed: closingCount(suite.output, "fail"),
    suite: suite.ok && passed > 0 ? "ok" : "FAILED",
    secondRun: suite.secondRun,
    attribution: attribution === null ? "-" : attribution.ok ? "ok" : "FAILED",
    seconds: suite.seconds + (attribution?.seconds ?? 0),
  };
}

function printTable(rows) {
  console.log("\nnode        passed  failed  suite   attribution  seconds");
  for (const row of rows) {
    const cells = [
      row.version.padEnd(10),
      String(row.passed).padStart(7),
      String(row.failed).padStart(7),
      row.suite.padEnd(7),
      row.attribution.padEnd(11),
      row.seconds.toFixed(0).padStart(8),
    ];
    console.log(cells.join(" "));
    if (row.secondRun.length === 0) continue;
    const outcome = row.suite === "ok" ? "passed only in a second run" : "failed twice";
    console.log(`           ${outcome}: ${row.secondRun.join(", ")}`);
  }
}

async function main() {
  const { values } = parseArgs({
    options: { lines: { type: "string" }, "suite-only": { type: "boolean", default: false } },
  });
  const wanted = values.lines?.split(",").map(Number);
  const chosen = lines().filter((entry) => wanted === undefined || wanted.includes(entry.line));
  const missing = chosen.filter((entry) => !existsSync(entry.node));
  if (chosen.length === 0 || missing.length > 0) {
    console.error(
      `no binary for Node ${missing.map((entry) => entry.line).join(", ") || values.lines}: npm ci --prefix test/matrix`,
    );
    process.exit(1);
  }
  const rows = [];
  for (const entry of chosen) {
    console.log(`\n=== Node ${entry.line}`);
    rows.push(await testLine(entry, values["suite-only"]));
  }
  printTable(rows);
  process.exitCode = rows.every((row) => row.suite === "ok" && row.attribution !== "FAILED") ? 0 : 1;
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
