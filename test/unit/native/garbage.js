/** Support for the tests of the addon: a full collection, memory that is kept, and V8's own reading over the inspector. */
"use strict";

const { Session } = require("node:inspector");
const { setFlagsFromString } = require("node:v8");
const { runInNewContext } = require("node:vm");

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc");

/** Two collections with a loop turn between them, so that weak references taken in this turn can go. */
async function collectGarbage() {
  for (let i = 0; i < 2; i++) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    collect();
  }
}

/** Arrays of about `bytes` in all, 1 KB each. */
function allocate(bytes) {
  return Array.from({ length: Math.ceil(bytes / 1_024) }, () => new Array(126).fill(0));
}

/** One answer of V8's inspector; the session stays open until `close`. */
class Inspector {
  #session = new Session();
  constructor() {
    this.#session.connect();
  }
  /** @returns the result, synchronously as Node's inspector answers on the same thread. */
  ask(method, parameters) {
    let answer;
    this.#session.post(method, parameters, (error, result) => {
      answer = { error, result };
    });
    if (answer.error) throw new Error(answer.error.message);
    return answer.result;
  }
  close() {
    this.#session.disconnect();
  }
}

module.exports = { Inspector, allocate, collect, collectGarbage };
