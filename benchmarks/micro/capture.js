/**
 * `npm run bench:capture [-- --rounds N --json FILE]`: how long one capture blocks the main thread, next to V8's own
 * GetAllocationProfile and to what the peers do on the same trees. One process, one sampler, all ways in turn, in random
 * order per round; ratios are paired per round, times are CPU time of the thread. Needs `npm ci --prefix benchmarks`.
 */
"use strict";

const { writeFileSync } = require("node:fs");
const { cpus, loadavg } = require("node:os");
const { parseArgs } = require("node:util");
const { decodeCapture } = require("../../dist/model/capture.js");
const { loadNative } = require("../../dist/native.js");
const { estimate, median, shuffled } = require("../statistics");
const { threadMicros } = require("../thread-clock");
const { TreeGrower } = require("./capture-tree.js");

/** Odd and small: many samples without allocating gigabytes. */
const INTERVAL_BYTES = 1_023;
const STACK_DEPTH = 64;
const TREE_SIZES = [1_000, 5_000, 15_000];
const TARGET_RATIO = 1.3;
const BASELINE = "V8 GetAllocationProfile";
const OURS = "leak-agent capture";

/** Null when a peer is not there for this Node; the table says so. */
function load(name) {
  try {
    return require(name);
  } catch (error) {
    console.log(
      `not measured: ${name} (${error.message.split("\n")[0]}); npm ci --prefix benchmarks installs the peers`,
    );
    return null;
  }
}

/** Name and one call of each way to read the sampler's tree. */
function makeWays(addon) {
  const ways = [
    { name: BASELINE, run: () => addon.benchmarkAllocationProfile() },
    { name: `${BASELINE} again (A/A)`, run: () => addon.benchmarkAllocationProfile() },
    { name: OURS, run: () => addon.capture() },
    {
      name: `${OURS}, every name again`,
      run: () => {
        addon.resendNames();
        return addon.capture();
      },
    },
  ];
  const pprof = load("pprof/out/src/heap-profiler-bindings");
  if (pprof !== null) ways.push({ name: "pprof v8Profile", run: () => pprof.getAllocationProfile() });
  const datadog = load("@datadog/pprof/out/src/heap-profiler-bindings");
  if (datadog !== null) {
    ways.push(
      { name: "@datadog/pprof v8Profile", run: () => datadog.getAllocationProfile() },
      {
        name: "@datadog/pprof v8ProfileV2 (nodes not read)",
        run: () => datadog.mapAllocationProfile((root) => root.name),
      },
    );
  }
  return ways;
}

function measure(ways, rounds) {
  const millis = new Map(ways.map((way) => [way.name, []]));
  for (let round = -2; round < rounds; round++) {
    for (const way of shuffled(ways)) {
      const start = threadMicros();
      way.run();
      const elapsed = (threadMicros() - start) / 1e3;
      if (round >= 0) millis.get(way.name).push(elapsed);
    }
  }
  const baseline = millis.get(BASELINE);
  return [...millis].map(([name, times]) => {
    const ratios = times.map((time, round) => time / baseline[round]);
    const { value, low, high } = estimate(ratios);
    return { name, medianMillis: median(times), medianRatio: value, ratioInterval: [low, high] };
  });
}

function print(result) {
  console.log(`\n${result.nodeCount} nodes, ${result.sampleCount} samples, ${result.rounds} rounds`);
  console.log(`${"".padEnd(46)}${"median ms".padStart(10)}${"ratio".padStart(9)}   95 % interval`);
  for (const { name, medianMillis, medianRatio, ratioInterval } of result.ways) {
    const interval = ratioInterval.map((bound) => bound.toFixed(2)).join(" - ");
    console.log(
      `${name.padEnd(46)}${medianMillis.toFixed(2).padStart(10)}${medianRatio.toFixed(2).padStart(9)}   ${interval}`,
    );
  }
}

function main() {
  const { values } = parseArgs({ options: { rounds: { type: "string", default: "60" }, json: { type: "string" } } });
  const rounds = Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < 5) throw new Error("--rounds must be a whole number of at least 5");
  const native = loadNative();
  if (!native.ok) throw new Error(`the addon does not load: ${native.reason}`);
  const { addon } = native;
  const ways = makeWays(addon);
  const results = [];
  const grower = new TreeGrower();
  if (addon.startSampler(INTERVAL_BYTES, STACK_DEPTH) !== "started") throw new Error("the sampler does not start");
  for (const target of TREE_SIZES) {
    grower.growTo(target, () => decodeCapture(addon.capture()).treeNodeCount);
    const { treeNodeCount, sampleCount } = decodeCapture(addon.capture());
    const result = { nodeCount: treeNodeCount, sampleCount, rounds, ways: measure(ways, rounds) };
    print(result);
    results.push(result);
  }
  addon.stopSampler();
  const ours = results.map((result) => result.ways.find((way) => way.name === OURS));
  const met = ours.every((way) => way.ratioInterval[1] <= TARGET_RATIO);
  const exceeded = ours.some((way) => way.ratioInterval[0] > TARGET_RATIO);
  const outcome = met ? "met" : exceeded ? "exceeded" : "not shown";
  console.log(`\ntarget: ${OURS} <= ${TARGET_RATIO} x ${BASELINE}, by the interval: ${outcome}`);
  const machine = { node: process.version, cpu: cpus()[0]?.model ?? "unknown", loadAverage: loadavg()[0] };
  console.log(`Node ${machine.node}, ${machine.cpu}, load average ${machine.loadAverage.toFixed(2)}`);
  if (values.json !== undefined) {
    writeFileSync(values.json, `${JSON.stringify({ date: new Date().toISOString(), machine, results }, null, 2)}\n`);
  }
  // A machine that is too noisy to tell is not a failure; the line above says so.
  process.exitCode = exceeded ? 1 : 0;
}

main();
