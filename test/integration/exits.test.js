/**
 * With the agent loaded and awake, the exit code, signal, stdout and stderr of a service are its own: each way out is run
 * without the agent and with it, and compared. Numbers that differ from run to run (pids, addresses, GC times) are masked.
 */
"use strict";
const assert = require("node:assert/strict");
const { join } = require("node:path");
const test = require("node:test");
const { APPS, PRELOAD, Service, agentIsAwake, temporaryFolder } = require("../harness/service");

/** How often each way is taken with the agent: a crash at exit is often a matter of luck. */
const ROUNDS = 3;

const WAYS = [
  { app: "normal-end", code: 0 },
  { app: "exit-code-property", code: 3 },
  { app: "process-exit", code: 7 },
  { app: "many-exit-listeners", code: 0 },
  { app: "uncaught-exception", code: 1, stderr: /Error: boom/ },
  { app: "uncaught-in-request", code: 1, stderr: /Error: boom in a handler/ },
  { app: "unhandled-rejection", code: 1, stderr: /Error: boom/ },
  { app: "signal-default", send: "SIGTERM", signal: "SIGTERM" },
  { app: "signal-default", send: "SIGINT", signal: "SIGINT" },
  { app: "signal-handler", send: "SIGTERM", code: 0 },
  { app: "signal-handler", send: "SIGINT", code: 0 },
  { app: "worker-terminate", code: 0 },
  { app: "worker-process-exit", code: 0 },
  { app: "worker-throws", code: 0 },
  { app: "worker-heap-limit", code: 0 },
  { app: "main-leaves-first", code: 0 },
  { app: "exit-beside-worker", code: 4 },
  { app: "abort", signal: "SIGABRT" },
  { app: "heap-limit", signal: "SIGABRT", args: ["--max-old-space-size=40"], stderr: /heap out of memory/ },
];

for (const way of WAYS) {
  const title = way.send === undefined ? way.app : `${way.app} on ${way.send}`;
  test(`${title}: code, signal and output are the service's own`, async (context) => {
    const expected = await leave(way, null);
    assert.equal(expected.code, way.code ?? null);
    assert.equal(expected.signal, way.signal ?? null);
    if (way.stderr !== undefined) assert.match(expected.stderr, way.stderr);
    // Side by side: most of the time is spent waiting until the agent is awake.
    const rounds = Array.from({ length: ROUNDS }, () => leave(way, temporaryFolder(context)));
    for (const [index, result] of (await Promise.all(rounds)).entries()) {
      assert.deepEqual(result, expected, `round ${index + 1} with the agent`);
    }
  });
}

/** Runs one way out, with the agent when there is a folder for it. */
async function leave(way, folder) {
  const agent = folder === null ? [] : ["-r", PRELOAD];
  const env = folder === null ? {} : { LEAK_AGENT_LOG: "off", LEAK_AGENT_DIR: folder, LEAK_AGENT_HORIZON: "30s" };
  const service = new Service([...agent, ...(way.args ?? []), join(APPS, "exits", `${way.app}.js`)], { env });
  await service.untilPrinted("served");
  if (folder !== null) await service.until(() => agentIsAwake(folder), "the agent woke up");
  service.say("leave");
  if (way.send !== undefined) {
    await service.untilPrinted("waiting");
    service.child.kill(way.send);
  }
  const { code, signal, stdout, stderr } = await service.ended;
  return { code, signal, stdout, stderr: masked(stderr) };
}

/**
 * What differs between two runs of the same program without any agent is masked: addresses, pids, GC tables, V8's own
 * native stack, and which of its three reasons V8 gives for the heap limit. On Node 20 and 22 any user of
 * AsyncLocalStorage makes Node add one frame of its own (`callbackTrampoline`) to the stacks of native callbacks.
 */
function masked(stderr) {
  return stderr
    .replace(/<--- Last few GCs --->[\s\S]*?FATAL ERROR: .* - JavaScript/, "<GC table> FATAL ERROR: - JavaScript")
    .split("\n")
    .filter((line) => !/callbackTrampoline \(node:internal\/async_hooks/.test(line))
    .filter((line) => !/^\s*\d+: 0x[0-9a-f]+/.test(line))
    .map((line) => line.replace(/0x[0-9a-f]+/g, "<address>"))
    .join("\n");
}
