#!/usr/bin/env node
/**
 * `npm run eval -- --corpus DIR`: runs cases of a corpus with the agent preloaded as a user would, and scores the findings.
 * Must set nothing in the service but LEAK_AGENT_HORIZON and LEAK_AGENT_DIR, and never write into the corpus.
 */
"use strict";
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { setTimeout: delay } = require("node:timers/promises");
const { parseArgs } = require("node:util");
const { REPOSITORY, UsageError, cleanEnvironment, findCases, prepareCase, readCase } = require("./case-folder.js");
const { isAlarm, readFindings } = require("./findings-file.js");
const { LoadGenerator } = require("./load-generator.js");
const { scoreCase } = require("./score.js");
const { ServiceProcess, freePort } = require("./service-process.js");
const { renderNotes, renderTable } = require("./table.js");

const USAGE = `usage: npm run eval -- --corpus DIR [options]
  --corpus DIR      a folder with cases/, a folder of cases, or one case
  --case A,B        only these cases
  --node BIN        run the services with this Node (default: this one)
  --seconds N       load per case (default 150)
  --horizon 30s     LEAK_AGENT_HORIZON (default 30s)
  --repeat N        run each case N times (default 1)
  --parallel N      cases at the same time (default 1)
  --keep DIR        keep the agents' folders in DIR
  --json FILE       append one line of raw results per case to FILE
  --prepare         only install the cases' packages
exit code: 0 all cases right, 1 not all, 2 wrong usage`;

const POLL_MILLIS = 1_000;
/** What the agent may still write after the last request: one capture and one look. */
const SETTLE_MILLIS = 2_000;
const PROGRESS_LINE_SECONDS = 15;

/** The agents' folders of the cases that run now, unless --keep. */
const temporaryFolders = new Set();

/** Of this run alone: several of one case may start in the same millisecond. */
function keptFolder(parent, name) {
  fs.mkdirSync(parent, { recursive: true });
  return fs.mkdtempSync(path.resolve(parent, `${name}-`));
}

function removeTemporaryFolders() {
  for (const folder of temporaryFolders) fs.rmSync(folder, { recursive: true, force: true });
  temporaryFolders.clear();
}

async function main() {
  const options = readOptions(process.argv.slice(2));
  const services = findCases(options.corpus, options.cases).map(readCase);
  for (const service of services) {
    process.stdout.write(`preparing ${service.name}\n`);
    service.working = prepareCase(service, options.node);
  }
  if (options.prepare) return 0;
  if (!fs.existsSync(path.join(REPOSITORY, "dist", "preload.js")))
    throw new UsageError("dist/ is missing: npm run compile");
  const runs = services.flatMap((service) =>
    Array.from({ length: options.repeat }, (_, index) => ({ service, index })),
  );
  const results = await runAll(runs, options);
  process.stdout.write(`\n${renderTable(results)}\n`);
  return results.every((result) => result.score?.right === true) ? 0 : 1;
}

function readOptions(args) {
  const text = (name, fallback) => ({
    [name]: { type: "string", ...(fallback === undefined ? {} : { default: fallback }) },
  });
  let values;
  try {
    ({ values } = parseArgs({
      args,
      options: {
        ...text("corpus"),
        ...text("case", ""),
        ...text("node", process.execPath),
        ...text("json"),
        ...text("keep"),
        ...text("seconds", "150"),
        ...text("horizon", "30s"),
        ...text("repeat", "1"),
        ...text("parallel", "1"),
        prepare: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    }));
  } catch (error) {
    throw new UsageError(`${error.message}\n${USAGE}`);
  }
  if (values.help) throw new UsageError(USAGE);
  if (values.corpus === undefined) throw new UsageError(`--corpus is missing\n${USAGE}`);
  const number = (name) => {
    const value = Number(values[name]);
    if (!(value >= 1)) throw new UsageError(`--${name} takes a number of at least 1\n${USAGE}`);
    return value;
  };
  return {
    corpus: values.corpus,
    cases: values.case.split(",").filter(Boolean),
    node: values.node,
    json: values.json,
    keep: values.keep,
    seconds: number("seconds"),
    horizon: values.horizon,
    repeat: Math.floor(number("repeat")),
    parallel: Math.floor(number("parallel")),
    prepare: values.prepare,
  };
}

async function runAll(runs, options) {
  const results = [];
  const waiting = [...runs];
  const work = async () => {
    for (let run = waiting.shift(); run !== undefined; run = waiting.shift()) {
      const result = await evaluateCase(run.service, options, `${results.length + 1}/${runs.length}`);
      results.push(result);
      if (options.json) fs.appendFileSync(options.json, `${JSON.stringify(result)}\n`);
      process.stdout.write(`${renderTable([result]).split("\n\n")[0]}\n${renderNotes(result)}\n\n`);
    }
  };
  await Promise.all(Array.from({ length: options.parallel }, work));
  return results.sort((a, b) => a.case.localeCompare(b.case));
}

/** Runs one case once. Never throws: a case that did not run has `score: null` and says why in `failure`. */
async function evaluateCase(service, options, position) {
  const directory = options.keep
    ? keptFolder(options.keep, service.name)
    : fs.mkdtempSync(path.join(os.tmpdir(), `leak-agent-eval-${service.name}-`));
  fs.mkdirSync(directory, { recursive: true });
  if (!options.keep) temporaryFolders.add(directory);
  const running = new ServiceProcess({
    node: options.node,
    args: [...service.nodeArgs, service.entry],
    cwd: service.working,
    env: {
      ...cleanEnvironment(),
      NODE_ENV: "production",
      NODE_OPTIONS: "-r leak-agent",
      LEAK_AGENT_HORIZON: options.horizon,
      LEAK_AGENT_DIR: directory,
    },
    port: await freePort(),
  });
  let measured;
  try {
    await running.listening();
    measured = await drive(running, service, directory, options, position);
  } catch (error) {
    measured = { score: null, failure: error.message };
  } finally {
    await running.stop();
  }
  if (temporaryFolders.delete(directory)) fs.rmSync(directory, { recursive: true, force: true });
  return {
    case: service.name,
    node: options.node,
    seconds: options.seconds,
    horizon: options.horizon,
    ...measured,
    exited: running.exited,
    agentLines: running.agentLines,
    agentLineCount: running.agentLineCount,
    tail: measured.score?.right === true ? "" : running.tail,
  };
}

async function drive(running, service, directory, options, position) {
  const load = new LoadGenerator(service.mix, running.port);
  const progress = [];
  load.start();
  try {
    while (load.elapsedSeconds < options.seconds) {
      if (running.exited !== null)
        throw new Error(`the service ended: ${JSON.stringify(running.exited)}\n${running.tail}`);
      progress.push({ at: Date.now(), answered: { ...load.answered } });
      showProgress(`${position} ${service.name}`, load, readFindings(directory), options.seconds);
      await delay(Math.min(POLL_MILLIS, Math.max(1, (options.seconds - load.elapsedSeconds) * 1000)));
    }
  } finally {
    load.stop();
  }
  await delay(SETTLE_MILLIS);
  const findings = readFindings(directory);
  return {
    startedAt: new Date(load.startedAt).toISOString(),
    score: scoreCase(service.truth, findings, { startedAt: load.startedAt, progress }),
    load: { answered: load.answered, errors: load.errors, droppedCount: load.droppedCount },
    quietFindings: describeQuiet(findings),
    findings,
  };
}

/** The findings that never became an alarm, at their last state. */
function describeQuiet(findings) {
  const alarmed = new Set(findings.filter(isAlarm).map((record) => record.id));
  const last = new Map(findings.filter((record) => !alarmed.has(record.id)).map((record) => [record.id, record]));
  return [...last.values()].map(
    (record) =>
      `${record.verdict} ${record.route?.name} at ${record.site?.function} ${record.site?.file}:${record.site?.line}`,
  );
}

function showProgress(title, load, findings, seconds) {
  const elapsed = Math.floor(load.elapsedSeconds);
  const verdicts = {};
  for (const record of new Map(findings.map((finding) => [finding.id, finding])).values()) {
    verdicts[record.verdict] = (verdicts[record.verdict] ?? 0) + 1;
  }
  const words =
    Object.entries(verdicts)
      .map(([verdict, count]) => `${count} ${verdict}`)
      .join(", ") || "silent";
  const line = `${title} ${elapsed}/${seconds} s, ${load.answeredCount} requests, ${words}`;
  if (process.stdout.isTTY) process.stdout.write(`\r\x1b[K${line}${elapsed >= seconds - 1 ? "\r\x1b[K" : ""}`);
  else if (elapsed % PROGRESS_LINE_SECONDS === 0 && elapsed > 0) process.stdout.write(`${line}\n`);
}

for (const [signal, code] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
])
  process.on(signal, () => {
    // After the listener that ends the services, which write there.
    process.on("exit", removeTemporaryFolders);
    process.exit(code);
  });

main().then(
  (code) => process.exit(code),
  (error) => {
    process.stderr.write(`${error instanceof UsageError ? error.message : error.stack}\n`);
    process.exit(2);
  },
);
