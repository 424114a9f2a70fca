/** Both threads must count the same messages: one more or less, and every later message has another one's owner. */
"use strict";
const assert = require("node:assert/strict");
const { once } = require("node:events");
const { test } = require("node:test");
const threads = require("node:worker_threads");
const { NoLabels } = require("../../../dist/probe/boundaries");
const { currentRecord } = require("../../../dist/probe/request-context");
const { otherEnd, TaskTable } = require("../../../dist/probe/task-table");
const { ThreadMessages } = require("../../../dist/probe/thread-messages");

/** Stands for Node, which throws when it cannot read a message that it has taken out of the queue. */
const { receiveMessageOnPort } = threads;
threads.receiveMessageOnPort = (port) => {
  const received = receiveMessageOnPort(port);
  if (received?.message === "unreadable") throw new Error("unreadable");
  return received;
};

const ownMessageChannel = threads.MessageChannel;
const memory = TaskTable.allocate();
const table = new TaskTable(memory);
new ThreadMessages(memory, { labels: new NoLabels(), ledger: { openTasks: [] } }, assert.fail).follow();

/** Node's own channel with its two ends as the agent numbers them; what is sent is of another thread's request 1, 2, ... */
function channel(context) {
  const { port1, port2 } = new threads.MessageChannel();
  context.after(() => port1.close());
  const end = table.newChannel() - 2;
  let sent = 0;
  const send = (message, transfer) => {
    port1.postMessage(message, transfer);
    sent++;
    table.note(end, sent, { task: sent, originThread: 5, ports: [] });
  };
  return { port1, port2, send };
}

/** The task whose message is being received. */
const task = () => currentRecord()?.task ?? null;

test("an event that the service dispatches itself is no message", async (context) => {
  const { port2, send } = channel(context);
  const seen = [];
  port2.addEventListener("message", (event) => seen.push([event.data ?? "own", task()]));
  port2.dispatchEvent(new Event("message"));
  send("first");
  send("second");
  port2.start();
  await once(port2, "message");
  if (seen.length < 3) await once(port2, "message");
  assert.deepEqual(seen, [
    ["own", null],
    ["first", 1],
    ["second", 2],
  ]);
});

test("a message that cannot be read is gone", (context) => {
  const { port2, send } = channel(context);
  send("unreadable");
  send("second");
  assert.throws(() => threads.receiveMessageOnPort(port2), /unreadable/);
  assert.equal(threads.receiveMessageOnPort(port2).message, "second");
  assert.equal(task(), 2);
  assert.equal(threads.receiveMessageOnPort(port2), undefined);
});

test("what a worker says before it is spoken to is counted", async (context) => {
  const source = `
    const { parentPort } = require("node:worker_threads");
    for (const word of ["loaded", "ready"]) parentPort.postMessage(word);
    parentPort.on("message", (message) => parentPort.postMessage(message));
  `;
  const worker = new threads.Worker(source, { eval: true });
  context.after(() => worker.terminate());
  const end = otherEnd(TaskTable.parentEnd(worker.threadId));
  for (const sequence of [1, 2, 3]) table.note(end, sequence, { task: sequence, originThread: 5, ports: [] });
  let count = 0;
  await new Promise((resolve) => {
    worker.on("message", () => {
      if (++count === 2) resolve();
    });
  });
  worker.postMessage("asked");
  const [answer, owner] = await new Promise((resolve) => {
    worker.once("message", (message) => resolve([message, task()]));
  });
  assert.deepEqual([answer, owner], ["asked", 3]);
});

test("options and transfer lists are read once, by Node", (context) => {
  const { port1, port2 } = channel(context);
  let reads = 0;
  const buffer = new ArrayBuffer(4);
  port1.postMessage(1, {
    get transfer() {
      reads++;
      return [buffer];
    },
  });
  assert.deepEqual([reads, buffer.byteLength], [1, 0]);
  const traps = [];
  const trapped = new Proxy([], {
    get(list, key) {
      traps.push(key);
      return Reflect.get(list, key);
    },
  });
  port1.postMessage(2, trapped);
  const withAgent = traps.splice(0);
  const plain = new ownMessageChannel();
  Reflect.apply(plain.port1.postMessage, plain.port1, [2, trapped]);
  plain.port1.close();
  assert.deepEqual(withAgent, traps);
  assert.equal(threads.receiveMessageOnPort(port2).message, 1);
});

test("a channel knows its constructor", (context) => {
  const { port1 } = channel(context);
  const made = new threads.MessageChannel();
  context.after(() => made.port1.close());
  assert.equal(made.constructor, threads.MessageChannel);
  assert.equal(port1 instanceof threads.MessagePort, true);
});
