"use strict";
const assert = require("node:assert/strict");
const { beforeEach, test } = require("node:test");
const { gunzipSync } = require("node:zlib");
const { Delivery } = require("../../../dist/export/delivery");
const { Spool } = require("../../../dist/export/spool");

const EXPORTED = { kind: "exported", warning: "" };
const DOWN = { kind: "retryable", code: "HTTP 503", reason: "HTTP 503", retryAfterMillis: null };
const HOUR = 3_600_000;

let now;
let timers;
let told;
/** Bodies that arrived at the sender, and the outcomes it gives; EXPORTED when there is none left. */
let sent;
let outcomes;

beforeEach(() => {
  now = Date.UTC(2026, 10, 25, 10);
  timers = [];
  told = [];
  sent = [];
  outcomes = [];
});

function start({ spool = {}, ...more } = {}) {
  const options = {
    spool: new Spool({
      signal: "profiles",
      folder: null,
      limitBytes: 1_000_000,
      maxAgeMillis: 6 * HOUR,
      identity: { processId: 1, processStartMillis: 0, place: "", isAlive: () => true },
      now: () => now,
      ...spool,
    }),
    sender: {
      send: async (body) => {
        sent.push(gunzipSync(body).toString());
        const outcome = outcomes.shift() ?? EXPORTED;
        return typeof outcome === "function" ? outcome() : outcome;
      },
      close: () => told.push(["closed"]),
    },
    listener: Object.fromEntries(
      ["waiting", "recovered", "rejected", "partlyRejected", "warned"].map((name) => [
        name,
        (...words) => told.push([name, ...words]),
      ]),
    ),
    now: () => now,
    random: () => 0.999_999,
    schedule: (work, millis) => timers.push({ work, due: now + millis }),
    ...more,
  };
  return new Delivery(options);
}

/** Lets time pass, and whatever is due happen in its order. */
async function pass(millis) {
  const end = now + millis;
  await settled();
  for (;;) {
    timers.sort((a, b) => a.due - b.due);
    if (timers.length === 0 || timers[0].due > end) break;
    const timer = timers.shift();
    now = timer.due;
    timer.work();
    await settled();
  }
  now = end;
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

function enqueue(delivery, ...bodies) {
  for (const body of bodies) {
    delivery.enqueue(Buffer.from(body));
    now++;
  }
}

test("what is handed in arrives, once and in order", async () => {
  const delivery = start();
  enqueue(delivery, "a", "b", "c");
  await delivery.flush();
  assert.deepEqual(sent, ["a", "b", "c"]);
  assert.deepEqual(delivery.counts, { exported: 3, rejected: 0, rejectedItems: 0, failedAttempts: 0 });
  assert.deepEqual([delivery.waitingCount, told], [0, []]);
});

test("what is handed in while the look into an empty spool ends is sent at once", async () => {
  const delivery = start();
  delivery.start();
  enqueue(delivery, "a");
  await delivery.flush();
  assert.deepEqual(sent, ["a"]);
});

test("an outage: 1, 2, 4 s between attempts, one line, then all of it at once and one line", async () => {
  const delivery = start();
  outcomes = [DOWN, DOWN, DOWN];
  enqueue(delivery, "a", "b");
  await pass(990);
  assert.deepEqual(sent, ["a"]);
  enqueue(delivery, "c");
  await pass(20);
  assert.deepEqual(sent, ["a", "a"]);
  await pass(1_980);
  assert.equal(sent.length, 2);
  await pass(30);
  assert.equal(sent.length, 3);
  await pass(3_980);
  assert.equal(sent.length, 3);
  await pass(40);
  assert.deepEqual(sent.slice(3), ["a", "b", "c"]);
  assert.deepEqual(told, [["waiting", "HTTP 503", "HTTP 503"], ["recovered"]]);
  assert.deepEqual(delivery.counts, { exported: 3, rejected: 0, rejectedItems: 0, failedAttempts: 3 });
});

test("Retry-After is honoured, also when more is handed in meanwhile", async () => {
  const delivery = start();
  outcomes = [{ ...DOWN, retryAfterMillis: 45_000 }];
  enqueue(delivery, "a");
  await pass(1_000);
  enqueue(delivery, "b");
  await delivery.flush();
  await pass(43_900);
  assert.deepEqual(sent, ["a"]);
  await pass(200);
  assert.deepEqual(sent, ["a", "a", "b"]);
});

test("what is rejected or partly rejected is never sent again, and is counted", async () => {
  const delivery = start();
  outcomes = [
    { kind: "rejected", code: "HTTP 400", reason: "HTTP 400: bad" },
    { kind: "partial", rejectedCount: 3, reason: "too old" },
    { kind: "exported", warning: "deprecated" },
  ];
  enqueue(delivery, "a", "b", "c");
  await delivery.flush();
  await pass(HOUR);
  assert.deepEqual(sent, ["a", "b", "c"]);
  assert.deepEqual(delivery.counts, { exported: 2, rejected: 1, rejectedItems: 3, failedAttempts: 0 });
  assert.deepEqual(told, [
    ["rejected", "HTTP 400", "HTTP 400: bad"],
    ["partlyRejected", 3, "too old"],
    ["warned", "deprecated"],
  ]);
});

test("an outage that comes and goes is told at most every ten minutes", async () => {
  const delivery = start();
  for (let minute = 0; minute < 30; minute++) {
    outcomes = [DOWN];
    enqueue(delivery, String(minute));
    await pass(60_000);
  }
  assert.equal(told.filter(([what]) => what === "waiting").length, 3);
  assert.equal(told.filter(([what]) => what === "recovered").length, 3);
  assert.equal(delivery.counts.exported, 30);
});

test("six hours and more without a backend: bounded, and every body is in one count", async () => {
  const delivery = start({ spool: { limitBytes: 2_000 } });
  const { spool } = delivery.options;
  outcomes = new Array(2_000).fill(DOWN);
  for (let minute = 0; minute < 12 * 60; minute++) {
    enqueue(delivery, `body ${minute} ${Math.random()}`);
    await pass(60_000);
  }
  assert.ok(sent.length < 800, `${sent.length} attempts in 12 h`);
  assert.ok(spool.counts.droppedForSpace > 0);
  outcomes = [];
  await pass(60_000);
  assert.equal(delivery.waitingCount, 0);
  assert.equal(12 * 60, delivery.counts.exported + spool.droppedCount);
});

test("flush ends when the backend does not take it, and does not hurry the pause", async () => {
  const delivery = start();
  outcomes = [DOWN];
  enqueue(delivery, "a", "b");
  await delivery.flush();
  await delivery.flush();
  assert.deepEqual(sent, ["a"]);
  assert.equal(delivery.waitingCount, 2);
});

test("only one body is on its way at a time", async () => {
  const delivery = start();
  let finish;
  outcomes = [() => new Promise((resolve) => (finish = resolve))];
  enqueue(delivery, "a", "b");
  await settled();
  enqueue(delivery, "c");
  await pass(HOUR);
  assert.deepEqual(sent, ["a"]);
  finish(EXPORTED);
  await delivery.flush();
  assert.deepEqual(sent, ["a", "b", "c"]);
});

test("after close nothing is sent; what waits stays", async () => {
  const delivery = start();
  delivery.close();
  enqueue(delivery, "a");
  delivery.start();
  await pass(HOUR);
  assert.deepEqual([sent, delivery.waitingCount, told], [[], 1, [["closed"]]]);
});
