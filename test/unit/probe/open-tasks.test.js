"use strict";
const assert = require("node:assert/strict");
const { AsyncResource } = require("node:async_hooks");
const { test } = require("node:test");
const threads = require("node:worker_threads");
const { foreignRoute } = require("../../../dist/model/messages");
const { RequestRecord, runInContext } = require("../../../dist/probe/request-context");
const { TASK_ANONYMOUS, TASK_RUNNING, TaskTable } = require("../../../dist/probe/task-table");
const { ThreadMessages } = require("../../../dist/probe/thread-messages");

test("a task that has got its route leaves nothing behind, however many others still run", () => {
  const memory = TaskTable.allocate();
  const table = new TaskTable(memory);
  const ended = [];
  const ledger = { openTasks: [], end: (record) => ended.push(record.routeIndex) };
  const messages = new ThreadMessages(memory, { ledger }, assert.fail);
  const settle = (times) => {
    for (let i = 0; i < times; i++) messages.settle(1);
  };
  const running = { task: table.newTask(false) };
  const task = table.newTask(true);
  ledger.openTasks = [running, { task }];
  settle(15);
  table.finish(task, 7);
  settle(1);
  assert.deepEqual([ended, ledger.openTasks], [[7], [running]]);
  // The same number again, after 2^30 others: it has all of its 20 windows.
  table.finish(task, TASK_ANONYMOUS);
  ledger.openTasks = [running, { task }];
  settle(10);
  assert.deepEqual([ended.length, ledger.openTasks.length], [1, 2]);
  settle(11);
  assert.deepEqual([ended.length, ledger.openTasks], [2, [running]]);
});

/** What a pool does with a request's task that had to wait: sent by nobody, answered in the scope of its resource. */
test("each of 3,000 queued tasks has the route of its request, though none has ended when the answers come", async () => {
  const memory = TaskTable.allocate();
  const table = new TaskTable(memory);
  const nothing = () => {};
  const labels = { beginAgent: nothing, endAgent: nothing, adopt: nothing };
  const messages = new ThreadMessages(memory, { labels, ledger: { openTasks: [] } }, assert.fail);
  messages.follow();
  const { port1, port2 } = new threads.MessageChannel();
  const requests = Array.from({ length: 3_000 }, (_, index) => new RequestRecord(index % 7));
  const resources = requests.map((record) => runInContext(record, () => new AsyncResource("Task"), undefined));
  const answered = new Promise((resolve) => {
    port2.on("message", (index) => {
      resources[index].runInAsyncScope(nothing);
      if (index === requests.length - 1) resolve();
    });
  });
  for (const index of requests.keys()) port1.postMessage(index);
  await answered;
  port1.close();
  const states = () => requests.map((_, index) => table.stateOf(index + 1));
  assert.deepEqual(new Set(states()), new Set([TASK_RUNNING]));
  for (const record of requests) {
    record.endOrdinal = 1;
    messages.ended(record);
  }
  assert.deepEqual(
    states(),
    requests.map((record) => foreignRoute(0, record.routeIndex)),
  );
});
