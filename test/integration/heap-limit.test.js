/** A death at V8's heap limit is the last word of its life, and neither the limit nor anybody's else callback is touched. */
"use strict";
const assert = require("node:assert/strict");
const { writeFileSync } = require("node:fs");
const { join } = require("node:path");
const test = require("node:test");
const { readLives } = require("../../dist/export/life-file");
const { APPS, PRELOAD, Service, filesBelow, temporaryFolder } = require("../harness/service");

const LIMIT = ["--max-old-space-size=40"];
const DEADLINE_MILLIS = 120_000;

/** Runs one way to the end. */
async function run(context, way, { before = [], limit = LIMIT, args = [], env = {} } = {}) {
  const folder = temporaryFolder(context);
  const options = [...before, "-r", PRELOAD, ...limit, `--diagnostic-dir=${folder}`, ...args];
  const service = new Service([...options, join(APPS, "heap-limits.js"), way], {
    env: { LEAK_AGENT_DIR: folder, LEAK_AGENT_LOG: "off", LEAK_AGENT_HORIZON: "10s", ...env },
    deadlineMillis: DEADLINE_MILLIS,
  });
  context.after(() => service.stop());
  await service.untilPrinted("served");
  await service.until(() => readLives(folder)[0]?.level, "the agent has begun its record");
  service.say("leave");
  const { code, signal, stdout, stderr } = await service.ended;
  return { code, signal, stdout, stderr, folder, lastWord: readLives(folder)[0].lastWord };
}

function assertDiedOfHeap({ code, signal, stderr }) {
  assert.deepEqual({ code, signal }, { code: null, signal: "SIGABRT" });
  assert.match(stderr, /FATAL ERROR: .* - JavaScript heap out of memory/);
}

const snapshotsIn = (folder) => filesBelow(folder).filter((file) => file.endsWith(".heapsnapshot")).length;

for (const way of ["objects", "arrays", "strings", "slowly"]) {
  test(`${way}: the heap limit is the last word`, async (context) => {
    const end = await run(context, way);
    assertDiedOfHeap(end);
    assert.deepEqual(end.lastWord, { type: "heap-limit" });
  });
}

test("a heap snapshot that the service has asked for is written, and the heap limit is the last word", async (context) => {
  const end = await run(context, "snapshot");
  assertDiedOfHeap(end);
  assert.equal(snapshotsIn(end.folder), 1);
  assert.deepEqual(end.lastWord, { type: "heap-limit" });
});

for (const [where, options] of [
  ["on the command line", { args: ["--heapsnapshot-near-heap-limit=1"] }],
  ["in NODE_OPTIONS", { env: { NODE_OPTIONS: "--heapsnapshot-near-heap-limit=1" } }],
]) {
  test(`a heap snapshot asked for ${where} is written; the agent keeps out of its way`, async (context) => {
    const end = await run(context, "objects", options);
    assertDiedOfHeap(end);
    assert.equal(snapshotsIn(end.folder), 1);
    assert.equal(end.lastWord, null);
  });
}

test("what was loaded before the agent may have asked V8: the agent keeps out of its way", async (context) => {
  const earlier = join(temporaryFolder(context), "earlier.js");
  writeFileSync(earlier, 'require("node:v8").setHeapSnapshotNearHeapLimit(1);');
  const end = await run(context, "objects", { before: ["-r", earlier] });
  assertDiedOfHeap(end);
  assert.equal(snapshotsIn(end.folder), 1);
  assert.equal(end.lastWord, null);
});

test("a thread that dies at its own limit is no end of the process", async (context) => {
  // With a limit on the command line Node itself, without any agent, now and then takes the process with the thread.
  const end = await run(context, "worker", { limit: [] });
  assert.match(end.stdout, /thread failed: ERR_WORKER_OUT_OF_MEMORY/);
  assert.deepEqual([end.code, end.signal, end.lastWord.type], [0, null, "exit"]);
});
