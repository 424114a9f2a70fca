/**
 * Owns the allocation trees that the capture benchmark reads: many call paths through functions spread over many scripts,
 * as in a service with packages. Everything allocated is kept, so that the tree stays the same during a measurement.
 */
"use strict";

const { Script } = require("node:vm");

const SCRIPT_COUNT = 60;
const FUNCTIONS_PER_SCRIPT = 40;
const LINES_BETWEEN_FUNCTIONS = 12;
const MAX_CALL_DEPTH = 24;
/** One path adds fewer nodes than this to the tree. */
const MOST_CALL_NODES = 30;
const LEAST_PATHS = 40;

/** xorshift32: the same trees on every run. */
function randomNumbers(seed) {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

/** Functions that call the next one on a given path; the last one allocates. */
function makeFunctions() {
  const functions = [];
  for (let script = 0; script < SCRIPT_COUNT; script++) {
    const source = ["(functions) => {"];
    for (let i = 0; i < FUNCTIONS_PER_SCRIPT; i++) {
      source.push("\n".repeat(LINES_BETWEEN_FUNCTIONS));
      source.push(`functions.push(function handle${script}_${i}(path, at) {`);
      source.push("  return at < path.length ? functions[path[at]](path, at + 1) : new Array(120).fill(at); });");
    }
    source.push("}");
    new Script(source.join("\n"), {
      filename: `/srv/app/node_modules/package-${script}/lib/index.js`,
    }).runInThisContext()(functions);
  }
  return functions;
}

/** Grows one tree; call `growTo` with rising numbers of nodes or of samples. */
class TreeGrower {
  #functions = makeFunctions();
  #random = randomNumbers(2_463_534_242);
  #kept = [];
  #paths;

  /** @param paths how many call paths there are, each taken again and again; infinite: every allocation has its own. */
  constructor(paths = Number.POSITIVE_INFINITY) {
    this.#paths = Number.isFinite(paths) ? Array.from({ length: paths }, () => this.#somePath()) : null;
  }

  /** @param count reads how many nodes or samples there are by now, which takes the longer the larger the tree is. */
  growTo(target, count) {
    for (let missing = target - count(); missing > 0; missing = target - count()) {
      const paths = Math.max(LEAST_PATHS, missing / MOST_CALL_NODES);
      for (let i = 0; i < paths; i++) this.#allocateOn(this.#nextPath());
    }
  }

  #nextPath() {
    return this.#paths === null ? this.#somePath() : this.#paths[this.#kept.length % this.#paths.length];
  }

  /** Paths share their first half with others, as requests share a framework. */
  #somePath() {
    const depth = 6 + Math.floor(this.#random() * (MAX_CALL_DEPTH - 6));
    const path = [];
    for (let i = 0; i < depth; i++) {
      const choices = i < depth / 2 ? 3 : this.#functions.length;
      const index = Math.floor(this.#random() * choices) + (i < depth / 2 ? i * 40 : 0);
      path.push(index % this.#functions.length);
    }
    return path;
  }

  #allocateOn(path) {
    this.#kept.push(this.#functions[path[0]](path, 1));
  }
}

module.exports = { TreeGrower };
