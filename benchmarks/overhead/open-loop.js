/**
 * Owns the load: requests sent at times fixed beforehand, whether or not earlier ones were answered. A latency counts
 * from the intended send time, so a stalled service cannot hide the requests it delayed (no coordinated omission).
 */
"use strict";

const { connect } = require("node:net");
const { randomNumbers } = require("../statistics");

const MAX_CONNECTIONS = 128;
/** Requests that may wait for a connection; more means that the service is overloaded, and the run is void. */
const MAX_WAITING = 60_000;

function requestText({ method, path, token, body = "" }) {
  const lines = [`${method} ${path} HTTP/1.1`, "Host: 127.0.0.1", `Authorization: ${token}`, "Connection: keep-alive"];
  if (method === "POST") lines.push("Content-Type: application/json", `Content-Length: ${Buffer.byteLength(body)}`);
  return Buffer.from(`${lines.join("\r\n")}\r\n\r\n${body}`);
}

/** One keep-alive connection with one request at a time. */
class Connection {
  #onAnswer = null;
  #parts = [];
  #missing = -1;

  constructor(port, onFailure) {
    this.fail = onFailure;
    this.socket = connect({ port, host: "127.0.0.1", noDelay: true });
    this.socket.on("data", (chunk) => this.#received(chunk));
    this.socket.on("error", onFailure);
    this.socket.on("close", () => onFailure(new Error("the service closed a connection")));
  }

  send(text, onAnswer) {
    this.#onAnswer = onAnswer;
    this.socket.write(text);
  }

  #received(chunk) {
    if (this.#missing < 0) {
      this.#parts.push(chunk);
      const all = this.#parts.length === 1 ? chunk : Buffer.concat(this.#parts);
      const end = all.indexOf("\r\n\r\n");
      if (end < 0) return;
      const head = all.latin1Slice(0, end);
      const length = /content-length: (\d+)/i.exec(head);
      if (length === null || !head.startsWith("HTTP/1.1 200")) {
        this.fail(new Error(`unexpected answer: ${head}`));
        return;
      }
      this.#missing = Number(length[1]) - (all.length - end - 4);
      this.#parts.length = 0;
    } else {
      this.#missing -= chunk.length;
    }
    if (this.#missing > 0) return;
    this.#missing = -1;
    const answered = this.#onAnswer;
    this.#onAnswer = null;
    answered();
  }
}

class OpenLoop {
  #idle = [];
  #open = 0;
  #waiting = [];
  #texts;
  #port;
  #isStopped = false;
  #isClosing = false;
  #failure = null;
  #nextText = 0;
  answered = 0;
  /** Gets (intended send time, latency), both in ms, for each answer. */
  onLatency = () => {};

  constructor(port, mix) {
    this.#port = port;
    this.#texts = mix.map(requestText);
  }

  /**
   * @param ratePerSecond mean of the arrivals; gaps vary uniformly by +-50 %, from a fixed seed.
   * @param isPrecise true spins between arrivals, for latencies; false sends once per ms and leaves the CPU to others.
   */
  start(ratePerSecond, isPrecise) {
    const random = randomNumbers(7);
    const meanGap = 1_000 / ratePerSecond;
    let next = performance.now() + 5;
    const turn = () => {
      if (this.#isStopped) return;
      const now = performance.now();
      while (next <= now) {
        this.#arrive(next);
        next += meanGap * (0.5 + random());
      }
      if (isPrecise) setImmediate(turn);
      else setTimeout(turn, 1);
    };
    turn();
  }

  /** Closed loop, to find saturation: answers per second over the given time. */
  async saturate(connections, seconds) {
    let isOver = false;
    const again = () => {
      if (!isOver) this.#arrive(performance.now(), again);
    };
    for (let i = 0; i < connections; i++) again();
    await new Promise((resolve) => setTimeout(resolve, seconds * 250));
    const [startCount, startMillis] = [this.answered, performance.now()];
    await new Promise((resolve) => setTimeout(resolve, seconds * 750));
    const rate = ((this.answered - startCount) * 1_000) / (performance.now() - startMillis);
    isOver = true;
    return rate;
  }

  #arrive(intendedMillis, then) {
    const text = this.#texts[this.#nextText++ % this.#texts.length];
    const job = { text, intendedMillis, then };
    const connection = this.#idle.pop() ?? this.#connect();
    if (connection !== null) this.#send(connection, job);
    else if (this.#waiting.push(job) > MAX_WAITING) this.#fail(new Error("the service cannot keep up with the load"));
  }

  #connect() {
    if (this.#open === MAX_CONNECTIONS) return null;
    this.#open++;
    return new Connection(this.#port, (error) => this.#fail(error));
  }

  #send(connection, job) {
    connection.send(job.text, () => {
      this.answered++;
      this.onLatency(job.intendedMillis, performance.now() - job.intendedMillis);
      const next = this.#waiting.shift();
      if (next === undefined) this.#idle.push(connection);
      else this.#send(connection, next);
      job.then?.();
    });
  }

  #fail(error) {
    if (this.#isClosing) return;
    this.#failure ??= error;
    this.#isStopped = true;
  }

  /** To be called in between: a load that broke is no measurement. */
  check() {
    if (this.#failure !== null) throw this.#failure;
  }

  stop() {
    this.#isStopped = true;
    this.#isClosing = true;
    for (const connection of this.#idle) connection.socket.destroy();
  }
}

module.exports = { OpenLoop };
