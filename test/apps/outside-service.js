/**
 * A service that grows outside of the JS heap with each request, or only seems to. argv[2] and on say how; it does so 20
 * times a second, in requests that it sends itself, until it is killed.
 */
"use strict";
const fs = require("node:fs");
const http = require("node:http");
const net = require("node:net");
const os = require("node:os");
const path = require("node:path");
const { request } = require("./served");

const kept = [];
const ring = [];
const pool = [];
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "leak-agent-outside-"));
process.on("exit", () => fs.rmSync(folder, { recursive: true, force: true }));
process.stdin.once("data", () => process.exit(0));
const sink = net
  .createServer((socket) => socket.on("error", () => {}))
  .listen(0, "127.0.0.1")
  .unref();

let count = 0;
const startMillis = Date.now();
/** Written to, so that it is really there. */
const buffer = (kilobytes) => Buffer.alloc(kilobytes * 1_024, 1);

const WAYS = {
  /** A cache of bodies that nothing clears. */
  buffers: () => kept.push(buffer(64)),
  /** Connections that are opened and never closed. */
  sockets: () => count % 2 === 0 && kept.push(net.connect(sink.address().port, "127.0.0.1").on("error", () => {})),
  /** A template compiled into a module of its own for each request. */
  modules: () => {
    const file = path.join(folder, `template-${count}.js`);
    for (let i = 0; i < 2; i++) {
      const name = file.replace(".js", `-${i}.js`);
      fs.writeFileSync(name, "module.exports = () => 1;");
      require(name)();
    }
  },
  /** A ring of Buffers that is full after 3 s. */
  ring: () => {
    ring.push(buffer(256));
    if (ring.length > 60) ring.shift();
  },
  /** Buffers that live for as long as their request. */
  garbage: () => buffer(512),
  /** A pool of connections that is full after a second. */
  pool: () => {
    if (pool.length < 20) pool.push(net.connect(sink.address().port, "127.0.0.1").on("error", () => {}));
  },
};

const server = http.createServer((_request, response) => {
  // By the clock: a busy machine, where requests come late, must not change how this service grows.
  for (; count < (20 * (Date.now() - startMillis)) / 1_000; count++) {
    for (const way of process.argv.slice(2)) WAYS[way]();
  }
  response.end("done");
});
server.listen(0, "127.0.0.1", () => {
  process.stdout.write("listening\n");
  setInterval(() => request(server, "/work").catch(() => {}), 50);
});
