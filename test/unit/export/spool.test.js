"use strict";
const assert = require("node:assert/strict");
const fs = require("node:fs");
const { tmpdir } = require("node:os");
const { join } = require("node:path");
const { after, beforeEach, test, describe, it } = require("node:test");
const { MEMORY_LIMIT_BYTES, Spool } = require("../../../dist/export/spool");
const { STALE_LIFE_MILLIS } = require("../../../dist/export/spool-lives");
const {
  crc32,
  decodeRecord,
  encodeRecord,
  formatRecordName,
  parseRecordName,
} = require("../../../dist/export/spool-record");

const base = fs.mkdtempSync(join(tmpdir(), "leak-agent-spool-"));
after(() => fs.rmSync(base, { recursive: true }));

const HOUR = 3_600_000;
let now;
let folder;
/** What people would be told of the folder: an error's code, or null for a write that worked. */
let told;
/** Process ids that live; the tests' lives are no real processes. */
let living;

beforeEach(() => {
  now = Date.UTC(2026, 10, 25, 10);
  folder = fs.mkdtempSync(join(base, "run-"));
  living = new Set();
  told = [];
});

function open(processId, more = {}) {
  living.add(processId);
  const { place = "host pid:[1]", ...options } = more;
  return new Spool({
    signal: "profiles",
    folder: {
      path: folder,
      open: () => fs.mkdirSync(folder, { recursive: true }) !== null,
      worked: () => told.push(null),
      fail: (error) => told.push(error.code),
    },
    limitBytes: 1_000_000,
    maxAgeMillis: 6 * HOUR,
    identity: { processId, processStartMillis: now, place, isAlive: (id) => living.has(id) },
    now: () => now,
    ...options,
  });
}

const path = (name = "") => join(folder, "spool", "profiles", name);
const files = (pattern = /\.(otlp|sending|tmp)$/) => fs.readdirSync(path()).filter((name) => pattern.test(name));
const body = (number, size = 100) => Buffer.alloc(size, number);

function put(spool, numbers, size) {
  for (const number of numbers) {
    spool.put(body(number, size));
    now += 1_000;
  }
}

/** Takes and removes everything; the first byte of each body. */
function drain(spool) {
  const numbers = [];
  for (let taken = spool.take(); taken !== null; taken = spool.take()) {
    numbers.push(taken.body[0]);
    spool.remove(taken);
  }
  return numbers;
}

test("bodies come out as they went in, oldest first, and leave nothing", () => {
  const spool = open(1);
  put(spool, [1, 2, 3]);
  assert.equal(spool.waitingCount, 3);
  assert.deepEqual(drain(spool), [1, 2, 3]);
  assert.deepEqual([spool.waitingCount, spool.droppedCount, files().length], [0, 0, 0]);
});

test("nobody else can read what waits", () => {
  open(1).put(body(1));
  assert.equal(fs.statSync(path()).mode & 0o777, 0o700);
  assert.deepEqual(
    fs.readdirSync(path()).map((name) => fs.statSync(path(name)).mode & 0o777),
    [0o600, 0o600],
  );
});

test("a body that was put back is the next again", () => {
  const spool = open(1);
  put(spool, [1, 2]);
  const taken = spool.take();
  assert.equal(spool.waitingCount, 2);
  spool.putBack(taken);
  assert.deepEqual(drain(spool), [1, 2]);
});

test("over its limit the oldest are dropped and counted, but not the one that is being sent", () => {
  const spool = open(1, { limitBytes: 1_000 });
  put(spool, [1, 2, 3], 300);
  const taken = spool.take();
  put(spool, [4, 5], 300);
  assert.equal(spool.counts.droppedForSpace, 2);
  spool.putBack(taken);
  assert.deepEqual(drain(spool), [1, 4, 5]);
  spool.put(body(6, 1_000));
  assert.deepEqual([spool.counts.droppedForSpace, spool.waitingCount], [3, 0]);
});

test("the limit holds for all processes of the folder together", () => {
  const [first, second] = [open(1, { limitBytes: 1_000 }), open(2, { limitBytes: 1_000 })];
  put(first, [1, 2], 300);
  put(second, [3, 4], 300);
  assert.equal(second.counts.droppedForSpace, 1);
  assert.deepEqual([drain(first), drain(second)], [[2], [3, 4]]);
  assert.equal(first.droppedCount, 0, "counted once, by the process that dropped");
});

test("what has waited too long is dropped and counted", () => {
  const spool = open(1);
  put(spool, [1, 2]);
  now += 6 * HOUR - 2_500;
  put(spool, [3]);
  assert.deepEqual(drain(spool), [2, 3]);
  assert.equal(spool.counts.droppedForAge, 1);
});

test("the next life takes over what a dead one left, what it was sending too, and its counts", () => {
  const first = open(1, { limitBytes: 1_000 });
  put(first, [1, 2, 3, 4], 300); // One is dropped.
  first.take();
  living.delete(1);
  const next = open(2);
  next.maintain();
  assert.deepEqual([next.counts.adopted, next.counts.inheritedDrops], [3, 1]);
  put(next, [5]);
  assert.deepEqual(drain(next), [2, 3, 4, 5]);
  assert.equal(files(/./).length, 1, "only the own life file is left");
  next.maintain();
  assert.equal(next.droppedCount, 1, "inherited once");
});

test("the next life knows of a body that was refused right before its end", () => {
  const first = open(1);
  put(first, [1]);
  first.remove(first.take(), true);
  living.delete(1); // Killed: nothing was written after the refusal.
  const next = open(2);
  next.maintain();
  assert.equal(next.counts.inheritedDrops, 1);
});

test("a life that lives keeps what it has", () => {
  const [first, second] = [open(1), open(2)];
  put(first, [1, 2]);
  second.maintain();
  assert.deepEqual([drain(second), drain(first)], [[], [1, 2]]);
});

test("a process id that is used again, by this process or another one, does not keep the dead alive", () => {
  put(open(7), [1]);
  now += 1_000;
  const same = open(7);
  same.maintain();
  assert.deepEqual(drain(same), [1], "containers begin with pid 1 again");
  put(open(8), [2]);
  now += STALE_LIFE_MILLIS + 1;
  const other = open(9);
  other.maintain();
  assert.deepEqual(drain(other), [2], "its life file was not renewed");
});

test("a life in another container is judged by its life file alone", () => {
  const there = open(1, { place: "pod-b pid:[2]" });
  put(there, [1]);
  living.clear();
  const here = open(1);
  here.maintain();
  assert.deepEqual(drain(here), []);
  now += STALE_LIFE_MILLIS - 30_000;
  there.maintain();
  now += 60_000;
  here.maintain();
  assert.deepEqual(drain(here), [], "it was renewed");
  now += STALE_LIFE_MILLIS;
  here.maintain();
  assert.deepEqual(drain(here), [1]);
});

test("no two of many processes get the same body, and none is lost", () => {
  put(open(1), [1, 2, 3, 4, 5, 6, 7, 8]);
  living.delete(1);
  const heirs = [2, 3, 4].map((processId) => open(processId));
  for (const heir of heirs) heir.maintain();
  const taken = heirs.flatMap(drain);
  assert.deepEqual(taken.sort(), [1, 2, 3, 4, 5, 6, 7, 8]);
});

test("kill -9 at any byte: what was written before is whole, the record being written is detected", () => {
  const record = encodeRecord(body(9, 60));
  const name = (state, life) => formatRecordName({ createdMillis: now, sequence: 5, life, state });
  for (let length = 0; length <= record.length; length++) {
    folder = fs.mkdtempSync(join(base, "kill-"));
    const first = open(1);
    put(first, [1, 2]);
    const life = parseRecordName(files()[0]).life;
    // Where the process dies: while it writes the temporary file, of which any prefix may be there.
    fs.writeFileSync(path(name("tmp", life)), record.subarray(0, length));
    living.delete(1);
    const next = open(2);
    next.maintain();
    assert.deepEqual(drain(next), [1, 2], `cut after ${length} bytes`);
    assert.deepEqual([next.counts.adopted, next.counts.droppedDamaged, files().length], [2, 1, 0]);
  }
});

test("a finished record that the disk has cut or changed anywhere is detected and counted", () => {
  const record = encodeRecord(body(9, 40));
  assert.deepEqual(Buffer.from(decodeRecord(record)), body(9, 40));
  for (let at = 0; at < record.length; at++) {
    assert.equal(decodeRecord(record.subarray(0, at)), null, `cut after ${at} bytes`);
    const changed = Buffer.from(record);
    changed[at] ^= 1 << (at % 8);
    assert.equal(decodeRecord(changed), null, `byte ${at} changed`);
  }
  assert.equal(decodeRecord(Buffer.concat([record, Buffer.alloc(1)])), null);
  const spool = open(1);
  put(spool, [1, 2, 3]);
  fs.truncateSync(path(files()[1]), 50);
  assert.deepEqual(drain(spool), [1, 3]);
  assert.equal(spool.counts.droppedDamaged, 1);
});

test("without a folder bodies wait in memory, bounded and counted", () => {
  for (const spool of [
    open(1, { folder: null }),
    open(1, { folder: { path: folder, open: () => false, worked() {}, fail() {} } }),
  ]) {
    const size = MEMORY_LIMIT_BYTES / 4;
    put(spool, [1, 2, 3, 4, 5, 6], size);
    // The limit of the whole spool is smaller than that of memory.
    assert.equal(spool.waitingCount, 0);
    assert.equal(spool.counts.droppedForSpace, 6);
    put(spool, [1, 2, 3, 4, 5, 6], 200_000);
    const taken = spool.take();
    spool.putBack(taken);
    assert.deepEqual(drain(spool), [2, 3, 4, 5, 6]);
    assert.equal(spool.counts.droppedForSpace, 7);
  }
});

test("a file in place of the folder: memory, and the disk again when it is there", () => {
  fs.writeFileSync(join(folder, "spool"), "");
  const spool = open(1);
  put(spool, [1, 2]);
  assert.equal(spool.waitingCount, 2);
  fs.rmSync(join(folder, "spool"));
  put(spool, [3]);
  assert.equal(fs.existsSync(path()), false, "not tried again at once");
  now += 30_000;
  put(spool, [4]);
  assert.equal(files().length, 4);
  assert.deepEqual(drain(spool), [1, 2, 3, 4]);
});

test("what waited in memory is the next life's, once there is a folder again", () => {
  for (const [pauseMillis, recover] of [
    [30_000, (spool) => spool.maintain()],
    [0, (spool) => spool.saveAtExit()],
  ]) {
    fs.writeFileSync(join(folder, "spool"), "");
    const first = open(1);
    put(first, [1, 2, 3]);
    const taken = first.take();
    first.putBack(taken);
    fs.rmSync(join(folder, "spool"));
    now += pauseMillis;
    recover(first);
    assert.equal(files().length, 3);
    living.delete(1);
    const second = open(2);
    second.maintain();
    assert.deepEqual(drain(second), [1, 2, 3]);
    fs.rmSync(join(folder, "spool"), { recursive: true });
  }
});

test("a link in place of the spool is not followed", () => {
  const elsewhere = fs.mkdtempSync(join(base, "elsewhere-"));
  fs.mkdirSync(join(folder, "spool"));
  fs.symlinkSync(elsewhere, path());
  const spool = open(1);
  put(spool, [1]);
  assert.deepEqual([spool.waitingCount, fs.readdirSync(elsewhere)], [1, []]);
});

test("a spool that is removed while it is used costs nothing that is still known", () => {
  const spool = open(1);
  put(spool, [1]);
  fs.rmSync(path(), { recursive: true });
  put(spool, [2]);
  now += 30_000;
  put(spool, [3]);
  assert.deepEqual(drain(spool), [2, 3]);
});

test("at random: whatever happens, put + adopted = taken + dropped + waiting", () => {
  let seed = 20261125;
  const random = (bound) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed % bound;
  };
  let putCount = 0;
  let removed = 0;
  let processId = 1;
  const limits = { limitBytes: 3_000, maxAgeMillis: 200_000 };
  const lives = [open(1, limits), open(2, limits)];
  processId = 2;
  const holding = new Map();
  for (let step = 0; step < 1_000; step++) {
    const index = random(lives.length);
    const spool = lives[index];
    const action = random(10);
    now += random(20_000);
    if (action < 5) {
      spool.put(body(step % 251, 50 + random(400)));
      putCount++;
    } else if (action < 7 && !holding.has(spool)) {
      const taken = spool.take();
      if (taken !== null) holding.set(spool, taken);
    } else if (action < 8 && holding.has(spool)) {
      if (random(2) === 0) spool.putBack(holding.get(spool));
      else {
        spool.remove(holding.get(spool));
        removed++;
      }
      holding.delete(spool);
    } else if (action === 8) spool.maintain();
    else if (random(4) === 0) {
      living.delete(lives[index].options.identity.processId);
      holding.delete(spool);
      lives[index] = open(++processId, limits);
      lives[index].maintain();
    }
    for (const life of lives) life.maintain(); // Renewed, so that only the killed are dead.
  }
  for (const life of lives.slice(1)) living.delete(life.options.identity.processId);
  for (const life of lives.slice(1)) life.maintain();
  const last = lives[0];
  last.maintain();
  const waiting = last.waitingCount;
  assert.equal(putCount, removed + last.droppedCount + waiting);
  assert.ok(last.droppedCount > 50 && removed > 50);
});

test("CRC-32 gives the published check value", () => {
  assert.equal(crc32(Buffer.from("123456789")), 0xcbf43926);
});

test("names sort by age and are read back", () => {
  const name = { createdMillis: 5, sequence: 12, life: "abc-1-0f", state: "otlp" };
  assert.equal(formatRecordName(name), "0000000000005-000012-abc-1-0f.otlp");
  assert.deepEqual(parseRecordName(formatRecordName(name)), name);
  for (const other of ["agent.log", "abc-1-0f.life", "0000000000005-000012-abc-1-0f.otlp~"]) {
    assert.equal(parseRecordName(other), null);
  }
});

describe("totals, of which the newest says everything", () => {
  it("replace what still waits, and are counted as replaced, not as lost", () => {
    const spool = open(1, { isNewestOnly: true });
    put(spool, [1, 2, 3]);
    assert.deepEqual([files().length, spool.counts.replaced, spool.droppedCount], [1, 2, 0]);
    const [life] = files(/\.life$/);
    assert.equal(JSON.parse(fs.readFileSync(path(life), "utf8")).replacedCount, 2);
    assert.deepEqual(drain(spool), [3]);
  });

  it("leave alone what is on its way", () => {
    const spool = open(1, { isNewestOnly: true });
    put(spool, [1]);
    const taken = spool.take();
    put(spool, [2, 3]);
    spool.putBack(taken);
    assert.deepEqual(drain(spool), [1, 3]);
    assert.equal(spool.counts.replaced, 1);
  });

  it("leave alone the last of every dead life", () => {
    for (const life of [1, 2]) {
      put(open(life, { isNewestOnly: true }), [life * 10, life * 10 + 1]);
      living.delete(life);
    }
    const spool = open(3, { isNewestOnly: true });
    spool.maintain();
    put(spool, [30, 31]);
    assert.deepEqual(drain(spool), [11, 21, 31]);
  });

  it("are replaced in memory too", () => {
    const spool = open(1, { isNewestOnly: true, folder: null });
    put(spool, [1, 2]);
    assert.deepEqual([drain(spool), spool.counts.replaced], [[2], 1]);
  });
});
