/**
 * Preloaded into the measured service: starts the heap profiler that BENCH_PEER names, as its own documentation does, and
 * lets it make one profile per period; or our agent. Counts profiles and the CPU time that each takes on the main thread.
 */
"use strict";

const { threadMicros } = require("../thread-clock");

const { BENCH_PEER, BENCH_PEER_INTERVAL, BENCH_PEER_SINK, BENCH_PEER_PROFILE_MS } = process.env;
const INTERVAL_BYTES = BENCH_PEER_INTERVAL === "" ? 512 * 1024 : Number(BENCH_PEER_INTERVAL);
const STACK_DEPTH = 64;
const facts = { profiles: 0, pauseMillis: null };
globalThis[Symbol.for("leak-agent bench peer")] = facts;

function timed(run) {
  const start = threadMicros();
  const result = run();
  facts.pauseMillis = Math.max(facts.pauseMillis ?? 0, (threadMicros() - start) / 1e3);
  facts.profiles++;
  return result;
}

/** Every way to read a profile in these packages ends in one of the first two calls of their addon; `capture` is ours. */
function clockBindings(bindings) {
  for (const name of ["getAllocationProfile", "mapAllocationProfile", "capture"]) {
    const original = bindings[name];
    if (typeof original === "function") bindings[name] = (...rest) => timed(() => original(...rest));
  }
}

/** `pprof` and `@datadog/pprof` are libraries: their users call them once per period and encode the result. */
function library(name) {
  const { heap, encode } = require(name);
  clockBindings(require(`${name}/out/src/heap-profiler-bindings`));
  heap.start(INTERVAL_BYTES, STACK_DEPTH);
  setInterval(() => encode(heap.profile()), Number(BENCH_PEER_PROFILE_MS)).unref();
}

const PEERS = {
  /** Its probe calls the one addon object of the process, by name. */
  "leak-agent"() {
    require("../../dist/preload.js");
    const native = require("../../dist/native").loadNative();
    if (!native.ok) throw new Error(`the addon does not load: ${native.reason}`);
    clockBindings(native.addon);
  },
  pprof: () => library("pprof"),
  "@datadog/pprof": () => library("@datadog/pprof"),
  "@pyroscope/nodejs"() {
    const pyroscope = require("@pyroscope/nodejs").default;
    pyroscope.init({
      serverAddress: BENCH_PEER_SINK,
      appName: "shop",
      flushIntervalMs: Number(BENCH_PEER_PROFILE_MS),
      ...(BENCH_PEER_INTERVAL === ""
        ? {}
        : { heap: { samplingIntervalBytes: INTERVAL_BYTES, stackDepth: STACK_DEPTH } }),
    });
    clockBindings(
      require(
        require.resolve("@datadog/pprof/out/src/heap-profiler-bindings", {
          paths: [require.resolve("@pyroscope/nodejs")],
        }),
      ),
    );
    pyroscope.startHeapProfiling();
  },
  /** Configured by DD_* variables, as its users do. The profiler only starts with the tracer: its plugins stay off. */
  "dd-trace"() {
    require("dd-trace").init({ startupLogs: false, plugins: false });
    clockBindings(require("@datadog/pprof/out/src/heap-profiler-bindings"));
  },
};

PEERS[BENCH_PEER]();
