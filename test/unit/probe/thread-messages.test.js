/** What the service sees of its messages with the agent loaded is what it sees without. */
"use strict";
const assert = require("node:assert/strict");
const { spawnSync } = require("node:child_process");
const { mkdtempSync, rmSync, writeFileSync } = require("node:fs");
const { tmpdir } = require("node:os");
const { join } = require("node:path");
const test = require("node:test");

const PRELOAD = join(__dirname, "../../../dist/preload.js");

/** Runs the same program without and with the agent. */
function outputs(source, extra = []) {
  const env = { ...process.env, NODE_OPTIONS: "", LEAK_AGENT_LOG: "off", LEAK_AGENT_LABELS: "hook" };
  const run = (args) => {
    const { stdout, stderr, status } = spawnSync(process.execPath, [...args, ...extra, "-e", source], {
      encoding: "utf8",
      env,
    });
    return { stdout, stderr: stderr.replace(/^\s*at .*\n/gm, ""), status };
  };
  return { without: run([]), with: run(["-r", PRELOAD]) };
}

function sameWithAgent(source) {
  const seen = outputs(source);
  assert.deepEqual(seen.with, seen.without);
  assert.notEqual(seen.without.stdout, "");
}

test("values, ports, transfer lists and their errors are the service's own", () => {
  sameWithAgent(`
    const { MessageChannel, MessagePort, receiveMessageOnPort, Worker } = require("node:worker_threads");
    const { port1, port2 } = new MessageChannel();
    const say = (...words) => console.log(...words);
    const attempt = (what) => { try { say("returned", what()); } catch (error) { say(error.name, error.code, error.message); } };
    attempt(() => port1.postMessage(() => {}));
    attempt(() => port1.postMessage({ a: new Map([[1, new Set([2])]]), d: new Date(0), e: new RangeError("x") }));
    attempt(() => receiveMessageOnPort(port2));
    attempt(() => receiveMessageOnPort(port2));
    attempt(() => receiveMessageOnPort({}));
    attempt(() => receiveMessageOnPort());
    attempt(() => port1.postMessage());
    attempt(() => port1.postMessage(1, 2));
    attempt(() => port1.postMessage(1, [port1]));
    attempt(() => MessagePort.prototype.postMessage.call({}, 1));
    attempt(() => MessageChannel());
    const buffer = new ArrayBuffer(8);
    attempt(() => port1.postMessage(buffer, [buffer]));
    attempt(() => port1.postMessage(buffer, { transfer: [buffer] }));
    say(buffer.byteLength, receiveMessageOnPort(port2));
    class Own extends MessageChannel {}
    say(new Own() instanceof MessageChannel, new Own().port1 instanceof MessagePort, globalThis.MessageChannel === MessageChannel);
    say(MessageChannel.name, MessageChannel.length, typeof MessageChannel);
    say(MessagePort.prototype.postMessage.name, Worker.prototype.postMessage.name, receiveMessageOnPort.name);
    port1.close(); port2.close();
  `);
});

test("events, their order, ports in them and exceptions of listeners are the service's own", () => {
  sameWithAgent(`
    const { MessageChannel, Worker } = require("node:worker_threads");
    process.on("uncaughtException", (error) => console.log("uncaught", error.message));
    const worker = new Worker(\`
      const { parentPort } = require("node:worker_threads");
      parentPort.on("message", (message) => {
        if (message.port) return message.port.addEventListener("message", (event) => {
          event.target.postMessage([event.type, event.data, event.ports.length]);
        }) ?? message.port.start();
        if (message.fail) throw new Error("in the worker");
        parentPort.postMessage(message);
      });
    \`, { eval: true });
    const { port1, port2 } = new MessageChannel();
    worker.postMessage({ port: port2 }, [port2]);
    port1.postMessage("first");
    port1.postMessage("second", [new MessageChannel().port1]);
    let count = 0;
    port1.on("message", (data) => {
      console.log("answer", data);
      if (++count === 2) { worker.postMessage({ id: 1 }); port1.close(); }
    });
    worker.on("message", (message) => { console.log("echo", message); worker.postMessage({ fail: true }); throw new Error("in the listener"); });
    worker.on("error", (error) => console.log("error", error.message));
    worker.on("exit", (code) => { console.log("exit", code); worker.postMessage("late"); });
  `);
});

test("a thread without the agent gets its messages unchanged", () => {
  sameWithAgent(`
    const { Worker, MessageChannel } = require("node:worker_threads");
    const worker = new Worker(\`
      const { parentPort } = require("node:worker_threads");
      parentPort.once("message", (message) => message.port.on("message", (data) => { message.port.postMessage(data); message.port.close(); }));
    \`, { eval: true, execArgv: [], env: {} });
    const { port1, port2 } = new MessageChannel();
    worker.postMessage({ port: port2 }, [port2]);
    port1.on("message", (data) => console.log(data));
    port1.postMessage({ plain: [1, 2, 3] });
  `);
});

test("ES modules get the same functions", () => {
  const source = `
    import threads, { MessageChannel, receiveMessageOnPort } from "node:worker_threads";
    console.log(threads.MessageChannel === MessageChannel, threads.receiveMessageOnPort === receiveMessageOnPort);
    const { port1, port2 } = new MessageChannel();
    port1.postMessage("x");
    console.log(receiveMessageOnPort(port2));
    port1.close();
  `;
  const seen = outputs(source, ["--input-type=module"]);
  assert.deepEqual(seen.with, seen.without);
  assert.match(seen.with.stdout, /true true/);
});

test("globals that somebody has frozen cost a thread the owners of its tasks, not its agent", (context) => {
  const folder = mkdtempSync(join(tmpdir(), "leak-agent-test-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const freeze = join(folder, "freeze.js");
  writeFileSync(freeze, "Object.freeze(Atomics);");
  const inside = `
    const { engine, hookErrors } = globalThis[Symbol.for("leak-agent.probe")].status();
    console.log(engine, hookErrors);
  `;
  const source = `
    const { Worker } = require("node:worker_threads");
    const execArgv = ["-r", ${JSON.stringify(freeze)}, "-r", ${JSON.stringify(PRELOAD)}];
    new Worker(${JSON.stringify(inside)}, { eval: true, execArgv }).on("error", (error) => console.log(error.message));
  `;
  assert.equal(outputs(source).with.stdout, "native 1\n");
});

test("a socket's write looks as it did", () => {
  sameWithAgent(`
    const { once } = require("node:events");
    const http = require("node:http");
    const { Socket } = require("node:net");
    const server = http.createServer((request, response) => response.end());
    server.listen(0, "127.0.0.1", async () => {
      const [response] = await once(http.get({ port: server.address().port, host: "127.0.0.1", agent: false }), "response");
      await once(response.resume(), "end");
      console.log(Socket.prototype.write.name, Socket.prototype.write.length);
      try { Socket.prototype.write.call({}, "x"); } catch (error) { console.log(error.name); }
      server.close();
    });
  `);
});
