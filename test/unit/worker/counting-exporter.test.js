"use strict";
const assert = require("node:assert/strict");
const test = require("node:test");
const { CountingExporter, PatientLogExporter, describeFailure } = require("../../../dist/worker/counting-exporter.js");

/** An exporter that answers as told; `calls` holds what it was given. */
function scripted(...results) {
  const calls = [];
  return {
    calls,
    export(items, done) {
      calls.push(items);
      const result = results.shift() ?? { code: 0 };
      if (result instanceof Error) throw result;
      done(result);
    },
    forceFlush: async () => {},
    shutdown: async () => {},
  };
}

const failure = (code) => ({ code: 1, error: Object.assign(new Error("no"), code === undefined ? {} : { code }) });
const send = (exporter, items) => new Promise((done) => exporter.export(items, done));

test("what was sent and what was lost is counted, an exporter that throws included", async () => {
  const told = [];
  const exporter = new CountingExporter(
    scripted({ code: 0 }, failure(400), new Error("broken")),
    (items) => items,
    (problem) => told.push(problem),
  );
  assert.equal((await send(exporter, 2)).code, 0);
  assert.equal((await send(exporter, 3)).code, 1);
  assert.equal((await send(exporter, 4)).code, 1);
  assert.deepEqual(exporter.counts, { sent: 2, lost: 7 });
  assert.deepEqual(told, [null, "no (400)", "broken"]);
});

test("records wait while the backend is away, and go out in order with the next export", async () => {
  for (const away of [failure(), failure("ECONNREFUSED"), failure(503), failure(429), failure(14)]) {
    const inner = scripted(away);
    const exporter = new PatientLogExporter(inner, () => {});
    await send(exporter, ["a", "b"]);
    assert.equal(exporter.waitingCount, 2);
    await send(exporter, ["c"]);
    assert.deepEqual(inner.calls.at(-1), ["a", "b", "c"]);
    assert.deepEqual(exporter.counts, { sent: 3, lost: 0 });
    assert.equal(exporter.waitingCount, 0);
  }
});

test("records that were refused for good do not wait", async () => {
  for (const refused of [failure(400), failure(401), failure(404), failure(3), failure(12), failure(16)]) {
    const exporter = new PatientLogExporter(scripted(refused), () => {});
    await send(exporter, ["a", "b"]);
    assert.equal(exporter.waitingCount, 0);
    assert.deepEqual(exporter.counts, { sent: 0, lost: 2 });
  }
});

test("a retry sends what waits, and asks for nothing when nothing does", async () => {
  const inner = scripted(failure(503));
  const exporter = new PatientLogExporter(inner, () => {});
  await exporter.retry();
  assert.equal(inner.calls.length, 0);
  await send(exporter, ["a"]);
  await exporter.retry();
  assert.deepEqual(inner.calls, [["a"], ["a"]]);
  assert.deepEqual(exporter.counts, { sent: 1, lost: 0 });
});

test("at most 500 records wait: the oldest go, counted", async () => {
  const exporter = new PatientLogExporter(scripted(failure(503), failure(503)), () => {});
  await send(
    exporter,
    Array.from({ length: 400 }, (_, index) => index),
  );
  await send(
    exporter,
    Array.from({ length: 200 }, (_, index) => 400 + index),
  );
  assert.equal(exporter.waitingCount, 500);
  assert.equal(exporter.counts.lost, 100);
  const inner = exporter.inner;
  await exporter.retry();
  assert.equal(inner.calls.at(-1)[0], 100);
});

test("a failure without words of its own is told by its causes", () => {
  const refused = Object.assign(
    new AggregateError([new Error("connect ECONNREFUSED ::1:1"), new Error("and 127.0.0.1:1")]),
    {
      code: "ECONNREFUSED",
    },
  );
  assert.equal(describeFailure(refused), "connect ECONNREFUSED ::1:1, and 127.0.0.1:1 (ECONNREFUSED)");
  assert.equal(describeFailure(undefined), "it does not say why");
});
