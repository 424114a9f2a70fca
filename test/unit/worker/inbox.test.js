"use strict";
const assert = require("node:assert/strict");
const { test } = require("node:test");
const { MessageChannel } = require("node:worker_threads");
const { Inbox } = require("../../../dist/worker/inbox.js");

/** Each message that is handled takes a moment and brings the next one: the port never runs dry. */
function handledBeforeTimer(handle) {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    let handled = 0;
    let isOver = false;
    const stop = () => {
      isOver = true;
      port1.close();
      resolve(handled);
    };
    const work = () => {
      if (handled++ === 0) setTimeout(stop, 1);
      const end = Date.now() + 2; // Longer than the timer waits.
      while (Date.now() < end);
      if (!isOver) port2.postMessage("more");
    };
    port1.on("message", () => handle(work));
    for (let count = 0; count < 8; count++) port2.postMessage("first");
  });
}

test("timers and sockets get their turn while messages never end", async () => {
  const inbox = new Inbox();
  const handled = await handledBeforeTimer((work) => inbox.add(work));
  assert.ok(handled <= 10, `${handled} messages were handled before a timer that was due`);
});

test("messages are handled in their order", async () => {
  const inbox = new Inbox();
  const seen = [];
  await new Promise((resolve) => {
    for (const number of [1, 2, 3]) inbox.add(() => seen.push(number));
    inbox.add(resolve);
  });
  assert.deepEqual(seen, [1, 2, 3]);
});
