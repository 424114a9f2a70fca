/**
 * Design 3: memory of whole processes, without the agent, with its local folder, and with OTLP export to a local sink.
 * Owns the rounds: in each, the same load meets one process of every kind, at the same time, and all are read at once.
 */
"use strict";

const { join } = require("node:path");
const http = require("node:http");
const { setTimeout: delay } = require("node:timers/promises");
const { median, pairedDifference, slope } = require("../statistics");
const { formatEstimate, judge } = require("../verdicts");
const { runChild } = require("./components");
const { OpenLoop } = require("./open-loop");
const { PRELOAD, ROOT, ServiceProcess } = require("./service-process");
const { requestMix } = require("./shop");

const HEAP_BYTES = 2e6;
const FOLDER_BYTES = 25e6;
const OTLP_BYTES = 45e6;
const SLOPE_BYTES = 1;
const LOAD_PER_SECOND = 60;
const READINGS = 5;
/** The load of one round takes a tenth of one core. */
const ROUNDS_AT_ONCE = 2;

/** Takes whatever is sent and says thanks; counts it, so that an export that never came shows. */
async function startSink() {
  const sink = { requests: 0 };
  sink.server = http.createServer((request, response) => {
    sink.requests++;
    request.resume();
    request.on("end", () => response.writeHead(200, { "content-type": "application/x-protobuf" }).end());
  });
  await new Promise((resolve) => sink.server.listen(0, "127.0.0.1", resolve));
  sink.url = `http://127.0.0.1:${sink.server.address().port}`;
  return sink;
}

function kindsOf(sinkUrl) {
  return {
    none: {},
    noneAgain: {},
    folder: { preloads: [PRELOAD] },
    otlp: {
      preloads: [PRELOAD],
      env: { OTEL_EXPORTER_OTLP_ENDPOINT: sinkUrl, LEAK_AGENT_EXPORT_INTERVAL: "3s" },
    },
  };
}

async function oneRound(kinds, seconds) {
  const names = Object.keys(kinds);
  const services = await Promise.all(
    names.map((name) => ServiceProcess.start("express", { ...kinds[name], nodeArgs: ["--expose-gc"] })),
  );
  const loads = services.map((service) => new OpenLoop(service.port, requestMix()));
  try {
    for (const load of loads) load.start(LOAD_PER_SECOND, false);
    await delay(seconds * 1_000);
    const result = {};
    for (const [i, name] of names.entries()) {
      loads[i].check();
      const readings = [];
      for (let reading = 0; reading < READINGS; reading++) {
        readings.push(await services[i].ask("read"));
        await delay(100);
      }
      loads[i].stop();
      await delay(200);
      const { heapUsed } = await services[i].ask("gc");
      const middle = (what) => median(readings.map((one) => one[what]));
      result[name] = { rssBytes: middle("rssBytes"), privateBytes: middle("privateBytes"), heapUsedBytes: heapUsed };
    }
    return result;
  } finally {
    for (const load of loads) load.stop();
    await Promise.all(services.map((service) => service.stop()));
  }
}

async function measureMemory(rounds, seconds, progress) {
  const sink = await startSink();
  const rows = [];
  try {
    while (rows.length < rounds) {
      progress(`memory: round ${rows.length + 1} of ${rounds}`);
      const atOnce = Array.from({ length: Math.min(ROUNDS_AT_ONCE, rounds - rows.length) });
      rows.push(...(await Promise.all(atOnce.map(() => oneRound(kindsOf(sink.url), seconds)))));
    }
  } finally {
    sink.server.close();
  }
  if (sink.requests === 0) throw new Error("the OTLP process exported nothing: its memory says nothing");
  return { rows, exports: sink.requests };
}

/** A million requests over 5,000 routes, without sockets: the heap after a full collection, after each part. */
async function measureSlope(requests) {
  const args = ["--expose-gc", "-r", PRELOAD, join(ROOT, "test/apps/million-requests.js")];
  const output = await runChild(args, { LEAK_AGENT_HORIZON: "30s", REQUESTS: String(requests) });
  return JSON.parse(output).points;
}

function memoryBudgets({ rows }, points) {
  const series = (name, what) => rows.map((row) => row[name][what]);
  const added = (name, what) => pairedDifference(series(name, what), series("none", what));
  const row = (id, text, name, what, limit, note = "") =>
    judge({
      id,
      what: text,
      estimate: added(name, what),
      resolution: added("noneAgain", what),
      limit,
      unit: "MB",
      design: 3,
      note,
    });
  /** docs/decisions/0017: what the kernel maps of Node's own program is no memory of ours. */
  const rss = (name) => `RSS ${formatEstimate(added(name, "rssBytes"), "MB")}`;
  return [
    row("heap", "main isolate's heap after collection, with OTLP", "otlp", "heapUsedBytes", HEAP_BYTES),
    row("memory-folder", "memory of the process, local folder", "folder", "privateBytes", FOLDER_BYTES, rss("folder")),
    row(
      "memory-otlp",
      "memory of the process, OTLP export of all signals",
      "otlp",
      "privateBytes",
      OTLP_BYTES,
      rss("otlp"),
    ),
    judge({
      id: "heap-slope",
      what: "slope of the heap over a million requests and 5,000 routes",
      estimate: slope(points.map((point) => [point.requests, point.heapUsed])),
      limit: SLOPE_BYTES,
      unit: "B/request",
      design: 3,
    }),
  ];
}

module.exports = { measureMemory, measureSlope, memoryBudgets, startSink };
