"use strict";
const assert = require("node:assert/strict");
const fs = require("node:fs");
const os = require("node:os");
const { dirname, join } = require("node:path");
const { after, describe, it } = require("node:test");
const { LevelReader } = require("../../../dist/worker/level.js");

const base = fs.mkdtempSync(join(os.tmpdir(), "level-test-"));
after(() => fs.rmSync(base, { recursive: true, force: true }));

/** A root folder with these files, as `/proc` and `/sys` would have them. */
function machine(files) {
  const root = fs.mkdtempSync(join(base, "root-"));
  for (const [name, text] of Object.entries(files)) {
    fs.mkdirSync(dirname(join(root, name)), { recursive: true });
    fs.writeFileSync(join(root, name), text);
  }
  return new LevelReader(root, () => 77);
}

const GC = { postMajorHeapBytes: 10 };
const MEMORY = { heapUsedBytes: 1, heapLimitBytes: 1_000, externalBytes: 5, arrayBuffersBytes: 2 };
const cgroupOf = (level) => [level.cgroupBytes, level.cgroupLimitBytes];

describe("the level of the container", () => {
  it("is memory.current without inactive file cache (cgroup v2, as seen inside a container)", () => {
    const level = machine({
      "proc/self/cgroup": "0::/\n",
      "sys/fs/cgroup/memory.current": "5000\n",
      "sys/fs/cgroup/memory.max": "9000\n",
      "sys/fs/cgroup/memory.stat": "anon 1\ninactive_file 1200\nactive_file 7\n",
    });
    assert.deepEqual(cgroupOf(level.read(0, GC, MEMORY)), [3_800, 9_000]);
  });

  it("is that of the group above with the tightest limit", () => {
    const level = machine({
      "proc/self/cgroup": "0::/pod/container\n",
      "sys/fs/cgroup/pod/container/memory.current": "100\n",
      "sys/fs/cgroup/pod/container/memory.max": "max\n",
      "sys/fs/cgroup/pod/memory.current": "400\n",
      "sys/fs/cgroup/pod/memory.max": "800\n",
    });
    assert.deepEqual(cgroupOf(level.read(0, GC, MEMORY)), [400, 800]);
  });

  it("has no limit where there is none", () => {
    const level = machine({
      "proc/self/cgroup": "0::/a\n",
      "sys/fs/cgroup/a/memory.current": "100\n",
      "sys/fs/cgroup/a/memory.max": "max\n",
    });
    assert.deepEqual(cgroupOf(level.read(0, GC, MEMORY)), [100, null]);
  });

  it("is read from cgroup v1 too, where the path is the host's", () => {
    const level = machine({
      "proc/self/cgroup": "9:memory:/docker/abc\n1:name=systemd:/docker/abc\n",
      "sys/fs/cgroup/memory/memory.usage_in_bytes": "5000\n",
      "sys/fs/cgroup/memory/memory.limit_in_bytes": "6000\n",
      "sys/fs/cgroup/memory/memory.stat": "inactive_file 1\ntotal_inactive_file 500\n",
    });
    assert.deepEqual(cgroupOf(level.read(0, GC, MEMORY)), [4_500, 6_000]);
  });

  it("has no limit in cgroup v1 when it is the greatest number", () => {
    const level = machine({
      "proc/self/cgroup": "9:memory:/\n",
      "sys/fs/cgroup/memory/memory.usage_in_bytes": "5000\n",
      "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
    });
    assert.deepEqual(cgroupOf(level.read(0, GC, MEMORY)), [5_000, null]);
  });

  it("is unknown, not 0, on a machine without cgroups", () => {
    assert.deepEqual(cgroupOf(machine({}).read(0, GC, MEMORY)), [null, null]);
  });
});

describe("the level of the process", () => {
  it("adds up the heaps of its threads and forgets those that ended", () => {
    const level = machine({});
    level.read(0, GC, MEMORY);
    const both = level.read(3, { postMajorHeapBytes: 30 }, { ...MEMORY, heapLimitBytes: 50 });
    assert.deepEqual(
      [both.postGcHeapBytes, both.externalBytes, both.heapLimitBytes, both.rssBytes],
      [40, 10, 1_000, 77],
    );
    level.forgetThread(3);
    assert.equal(level.read(0, GC, MEMORY).postGcHeapBytes, 10);
  });

  it("has the limit of the thread that is nearest its own, as that thread tells it", () => {
    const level = machine({});
    level.read(0, GC, { ...MEMORY, oldGenerationLimitBytes: 900 });
    const thread = { ...MEMORY, heapLimitBytes: 60, oldGenerationLimitBytes: 32 };
    const both = level.read(3, { postMajorHeapBytes: 30 }, thread);
    assert.deepEqual(
      [both.fullestHeapBytes, both.fullestHeapLimitBytes, both.fullestOldGenerationLimitBytes],
      [30, 60, 32],
    );
    level.forgetThread(3);
    assert.equal(level.read(0, GC, { ...MEMORY, oldGenerationLimitBytes: 900 }).fullestOldGenerationLimitBytes, 900);
  });

  it("is unknown before the first mark-compact", () => {
    assert.equal(machine({}).read(0, { postMajorHeapBytes: 0 }, MEMORY).postGcHeapBytes, null);
  });
});

describe("the container's limit", () => {
  const container = (files) => machine({ "proc/self/cgroup": "0::/pod/app\n", ...files });

  it("is that of the group with least room, not of the one with the smallest limit", () => {
    const level = container({
      "sys/fs/cgroup/pod/app/memory.current": "100\n",
      "sys/fs/cgroup/pod/app/memory.max": "800\n",
      "sys/fs/cgroup/pod/memory.current": "900\n",
      "sys/fs/cgroup/pod/memory.max": "1000\n",
    });
    assert.deepEqual(cgroupOf(level.read(0, GC, MEMORY)), [900, 1_000]);
  });

  it("is memory.high where that comes first", () => {
    const level = container({
      "sys/fs/cgroup/pod/app/memory.current": "100\n",
      "sys/fs/cgroup/pod/app/memory.max": "800\n",
      "sys/fs/cgroup/pod/app/memory.high": "600\n",
    });
    assert.deepEqual(cgroupOf(level.read(0, GC, MEMORY)), [100, 600]);
  });

  it("is read anew each time", () => {
    const root = fs.mkdtempSync(join(base, "root-"));
    const write = (name, text) => {
      fs.mkdirSync(dirname(join(root, name)), { recursive: true });
      fs.writeFileSync(join(root, name), text);
    };
    write("proc/self/cgroup", "0::/\n");
    write("sys/fs/cgroup/memory.current", "100\n");
    write("sys/fs/cgroup/memory.max", "800\n");
    const level = new LevelReader(root, () => 77);
    assert.deepEqual(cgroupOf(level.read(0, GC, MEMORY)), [100, 800]);
    write("sys/fs/cgroup/memory.max", "1600\n");
    assert.deepEqual(cgroupOf(level.read(0, GC, MEMORY)), [100, 1_600]);
  });

  it("is found below the mount of the memory controller: hybrid setups, and a container's own group as the root", () => {
    const hybrid = machine({
      "proc/self/cgroup": "4:memory:/docker/abc/app\n0::/\n",
      "proc/self/mountinfo":
        "30 23 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n31 23 0:28 /docker/abc /sys/fs/cgroup/mem rw,nosuid - cgroup cgroup rw,memory\n",
      "sys/fs/cgroup/mem/app/memory.usage_in_bytes": "50\n",
      "sys/fs/cgroup/mem/app/memory.limit_in_bytes": "70\n",
    });
    assert.deepEqual(cgroupOf(hybrid.read(0, GC, MEMORY)), [50, 70]);
  });
});

describe("the levels outside the heap", () => {
  it("are summed over threads; the heap limit is that of the thread nearest its own", () => {
    const level = machine({});
    const memory = { ...MEMORY, heapTotalBytes: 20, moduleCount: 3 };
    level.read(0, { postMajorHeapBytes: 100 }, memory);
    const read = level.read(4, { postMajorHeapBytes: 90 }, { ...memory, heapLimitBytes: 100 });
    assert.equal(read.externalBytes, 10);
    assert.equal(read.arrayBuffersBytes, 4);
    assert.equal(read.heapTotalBytes, 40);
    assert.equal(read.moduleCount, 6);
    assert.deepEqual([read.fullestHeapBytes, read.fullestHeapLimitBytes], [90, 100]);
  });

  it("count open files, and not more often than once a second", () => {
    let now = 1_000;
    const root = fs.mkdtempSync(join(base, "root-"));
    fs.mkdirSync(join(root, "proc/self/fd"), { recursive: true });
    fs.writeFileSync(join(root, "proc/self/fd/1"), "");
    const level = new LevelReader(
      root,
      () => 77,
      () => now,
    );
    assert.equal(level.read(0, GC, MEMORY).openFileCount, 1);
    fs.writeFileSync(join(root, "proc/self/fd/2"), "");
    assert.equal(level.read(0, GC, MEMORY).openFileCount, 1);
    now += 1_000;
    assert.equal(level.read(0, GC, MEMORY).openFileCount, 2);
    assert.equal(machine({}).read(0, GC, MEMORY).openFileCount, null);
  });
});
