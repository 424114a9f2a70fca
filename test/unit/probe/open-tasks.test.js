"use strict";
const assert = require("node:assert/strict");
const { test } = require("node:test");
const { TASK_ANONYMOUS, TaskTable } = require("../../../dist/probe/task-table");
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
