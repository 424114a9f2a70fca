#!/usr/bin/env node
/**
 * `npm run simulate`: weeks of service time in seconds, through the product's own live samples and detector. Owns the
 * command line, the division into runs and the exit code.
 */
"use strict";
const fs = require("node:fs");
const os = require("node:os");
const { parseArgs } = require("node:util");
const { HEALTHY } = require("./families-healthy.js");
const { LEAKING } = require("./families-leaking.js");
const { delayJobs, delayRows, renderDelays } = require("./delays.js");
const { runAll } = require("./pool.js");
const { renderStory, renderTable, renderTotals } = require("./render.js");
const { STORY } = require("./story.js");
const { fixesOf, summarizeFamily, totals } = require("./summary.js");

const USAGE = `usage: npm run simulate -- [options]
  --weeks N        healthy service-weeks in all that fill within 24 h (default 60); slow families get an eighth as many
  --runs N         runs of two weeks per leaking family (default 4)
  --family A,B     only these families
  --seed N         first seed (default 1)
  --threads N      worker threads (default: cores, at most 2)
  --json FILE      also write the figures and every single run to FILE
  --no-extras      leave out the table of delays and the story
  --list           names of the families
exit code: 0 the goals of docs/accuracy.md are met by these runs, 1 not, 2 wrong usage`;

/** A process life of two weeks: long enough for the slowest leaks, short enough for a service that is deployed. */
const WEEKS_PER_RUN = 2;
const COVERAGE_GOAL = 0.93;
/** With fewer intervals a share of 93 % cannot be told from one of 98 %: printed, not judged. */
const COVERAGE_MINIMUM = 100;

async function main() {
  const options = readOptions(process.argv.slice(2));
  const families = familiesOf(options.family);
  if (options.list) {
    for (const { name, isHealthy, fills } of families)
      process.stdout.write(`${name}  (${isHealthy ? `healthy, ${fills}` : "leak"})\n`);
    return 0;
  }
  const hasExtras = !options["no-extras"] && options.family === undefined;
  const jobs = inTurns([
    ...jobsOf(families, options),
    ...(hasExtras ? [...storyJobs(options), ...delayJobs(options.runs, options.seed)] : []),
  ]);
  const started = Date.now();
  const all = await runAll(jobs, options.threads, progress(started), interrupted());
  const done = (part) => all.filter((result, index) => result !== undefined && jobs[index].part === part);
  const results = done("families");
  const story = done("story");
  const delays = delayRows(done("delays"));
  const summaries = families.map((family) =>
    summarizeFamily(
      family,
      results.filter((result) => result.family === family.name),
    ),
  );
  const total = totals(summaries);
  process.stdout.write(`${renderTable(summaries)}\n\n${renderTotals(total)}\n`);
  if (hasExtras) process.stdout.write(`\n${renderDelays(delays)}\n\n${renderStory(story, fixesOf(story))}\n\n`);
  process.stdout.write(`${speed(all.filter(Boolean), Date.now() - started)}\n`);
  const goals = goalsOf(total, story);
  for (const goal of goals)
    process.stdout.write(
      `${{ true: "met", false: "NOT MET", null: "too few to tell" }[goal.met].padEnd(16)}${goal.text}\n`,
    );
  if (options.json !== undefined)
    writeJson(options, { total, goals, families: summaries, delays, story, runs: results });
  return goals.some((goal) => goal.met === false) ? 1 : 0;
}

function readOptions(args) {
  try {
    const { values } = parseArgs({
      args,
      options: {
        weeks: { type: "string", default: "60" },
        runs: { type: "string", default: "4" },
        family: { type: "string" },
        seed: { type: "string", default: "1" },
        threads: { type: "string", default: String(Math.min(2, os.availableParallelism())) },
        json: { type: "string" },
        "no-extras": { type: "boolean", default: false },
        list: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    });
    if (values.help) usage(0);
    return {
      ...values,
      weeks: numberOf("weeks", values.weeks),
      runs: numberOf("runs", values.runs),
      seed: numberOf("seed", values.seed),
      threads: numberOf("threads", values.threads),
    };
  } catch (error) {
    process.stderr.write(`${error.message}\n`);
    return usage(2);
  }
}

function numberOf(name, text) {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0) throw new Error(`--${name} must be a whole number, not ${text}`);
  return value;
}

function usage(code) {
  (code === 0 ? process.stdout : process.stderr).write(`${USAGE}\n`);
  process.exit(code);
}

function familiesOf(names) {
  const all = [...HEALTHY, ...LEAKING, STORY];
  if (names === undefined) return [...HEALTHY, ...LEAKING];
  return names.split(",").map((name) => {
    const family = all.find((candidate) => candidate.name === name);
    if (family === undefined) {
      process.stderr.write(`no family is called "${name}"; see --list\n`);
      process.exit(2);
    }
    return family;
  });
}

/** The weeks of a kind are spread evenly over its families, rounded up to whole runs. */
function jobsOf(families, { weeks, runs, seed }) {
  const share = (kind, total) => {
    const count = families.filter((family) => family.isHealthy && family.fills === kind).length;
    return Math.ceil(total / WEEKS_PER_RUN / Math.max(1, count));
  };
  const runsOf = { fast: share("fast", weeks), slow: share("slow", weeks / 8) };
  return families.flatMap((family) =>
    Array.from({ length: family.isHealthy ? runsOf[family.fills] : runs }, (_, index) => ({
      part: "families",
      family: family.name,
      seed: seed + index,
      weeks: WEEKS_PER_RUN,
    })),
  );
}

function storyJobs({ runs, seed }) {
  return Array.from({ length: runs }, (_, index) => ({
    part: "story",
    family: STORY.name,
    seed: seed + index,
    weeks: WEEKS_PER_RUN,
  }));
}

/** All families take turns, so that an interrupted run has seen each of them about as often. */
function inTurns(jobs) {
  return jobs.sort((a, b) => a.seed - b.seed);
}

/** Ctrl-C: the figures so far, with the weeks they rest on. */
function interrupted() {
  return new Promise((resolve) => process.once("SIGINT", resolve));
}

function progress(started) {
  let last = 0;
  return (done, total) => {
    const now = Date.now();
    if (now - last < (process.stderr.isTTY ? 500 : 15_000) && done < total) return;
    last = now;
    const left = ((now - started) / done) * (total - done);
    const text = `${done}/${total} runs, ${Math.ceil(left / 1_000)} s left`;
    process.stderr.write(process.stderr.isTTY ? `\r${text}   ${done === total ? "\n" : ""}` : `${text}\n`);
  };
}

function speed(results, millis) {
  const captures = results.reduce((sum, result) => sum + result.captures, 0);
  const detector = results.reduce((sum, result) => sum + result.detectorMillis, 0);
  const weeks = results.reduce((sum, result) => sum + result.weeks, 0);
  return `${weeks} service-weeks in ${(millis / 1_000).toFixed(0)} s; ${captures} captures, detector ${((1_000 * detector) / captures).toFixed(0)} us each`;
}

function goalsOf(total, story) {
  const goals = [];
  if (total.fast.weeks > 0)
    goals.push({
      met: total.fast.material === 0,
      text: `no material false alarm in ${total.fast.weeks} healthy service-weeks (goal: 0 in 1,000)`,
    });
  if (total.intervals > 0)
    goals.push({
      met: total.intervals < COVERAGE_MINIMUM ? null : total.covered / total.intervals >= COVERAGE_GOAL,
      text: `95 % intervals cover ${((100 * total.covered) / total.intervals).toFixed(1)} % (goal: ${100 * COVERAGE_GOAL} %)`,
    });
  if (story.length > 0)
    goals.push({
      met: story.every((result) => result.leakHours !== null && result.leakHours <= 168),
      text: `the story: leak within 7 days in ${story.filter((result) => result.leakHours !== null).length} of ${story.length} runs`,
    });
  return goals;
}

function writeJson(options, figures) {
  const machine = { node: process.version, cpu: os.cpus()[0]?.model ?? "", time: new Date().toISOString() };
  const { weeks, seed } = options;
  fs.writeFileSync(
    options.json,
    `${JSON.stringify({ machine, weeks, runsPerLeak: options.runs, seed, ...figures }, null, 1)}\n`,
  );
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error) => {
    process.stderr.write(`${error.stack}\n`);
    process.exitCode = 1;
  },
);
