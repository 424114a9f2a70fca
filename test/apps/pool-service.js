/**
 * A service that has the work of its requests done in worker threads, in the ways pools pass tasks. What a task keeps is
 * made by a function named after the route that asked for it, so each sample says on its stack whose it is.
 * argv[2] is the way; it sends itself requests until stdin says something.
 */
"use strict";
const { AsyncResource } = require("node:async_hooks");
const http = require("node:http");
const { MessageChannel, Worker } = require("node:worker_threads");
const { request } = require("./served");

const WAY = process.argv[2];
/** Its worker waits in Atomics.wait. By "microtasks" no task waits for anything, so that its event loop never turns. */
const SLEEPS = WAY === "atomics" || WAY === "microtasks";

const WORKER = `
  const { parentPort, receiveMessageOnPort, threadId } = require("node:worker_threads");
  const kept = [];
  const keep = Object.fromEntries(["a", "b"].map((route) => [route, new Function("kept", \`return function keep_\${route}() {
    for (let i = 0; i < 40; i++) kept.push(new Array(64).fill(i));
  }\`)(kept)]));
  async function work({ id, route }, answer) {
    keep[route]();
    await ${WAY === "microtasks" ? "null" : "new Promise((resolve) => setImmediate(resolve))"};
    keep[route]();
    answer({ id });
  }
  parentPort.once("message", ({ port, shared }) => {
    if (port === undefined) return parentPort.on("message", (task) => work(task, (done) => parentPort.postMessage(done)));
    if (shared === undefined) return port.on("message", (task) => work(task, (done) => port.postMessage(done)));
    const count = new Int32Array(shared);
    let seen = 0;
    (function wait() {
      Atomics.wait(count, 0, seen);
      seen = Atomics.load(count, 0);
      const entry = receiveMessageOnPort(port);
      if (entry === undefined) return setImmediate(wait);
      if (entry.message === "stop") return;
      work(entry.message, (done) => { port.postMessage(done); wait(); });
    })();
  });
`;

/** One task as a pool keeps it: with the context of whoever asked for it. */
class Task extends AsyncResource {
  constructor(id, route, resolve) {
    super("Task");
    Object.assign(this, { id, route, resolve });
  }
}

const tasks = new Map();
const queue = [];
let isBusy = false;
let nextId = 0;

const worker = new Worker(WORKER, { eval: true });
const { port1, port2 } = new MessageChannel();
const shared = SLEEPS ? new SharedArrayBuffer(4) : undefined;
const ownPort = WAY === "parent" ? worker : port1;
if (WAY === "parent") worker.postMessage({});
else worker.postMessage({ port: port2, shared }, [port2]);
worker.unref();

function post(task) {
  tasks.set(task.id, task);
  ownPort.postMessage({ id: task.id, route: task.route });
  if (shared === undefined) return;
  const count = new Int32Array(shared);
  Atomics.add(count, 0, 1);
  Atomics.notify(count, 0);
}

ownPort.on("message", ({ id }) => {
  const task = tasks.get(id);
  tasks.delete(id);
  task.runInAsyncScope(task.resolve);
  isBusy = false;
  next();
});

/** As pools do: what has waited is sent when an answer comes, in the context of nobody or of somebody else. */
function next() {
  if (isBusy || queue.length === 0) return;
  isBusy = WAY === "queued" || SLEEPS;
  post(queue.shift());
}

const server = http.createServer(async (incoming, response) => {
  await new Promise((resolve) => {
    queue.push(new Task(nextId++, incoming.url.slice(1), resolve));
    next();
  });
  response.end("done");
});

server.listen(0, "127.0.0.1", async () => {
  let isOver = false;
  process.stdin.once("data", () => {
    isOver = true;
  });
  process.stdout.write("listening\n");
  while (!isOver) await Promise.all(["/a", "/b", "/a", "/b", "/a"].map((path) => request(server, path)));
  process.exit(0);
});
