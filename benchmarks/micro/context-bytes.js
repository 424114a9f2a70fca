#!/usr/bin/env node
/**
 * What the agent adds to a leak: each leaked timer, listener or promise keeps the context of its request, and the agent's
 * record in it. Prints bytes per leaking request of the post-GC heap without and with the agent, for each kind of leak:
 * `node benchmarks/micro/context-bytes.js [--node BIN]... [--requests N]`. Run by itself it starts the services too.
 */
"use strict";
const { spawnSync } = require("node:child_process");
const { mkdtempSync, rmSync } = require("node:fs");
const { tmpdir } = require("node:os");
const { join } = require("node:path");
const { parseArgs } = require("node:util");

const PRELOAD = join(__dirname, "../../dist/preload.js");
const LEAKS = ["nothing", "timer", "listener", "promise", "closure"];
const STEPS = 6;
const CONCURRENCY = 20;

/** Runs in the child: a server that leaks one thing a request, and the slope of its post-GC heap over requests. */
async function serve(leak, requests) {
  const { EventEmitter } = require("node:events");
  const http = require("node:http");
  const { AsyncResource } = require("node:async_hooks");
  const kept = [];
  const emitter = new EventEmitter().setMaxListeners(0);
  const leaks = {
    nothing: () => {},
    timer: () => setTimeout(() => {}, 2 ** 30).unref(),
    listener: () => {
      const resource = new AsyncResource("listener");
      emitter.on("never", () => resource);
    },
    promise: () => {
      const never = new Promise(() => {});
      kept.push(never);
      (async () => await never)();
    },
    closure: () => kept.push(() => kept),
  };
  const server = http.createServer((_request, response) => {
    leaks[leak]();
    response.end("x");
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const agent = new http.Agent({ keepAlive: true, maxSockets: CONCURRENCY });
  const options = { host: "127.0.0.1", port: server.address().port, agent };
  const one = () =>
    new Promise((resolve, reject) =>
      http.get(options, (response) => response.resume().on("end", resolve)).on("error", reject),
    );
  const run = async (count) => {
    for (let done = 0; done < count; done += CONCURRENCY) await Promise.all(Array.from({ length: CONCURRENCY }, one));
  };
  const heap = async () => {
    for (let i = 0; i < 4; i++) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      global.gc();
    }
    return process.memoryUsage().heapUsed;
  };
  await run(requests / STEPS);
  const points = [await heap()];
  for (let step = 0; step < STEPS; step++) {
    await run(requests / STEPS);
    points.push(await heap());
  }
  const slopes = points.slice(1).map((value, index) => (value - points[index]) / (requests / STEPS));
  slopes.sort((a, b) => a - b);
  process.stdout.write(JSON.stringify({ median: slopes[STEPS >> 1], low: slopes[1], high: slopes[STEPS - 2] }));
  process.exit(0);
}

function measure(node, leak, requests, withAgent) {
  const args = ["--expose-gc", ...(withAgent ? ["-r", PRELOAD] : []), __filename, "--serve", leak];
  const folder = mkdtempSync(join(tmpdir(), "leak-agent-context-"));
  const env = { ...process.env, NODE_OPTIONS: "", LEAK_AGENT_LOG: "off", LEAK_AGENT_DIR: folder };
  const child = spawnSync(node, [...args, "--requests", String(requests)], { encoding: "utf8", env });
  rmSync(folder, { recursive: true, force: true });
  if (child.status !== 0) throw new Error(child.stderr);
  return JSON.parse(child.stdout);
}

function main() {
  const { values } = parseArgs({
    options: {
      node: { type: "string", multiple: true, default: [process.execPath] },
      requests: { type: "string", default: "12000" },
      serve: { type: "string" },
    },
  });
  const requests = Number(values.requests);
  if (values.serve !== undefined) return serve(values.serve, requests);
  for (const node of values.node) {
    const version = spawnSync(node, ["--version"], { encoding: "utf8" }).stdout.trim();
    console.log(`${version}, bytes per request of the post-GC heap (median, inner range of ${STEPS} steps)`);
    for (const leak of LEAKS) {
      const show = ({ median, low, high }) => `${median.toFixed(0)} (${low.toFixed(0)} to ${high.toFixed(0)})`;
      const without = measure(node, leak, requests, false);
      const withAgent = measure(node, leak, requests, true);
      const added = withAgent.median - without.median;
      console.log(`  ${leak.padEnd(10)} without ${show(without)}, with ${show(withAgent)}: added ${added.toFixed(0)}`);
    }
  }
}

main();
