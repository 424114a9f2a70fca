/**
 * Part of the measured service. Answers what the benchmark asks over the IPC channel: CPU time, memory, requests served;
 * with the agent, also its switches and clocks. Reads are cheap, and rare.
 */
"use strict";

const { readFileSync } = require("node:fs");
const { monitorEventLoopDelay } = require("node:perf_hooks");
const { CONTROL_TIMED_NANOS, CONTROL_TIMED_SAMPLES } = require("../../dist/native");
const { threadMicros } = require("../thread-clock");

/** They hold up the service. */
const MAX_CAPTURE_PAIRS = 2_000;
const delay = monitorEventLoopDelay({ resolution: 1 });
let gate = null;

/** Nanoseconds on a CPU: the first number of scheduler statistics. */
function threadNanos(id) {
  try {
    return Number(readFileSync(`/proc/self/task/${id}/schedstat`, "utf8").split(" ", 1)[0]);
  } catch {
    return 0; // The thread has ended.
  }
}

/** Bytes of anonymous and shared memory: RSS without the pages of files, such as Node's own program. Linux only. */
function privateBytes() {
  try {
    const status = readFileSync("/proc/self/status", "utf8");
    const kilobytes = (name) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(status)[1]);
    return (kilobytes("RssAnon") + kilobytes("RssShmem")) * 1_024;
  } catch {
    return Number.NaN;
  }
}

/** What the agent's own step has timed: both words wrap around. All 0 on Node 20 and 22. */
function timedSamples() {
  const control = gate?.addon()?.control ?? [];
  return { timedSamples: control[CONTROL_TIMED_SAMPLES] ?? 0, timedNanos: control[CONTROL_TIMED_NANOS] ?? 0 };
}

function read(served) {
  const { user, system } = process.cpuUsage();
  const memory = process.memoryUsage();
  const probe = globalThis[Symbol.for("leak-agent.probe")];
  return {
    served: served.count,
    atMillis: performance.now(),
    processMicros: user + system,
    mainMicros: threadMicros(),
    agentNanos: gate === null ? 0 : gate.agentThreads.reduce((sum, id) => sum + threadNanos(id), 0),
    rssBytes: memory.rss,
    privateBytes: privateBytes(),
    heapUsedBytes: memory.heapUsed,
    ordinal: gate?.addon()?.readOrdinal() ?? -1,
    ...timedSamples(),
    ticks: gate?.clocks.ticks ?? 0,
    tickMicros: gate?.clocks.tickMicros ?? 0,
    captures: gate?.clocks.captures ?? [],
    boundaries: globalThis[Symbol.for("leak-agent bench boundaries")]?.after ?? 0,
    peerProfiles: globalThis[Symbol.for("leak-agent bench peer")]?.profiles ?? 0,
    peerPauseMillis: globalThis[Symbol.for("leak-agent bench peer")]?.pauseMillis ?? null,
    status: probe?.status() ?? null,
    delayMaxMillis: delay.max / 1e6,
    delayP99Millis: delay.percentile(99) / 1e6,
  };
}

/** After full collections; needs --expose-gc. */
function settledHeap() {
  for (let i = 0; i < 4; i++) globalThis.gc();
  return process.memoryUsage();
}

/**
 * V8's own profile and ours, in turn, on the tree the service has made. A small tree takes microseconds, of which few say little.
 * @param count pairs at least. @param millis of V8's profiles at least, unless that takes MAX_CAPTURE_PAIRS.
 */
function capturePairs(count, millis) {
  const addon = gate.addon();
  const rows = [];
  let v8Millis = 0;
  for (let i = -3; i < count || (v8Millis < millis && i < MAX_CAPTURE_PAIRS); i++) {
    const v8 = [];
    const time = (run) => {
      const start = threadMicros();
      run();
      return (threadMicros() - start) / 1e3;
    };
    v8.push(time(() => addon.benchmarkAllocationProfile()));
    const ours = time(() => addon.capture());
    v8.push(time(() => addon.benchmarkAllocationProfile()));
    if (i < 0) continue;
    v8Millis += v8[0];
    rows.push({ v8: v8[0], v8Again: v8[1], ours });
  }
  return { rows, treeNodes: gate.clocks.lastTreeNodes };
}

/** From here on; what came before is forgotten. */
function watchPauses() {
  delay.reset();
  delay.enable();
  const peer = globalThis[Symbol.for("leak-agent bench peer")];
  if (peer !== undefined) Object.assign(peer, { profiles: 0, pauseMillis: null });
}

function answer(port, served) {
  if (process.execArgv.some((argument) => argument.endsWith("gate.js"))) {
    gate = require("./gate");
    if (gate.hasAgent()) gate.clockAddon();
  }
  const answers = {
    read: () => read(served),
    gc: () => settledHeap(),
    apply: ({ state }) => gate.apply(state),
    capturePairs: ({ count, millis }) => capturePairs(count, millis),
    watchPauses,
  };
  process.on("message", (message) => {
    try {
      process.send({ id: message.id, value: answers[message.type](message) ?? null });
    } catch (error) {
      process.send({ id: message.id, error: error.stack });
    }
  });
  process.on("disconnect", () => process.exit(0));
  process.send({ port });
}

module.exports = { answer };
