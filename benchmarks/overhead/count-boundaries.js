/** Preloaded into the service WITHOUT the agent: counts what an async_hooks `after` hook would be called for. */
"use strict";

const { createHook } = require("node:async_hooks");

const counter = { after: 0 };
globalThis[Symbol.for("leak-agent bench boundaries")] = counter;
createHook({
  after() {
    counter.after++;
  },
}).enable();
