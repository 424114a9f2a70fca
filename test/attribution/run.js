/**
 * `npm run test:attribution -- [--node BIN]... [--labels auto|interpose|hook] [--row NAME]`: prints for each boundary the
 * share of sampled live bytes with the right owner; exit code 1 when a row misses its goal. Without --node it runs on
 * this Node and on the other lines that `npm ci --prefix test/matrix` has installed.
 */
"use strict";
const { spawn } = require("node:child_process");
const { existsSync, mkdtempSync, rmSync } = require("node:fs");
const { tmpdir } = require("node:os");
const { join } = require("node:path");
const { createInterface } = require("node:readline");
const { parseArgs } = require("node:util");

const MIN_RIGHT = 0.995;
const MAX_WRONG_ROUTE = 0.001;
/** Fewer samples than this cannot show a share of 99.5 %. */
const MIN_SAMPLES = 200;
/** Rows that are known to miss the goal, by name, and why; none at present. */
const KNOWN_LIMITS = new Map();

function everyNode() {
  const others = ["22", "24", "26"].map((line) => join(__dirname, `../matrix/node_modules/node-${line}/bin/node`));
  return [process.execPath, ...others.filter(existsSync)];
}

const { values } = parseArgs({
  options: {
    node: { type: "string", multiple: true, default: everyNode() },
    labels: { type: "string", default: "auto" },
    row: { type: "string" },
  },
});

function percent(share) {
  return `${(100 * share).toFixed(2)} %`.padStart(10);
}

function problemOf(score) {
  if (KNOWN_LIMITS.has(score.row)) return "";
  if (score.samples < MIN_SAMPLES) return `only ${score.samples} samples`;
  if (score.right < MIN_RIGHT) return "too few right";
  if (score.wrongRoute > MAX_WRONG_ROUTE) return "wrong route";
  return "";
}

function print(score, problem) {
  const limit = KNOWN_LIMITS.get(score.row);
  const note =
    problem !== "" ? `${problem}: ${JSON.stringify(score.owners)}` : limit === undefined ? "" : `known limit: ${limit}`;
  const cells = [score.row.padEnd(20), percent(score.right), percent(score.wrongRoute), percent(score.unattributed)];
  console.log(`${cells.join(" ")} ${String(score.samples).padStart(7)}  ${note}`.trimEnd());
}

/** @returns the number of rows that miss their goal, at least 1 when the service failed. */
async function measure(node) {
  const folder = mkdtempSync(join(tmpdir(), "leak-agent-attribution-"));
  const child = spawn(node, ["-r", join(__dirname, "../../dist/index.js"), join(__dirname, "stress-service.js")], {
    stdio: ["ignore", "pipe", "inherit"],
    env: {
      ...process.env,
      NODE_OPTIONS: "",
      LEAK_AGENT_DIR: folder,
      LEAK_AGENT_HORIZON: "30s",
      LEAK_AGENT_LOG: "off",
      LEAK_AGENT_LABELS: values.labels,
      // The finest interval the agent chooses by itself.
      LEAK_AGENT_SAMPLING_INTERVAL: "16381",
      LEAK_AGENT_PAUSE_BUDGET_MS: "1000",
      ...(values.row === undefined ? {} : { STRESS_ROW: values.row }),
    },
  });
  const ended = new Promise((resolve) => child.once("close", resolve));
  let failures = 0;
  let rows = 0;
  let wantedLabels = values.labels;
  for await (const line of createInterface({ input: child.stdout })) {
    const score = JSON.parse(line);
    if (rows++ === 0) {
      console.log(
        `\nNode ${score.node}, labels: ${score.labels}${score.labelsReason === "" ? "" : ` (${score.labelsReason})`}`,
      );
      console.log(
        `${"boundary".padEnd(20)} ${"right".padStart(10)} ${"wrong".padStart(10)} ${"none".padStart(10)} samples`,
      );
      if (wantedLabels === "auto") wantedLabels = score.labels === "none" ? "labels" : score.labels;
    }
    const problem = score.labels === wantedLabels ? problemOf(score) : `labels are ${score.labels}`;
    if (problem !== "") failures++;
    print(score, problem);
    if (score.droppedLedgerRanges > 0) console.log(`  ${score.droppedLedgerRanges} ledger ranges dropped so far`);
  }
  const code = await ended;
  rmSync(folder, { recursive: true, force: true });
  if (code !== 0 || rows === 0) console.log(`the stress service ended with code ${code} after ${rows} rows`);
  return failures + (code === 0 && rows > 0 ? 0 : 1);
}

async function main() {
  let failures = 0;
  for (const node of values.node) failures += await measure(node);
  console.log(failures === 0 ? "\nevery row meets its goal" : `\n${failures} rows miss their goal`);
  process.exitCode = failures === 0 ? 0 : 1;
}

main();
