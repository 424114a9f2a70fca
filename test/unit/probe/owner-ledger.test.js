"use strict";
const assert = require("node:assert/strict");
const { test } = require("node:test");
const { OwnerLedger } = require("../../../dist/probe/owner-ledger");
const { RequestRecord } = require("../../../dist/probe/request-context");
const { RowQueue } = require("../../../dist/probe/row-queue");

test("neighbours with the same owner become one range; a gap or another owner does not", () => {
  const ledger = new OwnerLedger();
  ledger.own(1, 4, 7);
  ledger.own(5, 5, 7);
  ledger.own(6, 8, 9);
  ledger.own(10, 11, 9);
  assert.deepEqual([...ledger.takeRanges()], [1, 5, 7, 6, 8, 9, 10, 11, 9]);
  assert.equal(ledger.takeRanges().length, 0);
});

test("a range after a report does not grow the one that was sent", () => {
  const ledger = new OwnerLedger();
  ledger.own(1, 4, 7);
  ledger.takeRanges();
  ledger.own(5, 6, 7);
  assert.deepEqual([...ledger.takeRanges()], [5, 6, 7]);
});

test("only a record that owns a sample gets an id, and is told when it ends", () => {
  const ledger = new OwnerLedger();
  const silent = new RequestRecord(3);
  const owning = new RequestRecord(0);
  assert.equal(ledger.tokenFor(owning), 1);
  assert.equal(ledger.takeRecords().length, 0);
  owning.routeIndex = 5;
  ledger.end(silent, 40);
  ledger.end(owning, 41);
  assert.deepEqual([...ledger.takeRecords()], [1, 5, 41]);
  assert.equal(silent.recordId, 0);
});

test("a record whose first sample comes after its end is told at once", () => {
  const ledger = new OwnerLedger();
  const record = new RequestRecord(2);
  ledger.end(record, 10);
  assert.equal(ledger.takeRecords().length, 0);
  assert.equal(ledger.tokenFor(record), 1);
  assert.equal(ledger.tokenFor(record), 1);
  assert.deepEqual([...ledger.takeRecords()], [1, 2, 10]);
});

test("after a restart, what a finished request still allocates is background work whatever the ordinal", () => {
  const ledger = new OwnerLedger();
  const record = new RequestRecord(2);
  ledger.tokenFor(record);
  ledger.end(record, 5_000);
  ledger.own(1, 9, 1);
  ledger.takeRecords();
  ledger.restart();
  assert.equal(ledger.takeRanges().length, 0);
  assert.equal(ledger.tokenFor(record), 1);
  assert.deepEqual([...ledger.takeRecords()], [1, 2, 0]);
  ledger.tokenFor(record);
  assert.equal(ledger.takeRecords().length, 0);
});

test("a full queue drops and counts", () => {
  const queue = new RowQueue(4);
  for (let i = 0; i < 3; i++) queue.push(i, i, i);
  assert.equal(queue.isFilling, true);
  queue.push(3, 3, 3);
  queue.push(4, 4, 4);
  queue.pushRange(4, 5, 3);
  assert.equal(queue.droppedCount, 1);
  assert.deepEqual([...queue.take()].slice(-3), [3, 5, 3]);
  assert.equal(queue.isFilling, false);
});
