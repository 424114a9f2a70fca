/**
 * Runs in the demo's process. Owns the customers: a weighted mix of requests, sent by autocannon at a fixed total rate.
 * Must stay deterministic for one seed, except for the order in which answers arrive.
 */
"use strict";
const autocannon = require("autocannon");
const { Random } = require("../../benchmarks/accuracy/request-template.js");
const { MIX } = require("../../examples/shop/scenarios.js");

const REQUESTS_PER_SECOND = 240;
/**
 * autocannon sends what a second may hold at once and then waits for the next second. Several senders, started evenly over
 * a second, make of that a steady stream.
 */
const SENDERS = 8;
const CONNECTIONS_PER_SENDER = 3;
/** Share of all requests that goes to the scenario's route; the others keep their proportions. */
const FAVOURED_RATIO = 0.45;
const WORDS = "amber basil coral denim ebony fawn grape honey lamp chair rug table shelf sofa mirror clock".split(" ");

class ShopLoad {
  /**
   * @param {{port: number, favoured: string, seconds: number, seed: number}} options `favoured` is a name in the mix
   */
  constructor({ port, favoured, seconds, seed }) {
    this.random = new Random(seed * 7_919 + 1);
    this.weights = MIX.map((entry) => ({ entry, weight: weightOf(entry, favoured) }));
    this.sequence = 0;
    this.answeredCount = 0;
    this.failures = {};
    this.senders = [];
    this.timers = [];
    this.finished = Promise.all(
      Array.from({ length: SENDERS }, (_, index) => this.startSender(port, seconds, (index * 1_000) / SENDERS)),
    );
  }

  /** @returns a promise of the sender's end; one that was stopped before it began has ended. */
  startSender(port, seconds, delayMillis) {
    return new Promise((resolve) => {
      const start = () => {
        const sender = autocannon({
          url: `http://127.0.0.1:${port}`,
          connections: CONNECTIONS_PER_SENDER,
          overallRate: REQUESTS_PER_SECOND / SENDERS,
          duration: seconds,
          requests: [
            { setupRequest: (request) => Object.assign(request, { body: undefined, headers: {} }, this.next()) },
          ],
        });
        sender.on("response", (_client, status) => {
          this.answeredCount++;
          if (status >= 400) this.fail(`HTTP ${status}`);
        });
        sender.on("reqError", (error) => this.fail(error.code ?? error.message));
        sender.on("done", resolve);
        this.senders.push(sender);
      };
      this.timers.push({ timer: setTimeout(start, delayMillis), resolve });
    });
  }

  fail(reason) {
    this.failures[reason] = (this.failures[reason] ?? 0) + 1;
  }

  next() {
    const entry = this.pick();
    this.sequence++;
    return entry.make({
      sequence: this.sequence,
      below: (limit) => this.random.below(limit),
      word: () => WORDS[this.random.below(WORDS.length)],
    });
  }

  pick() {
    let rest = this.random.ratio();
    for (const { entry, weight } of this.weights) {
      rest -= weight;
      if (rest < 0) return entry;
    }
    return this.weights.at(-1).entry;
  }

  async stop() {
    for (const { timer, resolve } of this.timers.slice(this.senders.length)) {
      clearTimeout(timer);
      resolve();
    }
    for (const sender of this.senders) sender.stop();
    await this.finished;
  }
}

function weightOf(entry, favoured) {
  if (entry.name === favoured) return FAVOURED_RATIO;
  const others = MIX.filter((other) => other.name !== favoured).reduce((sum, other) => sum + other.weight, 0);
  return ((1 - FAVOURED_RATIO) * entry.weight) / others;
}

module.exports = { REQUESTS_PER_SECOND, ShopLoad };
