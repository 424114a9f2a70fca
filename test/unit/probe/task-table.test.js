"use strict";
const assert = require("node:assert/strict");
const test = require("node:test");
const {
  TASK_ANONYMOUS,
  TASK_BACKGROUND,
  TASK_FORGOTTEN,
  TASK_RUNNING,
  TaskTable,
  otherEnd,
} = require("../../../dist/probe/task-table");
const { foreignRoute, splitForeignRoute, MAX_FOREIGN_THREAD } = require("../../../dist/model/messages");

test("a note is read under the end and number it was written for, and under no other", () => {
  const memory = TaskTable.allocate();
  const sender = new TaskTable(memory);
  const receiver = new TaskTable(memory);
  const end = sender.newChannel();
  sender.note(end, 1, { task: 7, originThread: 2, ports: [12, 0, 14] });
  assert.deepEqual(receiver.read(end, 1), { task: 7, originThread: 2, ports: [12, 14] });
  assert.equal(receiver.read(end, 2), null);
  assert.equal(receiver.read(otherEnd(end), 1), null);
});

test("the ends of a worker and of channels do not share slots while few messages wait", () => {
  const table = new TaskTable(TaskTable.allocate());
  const ends = [TaskTable.parentEnd(1), TaskTable.parentEnd(2), otherEnd(TaskTable.parentEnd(1))];
  for (let i = 0; i < 8; i++) ends.push(table.newChannel());
  for (const [index, end] of ends.entries()) {
    for (let sequence = 1; sequence <= 10; sequence++)
      table.note(end, sequence, { task: index * 100 + sequence, originThread: 0, ports: [] });
  }
  for (const [index, end] of ends.entries()) {
    for (let sequence = 1; sequence <= 10; sequence++)
      assert.equal(table.read(end, sequence)?.task, index * 100 + sequence);
  }
});

test("a note whose words were written by two threads at once belongs to nobody", () => {
  const memory = TaskTable.allocate();
  const table = new TaskTable(memory);
  const end = table.newChannel();
  table.note(end, 5, { task: 7, originThread: 2, ports: [] });
  const words = new Int32Array(memory);
  const at = words.findIndex((word, index) => word === end && words[index + 1] === 5 && words[index + 2] === 7);
  words[at + 2] = 8;
  assert.equal(table.read(end, 5), null);
});

test("a task goes from running to its route, and is forgotten once its slot was given away", () => {
  const table = new TaskTable(TaskTable.allocate());
  const task = table.newTask(false);
  assert.equal(table.stateOf(task), TASK_RUNNING);
  table.finish(task, foreignRoute(0, 3));
  assert.deepEqual(splitForeignRoute(table.stateOf(task)), { thread: 0, routeIndex: 3 });
  const anonymous = table.newTask(true);
  assert.equal(table.stateOf(anonymous), TASK_ANONYMOUS);
  table.finish(anonymous, TASK_BACKGROUND);
  assert.equal(table.stateOf(anonymous), TASK_BACKGROUND);
  for (let i = 0; i < 16_384; i++) table.newTask(false);
  assert.equal(table.stateOf(task), TASK_FORGOTTEN);
  table.finish(task, foreignRoute(0, 4));
  assert.equal(table.stateOf(task), TASK_FORGOTTEN, "the present owner of the slot is left alone");
});

test("a task that was given to a request has that request's state, then and later", () => {
  const table = new TaskTable(TaskTable.allocate());
  const anonymous = table.newTask(true);
  const request = table.newTask(false);
  table.give(anonymous, request);
  assert.equal(table.stateOf(anonymous), TASK_RUNNING);
  table.finish(request, foreignRoute(0, 3));
  assert.equal(table.stateOf(anonymous), foreignRoute(0, 3));
  for (let i = 0; i < 16_383; i++) table.newTask(false);
  const late = table.newTask(true);
  table.give(late, request);
  assert.equal(table.stateOf(late), TASK_FORGOTTEN, "the slot of the request was given away");
});

test("routes of other threads fit into 31 bits and come back", () => {
  for (const [thread, routeIndex] of [
    [0, 0],
    [0, 65_535],
    [MAX_FOREIGN_THREAD, 65_535],
  ]) {
    const route = foreignRoute(thread, routeIndex);
    assert.ok(route < 2 ** 31 && route > 0);
    assert.deepEqual(splitForeignRoute(route), { thread, routeIndex });
  }
  assert.equal(splitForeignRoute(65_535), null);
  assert.equal(splitForeignRoute(-1), null);
});
