/**
 * Runs in the evaluation's process. Owns one open-loop request mix against 127.0.0.1: arrivals never wait for answers,
 * so a service that slows down is not spared. Must count what it could not send instead of hiding it.
 */
"use strict";
const http = require("node:http");
const { Random, fill, routeLabel } = require("./request-template.js");

const TICK_MILLIS = 5;
const DEFAULT_RATE = 150;
/** Arrivals owed after a stall of this process; more would be a burst that no client sent. */
const MAX_OWED = 200;
const MAX_IN_FLIGHT = 128;
const MAX_SOCKETS = 64;
const REQUEST_TIMEOUT_MILLIS = 15_000;

class LoadGenerator {
  /**
   * @param {object[]} mix the parsed load.json: `{method, path, weight, route, body, headers, abortAfterMs, onceAt, count}`;
   *   the first entry that has them gives the total `rate` (requests/s) and `ramp {from, to, over}` (ratios, seconds)
   * @param {number} port
   * @param {number} [seed] of the mix, non-zero
   */
  constructor(mix, port, seed) {
    this.entries = mix.map((entry) => ({ ...entry, label: routeLabel(entry) }));
    this.weighted = this.entries.filter((entry) => entry.onceAt === undefined);
    this.once = this.entries.filter((entry) => entry.onceAt !== undefined);
    this.totalWeight = this.weighted.reduce((sum, entry) => sum + (entry.weight ?? 1), 0);
    this.rate = mix.find((entry) => entry.rate)?.rate ?? DEFAULT_RATE;
    this.ramp = mix.find((entry) => entry.ramp)?.ramp ?? null;
    this.port = port;
    this.random = new Random(seed);
    this.agent = new http.Agent({ keepAlive: true, maxSockets: MAX_SOCKETS });
    this.sequence = 0;
    this.inFlight = 0;
    this.droppedCount = 0;
    /** Requests answered below 400, by route label. */
    this.answered = Object.fromEntries(this.entries.map((entry) => [entry.label, 0]));
    /** Unexpected answers and socket errors, by `route reason`. */
    this.errors = {};
    this.timer = null;
  }

  start() {
    this.startedAt = Date.now();
    this.lastTickAt = this.startedAt;
    this.owed = 0;
    this.timer = setInterval(() => this.tick(), TICK_MILLIS);
  }

  /** Stops sending; requests in flight are cut off. */
  stop() {
    clearInterval(this.timer);
    this.timer = null;
    this.agent.destroy();
  }

  get elapsedSeconds() {
    return (Date.now() - this.startedAt) / 1000;
  }

  get answeredCount() {
    return Object.values(this.answered).reduce((sum, count) => sum + count, 0);
  }

  tick() {
    const now = Date.now();
    const seconds = (now - this.startedAt) / 1000;
    this.owed = Math.min(this.owed + (this.rateAt(seconds) * (now - this.lastTickAt)) / 1000, MAX_OWED);
    this.lastTickAt = now;
    for (; this.owed >= 1; this.owed--) {
      if (this.inFlight >= MAX_IN_FLIGHT) this.droppedCount++;
      else if (this.weighted.length > 0) this.send(this.pick());
    }
    this.sendDue(seconds);
  }

  rateAt(seconds) {
    if (this.ramp === null) return this.rate;
    const { from, to, over } = this.ramp;
    return this.rate * (from + (to - from) * Math.min(1, seconds / over));
  }

  sendDue(seconds) {
    const due = this.once.filter((entry) => seconds >= entry.onceAt);
    if (due.length === 0) return;
    this.once = this.once.filter((entry) => seconds < entry.onceAt);
    for (const entry of due) for (let i = 0; i < (entry.count ?? 1); i++) this.send(entry);
  }

  pick() {
    let rest = this.random.ratio() * this.totalWeight;
    for (const entry of this.weighted) {
      rest -= entry.weight ?? 1;
      if (rest < 0) return entry;
    }
    return this.weighted.at(-1);
  }

  send(entry) {
    const sequence = ++this.sequence;
    const body = this.bodyOf(entry, sequence);
    const finish = this.openRequest(entry.label);
    const request = http.request({
      host: "127.0.0.1",
      port: this.port,
      method: entry.method ?? "GET",
      path: fill(entry.path, sequence, this.random),
      headers: this.headersOf(entry, sequence, body),
      agent: entry.abortAfterMs ? false : this.agent,
    });
    request.on("response", (response) => {
      const { statusCode } = response;
      response.on("error", (error) => finish(entry.abortAfterMs ? null : error.code));
      response.on("end", () => finish(statusCode < 400 ? null : statusCode));
      response.resume();
      if (!entry.abortAfterMs) return;
      setTimeout(() => {
        finish(statusCode < 400 ? null : statusCode);
        request.destroy();
      }, entry.abortAfterMs);
    });
    request.on("upgrade", (_response, socket) => {
      socket.on("error", () => {}); // The service may reset what we end.
      socket.resume();
      setTimeout(() => {
        finish(null);
        socket.destroy();
      }, entry.abortAfterMs ?? 0);
    });
    request.on("error", (error) => finish(error.code));
    request.setTimeout(REQUEST_TIMEOUT_MILLIS, () => {
      finish("timeout");
      request.destroy();
    });
    request.end(body);
  }

  bodyOf(entry, sequence) {
    if (entry.body === undefined) return undefined;
    return fill(typeof entry.body === "string" ? entry.body : JSON.stringify(entry.body), sequence, this.random);
  }

  headersOf(entry, sequence, body) {
    const headers = {};
    for (const [name, value] of Object.entries(entry.headers ?? {})) {
      headers[name.toLowerCase()] = fill(String(value), sequence, this.random);
    }
    if (body === undefined) return headers;
    return { "content-type": "application/json", ...headers, "content-length": Buffer.byteLength(body) };
  }

  /** @returns {(reason: string | number | null) => void} counts the answer once, whichever event comes first */
  openRequest(label) {
    this.inFlight++;
    let open = true;
    return (reason) => {
      if (!open) return;
      open = false;
      this.inFlight--;
      if (this.timer === null) return; // The run is over: what is cut off now is our doing.
      if (reason === null) this.answered[label]++;
      else this.errors[`${label} ${reason}`] = (this.errors[`${label} ${reason}`] ?? 0) + 1;
    };
  }
}

module.exports = { LoadGenerator };
