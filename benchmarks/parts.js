/** Owns the parts of the benchmark by name, and how large each is in `bench`, `bench:full` and `--quick`. */
"use strict";

const { estimate, midmean, plain, quantile } = require("./statistics");
const { judge } = require("./verdicts");
const { SHAPES, blockBudgets, budgetsOf } = require("./overhead/composition");
const {
  ALTERNATES_IN_ONE_PROCESS,
  countBoundaries,
  measureAwaits,
  measureCaptures,
  measureRequestCost,
  measureSampleCost,
} = require("./overhead/components");
const { measureMemory, measureSlope, memoryBudgets } = require("./overhead/memory");
const { measurePeers, peerBudgets, peerTable } = require("./overhead/peers");
const { measureScale, scaleBudgets } = require("./overhead/scale");
const { runService, steadyLife } = require("./overhead/service-run");
const { measureStartup, startupBudgets } = require("./overhead/startup");

const SIZES = {
  /** About 10 minutes. */
  bench: {
    variants: ["express"],
    rounds: 100,
    componentRounds: 20,
    requestChildren: 16,
    requestPairs: 50,
    sampleRounds: 2_000,
    awaitPairs: 12,
    captureRounds: 50,
    starts: 40,
    memoryRounds: 10,
    peerRounds: 3,
  },
  /** CI: the components in under 6 minutes. */
  quick: {
    variants: ["express"],
    rounds: 12,
    componentRounds: 12,
    requestChildren: 8,
    requestPairs: 50,
    sampleRounds: 1_000,
    awaitPairs: 8,
    captureRounds: 15,
    starts: 8,
    memoryRounds: 4,
    peerRounds: 1,
  },
  full: {
    variants: ["express", "fastify", "hello", "promises"],
    rounds: 120,
    componentRounds: 40,
    requestChildren: 40,
    requestPairs: 100,
    sampleRounds: 5_000,
    awaitPairs: 24,
    captureRounds: 100,
    starts: 60,
    memoryRounds: 12,
    peerRounds: 6,
  },
};
const AWAIT_BATCHES = 800;
const MEMORY_SECONDS = 20;
const PEER_SECONDS = 16;
/** Of saturation. Without latencies a lighter load does, which a busy machine can carry. */
const LATENCY_UTILISATION = 0.6;
const COMPONENT_UTILISATION = 0.3;
const CAPTURE_RATIO = 1.3;

async function runComponents(size, progress) {
  // What a boundary costs is told apart from a plain request's start and end where that cannot be done in one process.
  const shapes = new Set([
    ...size.variants.map((variant) => SHAPES[variant]),
    ...(ALTERNATES_IN_ONE_PROCESS ? [] : ["plain"]),
  ]);
  const requestCost = await measureRequestCost(size, [...shapes], progress);
  progress("cost of a sample");
  const sampleCost = await measureSampleCost(size.sampleRounds);
  const awaits = await measureAwaits(size.awaitPairs, AWAIT_BATCHES, progress);
  progress("captures of synthetic trees");
  const captures = captureTable(await measureCaptures(size.captureRounds));
  const budgets = [...captures.budgets];
  const tables = { capture: captures.rows, awaits: awaitTable(awaits), components: {}, service: {} };
  for (const variant of size.variants) {
    progress(`${variant}: counting boundaries`);
    const boundariesPerRequest = await countBoundaries(variant, size.pages);
    const run = await runService(variant, {
      rounds: size.componentRounds,
      design: "components",
      pages: size.pages,
      utilisation: size.utilisation ?? COMPONENT_UTILISATION,
      progress,
    });
    const steady = await steadyLife(run, progress);
    const { parts, total, labels, rows } = budgetsOf({
      run,
      steady,
      requestCost,
      sampleCost,
      awaits,
      boundariesPerRequest,
    });
    budgets.push(...rows);
    tables.components[variant] = plainParts({ ...parts, labelMicrosPerRequest: labels, totalMicrosPerSecond: total });
    tables.service[variant] = { ...serviceTable(run), steady: steadyTable(steady) };
  }
  return { budgets, tables };
}

/** Design 2: the CPU budget by difference, and latencies. @param cpu pins the service, its worker included, to one CPU. */
async function runAlternating(size, progress, variants, cpu) {
  const budgets = [];
  const tables = {};
  for (const variant of variants) {
    const run = await runService(variant, {
      rounds: size.rounds,
      design: "alternating",
      pages: size.pages,
      utilisation: size.utilisation ?? LATENCY_UTILISATION,
      cpu,
      progress,
    });
    budgets.push(...blockBudgets(run, cpu === null ? variant : `${variant}, one CPU`));
    tables[variant] = serviceTable(run);
  }
  return { budgets, tables };
}

/** Nanoseconds of the asynchronous skeleton per mode; a service may use AsyncLocalStorage itself (`als`, `both`). */
function awaitTable({ boundaries, gated: _, ...modes }) {
  const rows = Object.entries(modes).map(([mode, lists]) => [
    mode,
    plain(
      estimate(
        lists.map((nanos) => quantile(nanos, 0.1)),
        midmean,
      ),
    ),
  ]);
  return { boundaries, nanos: Object.fromEntries(rows) };
}

function plainParts(parts) {
  return Object.fromEntries(Object.entries(parts).map(([name, part]) => [name, part === null ? null : plain(part)]));
}

function serviceTable(run) {
  const { saturationPerSecond, startIntervalBytes, intervalBytes, labels, captures, capturePairs } = run;
  const { hasChosen, pages } = run;
  return {
    pages,
    saturationPerSecond,
    startIntervalBytes,
    intervalBytes,
    hasChosen,
    labels,
    captures,
    treeNodes: capturePairs.treeNodes,
  };
}

function steadyTable({ seconds }) {
  return seconds.map(({ tickMicros, workerMicros }) => ({ tickMicros, workerMicros }));
}

/** The synthetic trees: larger than those of a small service. */
function captureTable({ results }) {
  const budgets = [];
  for (const { nodeCount, rounds, ways } of results) {
    const asEstimate = (way) => ({
      value: way.medianRatio,
      low: way.ratioInterval[0],
      high: way.ratioInterval[1],
      repetitions: rounds,
    });
    const ours = ways.find((way) => way.name === "leak-agent capture");
    // The trees stop growing at about these sizes: a row keeps its name from run to run.
    const size = Math.round(nodeCount / 1_000) * 1_000;
    const again = ways.find((way) => way.name.endsWith("(A/A)"));
    budgets.push(
      judge({
        id: `capture/${size}`,
        what: `block per capture, against V8's own GetAllocationProfile, about ${size.toLocaleString("en")} nodes`,
        estimate: asEstimate(ours),
        resolution: asEstimate(again),
        limit: CAPTURE_RATIO,
        unit: "ratio",
        design: 1,
      }),
    );
  }
  return { budgets, rows: results };
}

const PARTS = {
  startup: {
    fullOnly: false,
    async run(size, progress) {
      const rows = measureStartup(size.starts, progress);
      return { budgets: startupBudgets(rows), tables: { startup: rows } };
    },
  },
  components: { fullOnly: false, needsPages: true, run: runComponents },
  blocks: {
    fullOnly: true,
    needsPages: true,
    async run(size, progress) {
      const { budgets, tables } = await runAlternating(size, progress, size.variants, null);
      return { budgets, tables: { blocks: tables } };
    },
  },
  memory: {
    fullOnly: false,
    async run(size, progress) {
      const memory = await measureMemory(size.memoryRounds, MEMORY_SECONDS, progress);
      progress("memory: a million requests");
      const points = await measureSlope(1_000_000);
      return { budgets: memoryBudgets(memory, points), tables: { memory: memory.rows, heapSlope: points } };
    },
  },
  "one-cpu": {
    fullOnly: true,
    needsPages: true,
    async run(size, progress) {
      const { budgets, tables } = await runAlternating(size, progress, ["express"], 0);
      return { budgets, tables: { oneCpu: tables } };
    },
  },
  peers: {
    fullOnly: true,
    needsPages: true,
    async run(size, progress) {
      const measured = await measurePeers(size, PEER_SECONDS, progress);
      const { loadPerSecond, intervalBytes } = measured;
      return {
        budgets: peerBudgets(measured),
        tables: { peers: peerTable(measured), peerConditions: { loadPerSecond, intervalBytes, pages: size.pages } },
      };
    },
  },
  scale: {
    fullOnly: true,
    async run(size, progress) {
      const scale = await measureScale(size, progress);
      return { budgets: scaleBudgets(scale), tables: { scale: scale.captures } };
    },
  },
};
const NAMES = Object.keys(PARTS);

module.exports = { NAMES, PARTS, SIZES };
