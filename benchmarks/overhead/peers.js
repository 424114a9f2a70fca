/**
 * Design 3, `bench:full`: the same service under the same load with each peer's heap profiler, at its own defaults and at
 * our interval, against no profiler. Owns the peers' configurations, the load and the ABBA rounds.
 */
"use strict";

const { join } = require("node:path");
const { setTimeout: delay } = require("node:timers/promises");
const { median, pairedRatio, plain, estimate } = require("../statistics");
const { judge } = require("../verdicts");
const { startSink } = require("./memory");
const { OpenLoop } = require("./open-loop");
const { ServiceProcess } = require("./service-process");
const { requestMix } = require("./shop");

const PEER = join(__dirname, "peer-preload.js");
/** Of saturation. */
const UTILISATION = 0.3;
const CONNECTIONS = 16;
/** Code is compiled by then, and our captures of the first seconds, at 1, 2, 4, 8 and 16, are past; the one at 32 is not. */
const WARM_UP_MILLIS = 20_000;
/** Our agent measures 90 s of traffic before it chooses its interval. */
const CHOICE_DEADLINE_MILLIS = 110_000;
/** Each peer's own period is about a minute; here one profile is taken within each measurement, so that its pause shows. */
const PROFILE_AFTER_MILLIS = 5_000;
const OURS = "leak-agent, its interval";
const AGAIN = "none again (A/A)";

/**
 * name -> how the service is started.
 * @param intervalBytes what our agent has chosen: each of its runs begins with it, as most of a life goes on.
 */
function peerKinds(sinkUrl, intervalBytes) {
  const ours = { LEAK_AGENT_SAMPLING_INTERVAL: String(intervalBytes) };
  const kinds = {
    none: {},
    [AGAIN]: {},
    [OURS]: kindOf("leak-agent", ours),
    "leak-agent, OTLP": kindOf("leak-agent", { ...ours, OTEL_EXPORTER_OTLP_ENDPOINT: sinkUrl }),
  };
  for (const peer of ["pprof", "@datadog/pprof", "@pyroscope/nodejs", "dd-trace"]) {
    for (const interval of [null, intervalBytes]) {
      kinds[`${peer}, ${interval === null ? "defaults" : "our interval"}`] = kindOf(peer, {
        BENCH_PEER_INTERVAL: interval === null ? "" : String(interval),
        BENCH_PEER_SINK: sinkUrl,
        BENCH_PEER_PROFILE_MS: String(WARM_UP_MILLIS + PROFILE_AFTER_MILLIS),
        ...(peer === "dd-trace" ? ddTraceEnvironment(sinkUrl, interval) : {}),
      });
    }
  }
  return kinds;
}

function kindOf(peer, env) {
  return { preloads: [PEER], env: { BENCH_PEER: peer, ...env } };
}

/** The heap profiler alone; its first upload comes after its period, which is shortened to fall into the measurement. */
function ddTraceEnvironment(sinkUrl, interval) {
  return {
    DD_TRACE_AGENT_URL: sinkUrl,
    DD_PROFILING_ENABLED: "true",
    DD_PROFILING_PROFILERS: "space",
    DD_PROFILING_UPLOAD_PERIOD: String((WARM_UP_MILLIS + PROFILE_AFTER_MILLIS) / 1_000),
    DD_INSTRUMENTATION_TELEMETRY_ENABLED: "false",
    DD_REMOTE_CONFIGURATION_ENABLED: "false",
    ...(interval === null ? {} : { DD_PROFILING_HEAP_SAMPLING_INTERVAL: String(interval) }),
  };
}

/** @returns the load that all of them get, and the interval that our agent chooses under it. */
async function chooseConditions(pages, progress) {
  const service = await ServiceProcess.start("express", { ...kindOf("leak-agent", {}), pages });
  const load = new OpenLoop(service.port, requestMix());
  try {
    progress("peers: looking for saturation");
    await load.saturate(CONNECTIONS, 4);
    const loadPerSecond = UTILISATION * (await load.saturate(CONNECTIONS, 6));
    load.start(loadPerSecond, false);
    const intervalOf = async () => (await service.ask("read")).status.samplingIntervalBytes;
    const first = await intervalOf();
    let intervalBytes = first;
    for (const began = performance.now(); performance.now() - began < CHOICE_DEADLINE_MILLIS; ) {
      await delay(1_000);
      load.check();
      progress(`peers: until our agent chooses its interval, ${Math.round((performance.now() - began) / 1e3)} s`);
      intervalBytes = await intervalOf();
      if (intervalBytes !== first) break;
    }
    return { loadPerSecond, intervalBytes };
  } finally {
    load.stop();
    await service.stop();
  }
}

async function measureOne(kind, loadPerSecond, seconds) {
  const service = await ServiceProcess.start("express", kind);
  const load = new OpenLoop(service.port, requestMix());
  try {
    load.start(loadPerSecond, false);
    await delay(WARM_UP_MILLIS);
    await service.ask("watchPauses");
    const before = await service.ask("read");
    await delay(seconds * 1_000);
    load.check();
    const after = await service.ask("read");
    const served = after.served - before.served;
    return {
      cpuMicrosPerRequest: (after.processMicros - before.processMicros) / served,
      delayMaxMillis: after.delayMaxMillis,
      rssBytes: after.rssBytes,
      profiles: after.peerProfiles,
      pauseCpuMillis: after.peerPauseMillis,
    };
  } finally {
    load.stop();
    await service.stop();
  }
}

/** @returns name -> one row per run; a peer that does not start on this Node is listed with its error instead. */
async function measurePeers({ peerRounds: rounds, pages }, seconds, progress) {
  const sink = await startSink();
  try {
    const { loadPerSecond, intervalBytes } = await chooseConditions(pages, progress);
    const kinds = peerKinds(sink.url, intervalBytes);
    const rows = Object.fromEntries(Object.keys(kinds).map((name) => [name, []]));
    const failures = {};
    for (let round = 0; round < rounds; round++) {
      const order = round % 2 === 0 ? Object.keys(kinds) : Object.keys(kinds).reverse();
      for (const name of order) {
        if (failures[name] !== undefined) continue;
        progress(`peers: round ${round + 1} of ${rounds}, ${name}`);
        try {
          rows[name].push(await measureOne({ ...kinds[name], pages }, loadPerSecond, seconds));
        } catch (error) {
          if (name.startsWith("none") || name === OURS) throw error;
          failures[name] = error.message;
        }
      }
    }
    return { rows, failures, loadPerSecond, intervalBytes };
  } finally {
    sink.server.close();
  }
}

function peerTable({ rows, failures }) {
  const series = (name, key) => rows[name].map((row) => row[key]);
  return Object.keys(rows).map((name) => {
    if (failures[name] !== undefined) return { name, failure: failures[name] };
    const pauses = series(name, "pauseCpuMillis").filter((pause) => pause !== null);
    return {
      name,
      cpuRatio: plain(pairedRatio(series(name, "cpuMicrosPerRequest"), series("none", "cpuMicrosPerRequest"))),
      delayMaxMillis: plain(estimate(series(name, "delayMaxMillis"))),
      rssBytes: median(series(name, "rssBytes")),
      pauseCpuMillis: pauses.length === 0 ? null : plain(estimate(pauses)),
      profiles: series(name, "profiles").reduce((sum, count) => sum + count, 0),
    };
  });
}

/** Ours against each peer that starts here: CPU of the whole process, and the longest block of a capture or profile. */
function peerBudgets({ rows, failures }) {
  const series = (name, key) => rows[name].map((row) => row[key]);
  const peers = Object.keys(rows).filter((name) => !name.startsWith("none") && !name.startsWith("leak-agent"));
  return peers
    .filter((name) => failures[name] === undefined)
    .flatMap((name) => [
      judge({
        id: `peer-cpu/${name}`,
        what: `CPU per request with the agent, against ${name}`,
        estimate: pairedRatio(series(OURS, "cpuMicrosPerRequest"), series(name, "cpuMicrosPerRequest")),
        resolution: pairedRatio(series(AGAIN, "cpuMicrosPerRequest"), series("none", "cpuMicrosPerRequest")),
        limit: 1,
        unit: "ratio",
        design: 3,
      }),
      judge({
        id: `peer-pause/${name}`,
        what: `CPU of a capture on the main thread, against a profile of ${name}`,
        estimate: pauseRatio(series(OURS, "pauseCpuMillis"), series(name, "pauseCpuMillis")),
        limit: 1,
        unit: "ratio",
        design: 3,
      }),
    ]);
}

/** Null where a run had no capture or no profile: what was not seen is not shown. */
function pauseRatio(ours, theirs) {
  return [...ours, ...theirs].some((pause) => pause === null) ? null : pairedRatio(ours, theirs);
}

module.exports = { measurePeers, peerBudgets, peerTable };
