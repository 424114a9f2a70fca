"use strict";

const timings = [];

/** Runs one phase of a report and notes how long it took. */
async function timed(name, phase) {
  const started = performance.now();
  try {
    return await phase();
  } finally {
    timings.push({ name, millis: performance.now() - started, at: Date.now() });
  }
}

function slowest(count) {
  return timings.slice(-count).sort((a, b) => b.millis - a.millis);
}

module.exports = { slowest, timed };
