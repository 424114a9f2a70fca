"use strict";
const assert = require("node:assert/strict");
const { describe, it } = require("node:test");
const { lifeEndLine, lifeEndOf } = require("../../../dist/detector/restart-cause.js");

const START = 1_000_000;
const MEGABYTE = 1024 * 1024;
const NOW = { bootId: "b", oomKills: null };

function life({ level = {}, oomKills = null, lastWord = null, bootId = "b", nodeVersion = "20.20.2" } = {}) {
  return {
    opening: { startTimeMillis: START, processId: 7, buildId: "one", bootId, nodeVersion },
    level: {
      type: "level",
      timeMillis: START,
      oomKills,
      level: {
        postGcHeapBytes: 10 * MEGABYTE,
        heapLimitBytes: 148 * MEGABYTE, // --max-old-space-size=100 on Node 20.
        externalBytes: 0,
        rssBytes: 0,
        cgroupBytes: null,
        cgroupLimitBytes: null,
        ...level,
      },
    },
    lastWord,
    renewedMillis: START + 3_600_000,
  };
}

describe("why a life ended", () => {
  it("an exit code is told as it was", () => {
    const ended = life({ lastWord: { type: "exit", code: 3, timeMillis: START + 7_200_000 } });
    const end = lifeEndOf(ended, NOW);
    assert.deepEqual([end.cause, end.exitCode, end.aliveMillis], ["exit", 3, 7_200_000]);
    assert.equal(lifeEndLine(ended, end), "process 7 (build one, ran for 2 h) ended with exit code 3");
  });

  it("V8's heap limit and a signal are told by their own last words", () => {
    const heap = lifeEndOf(life({ lastWord: { type: "heap-limit" } }), NOW);
    assert.equal(heap.cause, "heap-limit");
    assert.match(heap.text, /heap limit \(100 MiB\): JavaScript heap out of memory/);
    const signal = lifeEndOf(life({ lastWord: { type: "signal", name: "SIGTERM" } }), NOW);
    assert.deepEqual([signal.cause, signal.signal, signal.text], ["signal", "SIGTERM", "was ended by SIGTERM"]);
  });

  it("a count of OOM kills that rose in the same control group is the kernel's kill", () => {
    const level = { cgroupBytes: 1, cgroupLimitBytes: 512 * MEGABYTE };
    const ended = life({ oomKills: { group: "/g#1", count: 2 }, level });
    const end = lifeEndOf(ended, { bootId: "b", oomKills: { group: "/g#1", count: 3 } });
    assert.equal(end.cause, "container-oom");
    assert.match(end.text, /ran out of memory of 512 MiB \(oom_kill rose from 2 to 3\)/);
    assert.equal(lifeEndOf(ended, { bootId: "b", oomKills: { group: "/g#1", count: 2 } }).cause, "killed");
  });

  it("the count of another control group says nothing", () => {
    const ended = life({ oomKills: { group: "/g#1", count: 0 } });
    assert.equal(lifeEndOf(ended, { bootId: "b", oomKills: { group: "/g#2", count: 5 } }).cause, "killed");
  });

  it("without a word, a level at a limit is told as likely, never as known", () => {
    const container = lifeEndOf(life({ level: { cgroupBytes: 95, cgroupLimitBytes: 100 } }), NOW);
    assert.deepEqual([container.cause, container.likely], ["killed", "container-oom"]);
    const heap = lifeEndOf(life({ level: { postGcHeapBytes: 95 * MEGABYTE } }), NOW);
    assert.deepEqual([heap.cause, heap.likely], ["killed", "heap-limit"]);
    const small = { heapLimitBytes: 128 * MEGABYTE, postGcHeapBytes: 77 * MEGABYTE };
    assert.equal(lifeEndOf(life({ level: small }), NOW).likely, "heap-limit", "as measured: --max-old-space-size=80");
    assert.equal(lifeEndOf(life({ level: { ...small, postGcHeapBytes: 60 * MEGABYTE } }), NOW).likely, null);
    // --max-old-space-size=128 makes a limit of 176, 320 and 224 MiB on Node 20, 24 and 26.
    for (const [nodeVersion, limit] of [
      ["20.20.2", 176],
      ["22.23.3", 176],
      ["24.21.0", 320],
      ["26.10.0", 224],
    ]) {
      const likely = (held) => {
        const level = { heapLimitBytes: limit * MEGABYTE, postGcHeapBytes: held * MEGABYTE };
        return lifeEndOf(life({ nodeVersion, level }), NOW).likely;
      };
      assert.deepEqual([likely(118), likely(112)], ["heap-limit", null], nodeVersion);
    }
    const told = { postGcHeapBytes: 95 * MEGABYTE, fullestOldGenerationLimitBytes: 130 * MEGABYTE };
    assert.equal(lifeEndOf(life({ level: told }), NOW).likely, null, "what the thread has told is not guessed");
    const far = lifeEndOf(life(), NOW);
    assert.deepEqual([far.cause, far.likely], ["killed", null]);
    assert.match(far.text, /its heap held 10.0 MiB of 100 MiB/);
  });

  it("another run of the machine is told as such, an unknown one is not", () => {
    assert.equal(lifeEndOf(life(), { bootId: "c", oomKills: null }).cause, "machine");
    assert.equal(lifeEndOf(life(), { bootId: null, oomKills: null }).cause, "killed");
  });
});
