#!/usr/bin/env node
/**
 * `npm run demo`: a shop leaks on one route, the agent finds it. `--seed N` picks the route and the fault; `--fixed` runs
 * the repaired shop twice as long as detection took, and the agent must stay silent.
 * Must judge by the finding alone: the agent gets no setting but its folder and horizon.
 */
"use strict";
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { setTimeout: delay } = require("node:timers/promises");
const { parseArgs } = require("node:util");
const { cleanEnvironment } = require("../benchmarks/accuracy/case-folder.js");
const { isAlarm, readFindings } = require("../benchmarks/accuracy/findings-file.js");
const { ServiceProcess, freePort } = require("../benchmarks/accuracy/service-process.js");
const { agentWords } = require("../benchmarks/accuracy/table.js");
const { SCENARIOS } = require("../examples/shop/scenarios.js");
const { checkSite } = require("./demo/expected-site.js");
const { ProgressBar } = require("./demo/progress-bar.js");
const { REQUESTS_PER_SECOND, ShopLoad } = require("./demo/shop-load.js");

const ROOT = path.resolve(__dirname, "..");
const SHOP = path.join(ROOT, "examples", "shop");
const HORIZON = "15s";
/** From the start of the shop to the finding. */
const LIMIT_SECONDS = 90;
const POLL_MILLIS = 500;

const USAGE = `usage: npm run demo -- [--seed 1-${SCENARIOS.length}] [--fixed] [--node BIN]
  --seed N    which route leaks, and through what (default 1)
  --fixed     the repaired shop, twice as long as the last detection took: the agent must stay silent
  --node BIN  run the shop with this Node
exit code: 0 as expected, 1 not, 2 wrong usage`;

class UsageError extends Error {}

/** The agent's folder of a run that has not ended: it goes when the demo is stopped. */
let unfinished = null;

function readOptions(args) {
  let values;
  try {
    ({ values } = parseArgs({
      args,
      options: {
        seed: { type: "string", default: "1" },
        fixed: { type: "boolean", default: false },
        node: { type: "string", default: process.execPath },
        help: { type: "boolean", default: false },
      },
    }));
  } catch (error) {
    throw new UsageError(`${error.message}\n${USAGE}`);
  }
  if (values.help) throw new UsageError(USAGE);
  const scenario = SCENARIOS[Number(values.seed) - 1];
  if (scenario === undefined) throw new UsageError(`--seed takes 1 to ${SCENARIOS.length}\n${USAGE}`);
  return { seed: Number(values.seed), scenario, fixed: values.fixed, node: values.node };
}

async function main() {
  const options = readOptions(process.argv.slice(2));
  if (!fs.existsSync(path.join(ROOT, "dist", "preload.js"))) throw new UsageError("dist/ is missing: npm run compile");
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "leak-agent-demo-"));
  unfinished = directory;
  const right = options.fixed ? await runFixed(options, directory) : await runLeaking(options, directory);
  unfinished = null;
  print(`\nThe agent's folder: ${directory}\n  npx leak-agent report ${directory}`);
  return right ? 0 : 1;
}

async function runLeaking({ seed, scenario, node }, directory) {
  print(
    `A shop with ${REQUESTS_PER_SECOND} requests/s, started with node -r leak-agent. Seed ${seed}: one of its routes leaks.`,
  );
  const run = await runShop({
    node,
    seed,
    scenario,
    before: scenario.part,
    directory,
    seconds: LIMIT_SECONDS,
    untilAlarm: true,
  });
  if (run.alarm === null) {
    print(`WRONG: no finding in ${LIMIT_SECONDS} s.`);
    printState(run);
    return false;
  }
  fs.writeFileSync(lastDetectionFile(), JSON.stringify({ seed, seconds: run.seconds }));
  return judge(run, scenario);
}

async function runFixed({ seed, scenario, node }, directory) {
  const detection = lastDetectionSeconds(seed);
  const seconds = Math.ceil(2 * detection);
  print(
    `The same shop, repaired, for ${seconds} s (twice a detection of ${detection.toFixed(0)} s): the agent must stay silent.`,
  );
  const run = await runShop({ node, seed, scenario, before: null, directory, seconds, untilAlarm: false });
  if (run.alarm === null) print(`right: silent for ${seconds} s and ${run.answeredCount} requests.`);
  else print(`WRONG: a repaired shop does not leak.\n${describe(run.alarm)}`);
  printState(run);
  return run.alarm === null;
}

/** Starts the shop as a user would, sends the mix, and watches the agent's folder. */
async function runShop({ node, seed, scenario, before, directory, seconds, untilAlarm }) {
  linkAgent();
  const startedAt = Date.now();
  const service = new ServiceProcess({
    node,
    args: ["-r", "leak-agent", "server.js"],
    cwd: SHOP,
    env: {
      ...cleanEnvironment(),
      NODE_ENV: "production",
      ...(before === null ? {} : { SHOP_BEFORE: before }),
      LEAK_AGENT_HORIZON: HORIZON,
      LEAK_AGENT_DIR: directory,
    },
    port: await freePort(),
  });
  const elapsed = () => (Date.now() - startedAt) / 1000;
  const bar = new ProgressBar(seconds);
  let load;
  try {
    await service.listening();
    load = new ShopLoad({ port: service.port, favoured: scenario.request, seconds: seconds + 5, seed });
    while (elapsed() < seconds && service.exited === null && !(untilAlarm && readFindings(directory).some(isAlarm))) {
      bar.show(elapsed(), `${load.answeredCount} requests  ${newest(readFindings(directory))}`);
      await delay(POLL_MILLIS);
    }
    if (service.exited !== null) throw new Error(`the shop ended: ${JSON.stringify(service.exited)}\n${service.tail}`);
  } finally {
    bar.clear();
    await load?.stop();
    await service.stop();
  }
  const findings = readFindings(directory);
  return {
    startedAt,
    alarm: findings.find(isAlarm) ?? null,
    alarms: findings.filter(isAlarm),
    findings,
    seconds: elapsed(),
    answeredCount: load.answeredCount,
    failures: load.failures,
    agentLines: service.agentLines,
  };
}

/** Lets `-r leak-agent` resolve from the shop's folder, as an installed package would. */
function linkAgent() {
  const link = path.join(SHOP, "node_modules", "leak-agent");
  fs.mkdirSync(path.dirname(link), { recursive: true });
  try {
    fs.symlinkSync(ROOT, link, "junction");
  } catch (error) {
    if (error.code !== "EEXIST") throw error;
  }
}

function judge(run, scenario) {
  const { alarm } = run;
  const routeRight = alarm.route.name.replace(/^background of /, "") === scenario.route;
  const { fileRight, lineRight } = checkSite(scenario.sites, alarm.site);
  const others = run.alarms.filter((other) => other.id !== alarm.id);
  print(describe(alarm));
  print(
    `\nFound after ${((Date.parse(alarm.time) - run.startedAt) / 1000).toFixed(0)} s and ${run.answeredCount} requests.`,
  );
  print(`Expected: ${scenario.route}: ${scenario.footgun} (${scenario.source}).`);
  print(`  route ${word(routeRight)}, file ${word(fileRight)}, line ${word(lineRight)}`);
  for (const other of others) print(`WRONG: and another finding\n${describe(other)}`);
  const right = routeRight && fileRight && lineRight && others.length === 0;
  if (!right) printState(run);
  return right;
}

function describe({ verdict, route, site, appFrame, growth, text }) {
  const place = site.original ?? site;
  const rate = growth.bytesPerRequest === null ? "" : `${Math.round(growth.bytesPerRequest)} bytes/request, `;
  return [
    `\n${text}\n`,
    `  verdict    ${verdict}`,
    `  route      ${route.name}`,
    `  site       ${site.function} ${place.file}:${place.line} (${site.package})`,
    `  called by  ${appFrame === null ? "no application frame" : `${appFrame.function} ${appFrame.file}:${appFrame.line}`}`,
    `  growth     ${rate}${Math.round(growth.bytesPerHour / 1e6)} MB/hour`,
  ].join("\n");
}

function newest(findings) {
  const last = findings.at(-1);
  return last === undefined ? "" : `${last.verdict} ${last.route.name}`;
}

function printState(run) {
  for (const [reason, count] of Object.entries(run.failures)) print(`  load: ${reason} x ${count}`);
  for (const { verdict, route, site } of run.findings)
    print(`  said: ${verdict} ${route.name} at ${site.function} ${site.file}:${site.line}`);
  for (const line of run.agentLines.slice(0, 10)) print(`  agent: ${agentWords(line)}`);
}

function lastDetectionFile() {
  return path.join(os.tmpdir(), `leak-agent-demo-${os.userInfo().uid}.json`);
}

/** Of the last leaking run of this seed; the demo's limit when there was none. */
function lastDetectionSeconds(seed) {
  try {
    const last = JSON.parse(fs.readFileSync(lastDetectionFile(), "utf8"));
    return last.seed === seed && last.seconds > 0 ? last.seconds : LIMIT_SECONDS;
  } catch {
    return LIMIT_SECONDS; // No leaking run yet.
  }
}

function word(right) {
  return right ? "right" : "WRONG";
}

function print(text) {
  process.stdout.write(`${text}\n`);
}

for (const [signal, code] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
])
  process.on(signal, () => {
    // After the listener that ends the shop, which writes there.
    process.on("exit", () => unfinished !== null && fs.rmSync(unfinished, { recursive: true, force: true }));
    process.exit(code);
  });

main().then(
  (code) => process.exit(code),
  (error) => {
    process.stderr.write(`${error instanceof UsageError ? error.message : error.stack}\n`);
    process.exit(error instanceof UsageError ? 2 : 1);
  },
);
