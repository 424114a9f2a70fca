/**
 * Runs in the evaluation's process. Owns the placeholders of a corpus case's load.json and the route labels made from it.
 * Must stay deterministic for one seed, so that two runs of a case send the same mix.
 */
"use strict";
const { randomBytes, randomUUID } = require("node:crypto");

const WORDS = (
  "amber basil cedar delta ember fjord grove hazel iris jade kelp lotus maple " +
  "north ocean pearl quartz river sage tulip umber violet willow xenon yarrow zephyr"
).split(" ");
const PLACEHOLDER = /\{(id|u|uuid|word|hex|now|n|pad)(?::(\d+))?\}/g;

/** Marsaglia's xorshift32: the period is 2^32 - 1 and the seed must not be 0. */
class Random {
  /** @param {number} [seed] a non-zero 32-bit integer */
  constructor(seed = 123_456_789) {
    this.state = seed | 0;
  }

  /** @returns {number} an integer in 0..limit-1 */
  below(limit) {
    this.state ^= this.state << 13;
    this.state ^= this.state >>> 17;
    this.state ^= this.state << 5;
    return (this.state >>> 0) % limit;
  }

  /** @returns {number} in [0, 1), in steps of 2^-20 */
  ratio() {
    return this.below(1 << 20) / (1 << 20);
  }
}

/**
 * @param {string} template text with `{id}`, `{id:50}`, `{n:400}`, `{u}`, `{uuid}`, `{word}`, `{hex}`, `{now}`, `{pad:100}`
 * @param {number} sequence the request's number, unique in the run
 * @param {Random} random
 */
function fill(template, sequence, random) {
  return template.replace(PLACEHOLDER, (_, name, argument) => {
    const size = argument === undefined ? undefined : Number(argument);
    switch (name) {
      case "id":
        return String(size ? sequence % size : sequence);
      case "u":
        return `u${sequence.toString(36)}`;
      case "uuid":
        return randomUUID();
      case "word":
        return WORDS[random.below(WORDS.length)];
      case "hex":
        return randomBytes(size ?? 8).toString("hex");
      case "now":
        return String(Date.now());
      case "pad":
        return "x".repeat(size ?? 100);
      default:
        return String(random.below(size || 1000));
    }
  });
}

/** The route's name in truth.json: `route`, or the path's template with `{id:50}` written as `:id`. */
function routeLabel(entry) {
  if (entry.route) return entry.route;
  return `${entry.method ?? "GET"} ${entry.path.split("?")[0].replace(/\{(\w+)(:[^}]*)?\}/g, ":$1")}`;
}

module.exports = { Random, fill, routeLabel };
