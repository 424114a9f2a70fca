/**
 * `npm run bench` measures the agent's cost on this machine and judges each budget by its interval; `--help` tells how.
 * `npm run bench:full` adds peers, scale, one CPU and other services.
 */
"use strict";

const { readFileSync, writeFileSync } = require("node:fs");
const { join } = require("node:path");
const { busyRatio, loadAverage, machineFacts } = require("./machine");
const { checkSameMachine, mergeResults } = require("./merge");
const { calibrate } = require("./overhead/calibration");
const { USAGE, UsageError, readOptions } = require("./options");
const { PARTS } = require("./parts");
const { exitCodeOf, formatEstimate, withBusyMachine } = require("./verdicts");

const EXIT_BROKEN = 3;

function progress(text) {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
  else process.stderr.write(`${text}\n`);
}

function printRow(row) {
  const resolution = row.resolution === null ? "" : `; A/A ${formatEstimate(row.resolution, row.unit)}`;
  const note = row.note === "" ? "" : `; ${row.note}`;
  console.log(`${row.verdict.padEnd(9)} ${row.what}`);
  const { repetitions = 0 } = row.estimate ?? {};
  const limit = formatEstimate({ value: row.limit, low: 0, high: 0 }, row.unit).split(" (")[0];
  console.log(
    `          ${formatEstimate(row.estimate, row.unit)}, limit ${limit}; n=${repetitions}${resolution}${note}`,
  );
}

function percent(ratio) {
  return `${(ratio * 100).toFixed(0)} %`;
}

/** A part that breaks does not take the others with it. */
async function runPart(name, size, chosen, failures) {
  try {
    return await PARTS[name].run(size, progress, chosen);
  } catch (error) {
    failures.push({ part: name, error: error.message });
    console.error(error);
    return {};
  }
}

async function main() {
  const { help, json, merge, known, parts: chosen, size } = readOptions(process.argv.slice(2));
  if (help) {
    console.log(USAGE);
    return 0;
  }
  const began = Date.now();
  const result = {
    schema: "leak-agent.bench/1",
    date: new Date(began).toISOString(),
    agentVersion: require(join(__dirname, "../package.json")).version,
    machine: machineFacts(),
    loadAverageBefore: loadAverage(),
    budgets: [],
    tables: {},
    failures: [],
  };
  const before = merge ? JSON.parse(readFileSync(json, "utf8")) : null;
  result.parts = chosen.join(",");
  if (before !== null) checkSameMachine(before, result);
  if (chosen.some((name) => PARTS[name].needsPages)) {
    result.service = await calibrate(progress);
    size.pages = result.service.pages;
  }
  let busyBefore = await busyRatio();
  result.busyRatioBefore = busyBefore;
  for (const name of chosen) {
    const { budgets: judged = [], tables = {} } = await runPart(name, size, chosen, result.failures);
    const busyAfter = await busyRatio();
    const budgets = judged.map((row) => withBusyMachine(row, Math.max(busyBefore, busyAfter)));
    if (process.stderr.isTTY) progress("");
    budgets.forEach(printRow);
    result.budgets.push(...budgets);
    Object.assign(result.tables, tables);
    busyBefore = busyAfter;
    result.busyRatioAfter = busyAfter;
  }
  result.loadAverageAfter = loadAverage();
  result.seconds = Math.round((Date.now() - began) / 1_000);
  const kept = before === null ? result : mergeResults(before, result);
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(kept, null, 1)}\n`);
  const { node, cpuModel, cores } = result.machine;
  if (result.service !== undefined) {
    const { pages, requestMicros, plainMicros } = result.service;
    console.log(
      `A request of the service takes ${requestMicros.toFixed(0)} us of CPU at saturation with ${pages} pages of added work, ` +
        `${plainMicros.toFixed(0)} without`,
    );
  }
  console.log(
    `Node ${node}, ${cores} x ${cpuModel}, others used ${percent(result.busyRatioBefore)} of the CPUs before ` +
      `and ${percent(result.busyRatioAfter)} after, load average ${result.loadAverageBefore} and ` +
      `${result.loadAverageAfter}, ${result.seconds} s`,
  );
  return result.failures.length > 0 ? EXIT_BROKEN : exitCodeOf(result.budgets.filter(({ id }) => !known.has(id)));
}

main().then(
  (code) => process.exit(code),
  (error) => {
    console.error(error instanceof UsageError ? `${error.message}\n${USAGE}` : error);
    process.exit(EXIT_BROKEN);
  },
);
