"use strict";

const timings = [];

function recordTiming(name, millis) {
  timings.push({ name, millis, at: Date.now() });
}

/** Runs one phase of a report and notes how long it took. */
async function timed(name, phase) {
  const started = performance.now();
  const result = await phase();
  recordTiming(name, performance.now() - started);
  return result;
}

function slowest(count) {
  return timings.slice(-count).sort((a, b) => b.millis - a.millis);
}

module.exports = { recordTiming, slowest, timed };
