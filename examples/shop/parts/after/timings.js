"use strict";

/** Count, total and longest by name: as many entries as there are phases. */
const totals = new Map();

/** Runs one phase of a report and notes how long it took. */
async function timed(name, phase) {
  const started = performance.now();
  try {
    return await phase();
  } finally {
    const millis = performance.now() - started;
    const total = totals.get(name) ?? { name, count: 0, millis: 0, longest: 0 };
    total.count++;
    total.millis += millis;
    total.longest = Math.max(total.longest, millis);
    totals.set(name, total);
  }
}

function slowest(count) {
  return [...totals.values()].sort((a, b) => b.longest - a.longest).slice(0, count);
}

module.exports = { slowest, timed };
