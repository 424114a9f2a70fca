/** Runs the measurements that design 1 needs beside the service: child programs, one at a time. Owns their raw numbers. */
"use strict";

const { spawn } = require("node:child_process");
const { mkdtempSync, readFileSync, rmSync } = require("node:fs");
const { tmpdir } = require("node:os");
const { join } = require("node:path");
const { setTimeout: delay } = require("node:timers/promises");
const { estimate, midmean } = require("../statistics");
const { OpenLoop } = require("./open-loop");
const { GATE, PRELOAD, ServiceProcess, cleanEnvironment } = require("./service-process");
const { requestMix } = require("./shop");

const MICRO = join(__dirname, "../micro");
/** So long that no sample is taken: what remains is the labels' own cost. */
const NO_SAMPLES = "16777215";
const BOUNDARY_LOAD_PER_SECOND = 150;
const BOUNDARY_SECONDS = 8;

/** @returns what the program printed, as text. Its folder is thrown away. */
async function runChild(args, env = {}, codes = [0]) {
  const folder = mkdtempSync(join(tmpdir(), "leak-agent-bench-"));
  try {
    const child = spawn(process.execPath, args, {
      env: cleanEnvironment({ NODE_ENV: "production", LEAK_AGENT_DIR: folder, LEAK_AGENT_LOG: "off", ...env }),
      stdio: ["ignore", "pipe", "inherit"],
    });
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text) => {
      output += text;
    });
    const code = await new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", resolve);
    });
    if (!codes.includes(code)) throw new Error(`${args.join(" ")} ended with code ${code}`);
    return output;
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

/**
 * Start and end of a request, in processes of their own: V8 compiles the same code now better, now worse, and one differs from
 * the next by a factor of two.
 * @param size.requestPairs batches of 100 requests with and without the agent, per shape, in each process.
 * @returns one { shape: { on, off } } per process, in nanoseconds.
 */
async function measureRequestCost({ requestChildren, requestPairs }, shapes, progress) {
  const children = [];
  for (let child = 0; child < requestChildren; child++) {
    progress(`cost of a request's start and end: process ${child + 1} of ${requestChildren}`);
    const args = ["-r", GATE, "-r", PRELOAD, join(MICRO, "request-cost.js"), String(requestPairs), shapes.join(",")];
    const { results } = JSON.parse(await runChild(args, { LEAK_AGENT_SAMPLING_INTERVAL: NO_SAMPLES }));
    children.push(results);
  }
  return children;
}

/** CPU time of one sample at a stack of 40 frames; `rounds` slices of each state. */
async function measureSampleCost(rounds) {
  const args = ["-r", GATE, "-r", PRELOAD, join(MICRO, "sample-cost.js"), String(rounds)];
  return JSON.parse(await runChild(args));
}

/** Before, the agent's AsyncLocalStorage switches on async_hooks: its cost shows only against a process that never did. */
const ALTERNATES_IN_ONE_PROCESS = Number.parseInt(process.versions.node, 10) >= 24;
const GATED_CHILDREN = 3;

/**
 * The asynchronous skeleton of a request. In a process per mode, ABBA, one list of nanoseconds per child; services that use
 * AsyncLocalStorage themselves (`als`, `both`) are no part of a budget: they are run in every fourth pair. On Node 24 and
 * later the budget is measured by `gated`: children differ by more than the agent adds.
 */
async function measureAwaits(pairs, batches, progress) {
  const results = { plain: [], agent: [], als: [], both: [] };
  const run = async (mode, count = batches) => {
    const gate = mode === "gated" ? ["-r", GATE] : [];
    const agent = mode === "agent" || mode === "both" || mode === "gated" ? ["-r", PRELOAD] : [];
    const args = [...gate, ...agent, join(MICRO, "await-cost.js"), mode, String(count)];
    return JSON.parse(await runChild(args, { LEAK_AGENT_SAMPLING_INTERVAL: NO_SAMPLES }));
  };
  const boundaries = await run("count");
  const gated = [];
  if (ALTERNATES_IN_ONE_PROCESS) {
    for (let child = 0; child < GATED_CHILDREN; child++) {
      progress(`boundaries: process ${child + 1} of ${GATED_CHILDREN}`);
      gated.push(await run("gated", batches));
    }
  }
  const pairCount = ALTERNATES_IN_ONE_PROCESS ? Math.ceil(pairs / 3) : pairs;
  for (let pair = 0; pair < pairCount; pair++) {
    progress(`boundaries: pair ${pair + 1} of ${pairCount}`);
    const modes = pair % 4 === 0 ? ["plain", "als", "both", "agent"] : ["plain", "agent"];
    const order = pair % 2 === 0 ? modes : [...modes].reverse();
    for (const mode of order) results[mode].push(await run(mode));
  }
  return { ...results, gated: gated.length === 0 ? null : gated, boundaries };
}

/** How many boundaries a request of the service crosses, without the agent. */
async function countBoundaries(variant, pages) {
  const preloads = [join(__dirname, "count-boundaries.js")];
  const service = await ServiceProcess.start(variant, { preloads, pages });
  const load = new OpenLoop(service.port, requestMix());
  try {
    load.start(BOUNDARY_LOAD_PER_SECOND, false);
    const perSecond = [];
    let last = await service.ask("read");
    for (let second = 0; second < BOUNDARY_SECONDS; second++) {
      await delay(1_000);
      const now = await service.ask("read");
      if (second > 0) perSecond.push((now.boundaries - last.boundaries) / (now.served - last.served));
      last = now;
    }
    load.check();
    return estimate(perSecond, midmean);
  } finally {
    load.stop();
    await service.stop();
  }
}

/** micro/capture.js, whose trees are larger than a small service's; with the peers where they are installed. */
async function measureCaptures(rounds) {
  const folder = mkdtempSync(join(tmpdir(), "leak-agent-bench-"));
  const file = join(folder, "capture.json");
  try {
    // Code 1 says that its own target was missed, which is judged here again.
    await runChild([join(MICRO, "capture.js"), "--rounds", String(rounds), "--json", file], {}, [0, 1]);
    return JSON.parse(readFileSync(file, "utf8"));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

module.exports = {
  ALTERNATES_IN_ONE_PROCESS,
  countBoundaries,
  measureAwaits,
  measureCaptures,
  measureRequestCost,
  measureSampleCost,
  runChild,
};
