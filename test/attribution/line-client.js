/**
 * A small driver as database drivers are: `data` listeners are added when a socket is opened, and whoever asks is called
 * from them. The server answers each line in two pieces.
 */
"use strict";
const { once } = require("node:events");
const net = require("node:net");

/** @returns the port of a server that answers each line. */
async function startLineServer() {
  const server = net.createServer((socket) => {
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      const lines = chunk.toString("latin1").split("\n").length - 1;
      socket.write("answer ".repeat(lines));
      setTimeout(() => socket.write("\n".repeat(lines)), 1);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server.address().port;
}

/** One socket. Several callers may wait at once; the server answers in their order. */
class LineClient {
  #socket;
  #waiting = [];

  constructor(port) {
    this.#socket = net.connect(port, "127.0.0.1");
    this.#socket.setNoDelay(true).on("data", (chunk) => {
      this.#waiting[0]?.heard();
      for (const byte of chunk) if (byte === 10) this.#waiting.shift()?.done();
    });
  }

  /** `heard` is called from the `data` event. */
  ask(heard) {
    return new Promise((done) => {
      this.#waiting.push({ heard, done });
      this.#socket.write("question\n");
    });
  }
}

/** Opens sockets while requests run; each is used by one caller at a time. */
class LinePool {
  #free = [];
  #queue = [];
  #left;

  constructor(port, size) {
    this.port = port;
    this.#left = size;
  }

  async ask(heard) {
    const client = await this.#take();
    await client.ask(heard);
    const next = this.#queue.shift();
    if (next === undefined) this.#free.push(client);
    else next(client);
  }

  #take() {
    if (this.#free.length > 0) return this.#free.pop();
    if (this.#left-- > 0) return new LineClient(this.port);
    return new Promise((resolve) => this.#queue.push(resolve));
  }
}

module.exports = { startLineServer, LineClient, LinePool };
